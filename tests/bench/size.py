#!/usr/bin/env python3
"""How large a problem a machine holds, and what large ones cost besides arithmetic. `size.sh` builds everything and calls this.

memory   peak resident memory of each rank: factorized VI with many datapoints, amortized VI on 1e9 streamed rows
writing  a checkpoint and the results of a factorized fit against `dd bs=4M conv=fsync` of as many bytes in the same folder, in turn
start    `avi_mpi --version` and a fit of one step against an MPI program that does nothing, in turn

Times are medians over the rounds; what counts are ratios within a round, since other work on the machine disturbs all alike."""
import argparse
import datetime
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from bench import README, REPOSITORY, machine, mpirun, stop  # noqa: E402

BEGIN, END = "<!-- size.sh --readme: begin -->\n", "<!-- size: end -->"
LINEAR = ["data.source=model", "model.name=linear", "log.every=1", "log.eval_every=-1", "log.progress=none", "--fresh"]
FACTORIZED = [*LINEAR, "inference.function=factorized", "checkpoint.keep=1"]
AMORTIZED = [*LINEAR, "inference.function=polynomial", "inference.degree=1"]
PEAK = 'import resource,subprocess,sys\nstatus = subprocess.call(sys.argv[1:])\n' \
       'print(f"peak {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss}", file=sys.stderr)\nsys.exit(status)\n'


class Bench:
    def __init__(self, args, scratch):
        build = os.environ.get("AVI_BUILD_DIR", os.path.join(REPOSITORY, "build"))
        self.program = os.environ.get("AVI_MPI", os.path.join(build, "avi_mpi"))
        self.empty = os.path.join(build, "tests", "empty")
        self.args, self.scratch, self.load = args, scratch, 0.0
        self.ini = os.path.join(scratch, "empty.ini")
        with open(self.ini, "w") as f:
            f.write("[run]\nseed = 1\n")

    def run(self, ranks, *command):
        """Standard output and messages of ranks that must succeed; seconds by the clock."""
        self.load = max(self.load, os.getloadavg()[0])
        begin = time.monotonic()
        done = subprocess.run([*mpirun(ranks), *map(str, command)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=3600)
        took = time.monotonic() - begin
        if done.returncode:
            stop(f"exit status {done.returncode}: {' '.join(map(str, command))}\n{done.stdout[-1500:]}{done.stderr[-1500:]}")
        return done.stdout + done.stderr, took

    def fit(self, ranks, *arguments, measure=False):
        output = os.path.join(self.scratch, "run")
        before = [sys.executable, "-c", PEAK] if measure else []
        return self.run(ranks, *before, self.program, self.ini, f"run.output={output}", *arguments)[0], output


# ---- memory ----------------------------------------------------------------------------------------------------------

def peaks(bench, *arguments):
    """MB of each of two ranks, the plan's bytes a datapoint, seconds of a step."""
    text, output = bench.fit(2, *arguments, measure=True)
    with open(os.path.join(output, "metrics.csv")) as f:
        seconds = [float(line.split(",")[2]) for line in f.read().splitlines()[1:]]
    shutil.rmtree(output)
    plan = re.search(r"takes ([0-9.]+) bytes", bench.fit(2, *arguments, "--dry-run")[0])
    return [int(kb) * 1024 for kb in re.findall(r"peak (\d+)", text)], float(plan.group(1)), seconds[-1] / len(seconds)


def memory(bench):
    rows, large = bench.args.memory_rows, bench.args.stream_rows
    small = sum(peaks(bench, *FACTORIZED, "data.rows=10000", "optim.batch=1000", "optim.steps=3")[0])
    lines = ["| 2 ranks, single precision, Adam | datapoints | bytes a datapoint: plan | measured | peak of a rank | a step |", "|---|---|---|---|---|---|"]
    for storage in ("memory", "stream"):
        peak, plan, seconds = peaks(bench, *FACTORIZED, f"data.rows={rows}", f"data.storage={storage}", f"optim.batch={rows // 10}", "optim.steps=3")
        lines.append(f"| F-VI, linear model, data {'held' if storage == 'memory' else 'streamed'}, checkpoint and results written | {rows:.0e} | {plan:g} | {(sum(peak) - small) / rows:.1f} | "
                     f"{max(peak) / 1e9:.2f} GB | {seconds:.2f} s of {rows // 10:.0e} rows |")
    peak, plan, seconds = peaks(bench, *AMORTIZED, f"data.rows={large}", "optim.batch=1000000", "optim.steps=5", "log.last_rows=1000000")
    lines.append(f"| A-VI, polynomial of degree 1, data streamed | {large:.0e} | {plan:g} | {max(0.0, sum(peak) - small) / large:.1f} | {max(peak) / 1e6:.0f} MB | {seconds:.2f} s of 1e+06 rows |")
    return "\n".join(lines) + "\n"


# ---- writing ---------------------------------------------------------------------------------------------------------

def dd(bench, size):
    """Seconds of dd with fsync for `size` bytes in the folder of the runs, by its own clock."""
    path = os.path.join(bench.scratch, "dd")
    done = subprocess.run(["dd", "if=/dev/zero", f"of={path}", "bs=4M", f"count={size}", "iflag=count_bytes", "conv=fsync"], capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    os.unlink(path)
    if done.returncode:
        stop(f"dd: {done.stderr}")
    return float(re.search(r", ([0-9.e-]+) s,", done.stderr).group(1))


def written(bench, shuffle):
    """Bytes, seconds and seconds of rank 0's processor of a checkpoint and of the results: of the last of three times that both are written."""
    rows = bench.args.write_rows
    text, output = bench.fit(2, *FACTORIZED, f"data.rows={rows}", f"data.shuffle={shuffle}", f"optim.batch={rows // 20}", "optim.steps=3", "log.last_rows=1000", "checkpoint.every=1",
                             "data.storage=stream", "-v")
    times = [re.findall(what + r" written in ([0-9.]+) s, ([0-9.]+) s", text)[-1] for what in ("checkpoint", "results")]
    with open(os.path.join(output, "checkpoint", "latest")) as f:
        sizes = [os.path.getsize(os.path.join(output, "checkpoint", f.read().strip())), os.path.getsize(os.path.join(output, "run.h5"))]
    shutil.rmtree(output)
    return sizes, [float(t[0]) for t in times], [float(t[1]) for t in times]


def writing(bench):
    lines = [f"| {bench.args.write_rows:.0e} local factors, 2 ranks | bytes | avi_mpi, MB/s | dd, MB/s | bytes by processor time of a rank, MB/s | "
             "median of the ratios avi_mpi / dd |", "|---|---|---|---|---|---|"]
    for shuffle in ("yes", "no"):
        found = [[], []]
        for _ in range(bench.args.rounds):
            sizes, seconds, worked = written(bench, shuffle)
            for k in range(2):
                found[k].append((sizes[k] / seconds[k] / 1e6, sizes[k] / dd(bench, sizes[k]) / 1e6, sizes[k] / worked[k] / 1e6))
        for k, what in enumerate(("checkpoint", "results")):
            ours, theirs, most = (statistics.median(f[i] for f in found[k]) for i in (0, 1, 2))
            ratio = [f[0] / f[1] for f in found[k]]
            lines.append(f"| {what}, rows {'shuffled' if shuffle == 'yes' else 'in the order of the data'} | {sizes[k] / 1e6:.0f} MB | {ours:.0f} | {theirs:.0f} | "
                         f"{most:.0f} | "
                         f"{statistics.median(ratio):.2f} ({', '.join(f'{r:.2f}' for r in sorted(ratio))}) |")
    return "\n".join(lines) + "\n"


# ---- start -----------------------------------------------------------------------------------------------------------

def start(bench):
    fit = [bench.program, bench.ini, "-q", f"run.output={bench.scratch}/start", *AMORTIZED, "data.rows=6400", "optim.batch=6400", "optim.tile=100", "optim.steps=1"]
    commands = {"an empty MPI program": [bench.empty], "`avi_mpi --version`": [bench.program, "--version"], "a fit of one step": fit}
    lines = ["| seconds from mpirun to its end (ratio to the empty program) | " + " | ".join(f"np = {n}" for n in bench.args.ranks) + " |", "|---|" + "---|" * len(bench.args.ranks)]
    cells = {name: [] for name in commands}
    for ranks in bench.args.ranks:
        times = {name: [] for name in commands}
        for _ in range(bench.args.rounds):
            for name, command in commands.items():
                times[name].append(bench.run(ranks, *command)[1])
        base = times["an empty MPI program"]
        for name, values in times.items():
            ratio = statistics.median(a / b for a, b in zip(values, base))
            cells[name].append(f"{statistics.median(values):.2f}" + ("" if values is base else f" ({ratio:.2f})"))
    return "\n".join(lines + [f"| {name} | " + " | ".join(row) + " |" for name, row in cells.items()]) + "\n"


PARTS = {"memory": memory, "writing": writing, "start": start}


def put(text, name):
    """Replaces one part of the section, leaves the others."""
    with open(README) as f:
        before, rest = f.read().split(BEGIN)
    inside, after = rest.split(END)
    begin, end = f"<!-- {name} -->\n", f"<!-- {name}: end -->\n"
    inside = re.sub(re.escape(begin) + ".*?" + re.escape(end), lambda _: begin + text + end, inside, flags=re.S) if begin in inside else inside + begin + text + end
    with open(README, "w") as f:
        f.write(before + BEGIN + inside + END + after)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--only", default=",".join(PARTS), help="parts, by commas: %(default)s")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--folder", help="where runs and dd write (default: a temporary folder)")
    p.add_argument("--write-rows", type=lambda t: int(float(t)), default=20_000_000)
    p.add_argument("--memory-rows", type=lambda t: int(float(t)), default=100_000_000)
    p.add_argument("--stream-rows", type=lambda t: int(float(t)), default=1_000_000_000)
    p.add_argument("--ranks", type=lambda t: [int(n) for n in t.split(",")], default=[1, 2, 16, 64], help="of the start: 1,2,16,64")
    p.add_argument("--quick", action="store_true", help="small sizes, 2 rounds, up to 4 ranks")
    p.add_argument("--readme", action="store_true", help="put what was measured into tests/bench/README.md")
    args = p.parse_args()
    if args.quick:
        args.rounds, args.write_rows, args.memory_rows, args.stream_rows, args.ranks = 2, 2_000_000, 2_000_000, 200_000_000, [1, 4]
    revision = subprocess.run(["git", "-C", REPOSITORY, "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True, text=True).stdout.strip() or "unknown"
    with tempfile.TemporaryDirectory(prefix="avi-size-", dir=args.folder) as scratch:
        for name in args.only.split(","):
            bench = Bench(args, scratch)
            text = PARTS[name](bench)
            text = f"{datetime.date.today()}, revision {revision}, {machine()}, medians of {args.rounds}, load average up to {bench.load:.0f}:\n\n{text}\n"
            print(text, flush=True)
            if args.readme:
                put(text, name)


if __name__ == "__main__":
    main()
