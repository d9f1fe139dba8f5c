#!/usr/bin/env python3
"""What --dry-run foresees, against what the same command then takes: peak of memory, and time.

    plan.py [--only NUMBERS] [--rounds 3] [--readme]            # on a quiet machine
    plan.py --quick --readme                                    # every case once: under five minutes on two quiet cores
    plan.py --peak --readme                                     # memory alone, which other work on the machine does not move

Memory: the largest resident set of a rank, as the system accounts it. Time: the plan's line "in all" against the processor time of a rank
(user and system; of several that of the rank that waits least), since other work on the machine moves the clock; the dry run and the run take
turns, and the table has medians.
A table of the --dry-run of large data follows: how long the dry run itself takes."""
import argparse
import datetime
import os
import pathlib
import re
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

import h5py
import numpy

SOURCE = pathlib.Path(os.environ.get("AVI_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[2]))
README = SOURCE / "tests" / "bench" / "README.md"
BEGIN, END = "<!-- plan.py --readme: begin -->\n", "<!-- plan: end -->\n"
PEAK_BEGIN, PEAK_END = "<!-- plan.py --peak --readme: begin -->\n", "<!-- plan, peak: end -->\n"
MPIRUN = shlex.split(os.environ.get("AVI_MPIRUN", "mpirun --oversubscribe --bind-to none"))
# One write per rank: what print writes in two, mpirun may mix with another rank's.
PEAK = 'import os,resource,subprocess,sys\nstatus = subprocess.call(sys.argv[1:])\nr = resource.getrusage(resource.RUSAGE_CHILDREN)\n' \
       'os.write(2, f"took {r.ru_maxrss} {r.ru_utime + r.ru_stime}\\n".encode())\nsys.exit(status)\n'
FREE, MODEL = "inference.function=factorized", "data.source=model"
STROKES = ["model.name=vae", "data.source=strokes"]


def vae(*more):
    return [*STROKES, "data.rows=4000", "data.test_rows=500", *more]


CASES = [
    ("vae, batch 512", 1, vae("optim.batch=512", "optim.epochs=12"), []),
    ("vae, 100 draws", 1, [*STROKES, "data.rows=640", "optim.batch=128", "objective.draws=100", "optim.epochs=2"], []),
    ("vae of rows of 20000 values", 1, ["model.name=vae", "data.source=hdf5", "data.path={wide}", "data.dataset=x", "model.likelihood=gaussian", "optim.batch=64", "model.hidden=100",
                                        "inference.hidden=100", "optim.epochs=3", "optim.learning_rate=1e-5"], []),
    ("vae, hidden 1024, 2 ranks", 2, vae("model.hidden=1024", "inference.hidden=1024", "optim.batch=512", "optim.epochs=2"), []),
    ("Bayesian vae, A-VI", 1, vae("model.global=gaussian", "model.hidden=256", "inference.hidden=256", "optim.batch=500", "optim.epochs=8"), []),
    ("Bayesian vae, F-VI", 1, vae("model.global=gaussian", "model.hidden=256", FREE, "optim.batch=500", "optim.epochs=8"), []),
    ("linear, F-VI, 2e6 rows, streamed, 2 ranks", 2, ["model.name=linear", MODEL, "data.rows=2e6", "data.storage=stream", FREE, "optim.batch=1e5", "optim.steps=40"], []),
    ("linear, F-VI, 2e6 rows, double", 1, ["model.name=linear", MODEL, "data.rows=2e6", FREE, "optim.batch=1e5", "optim.steps=40", "run.precision=double", "checkpoint.every=20"], []),
    ("linear, polynomial, 1e6 rows, /local", 1, ["model.name=linear", MODEL, "data.rows=1e6", "inference.function=polynomial", "optim.batch=1e5", "optim.steps=60", "output.local=yes"], []),
    ("linear, 100 draws, all rows", 1, ["model.name=linear", MODEL, "data.rows=10000", FREE, "optim.batch=0", "objective.draws=100", "optim.steps=200"], []),
    ("nonlinear, 16 points", 1, ["model.name=nonlinear", MODEL, "data.rows=20000", "inference.function=mlp", "inference.hidden=16,16", "objective.draws=0", "objective.points=16", "optim.batch=0",
                                 "optim.steps=60"], []),
    ("saw, F-VI, L-BFGS", 1, ["model.name=saw", MODEL, "data.rows=1e6", FREE, "objective.draws=0", "optim.method=lbfgs", "optim.steps=4", "run.precision=double"], []),
    ("hmm, window of 9", 1, ["model.name=hmm", MODEL, "data.rows=1e5", "inference.function=mlp", "inference.hidden=16", "inference.domain=window:4", "objective.draws=0", "optim.batch=1e4",
                             "optim.steps=100", "run.reproducible=yes"], []),
    ("hier_logistic", 1, ["model.name=hier_logistic", MODEL, "data.rows=1e5", FREE, "optim.batch=5000", "optim.steps=100"], []),
    ("gp of 3000 rows", 1, ["model.name=gp", MODEL, "data.rows=3000", FREE, "optim.batch=0", "objective.draws=0", "optim.steps=60", "run.precision=double"], []),
    ("exact: hmm of 1e6 rows", 1, ["run.task=exact", "model.name=hmm", MODEL, "data.rows=1e6", "run.precision=double"], []),
    ("exact: gp of 2500 rows", 1, ["run.task=exact", "model.name=gp", MODEL, "data.rows=2500", "run.precision=double"], []),
    ("gap: vae", 1, ["run.task=gap", *STROKES, "data.rows=300", "data.test_rows=100", "optim.batch=100", "model.hidden=100", "inference.hidden=100", "model.latent=5", "optim.epochs=2"],
     ["run.task=fit"]),
    ("evaluate: vae", 1, ["run.task=evaluate", *vae("optim.batch=500", "optim.epochs=1", "log.eval_draws=20")], ["run.task=fit", "log.last_rows=100"]),
    ("simulate: hmm, 3e6 rows", 1, ["run.task=simulate", "model.name=hmm", MODEL, "data.rows=3e6"], []),
    ("ppca, then exact and gap", 1, ["model.name=ppca", "data.source=hdf5", "data.path={table}", "data.dataset=x", "inference.function=polynomial", "optim.batch=500", "optim.epochs=8",
                                     "run.after=exact, gap"], []),
    ("posterior.nc: linear, 4e4 rows", 1, ["model.name=linear", MODEL, "data.rows=4e4", "optim.batch=1000", "optim.steps=10", "output.idata=yes", "output.idata_rows=all"], []),
    ("posterior.nc: Bayesian vae", 1, vae("model.global=gaussian", "model.hidden=200", "inference.hidden=50", "optim.steps=10", "output.idata=yes", "output.idata_draws=60"), []),
    ("diagnose: vae", 1, ["run.task=diagnose", *STROKES, "data.rows=300", "data.test_rows=100", "optim.batch=100", "model.hidden=100", "inference.hidden=100", "model.latent=5", "optim.epochs=2"],
     ["run.task=fit"]),
    ("nonlinear, F-VI, 4 starts", 1, ["model.name=nonlinear", MODEL, "data.rows=4000", FREE, "objective.draws=0", "objective.points=16", "optim.batch=0", "optim.steps=40",
                                      "inference.starts=4"], []),
]
LARGE = [
    ("1e8 rows, F-VI, 2 ranks", 2, ["model.name=linear", MODEL, "data.rows=1e8", FREE, "optim.batch=1e6", "data.storage=memory"]),
    ("1e8 rows, exact, 2 ranks", 2, ["run.task=exact", "model.name=linear", MODEL, "data.rows=1e8", "data.storage=memory"]),
    ("gp of 8000 rows", 1, ["model.name=gp", MODEL, "data.rows=8000", FREE, "optim.batch=0", "objective.draws=0"]),
]


def program():
    return os.environ.get("AVI_MPI", str(SOURCE / "build" / "avi_mpi"))


class Run:
    def __init__(self, scratch, ranks, arguments):
        words = [sys.executable, "-c", PEAK, program(), *arguments]
        start = time.monotonic()
        done = subprocess.run([*MPIRUN, "-np", str(ranks), *words] if ranks > 1 else words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=3600, cwd=scratch)
        self.seconds = time.monotonic() - start
        self.text = done.stdout + done.stderr
        if done.returncode:
            raise SystemExit(f"exit status {done.returncode}: {' '.join(arguments)}\n{self.text[-2000:]}")
        took = [line.split() for line in re.findall(r"took (.*)", done.stderr)]
        self.peak, self.processor = max(int(t[0]) for t in took) * 1024, min(float(t[1]) for t in took)


def number(text, pattern, units):
    found = re.search(pattern, text)
    return float(found.group(1)) * units[found.group(2)] if found else float("nan")


def planned(text):
    return number(text, r"peak memory +about ([\d.]+) (B|kB|MB|GB)", {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}), number(text, r"([\d.]+) (s|min|h) in all", {"s": 1, "min": 60, "h": 3600})


def make_data(scratch):
    random = numpy.random.default_rng(1)
    with h5py.File(scratch / "wide.h5", "w") as file:
        file["x"] = random.normal(size=(640, 20000)).astype("f4")
    with h5py.File(scratch / "table.h5", "w") as file:
        file["x"] = random.normal(size=(5000, 3)) @ random.normal(size=(3, 12)) + random.normal(size=(5000, 12))


def case(scratch, number_, name, ranks, arguments, before, rounds, peak):
    given = ["empty.ini", f"run.output={number_}", *[a.format(wide="wide.h5", table="table.h5") for a in arguments]]
    if before:
        Run(scratch, ranks, [*given, *before, "-q", "--fresh"])
    fresh = [] if before or "run.task=simulate" in arguments else ["--fresh"]
    pairs = [(Run(scratch, ranks, [*given, "--dry-run"]), Run(scratch, ranks, [*given, *fresh])) for _ in range(rounds)]
    memory = [planned(dry.text)[0] / real.peak for dry, real in pairs]
    times = [planned(dry.text)[1] / real.processor for dry, real in pairs]
    real = pairs[-1][1]
    if peak:
        return f"| {name} | {real.peak / 1e6:.0f} | **{statistics.median(memory):.2f}** |"
    took = statistics.median(r.processor for _, r in pairs)
    return f"| {name} | {real.peak / 1e6:.0f} | **{statistics.median(memory):.2f}** | {took:.2f} | **{statistics.median(times):.2f}** | {statistics.median(d.processor for d, _ in pairs):.2f} |"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--only", default="", help="numbers of cases, from 0, by commas; large: the dry runs of large data alone")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--readme", action="store_true", help="put the table into tests/bench/README.md")
    p.add_argument("--quick", action="store_true", help="every case once")
    p.add_argument("--peak", action="store_true", help="every case once, and only the columns of memory")
    args = p.parse_args()
    if args.quick or args.peak:
        args.rounds = 1
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    lines = ["| case | MB of a rank | planned / taken |", "|---|---|---|"] if args.peak else \
        ["| case | MB of a rank | planned / taken | seconds | planned / taken | seconds of the dry run |", "|---|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory(prefix="avi-plan-") as folder:
        scratch = pathlib.Path(folder)
        (scratch / "empty.ini").write_text("[run]\nseed = 1\n")
        make_data(scratch)
        for k, one in enumerate(CASES):
            if not args.only or str(k) in args.only.split(","):
                lines.append(case(scratch, k, *one, args.rounds, args.peak))
                print(lines[-1], flush=True)
        large = [] if args.peak else LARGE
        lines += ["", "| --dry-run of | seconds | MB of a rank |", "|---|---|---|"] if large else []
        for name, ranks, arguments in large:
            if not args.only or "large" in args.only:
                dry = Run(scratch, ranks, ["empty.ini", *arguments, "run.output=none", "--dry-run"])
                lines.append(f"| {name} | {dry.seconds:.1f} ({dry.processor:.1f} of a rank's processor) | {dry.peak / 1e6:.0f} |")
                print(lines[-1], flush=True)
    revision = subprocess.run(["git", "-C", SOURCE, "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True, text=True).stdout.strip() or "unknown"
    rounds = "once" if args.rounds == 1 else f"medians of {args.rounds}"
    text = f"{datetime.date.today()}, revision {revision}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.0f}, {rounds}:\n\n" + "\n".join(lines) + "\n"
    if args.readme:
        begin, end = (PEAK_BEGIN, PEAK_END) if args.peak else (BEGIN, END)
        before, rest = README.read_text().split(begin)
        README.write_text(before + begin + text + end + rest.split(end)[1])


if __name__ == "__main__":
    main()
