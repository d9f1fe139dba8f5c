#!/usr/bin/env python3
"""Steps of two programs against each other: the workloads of workloads.py and others with little work per row, on one rank.

    paired.py OLD [NEW] [--rounds 7] [--only NAMES] [--readme --old-revision REVISION]

Both run in turn within a round, each once with all steps and once with an eighth of them: the difference of their processor time is that of the
steps, without start, loading, the last evaluation and files. Processor time of the process and not the clock, since other work on the machine
moves the clock far more. The second figure is from the clock all the same: the shortest tenth of the intervals between lines of the trace. A ratio is new / old of a round."""
import argparse
import datetime
import os
import pathlib
import shlex
import statistics
import subprocess
import sys
import tempfile

import h5py
import numpy

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from workloads import WORKLOADS  # noqa: E402

README = HERE / "README.md"
BEGIN, END = "<!-- paired.py --readme: begin -->\n", "<!-- paired: end -->\n"
QUIET = ["-q", "--fresh", "log.eval_every=1000000000", "log.last_rows=1000", "log.progress=none", "checkpoint.minutes=1000000", "log.images=0"]
STEPS = {"vae_1024": 40,
         "vae_128": 240, "conv_vae": 20, "bayes_vae_avi": 40, "bayes_vae_fvi": 40, "linear_fvi": 240, "linear_avi": 240, "nonlinear_fvi": 80, "nonlinear_avi": 80, "saw_fvi": 1600, "saw_avi": 1600}
MODEL = ["data.source=model", "optim.batch=0", "objective.draws=0"]
SMALL = [
    ("hmm_fvi", "hmm, F-VI, no draws", ["model.name=hmm", "data.rows=10000", "inference.function=factorized", *MODEL], 1600),
    ("hmm_avi", "hmm, network of a window of 5, no draws", ["model.name=hmm", "data.rows=10000", "inference.function=mlp", "inference.hidden=16", "inference.domain=window:2", *MODEL], 400),
    ("linear_fvi_0", "linear, F-VI, no draws", ["model.name=linear", "data.rows=10000", "inference.function=factorized", *MODEL], 3200),
    ("linear_avi_0", "linear, polynomial, no draws", ["model.name=linear", "data.rows=10000", "inference.function=polynomial", *MODEL], 1600),
    ("nonlinear_avi_0", "nonlinear, A-VI k=16, 16 points", ["model.name=nonlinear", "data.rows=10000", "inference.function=mlp", "inference.hidden=16,16", "objective.points=16", *MODEL], 240),
    ("saw_avi_0", "saw, A-VI k=4, no draws", ["model.name=saw", "data.rows=10000", "inference.function=mlp", "inference.hidden=4,4", "inference.domain=next", *MODEL], 800),
    ("hier_fvi", "hier_logistic, F-VI, batch 256", ["model.name=hier_logistic", "data.source=model", "data.rows=10000", "inference.function=factorized", "optim.batch=256"], 8000),
]


def keys_of(program):
    return "".join(subprocess.run([program, f"--help-keys={section}"], capture_output=True, text=True, check=True).stdout for section in ("log", "optim"))


def images():
    for folder in (os.environ.get("AVI_MNIST_DIR", ""), HERE.parents[2] / "shared" / "data" / "mnist", HERE.parents[1] / "shared" / "data" / "mnist"):
        path = pathlib.Path(folder) / "train-images-idx3-ubyte.gz"
        if path.is_file():
            return ["data.source=idx", f"data.path={path}", "data.rows=10000"]
    return ["data.source=strokes", "data.rows=10000"]


def workloads(scratch):
    empty = pathlib.Path(scratch) / "empty.ini"
    empty.write_text("[run]\nseed = 1\n")
    for w in WORKLOADS:
        yield w.name, w.title, [w.ini, *(images() if w.decoder else []), *w.overrides], STEPS[w.name]
    for name, title, overrides, steps in SMALL:
        yield name, title, [str(empty), *overrides], steps


def run(program, keys, scratch, arguments, steps, every):
    """User seconds of the process, and the seconds of a step in each interval of the trace. A step is one of each revision: what a later one does on top by default is left out."""
    own = [f"log.every={max(1, min(every, steps // 4))}"]
    own += [f"{key}" for key in ("log.eval_draws=2", "log.second_start=no", "optim.local_steps=1", "optim.local_learning_rate=1e-3") if key.split("=")[0].split(".")[1] + " = " in keys]
    out = pathlib.Path(scratch) / "run"
    command = [program, arguments[0], *arguments[1:], *QUIET, *own, f"optim.steps={steps}", f"run.output={out}"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    text = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    if status:
        sys.exit(f"{shlex.join(map(str, command))}: status {status}\n{text}")
    with h5py.File(out / "run.h5") as file:
        step, seconds = (file[f"trace/{name}"][:].astype(float) for name in ("step", "seconds"))
    return usage.ru_utime, numpy.diff(seconds) / numpy.diff(step)


def measure(programs, scratch, arguments, steps, rounds, every):
    """(rounds, programs): user seconds of a step; and the shortest tenth of the intervals."""
    keys = [keys_of(p) for p in programs]
    user, interval = [], []
    for r in range(rounds):
        order = range(len(programs)) if r % 2 == 0 else reversed(range(len(programs)))
        found = {}
        for k in order:
            long, quotients = run(programs[k], keys[k], scratch, arguments, steps, every)
            short, _ = run(programs[k], keys[k], scratch, arguments, steps // 8, every)
            found[k] = ((long - short) / (steps - steps // 8), numpy.quantile(quotients[1:], 0.1))
        user.append([found[k][0] for k in range(len(programs))])
        interval.append([found[k][1] for k in range(len(programs))])
    return numpy.array(user), numpy.array(interval)


def line(title, user, interval):
    ratios, quick = user[:, 1] / user[:, 0], interval[:, 1] / interval[:, 0]
    return f"| {title} | {1e3 * statistics.median(user[:, 0]):.4g} | {1e3 * statistics.median(user[:, 1]):.4g} | **{statistics.median(ratios):.3f}** | " \
           f"{ratios.min():.2f} to {ratios.max():.2f} | {statistics.median(quick):.3f} | {interval[:, 1].min() / interval[:, 0].min():.3f} |"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("old")
    p.add_argument("new", nargs="?", default=os.environ.get("AVI_MPI", str(HERE.parents[1] / "build" / "avi_mpi")))
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--only", default="")
    p.add_argument("--every", type=int, default=10, help="steps between lines of the trace, which cost row values in double")
    p.add_argument("--readme", action="store_true", help="put the table into tests/bench/README.md")
    args = p.parse_args()
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    revision = [next(line.split()[-1] for line in subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.splitlines() if line.startswith("revision"))
                for program in (args.old, args.new)]
    lines = ["| workload | old, ms of processor a step | new | new / old, median | from .. to | clock: median | shortest |", "|---|---|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory(prefix="avi-paired-") as scratch:
        for name, title, arguments, steps in workloads(scratch):
            if args.only and name not in args.only.split(","):
                continue
            lines.append(line(title, *measure((args.old, args.new), scratch, arguments, steps, args.rounds, args.every)))
            print(lines[-1], flush=True)
    where = f"load average {os.getloadavg()[0]:.0f} on {os.cpu_count()} cores"
    text = f"{datetime.date.today()}, old {revision[0]}, new {revision[1]}, one rank, {args.rounds} rounds, a line of the trace every {args.every} steps, {where}:\n\n" + "\n".join(lines) + "\n"
    print(text)
    if args.readme:
        before, rest = README.read_text().split(BEGIN)
        README.write_text(before + BEGIN + text + END + rest.split(END)[1])


if __name__ == "__main__":
    main()
