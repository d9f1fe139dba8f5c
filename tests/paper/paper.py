"""Runs of the paper's models from Python, and what the factors they end with are worth by closed forms and quadrature (analysis/paper_loss.py)."""
import glob
import math
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import time

import h5py
import numpy as np

SOURCE = pathlib.Path(os.environ.get("AVI_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(SOURCE / "analysis"))

from avi_read import Run  # noqa: E402

INPUTS, REFERENCE = SOURCE / "inputs" / "paper", SOURCE / "tests" / "reference"
MPIRUN = shlex.split(os.environ.get("AVI_MPIRUN", "mpirun --oversubscribe --bind-to none"))
QUIET = ["-q", "--fresh", "log.progress=none", "log.eval_every=-1", "output.local=yes"]
WITHOUT_NOISE = ["objective.draws=0", "run.precision=double", "optim.method=lbfgs"]


class Failure(Exception):
    """A number that is not what it should be, in words."""


class Skip(Exception):
    """What this machine misses."""


def start(command, limit):
    done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit)
    if done.returncode not in (0, 4):  # 4: some run of a sweep diverged; what comes of it is told by the numbers
        raise Failure(f"exit status {done.returncode}\n$ {' '.join(map(str, command))}\n{done.stdout[-1000:]}{done.stderr[-2000:]}")


def fit(ini, folder, *settings, limit=600):
    """One run, alone; returns its folder."""
    start([os.environ["AVI_MPI"], *QUIET, INPUTS / ini if isinstance(ini, str) else ini, f"run.output={folder}", *settings], limit)
    return folder


def sweep(keys, ini, folder, *settings, ranks=2, limit=3600):
    """All runs of a sweep on two ranks; returns their folders, in order."""
    start([*MPIRUN, "-n", ranks, os.environ["AVI_MPI"], *QUIET, "--sweep", keys, INPUTS / ini, f"run.output={folder}", *settings], limit)
    return sorted(map(pathlib.Path, glob.glob(f"{folder}/[0-9]*")))


def data(path, dataset="x"):
    with h5py.File(path) as f:
        return f[dataset][:].astype(float)


def elbo(model, folder):
    """Nats, of the factors that a run ended with."""
    with Run(str(folder)) as run:
        theta = [float(np.ravel(run.global_["theta"][name])[0]) for name in ("mean", "sd")] if "theta" in run.global_ else [None, None]
        return float(model.elbo(run.local["mean"].ravel(), run.local["log_sd"].ravel(), *theta))


def loss(model, folder):
    """In the unit of the paper's code."""
    return model.offset - elbo(model, folder)


def setting(folder, section, key):
    with Run(str(folder)) as run:
        return run.setting(section, key)


def near(what, got, want, tolerance):
    if not abs(got - want) <= tolerance:
        raise Failure(f"{what}: {got:.6f}, not {want:.6f} +- {tolerance:g}")
    return f"{what} {got:.4f} ({want:.4f} +- {tolerance:g})"


def between(what, got, low, high):
    if not low <= got <= high:
        raise Failure(f"{what}: {got:.6f}, not from {low:g} to {high:g}")
    return f"{what} {got:.4f} (from {low:g} to {high:g})"


def listed(losses):
    return " ".join(f"{v:.2f}" if math.isfinite(v) else "nan" for v in losses)


def main(*tests):
    """Those named on the command line, else all; what each found, or what is wrong."""
    wanted, failed, skipped = sys.argv[1:], 0, 0
    for test in [t for t in tests if not wanted or t.__name__ in wanted]:
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="avi_paper_") as scratch:
            try:
                lines, word = test(pathlib.Path(scratch)), "ok"
            except Failure as failure:
                lines, word, failed = [str(failure)], "FAIL", failed + 1
            except Skip as missing:
                lines, word, skipped = [str(missing)], "skip", skipped + 1
        print(f"{word:4s} {test.__name__} ({time.monotonic() - begun:.1f} s)", *[f"       {line}" for line in lines], sep="\n", flush=True)
    sys.exit(1 if failed else 77 if skipped else 0)
