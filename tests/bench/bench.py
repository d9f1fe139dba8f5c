#!/usr/bin/env python3
"""Times avi_mpi against PyTorch and against what the machine can do. `run.sh` builds everything and calls this.

For each workload and round: avi_mpi on all cores, then PyTorch at each of its settings (1 thread, 2 threads, all threads,
DistributedDataParallel over gloo with one process a core): A B A B. A step's time is the median within a run; the table has medians over the rounds.
"""
import argparse
import datetime
import json
import math
import os
import re
import shlex
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)
import table  # noqa: E402
from torch_workloads import mnist_path  # noqa: E402
from workloads import WORKLOADS  # noqa: E402

NAN = math.nan
# More ranks than cores, none bound to a core: Open MPI 4 and 5 read these, other launchers do so unasked.
for _name, _value in (("OMPI_MCA_rmaps_base_oversubscribe", "1"), ("OMPI_MCA_hwloc_base_binding_policy", "none"),
                      ("PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe"), ("PRTE_MCA_hwloc_default_binding_policy", "none")):
    os.environ.setdefault(_name, _value)
README = os.path.join(HERE, "README.md")


def say(text):
    print(text, file=sys.stderr, flush=True)


def stop(text, status=70):
    say("bench.py: " + text)
    sys.exit(status)


def run(command, timeout, env=None):
    """Standard output of a command that must succeed; the end of its messages when it does not."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=env)
    except (OSError, subprocess.TimeoutExpired) as error:
        stop(f"{shlex.join(command)}: {error}")
    if done.returncode != 0:
        stop(f"exit status {done.returncode} from {shlex.join(command)}\n" + "\n".join((done.stdout + done.stderr).splitlines()[-25:]))
    return done.stdout


def mpirun(ranks):
    return shlex.split(os.environ.get("AVI_MPIRUN", "mpirun")) + ["-n", str(ranks)]


# ---- the machine -----------------------------------------------------------------------------------------------------

def machine():
    """CPU, cores and memory in a line."""
    model, memory = "unknown CPU", 0.0
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    with open("/proc/meminfo") as f:
        memory = int(f.readline().split()[1]) / 1048576.0
    flags = cpu_flags()
    vectors = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "no AVX2"
    return f"{re.sub(r' +', ' ', model)} ({vectors}), {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB"


def cpu_flags():
    with open("/proc/cpuinfo") as f:
        found = re.search(r"^flags\s*:(.*)$", f.read(), re.M)
    return set(found.group(1).split()) if found else set()


def choose_blas_core(limits):
    """OpenBLAS takes its slowest kernels on processors that are younger than itself. Both programs call the same OpenBLAS: give both the
    kernels that are fastest here, unless the user has chosen."""
    if os.environ.get("OPENBLAS_CORETYPE"):
        return os.environ["OPENBLAS_CORETYPE"] + " (given)"
    flags, rates = cpu_flags(), {}
    candidates = [""] + (["Haswell", "Zen"] if "avx2" in flags else []) + (["SkylakeX"] if "avx512f" in flags else [])
    for core in candidates:
        env = dict(os.environ)
        if core:
            env["OPENBLAS_CORETYPE"] = core
        out = run(mpirun(1) + [limits, "--seconds", "0.2", "--gemm", "s,n,t,512,400,784"], 60, env)
        rates[core] = json.loads(out)["gemm"][0]["all"]
    best = max(rates, key=rates.get)
    if best == "" or rates[""] > 0.95 * rates[best]:
        return "detected"
    os.environ["OPENBLAS_CORETYPE"] = best
    say(f"bench.py: OPENBLAS_CORETYPE={best} for both: {rates[best] / 1e9:.0f} GFLOP/s sgemm, {rates[''] / 1e9:.0f} as detected")
    return f"{best} ({rates[best] / rates['']:.1f} x as detected)"


class Limits:
    """Measured rates: one call of `limits` for all shapes of the chosen workloads."""

    def __init__(self, program, workloads, ranks, seconds):
        gemms = sorted({g for w in workloads for g in w.gemms(ranks)})
        sizes = sorted({round(w.optimizer_arrays(ranks)) for w in workloads})
        reductions = sorted({round(w.allreduce_bytes()) for w in workloads})
        command = mpirun(ranks) + [program, "--seconds", str(seconds)]
        for g in gemms:
            command += ["--gemm", "s," + ",".join(map(str, g))]
        for g in [g for g in gemms if g[0] == "n"][-1:]:
            command += ["--gemm", "d," + ",".join(map(str, g))]
        for option, values in (("--triad", sizes + [400000000]), ("--allreduce", reductions)):
            for value in values:
                command += [option, str(value)]
        self.raw = json.loads(run(command, 60 + 10 * seconds * len(command)))
        self.gemm = {g["spec"]: g for g in self.raw["gemm"]}
        self.triad = {t["bytes"]: t for t in self.raw["triad"]}
        self.allreduce = {a["bytes"]: a["seconds"] for a in self.raw["allreduce"]}
        self.ranks = ranks

    def gemm_seconds(self, w):
        return sum(2.0 * g[2] * g[3] * g[4] / self.gemm["s," + ",".join(map(str, g))]["all"] for g in w.gemms(self.ranks))

    def adam_seconds(self, w):
        return w.optimizer_bytes(self.ranks) / self.triad[round(w.optimizer_arrays(self.ranks))]["all"]

    def allreduce_seconds(self, w):
        return self.allreduce[round(w.allreduce_bytes())] if self.ranks > 1 else 0.0

    def text(self):
        """The rates in a few lines."""
        best = lambda kind, key: max((g[key] for g in self.gemm.values() if g["spec"].startswith(kind)), default=NAN) / 1e9
        memory = self.triad[400000000]
        return (f"sgemm {best('s', 'one'):.0f} GFLOP/s on one core, {best('s', 'all'):.0f} a core with {self.ranks} busy (best of the shapes); "
                f"dgemm {best('d', 'one'):.0f} and {best('d', 'all'):.0f}; triad from memory {memory['one'] / 1e9:.1f} GB/s on one core, "
                f"{memory['all'] / 1e9:.1f} a core with {self.ranks} busy")


# ---- the two programs ------------------------------------------------------------------------------------------------

def image_overrides(rows):
    path = mnist_path()
    return ["data.source=idx", f"data.path={path}", f"data.rows={rows}"] if path else ["data.source=strokes", f"data.rows={rows}"]


def run_avi(args, w, ranks, steps):
    """Median seconds of a step, and the last ELBO per row, from the trace of one run."""
    import h5py
    import numpy as np
    every = max(1, steps // 20)
    with tempfile.TemporaryDirectory(dir=args.out) as folder:
        overrides = w.overrides + [f"optim.steps={steps}", f"log.every={every}", "log.eval_every=1000000000", "log.progress=none",
                                   "checkpoint.minutes=1000000", f"run.output={folder}/run"] + shlex.split(args.set or "")
        if w.decoder:
            overrides = image_overrides(args.rows or w.rows) + overrides
        elif args.rows:
            overrides = [f"data.rows={args.rows}"] + overrides
        run(mpirun(ranks) + [args.program, "-q", w.ini] + overrides, args.timeout)
        with h5py.File(f"{folder}/run/run.h5", "r") as f:
            trace = f["trace"]
            if isinstance(trace, h5py.Dataset):
                step, seconds, elbo = (np.array(trace[k], dtype=float) for k in ("step", "seconds", "elbo_per_row"))
            else:
                step, seconds, elbo = (np.array(trace[k][:], dtype=float) for k in ("step", "seconds", "elbo_per_row"))
    if len(step) < 2:
        stop(f"{w.name}: the trace of {steps} steps has {len(step)} rows, too few for a time of a step")
    quotients = np.diff(seconds) / np.diff(step)
    after = step[:-1] >= steps // 10
    if not np.all(np.isfinite(elbo)) or not np.all(quotients > 0.0):
        stop(f"{w.name}: the trace has a non-finite ELBO or a clock that stands still")
    return float(np.median(quotients[after] if after.any() else quotients)), float(elbo[-max(1, min(4, len(elbo))):].mean())


def torch_settings(cores):
    settings = [(1, 1)]
    if cores > 1:
        settings += [(2, 1), (1, cores)]
    if cores > 2:
        settings += [(cores, 1)]
    return settings


def run_torch(args, w, setting, steps):
    warmup = steps // 10
    command = [sys.executable, os.path.join(HERE, "torch_workloads.py"), "--workload", w.name, "--threads", str(setting[0]),
               "--processes", str(setting[1]), "--steps", str(steps - warmup), "--warmup", str(warmup)]
    if args.rows:
        command += ["--rows", str(args.rows)]
    return json.loads(run(command, args.timeout).splitlines()[-1])


def has_torch():
    return subprocess.run([sys.executable, "-c", "import torch"], capture_output=True).returncode == 0


def known_models(program):
    """Names that `avi_mpi --list` gives: the first word of a line (descriptions may well say "linear"), or all of a line of models."""
    names = set()
    for line in run(mpirun(1) + [program, "--list"], 60).splitlines():
        words = re.findall(r"[a-z_]+", line)
        names.update(words if words and words[0] in ("model", "models") else words[:1])
    return names


# ---- the rounds ------------------------------------------------------------------------------------------------------

def measure(args, workloads, ranks):
    """Alternates the two programs; seconds by workload and setting, one value a round."""
    settings = [] if args.no_torch else torch_settings(ranks)
    ours = {w.name: [] for w in workloads}
    theirs = {w.name: {s: [] for s in settings} for w in workloads}
    load = {w.name: 0.0 for w in workloads}
    for r in range(args.rounds):
        for w in workloads:
            steps = args.steps or w.steps
            load[w.name] = max(load[w.name], os.getloadavg()[0])
            ours[w.name].append(run_avi(args, w, ranks, steps))
            text = f"round {r + 1}/{args.rounds} {w.name}: avi_mpi {1e3 * ours[w.name][-1][0]:.3f} ms"
            for s in settings:
                found = run_torch(args, w, s, steps)
                theirs[w.name][s].append((found["seconds_per_step"], found["elbo_per_row"]))
                text += f", PyTorch {s[0]}x{s[1]} {1e3 * found['seconds_per_step']:.3f}"
            say(text)
    return ours, theirs, load


def median(pairs, which):
    return statistics.median(p[which] for p in pairs)


def tabulate(workloads, ranks, limits, ours, theirs, load):
    rows = []
    for w in workloads:
        avi = median(ours[w.name], 0)
        row = {name: NAN for name, _, _ in table.COLUMNS}
        row.update(workload=w.name, avi_ms=1e3 * avi, avi_elbo=median(ours[w.name], 1), goal=w.goal, torch_setting="", load=load[w.name])
        if theirs[w.name]:
            best = min(theirs[w.name], key=lambda s: median(theirs[w.name][s], 0))
            torch = median(theirs[w.name][best], 0)
            row.update(torch_ms=1e3 * torch, torch_elbo=median(theirs[w.name][best], 1), ratio=torch / avi,
                       torch_setting=f"{best[0]} thread{'s' * (best[0] > 1)} x {best[1]} process{'es' * (best[1] > 1)}")
        gemm, adam, reduce = limits.gemm_seconds(w), limits.adam_seconds(w), limits.allreduce_seconds(w)
        row.update(gemm_ms=1e3 * gemm, adam_ms=1e3 * adam, allreduce_ms=1e3 * reduce)
        if w.decoder:
            row.update(limit_ms=1e3 * (gemm + adam + reduce), limit_fraction=(gemm + adam + reduce) / avi)
        if w.draws:
            row.update(draw_ns=1e9 * avi * ranks / (w.rows * w.draws))
        rows.append(row)
    return rows


def write(args, rows, about, limits):
    os.makedirs(args.out, exist_ok=True)
    titles = {w.name: w.title for w in WORKLOADS}
    table.write_csv(os.path.join(args.out, "table.csv"), rows, about)
    table.write_hdf5(os.path.join(args.out, "table.h5"), rows, about)
    text = "".join(f"- {key}: {value}\n" for key, value in about.items()) + "\n" + table.markdown(rows, titles)
    with open(os.path.join(args.out, "table.md"), "w") as f:
        f.write(text)
    with open(os.path.join(args.out, "limits.json"), "w") as f:
        json.dump(limits.raw, f, indent=1)
    print(text)
    print(f"Written: {args.out}/table.csv, table.h5, table.md, limits.json")
    if args.readme:
        table.put_section(README, "<!-- generated by run.sh --readme: begin -->", text)
        print(f"Written: {README}")


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    build = os.environ.get("AVI_BUILD_DIR", os.path.join(REPOSITORY, "build"))
    p.add_argument("--program", default=os.environ.get("AVI_MPI", os.path.join(build, "avi_mpi")))
    p.add_argument("--limits", default=os.path.join(build, "tests", "limits"))
    p.add_argument("--out", default=os.path.join(build, "bench"), help="folder for the tables (build/bench)")
    p.add_argument("--rounds", type=int, default=int(os.environ.get("ROUNDS", "3")), help="alternations (3, or ROUNDS)")
    p.add_argument("--ranks", type=int, default=int(os.environ.get("RANKS", "0")), help="ranks of avi_mpi (all cores, or RANKS)")
    p.add_argument("--workloads", default="", help="names, separated by commas (all): " + ",".join(w.name for w in WORKLOADS))
    p.add_argument("--steps", type=int, default=0, help="steps of a run instead of the workload's (the tests use 2)")
    p.add_argument("--rows", type=int, default=0, help="rows of data instead of the workload's (the tests use few)")
    p.add_argument("--seconds", type=float, default=0.2, help="seconds a measured limit (0.2)")
    p.add_argument("--timeout", type=float, default=300.0, help="seconds a run may take (300)")
    p.add_argument("--set", help='overrides for avi_mpi, for example "optim.tile=64 log.profile=yes"')
    p.add_argument("--no-torch", action="store_true", help="only avi_mpi and the limits")
    p.add_argument("--readme", action="store_true", help="put the table into tests/bench/README.md")
    return p.parse_args()


def main():
    args = arguments()
    for path, what in ((args.program, "the program"), (args.limits, "limits")):
        if not os.access(path, os.X_OK):
            stop(f"{path}: {what} is not there; run.sh builds it", 66)
    wanted = [name for name in args.workloads.split(",") if name]
    unknown = set(wanted) - {w.name for w in WORKLOADS}
    if unknown:
        stop(f"--workloads: unknown {', '.join(sorted(unknown))}; known: {', '.join(w.name for w in WORKLOADS)}", 64)
    if not args.no_torch and not has_torch():
        say("bench.py: PyTorch is not there (apt-get install python3-torch): only avi_mpi and the limits")
        args.no_torch = True
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    os.makedirs(args.out, exist_ok=True)
    ranks = args.ranks or len(os.sched_getaffinity(0))
    models = known_models(args.program)
    chosen = [w for w in WORKLOADS if not wanted or w.name in wanted]
    model_of = lambda w: "vae" if w.decoder else w.name.split("_")[0]
    for w in [w for w in chosen if model_of(w) not in models]:
        say(f"bench.py: {w.name} is left out: {args.program} --list has no model {model_of(w)}")
    chosen = [w for w in chosen if model_of(w) in models]
    if not chosen:
        stop("nothing to run", 77)
    core = choose_blas_core(args.limits)
    limits = Limits(args.limits, chosen, ranks, args.seconds)
    ours, theirs, load = measure(args, chosen, ranks)
    revision = subprocess.run(["git", "-C", REPOSITORY, "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True, text=True)
    about = {"revision": revision.stdout.strip() or "unknown", "machine": machine(), "ranks": str(ranks), "rounds": str(args.rounds),
             "date": datetime.date.today().isoformat(), "blas": f"{limits.raw['blas']}; core type {core}", "limits": limits.text(),
             "images": "MNIST" if mnist_path() else "synthetic (no MNIST: avi_mpi draws strokes, PyTorch random images of the same size)"}
    write(args, tabulate(chosen, ranks, limits, ours, theirs, load), about, limits)


if __name__ == "__main__":
    main()
