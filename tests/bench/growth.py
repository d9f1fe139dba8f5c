#!/usr/bin/env python3
"""How costs grow: with rows, ranks, windows, quadrature points, draws, groups and lines of the trace.

    growth.py --check      the form in the test suite: memory and allocations, never the clock; under half a minute
    growth.py [--readme]   the whole table with times of a step, for tests/bench/README.md

Of a cost v at sizes s, 2 s and 4 s the exponent is log2((v(4s) - v(2s)) / (v(2s) - v(s))): what does not grow cancels. A cost whose increase is
within the noise of the measure has exponent 0. "each" is the increase from s to 4 s for each unit of s to the power that is expected."""
import argparse
import concurrent.futures
import datetime
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
PEAK = 'import resource,subprocess,sys\nstatus = subprocess.call(sys.argv[1:], close_fds=False)\n' \
       'print(f"peak {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss}", file=sys.stderr)\nsys.exit(status)\n'
QUIET = ["-q", "--fresh", "log.eval_every=-1", "log.progress=none", "checkpoint.minutes=1000"]
# The C library by itself keeps blocks below a limit that grows while the program runs. With a limit that is fixed it gives large arrays back at once, and the peak is the program's.
os.environ["MALLOC_MMAP_THRESHOLD_"] = "131072"
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
    import h5py

    with h5py.File(folder / "run.h5") as file:
        seconds = file["trace/seconds"][()].astype(float)
    return min((b - a for a, b in zip(seconds[1:], seconds[2:])), default=math.nan)


def exponent(values, noise):
    low, high = values[1] - values[0], values[2] - values[1]
    return math.log2(high / low) if low > noise and high > noise else 0.0 if high <= noise else math.inf


class Axis:
    """One kind of growth. arguments(size): overrides of the run. power: the exponent that is right, of memory (and of a step's time); most: bytes at
    most for each unit of size^power."""

    def __init__(self, name, what, sizes, arguments, power, most, ranks=lambda size: 1, time_power=None, steps=3, why="", timed_sizes=None, checkpoint=False, short=True):
        self.name, self.what, self.sizes, self.arguments, self.power, self.most = name, what, sizes, arguments, power, most
        self.checkpoint, self.short = checkpoint, short  # a checkpoint's bytes are the cost, in place of memory; part of --check
        self.ranks, self.time_power, self.steps, self.why, self.timed_sizes = ranks, time_power, steps, why, timed_sizes or sizes

    def costs(self, scratch, sizes, least=0):
        """[(bytes, folder)] of runs of so many steps at least."""
        runs = [run(scratch, self.ranks(size), [*self.arguments(size), f"optim.steps={max(least, self.steps(size) if callable(self.steps) else self.steps)}"]) for size in sizes]
        return [(max(f.stat().st_size for f in (folder / "checkpoint").glob("*.h5")) if self.checkpoint else peak, folder) for peak, folder in runs]

    def each(self, sizes, values):
        return (values[2] - values[0]) / (sizes[2] ** self.power - sizes[0] ** self.power) if self.power else values[2] - values[0]


def gp(rows):
    return ["model.name=gp", "data.source=model", f"data.rows={rows}", "inference.function=factorized", "optim.batch=0", "objective.draws=0", "log.every=1", "run.precision=double"]


def small(*more):
    return ["run.precision=double", "model.name=linear", "data.source=model", "data.rows=64", "optim.batch=64", "optim.tile=8", "inference.function=constant", *more]


def wide(rows):
    return ["model.name=linear", "data.source=model", f"data.rows={rows}", "data.storage=memory", "optim.batch=1000", "run.precision=single", "log.last_rows=1000"]


def exact(model, rows, *more):
    return ["run.task=exact", "run.precision=double", f"model.name={model}", "data.source=model", f"data.rows={rows}", *more]


def steps(model, *more):
    return [f"model.name={model}", "data.source=model", "optim.batch=0", "log.every=1", "run.precision=single", *more]


AXES = [
    Axis("gp rows", "factorized `gp`, rows", (500, 1000, 2000), gp, 2, 10, time_power=2, timed_sizes=(1000, 2000, 4000),
         why="every row depends on all others: K's factor is N^2 values, read twice a step; that of 4000 rows is larger than the third-level cache"),
    Axis("exact rows", "`run.task = exact`, `hmm`, rows", (120000, 240000, 480000), lambda n: exact("hmm", n), 1, 140, timed_sizes=(500000, 1000000, 2000000)),
    Axis("exact saw", "`run.task = exact`, `saw`, rows", (60000, 120000, 240000), lambda n: exact("saw", n, "inference.domain=next"), 1, 90, timed_sizes=(500000, 1000000, 2000000)),
    Axis("exact window", "`run.task = exact`, `hmm`, rows in the window, degree 1", (9, 17, 33),
         lambda n: exact("hmm", 20000, f"inference.domain=window:{n // 2}", "run.exact_degree=1"), 1, 3e5),
    Axis("F-VI rows", "factorized `linear` in single precision, rows: data, factors, results", (250000, 500000, 1000000),
         lambda n: [*wide(n), "inference.function=factorized"], 1, 40, timed_sizes=(1000000, 2000000, 4000000)),
    Axis("A-VI rows", "polynomial `linear` in single precision, rows held in memory", (1000000, 2000000, 4000000), lambda n: [*wide(n), "inference.function=polynomial"], 1, 5),
    Axis("trace lines", "checkpoint on 2 ranks, lines of the trace", (200, 400, 800), lambda n: [*small(), "log.every=1"], 1, 125, ranks=lambda n: 2, checkpoint=True, steps=lambda n: n),
    Axis("trace ranks", "checkpoint with 400 lines of the trace, ranks", (1, 2, 4), lambda n: [*small(), "log.every=1"], 1, 7000, ranks=lambda n: n, checkpoint=True, steps=400,
         why="the ELBO and the seconds of every rank on every line; a rank holds its own"),
    Axis("step rows", "a step of `linear` with all rows, 10 draws, factorized, rows", (20000, 40000, 80000),
         lambda n: steps("linear", f"data.rows={n}", "objective.draws=10", "inference.function=factorized"), 1, 60, time_power=1, steps=20, short=False),
    Axis("step draws", "a step of `linear` with 10000 rows, draws", (50, 100, 200),
         lambda n: steps("linear", "data.rows=10000", f"objective.draws={n}", "inference.function=factorized"), 1, 40000, time_power=1, steps=20, short=False,
         why="the increase alone; all in all a step grows less than the draws"),
    Axis("step points", "a step of `nonlinear` with 10000 rows, quadrature points", (64, 128, 256),
         lambda n: steps("nonlinear", "data.rows=10000", "objective.draws=0", f"objective.points={n}"), 1, 40000, time_power=0.5, steps=20, short=False,
         why="points that weigh less than 1e-25 are left out"),
    Axis("step window", "a step of `hmm` with 20000 rows, polynomial of degree 1, rows in the window", (9, 17, 33),
         lambda n: steps("hmm", "data.rows=20000", "objective.draws=0", "inference.function=polynomial", "inference.degree=1", f"inference.domain=window:{n // 2}"), 1, 40000, time_power=1,
         steps=20),
    Axis("groups", "a step of `hier_logistic`, groups", (20000, 40000, 80000), lambda n: steps("hier_logistic", f"data.rows={n}", "inference.function=factorized"), 1, 200, time_power=1, steps=20,
         short=False),
    Axis("ranks", "memory of the largest of so many ranks, `linear` with 64 rows", (1, 2, 4), lambda n: [*small(), "log.every=1"], 1, 4e6, ranks=lambda n: n, short=False,
         why="buffers of the MPI library for every other rank"),
]


def check(scratch, axis):
    """What is wrong with the growth of an axis' memory, and what it is in words."""
    values = [bytes_ for bytes_, _ in axis.costs(scratch, axis.sizes)]
    power, each = exponent(values, 0 if axis.checkpoint else NOISE), axis.each(axis.sizes, values)
    said = f"{axis.what} {axis.sizes}: {', '.join(f'{v / 1e6:.3g}' for v in values)} MB, exponent {power:.2f} (right: {axis.power}), {each:.3g} bytes each (at most {axis.most})"
    # What is certain of the exponent is that of increases less the noise of the measure.
    noise = 0 if axis.checkpoint else NOISE
    first, second = values[1] - values[0] + noise, values[2] - values[1] - noise
    certain = math.log2(second / first) if first > 0 and second > 0 else 0
    wrong = certain > axis.power + 0.25 or each > axis.most
    return wrong, said


BEGIN, END = "<!-- growth.py --readme: begin -->\n", "<!-- growth: end -->\n"


def number(value):
    return f"{value:.3g}" if math.isfinite(value) else ""


def row(scratch, axis):
    """A line of the table: memory from the sizes of --check, times of a step where an axis has them."""
    costs = axis.costs(scratch, axis.timed_sizes, least=0 if axis.time_power is None else 30)
    values = [bytes_ for bytes_, _ in costs]
    times = [1e3 * step_seconds(folder) for _, folder in costs] if axis.time_power is not None and not axis.no_times else []
    memory = exponent(values, 0 if axis.checkpoint else NOISE)
    time = exponent(times, 0) if times else math.nan
    return f"| {axis.what} | {', '.join(map(str, axis.timed_sizes))} | {', '.join(number(v / 1e6) for v in values)} | {number(memory)} ({axis.power:g}) | " \
           f"{', '.join(map(number, times))} | {number(time)}{f' ({axis.time_power:g})' if times else ''} | {axis.why} |"


def table(scratch, chosen):
    revision = subprocess.run(["git", "-C", SOURCE, "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True, text=True).stdout.strip() or "unknown"
    lines = [row(scratch, axis) for axis in chosen]
    head = f"{datetime.date.today()}, revision {revision}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.0f}; exponents, and in brackets those that are right:\n\n"
    return head + "\n".join(["| cost | sizes | MB | exponent | ms a step | exponent | why |", "|---|---|---|---|---|---|---|", *lines]) + "\n"


def put(text):
    readme = SOURCE / "tests" / "bench" / "README.md"
    before, rest = readme.read_text().split(BEGIN)
    readme.write_text(before + BEGIN + text + END + rest.split(END)[1])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--check", action="store_true")
    p.add_argument("--only", default="", help="axes, by commas: " + ", ".join(a.name for a in AXES))
    p.add_argument("--readme", action="store_true", help="put the table into tests/bench/README.md")
    p.add_argument("--no-times", action="store_true", help="leave out the times of steps: on a machine at work they say nothing")
    args = p.parse_args()
    chosen = [a for a in AXES if (a.name in args.only.split(",") if args.only else a.short or not args.check)]
    scratch = tempfile.mkdtemp(prefix="avi-growth-")
    try:
        if args.check:
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                found = list(pool.map(lambda axis: check(scratch, axis), chosen))
            for wrong, said in found:
                print("FAILED " if wrong else "ok     ", said)
            sys.exit(1 if any(wrong for wrong, _ in found) else 0)
        for axis in chosen:
            axis.no_times = args.no_times
        text = table(scratch, chosen)
        print(text)
        if args.readme:
            put(text)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
