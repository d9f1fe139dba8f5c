"""The program from Python, for the tests of exact answers: run it, read /exact, ask the reference."""
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import time

import h5py
import numpy as np

PROGRAM = os.environ.get("AVI_MPI", "avi_mpi")
MPIRUN = shlex.split(os.environ.get("AVI_MPIRUN", "mpirun --oversubscribe --bind-to none"))
SOURCE = pathlib.Path(os.environ.get("AVI_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[2]))
PAPER = SOURCE / "inputs" / "paper"


class Failure(Exception):
    pass


def run(np_, *arguments, expect=0):
    """Output of the program on np_ ranks (1: without mpirun)."""
    command = ([*MPIRUN, "-n", str(np_)] if np_ > 1 else []) + [PROGRAM, *map(str, arguments)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    if done.returncode != expect:
        raise Failure(f"exit status {done.returncode}, expected {expect}: {' '.join(command)}\n{done.stdout[-500:]}{done.stderr[-1500:]}")
    return done.stdout + done.stderr


def read(path, group="exact"):
    """Every dataset of a group of an HDF5 file; each must say what it is."""
    with h5py.File(path) as file:
        for name, item in file[group].items():
            if not item.attrs["description"] or "units" not in item.attrs:
                raise Failure(f"/{group}/{name} has no description")
        return {name: item[()] for name, item in file[group].items()}


def draw(folder, ini, settings):
    """The data that this run draws for itself, as a file; drawn once for all runs that draw the same."""
    settings = [s for s in settings if s.startswith(("data.", "model."))]
    file = folder / f"drawn_{hashlib.sha1(repr((ini.name, settings)).encode()).hexdigest()[:12]}" / "data.h5"
    if not file.exists():
        run(1, ini, "-q", "run.task=simulate", f"run.output={file.parent}", "optim.batch=0", *settings)
    return file


def exact(folder, np_, ini, *settings, want_data=True):
    """/exact of a run, and x: the data that it saw, which are also written to x.txt."""
    source = [s for s in settings if s.startswith("data.")]
    with h5py.File(PAPER / "saw.h5") as file:
        x = file["x"][:]
    if want_data and "saw" not in ini.name:
        path = next((s.split("=", 1)[1] for s in source if s.startswith("data.path=")), None)
        path = path or draw(folder, ini, settings)
        with h5py.File(path) as file:
            x = file["x"][:]
        np.savetxt(folder / "x.txt", x, fmt="%.17g")
    run(np_, ini, "-q", "run.task=exact", f"run.output={folder}/exact", *settings)
    answer = read(folder / "exact" / "run.h5")
    answer["x"] = x
    return answer


def write_rows(path, x):
    """Settings that read these rows back."""
    with h5py.File(path, "w") as file:
        file["x"] = x
    return ["data.source=hdf5", f"data.path={path}", "data.dataset=x"]


def reference(model, data, **parameters):
    """tests/reference/exact_reference.py: plain Python, other formulas."""
    told = [f"--{name}={json.dumps(np.asarray(value).tolist())}" for name, value in parameters.items()]
    script = SOURCE / "tests" / "reference" / "exact_reference.py"
    done = subprocess.run([sys.executable, str(script), model, "--data", str(data), *told], capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise Failure(f"{script.name} {model}: {done.stderr[-800:]}")
    return json.loads(done.stdout)


def check(what, got, want, tolerance):
    """Largest difference of two arrays."""
    worst = float(np.abs(np.asarray(got, float) - np.asarray(want, float)).max())
    if not worst <= tolerance:
        raise Failure(f"{what}: off by {worst:.3e}, at most {tolerance:.1e}")
    return worst


def close(what, got, want, tolerance):
    if not abs(got - want) <= tolerance:
        raise Failure(f"{what} is {got:.10g}, not {want:.10g} (within {tolerance:.1e})")
    return f"{what} {got:.6g}"


def refused(text, *words):
    """The program's message holds these words."""
    message = re.search(r"avi_mpi: error: (.*)", text, re.S)
    missing = [w for w in words if not message or w not in message.group(1)]
    if missing:
        raise Failure(f"the message does not say {missing}: {text[-600:]}")
    return message.group(1).splitlines()[0]


def main(*tests):
    names = [a for a in sys.argv[1:] if a != "--long"] or [t.__name__ for t in tests]
    wrong = 0
    for test in tests:
        if test.__name__ not in names:
            continue
        start = time.time()
        with tempfile.TemporaryDirectory(prefix="avi_exact_") as scratch:
            try:
                told = test(pathlib.Path(scratch))
                print(f"ok    {test.__name__} ({time.time() - start:.1f} s): {told if isinstance(told, str) else '; '.join(told)}", flush=True)
            except Failure as failure:
                wrong = 1
                print(f"FAIL  {test.__name__}: {failure}", flush=True)
    sys.exit(wrong)
