#!/usr/bin/env python3
"""How costs grow: with rows, ranks, windows, quadrature points, draws, groups and lines of the trace.

    growth.py --check      the form in the test suite: memory and allocations, never the clock; under half a minute
    growth.py [--readme]   the whole table with times of a step, for tests/bench/README.md; `size.sh --only growth` calls it

Of a cost v at sizes s, 2 s and 4 s the exponent is log2((v(4s) - v(2s)) / (v(2s) - v(s))): what does not grow cancels. A cost whose increase is
within the noise of the measure has exponent 0. "each" is the increase from s to 4 s for each unit of s to the power that is expected."""
import argparse
import concurrent.futures
import math
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(os.environ.get("AVI_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[2]))
MPIRUN = shlex.split(os.environ.get("AVI_MPIRUN", "mpirun --oversubscribe --bind-to none"))
PEAK = 'import resource,subprocess,sys\nstatus = subprocess.call(sys.argv[1:])\n' \
       'print(f"peak {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss}", file=sys.stderr)\nsys.exit(status)\n'
QUIET = ["-q", "--fresh", "log.eval_every=-1", "log.progress=none", "checkpoint.minutes=1000", "run.precision=double"]
NOISE = 1.5e6  # bytes: pages that the allocator and the MPI library touch in one run and not in another


def program():
    return os.environ.get("AVI_MPI", str(SOURCE / "build" / "avi_mpi"))


def run(scratch, ranks, arguments):
    """Peak resident bytes of the largest rank, and the folder that it wrote."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=scratch))
    (folder / "empty.ini").write_text("[run]\nseed = 1\n")
    command = [sys.executable, "-c", PEAK, program(), folder / "empty.ini", f"run.output={folder / 'out'}", *QUIET, *arguments]
    done = subprocess.run([*MPIRUN, "-np", str(ranks), *map(str, command)] if ranks > 1 else list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=3600)
    if done.returncode:
        raise SystemExit(f"exit status {done.returncode}: {' '.join(map(str, arguments))}\n{done.stdout[-800:]}{done.stderr[-1500:]}")
    return max(int(kb) for kb in re.findall(r"peak (\d+)", done.stderr)) * 1024, folder / "out"


def step_seconds(folder):
    """The fastest of the steps after the first: of a machine at work, the one that was disturbed least."""
    lines = (folder / "metrics.csv").read_text().splitlines()
    seconds = [float(line.split(",")[lines[0].split(",").index("seconds")]) for line in lines[1:]]
    return min((b - a for a, b in zip(seconds[1:], seconds[2:])), default=math.nan)


def exponent(values, noise):
    low, high = values[1] - values[0], values[2] - values[1]
    return math.log2(high / low) if low > noise and high > noise else 0.0 if high <= noise else math.inf


class Axis:
    """One kind of growth. arguments(size): overrides of the run. power: the exponent that is right, of memory (and of a step's time); most: bytes at
    most for each unit of size^power."""

    def __init__(self, name, what, sizes, arguments, power, most, ranks=lambda size: 1, time_power=None, steps=3, why="", timed_sizes=None, checkpoint=False):
        self.name, self.what, self.sizes, self.arguments, self.power, self.most = name, what, sizes, arguments, power, most
        self.checkpoint = checkpoint  # its bytes are the cost, in place of memory
        self.ranks, self.time_power, self.steps, self.why, self.timed_sizes = ranks, time_power, steps, why, timed_sizes or sizes

    def costs(self, scratch, sizes):
        """[(bytes, folder)]"""
        runs = [run(scratch, self.ranks(size), [*self.arguments(size), f"optim.steps={self.steps(size) if callable(self.steps) else self.steps}"]) for size in sizes]
        return [(max(f.stat().st_size for f in (folder / "checkpoint").glob("*.h5")) if self.checkpoint else peak, folder) for peak, folder in runs]

    def each(self, sizes, values):
        return (values[2] - values[0]) / (sizes[2] ** self.power - sizes[0] ** self.power) if self.power else values[2] - values[0]


def gp(rows):
    return ["model.name=gp", "data.source=model", f"data.rows={rows}", "inference.function=factorized", "optim.batch=0", "objective.draws=0", "log.every=1"]


def small(*more):
    return ["model.name=linear", "data.source=model", "data.rows=64", "optim.batch=64", "optim.tile=8", "inference.function=constant", *more]


def exact(model, rows, *more):
    return ["run.task=exact", f"model.name={model}", "data.source=model", f"data.rows={rows}", *more]


AXES = [
    Axis("gp rows", "factorized `gp`, rows", (500, 1000, 2000), gp, 2, 10, time_power=2, timed_sizes=(1000, 2000, 4000),
         why="every row depends on all others: K's factor is N^2 values, read twice a step"),
    Axis("exact rows", "`run.task = exact`, `hmm`, rows", (60000, 120000, 240000), lambda n: exact("hmm", n), 1, 170, timed_sizes=(500000, 1000000, 2000000)),
    Axis("exact saw", "`run.task = exact`, `saw`, rows", (60000, 120000, 240000), lambda n: exact("saw", n, "inference.domain=next"), 1, 90, timed_sizes=(500000, 1000000, 2000000)),
    Axis("exact window", "`run.task = exact`, `hmm`, rows in the window, degree 1", (9, 17, 33),
         lambda n: exact("hmm", 20000, f"inference.domain=window:{n // 2}", "run.exact_degree=1"), 1, 3e5),
    Axis("trace lines", "checkpoint on 2 ranks, lines of the trace", (200, 400, 800), lambda n: [*small(), "log.every=1"], 1, 125, ranks=lambda n: 2, checkpoint=True, steps=lambda n: n),
    Axis("trace ranks", "checkpoint with 400 lines of the trace, ranks", (1, 2, 4), lambda n: [*small(), "log.every=1"], 1, 6600, ranks=lambda n: n, checkpoint=True, steps=400,
         why="the ELBO and the seconds of every rank on every line; a rank holds its own"),
]


def check(scratch, axis):
    """What is wrong with the growth of an axis' memory, and what it is in words."""
    values = [bytes_ for bytes_, _ in axis.costs(scratch, axis.sizes)]
    power, each = exponent(values, 0 if axis.checkpoint else NOISE), axis.each(axis.sizes, values)
    said = f"{axis.what} {axis.sizes}: {', '.join(f'{v / 1e6:.3g}' for v in values)} MB, exponent {power:.2f} (right: {axis.power}), {each:.3g} bytes each (at most {axis.most})"
    wrong = power > axis.power + 0.15 or each > axis.most
    return wrong, said


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--check", action="store_true")
    p.add_argument("--only", default="", help="axes, by commas: " + ", ".join(a.name for a in AXES))
    args = p.parse_args()
    chosen = [a for a in AXES if not args.only or a.name in args.only.split(",")]
    scratch = tempfile.mkdtemp(prefix="avi-growth-")
    try:
        if args.check:
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                found = list(pool.map(lambda axis: check(scratch, axis), chosen))
            for wrong, said in found:
                print("FAILED " if wrong else "ok     ", said)
            sys.exit(1 if any(wrong for wrong, _ in found) else 0)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
