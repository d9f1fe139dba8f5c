#!/usr/bin/env python3
"""Scaling by simulation: measures what work costs here (measure), simulates clusters (run), makes the tables (table).

    scale.py measure --program avi_mpi --out costs.json
    scale.py run --scale build/scale/scale --costs costs.json --out results.json [--ranks 16,64]
    scale.py table --results results.json [--readme README.md]
    scale.py check --scale build/scale/scale        short: the sums of every plan, 16 ranks
    scale.py long --scale build/scale/scale         1024 ranks keep 90 % of their time for work
"""
import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
VAE, FVI = os.path.join(ROOT, "inputs", "vae.ini"), os.path.join(ROOT, "tests", "bench", "linear.ini")
RANKS = [16, 64, 256, 1024]
PLANS = ["allreduce", "shard", "leader", "slices"]
NODE = 64
JITTER = 0.05

# ---- what work costs -------------------------------------------------------------------------------------------------

MEASURED = {  # configuration, overrides, rows of a block, optimizer values besides the local rows', values of a local row
    "vae": (VAE, ["data.rows=1024", "data.test_rows=16", "output.local=no", "log.images=0"], [1, 4, 16, 32, 64, 128, 256, 512], 652832, 0),
    "fvi": (FVI, ["data.rows=100000", "output.local=no"], [1, 4, 16, 64], 16, 2),
}


def fit(program, config, overrides, folder, steps, *more):
    """Runs a fit on one core; processor seconds."""
    import resource

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([program, config, f"run.output={folder}/run", "checkpoint.resume=no", "log.eval_every=-1", f"optim.steps={steps}", *overrides, *more],
                   check=True, stdout=subprocess.DEVNULL, timeout=600)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def step_cost(program, config, overrides, folder, rows):
    """Processor seconds of a step, from the difference of a long and a short run: other users of the machine take the clock, not these."""
    more = [f"optim.batch={rows}", f"optim.tile={rows}", "log.every=1000000"]
    short, steps = fit(program, config, overrides, folder, 5, *more), 20
    while True:
        long = fit(program, config, overrides, folder, 5 + steps, *more) - short
        if long > 0.7 or steps > 100000:
            return long / steps
        steps *= 3 if long > 0.1 else 10


def parts_of_step(program, config, overrides, folder, rows):
    """log.profile in the quickest step: seconds in the optimizer, and outside all phases."""
    import h5py
    import numpy

    fit(program, config, overrides, folder, 300, f"optim.batch={rows}", f"optim.tile={rows}", "log.every=1", "log.profile=yes")
    with h5py.File(os.path.join(folder, "run", "run.h5")) as f:
        phases, step = f["trace/profile"][:, 0, :], f["trace/seconds_rank"][:, 0]
    k = int(numpy.argmin(step))
    return float(phases[k, 5]), float(step[k] - phases[k].sum())


def combine_cost():
    """Seconds to add one float of a message to another, from cache."""
    import time

    import numpy

    a, b = numpy.ones(65536, numpy.float32), numpy.ones(65536, numpy.float32)
    best = min(_timed(lambda: numpy.add(a, b, out=b), time.perf_counter) for _ in range(200))
    return best / len(a)


def _timed(call, clock):
    start = clock()
    call()
    return clock() - start


def measure(program, out):
    costs = {"combine": combine_cost()}
    with tempfile.TemporaryDirectory() as folder:
        for name, (config, overrides, sizes, values, local) in MEASURED.items():
            at = sizes[0] if local == 0 else sizes[-1]
            optimizer, fixed = parts_of_step(program, config, overrides, folder, at)
            optimizer /= values + local * at
            blocks, last = [], 0.0
            for rows in sizes:
                block = step_cost(program, config, overrides, folder, rows) - fixed - optimizer * (values + local * rows)
                last = max(last, block)  # noise aside, more rows take longer
                blocks.append([rows, last])
            costs[name] = {"block": blocks, "fixed": fixed, "optimizer": optimizer}
    with open(out, "w") as f:
        json.dump(costs, f, indent=1)


# ---- the simulated machine -------------------------------------------------------------------------------------------

def platform(node, ranks, folder):
    """A two-level fat tree without oversubscription: nodes of `node` ranks with one 100 Gb/s port."""
    nodes, side = (16, 4) if node == NODE else (1024, 32)
    xml, hosts = os.path.join(folder, f"tree{nodes}.xml"), os.path.join(folder, f"hosts{nodes}")
    with open(xml, "w") as f:
        f.write(f"""<?xml version='1.0'?>
<!DOCTYPE platform SYSTEM "https://simgrid.org/simgrid.dtd">
<platform version="4.1">
  <cluster id="tree" prefix="n" suffix="" radical="0-{nodes - 1}" speed="1Gf" core="{NODE}" bw="12.5GBps" lat="300ns"
           loopback_bw="3GBps" loopback_lat="300ns" topology="FAT_TREE" topo_parameters="2;{side},{side};1,{side};1,1" sharing_policy="SPLITDUPLEX"/>
</platform>
""")
    with open(hosts, "w") as f:
        f.writelines(f"n{r // node}\n" for r in range(ranks))
    return xml, hosts


OPTIONS = [
    "--log=root.thresh:error", "--cfg=smpi/privatization:no", "--cfg=smpi/simulate-computation:no", "--cfg=smpi/host-speed:1Gf",
    "--cfg=smpi/coll-selector:ompi", "--cfg=smpi/allreduce:rdb", "--cfg=smpi/bcast:binomial_tree", "--cfg=smpi/allgather:rdb",
    "--cfg=smpi/barrier:ompi_bruck", "--cfg=smpi/finalization-barrier:no", "--cfg=smpi/bw-factor:0:0.92", "--cfg=smpi/lat-factor:0:1",
    "--cfg=smpi/os:0:2e-7:0", "--cfg=smpi/or:0:2e-7:0", "--cfg=smpi/async-small-thresh:65536", "--cfg=contexts/stack-size:512",
]


def simulate(scale, lines, node, ranks, folder, timeout=3000):
    xml, hosts = platform(node, ranks, folder)
    runs = os.path.join(folder, "runs")
    with open(runs, "w") as f:
        f.write("\n".join(lines) + "\n")
    process = subprocess.Popen(["smpirun", "-np", str(ranks), "-platform", xml, "-hostfile", hosts, *OPTIONS, scale, runs],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        said, complaints = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # smpirun is a shell script: the simulation is its child
        raise SystemExit(f"scale.py: {ranks} ranks: not done after {timeout} seconds")
    out = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    if len(out) != len(lines):
        why = [line for line in (complaints + said).splitlines() if line.startswith("scale:")]
        raise SystemExit(f"scale.py: {ranks} ranks: {len(out)} of {len(lines)} runs came back: " + " ".join(why or complaints.splitlines()[-3:]))
    return out


def write_costs(costs, name, folder, jitter=0.0):
    path = os.path.join(folder, f"{name}{'_jitter' if jitter else ''}.cost")
    with open(path, "w") as f:
        c = costs[name]
        f.write(f"fixed {c['fixed']:.9g}\noptimizer {c['optimizer']:.9g}\ncombine {costs['combine']:.9g}\njitter {jitter}\n")
        f.writelines(f"block {rows} {seconds:.9g}\n" for rows, seconds in c["block"])
    return path


def tile_of(name, rows):
    """Rows of a tile: what a rank has, cut to blocks that were measured."""
    most = 256 if name == "vae" else 64
    return min(rows, most)


def scenarios(ranks, single):
    """(table, workload, rows a rank, batch, plan, node, jitter) of all runs with so many ranks."""
    out = []
    for rows in (16, 64, 256, 1024):
        out.append(("weak", "vae", rows, rows * ranks, "allreduce", NODE, 0))
    for rows in (64, 256, 1024, 16384):
        out.append(("weak", "fvi", rows, rows * ranks, "allreduce", NODE, 0))
    for batch in (1024, 8192, 65536):
        out.append(("strong", "vae", batch // ranks, batch, "allreduce", NODE, 0))
    for batch in (65536, 1048576):
        out.append(("strong", "fvi", batch // ranks, batch, "allreduce", NODE, 0))
    if ranks == 1:
        return out
    for name, rows in (("vae", 64), ("fvi", 1024)):
        for plan in PLANS[1:]:
            out.append(("plan", name, rows, rows * ranks, plan, NODE, 0))
    for name, rows in (("vae", 256), ("vae", 1024), ("fvi", 1024)):
        out.append(("jitter", name, rows, rows * ranks, "allreduce", NODE, JITTER))
    for name, rows in (("vae", 64), ("vae", 256), ("fvi", 1024)):
        if single:
            out.append(("single", name, rows, rows * ranks, "allreduce", 1, 0))
    return out


def line_of(s, costs, folder, local_rows=1000000000):
    table, name, rows, batch, plan, node, jitter = s
    config, n = (VAE, max(1048576, batch)) if name == "vae" else (FVI, local_rows)
    steps = 8 if jitter else 1
    return (f"{write_costs(costs, name, folder, jitter)} {plan} {node} {steps} {config} data.rows={n} "
            f"optim.batch={batch} optim.tile={tile_of(name, rows)}")


def run(scale, costs_path, out, ranks_list):
    with open(costs_path) as f:
        costs = json.load(f)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for ranks in ranks_list:
            wanted = scenarios(ranks, True)
            for node in (NODE, 1):
                some = [s for s in wanted if s[5] == node]
                if not some:
                    continue
                back = simulate(scale, [line_of(s, costs, folder) for s in some], node, ranks, folder)
                for s, r in zip(some, back):
                    results.append(dict(r, table=s[0], workload=s[1], rows=s[2], node=node, jitter=s[6]))
                print(f"scale.py: {ranks} ranks, {node} a node: {len(back)} runs", file=sys.stderr)
            with open(out, "w") as f:
                json.dump({"costs": costs, "results": results}, f, indent=1)


# ---- tables ----------------------------------------------------------------------------------------------------------

TITLE = {"vae": "`inputs/vae.ini`", "fvi": "F-VI (linear, S = 100, N = 1e9)"}


def seconds(t):
    return f"{t:.3g} s" if t >= 1 else f"{t * 1e3:.3g} ms" if t >= 1e-3 else f"{t * 1e6:.3g} us"


def percent(x):
    return f"{100 * x:.1f} %"


def pick(results, **want):
    found = [r for r in results if all(r[k] == v for k, v in want.items())]
    return found[0] if found else None


def rows_of(results, table, key, name):
    return sorted({r[key] for r in results if r["table"] == table and r["workload"] == name})


def weak_table(results, ranks):
    last = ranks[-1]
    lines = ["| workload | rows a rank and step | one rank | " + " | ".join(f"{p} ranks" for p in ranks) + f" | {last} against {ranks[0]} |",
             "|---|---|---|" + "---|" * (len(ranks) + 1)]
    for name in TITLE:
        for rows in rows_of(results, "weak", "rows", name):
            one = pick(results, table="weak", workload=name, rows=rows, ranks=1)
            cells = []
            for p in ranks:
                r = pick(results, table="weak", workload=name, rows=rows, ranks=p)
                cells.append(f"{seconds(r['step'])}, {percent(one['step'] / r['step'])}, {percent(r['message'] / r['step'])}")
            first, end = (pick(results, table="weak", workload=name, rows=rows, ranks=p)["step"] for p in (ranks[0], last))
            lines.append(f"| {TITLE[name]} | {rows} | {seconds(one['step'])} | " + " | ".join(cells) + f" | {percent(first / end)} |")
    return lines


def strong_table(results, ranks):
    lines = ["| workload | batch | one rank | " + " | ".join(f"{p} ranks" for p in ranks) + " |", "|---|---|---|" + "---|" * len(ranks)]
    for name in TITLE:
        for batch in rows_of(results, "strong", "batch", name):
            one = pick(results, table="strong", workload=name, batch=batch, ranks=1)
            cells = []
            for p in ranks:
                r = pick(results, table="strong", workload=name, batch=batch, ranks=p)
                speedup = one["step"] / r["step"]
                cells.append(f"{seconds(r['step'])}, {speedup:.3g}x, {percent(speedup / p)}, {percent(r['message'] / r['step'])}")
            lines.append(f"| {TITLE[name]} | {batch} | {seconds(one['step'])} | " + " | ".join(cells) + " |")
    return lines


def plan_table(results, ranks):
    lines = ["| workload | plan | " + " | ".join(f"{p} ranks" for p in ranks) + " |", "|---|---|" + "---|" * len(ranks)]
    for name, rows in (("vae", 64), ("fvi", 1024)):
        for plan in PLANS:
            cells = []
            for p in ranks:
                r = pick(results, table="weak" if plan == "allreduce" else "plan", workload=name, rows=rows, ranks=p, plan=plan)
                cells.append(f"{seconds(r['step'])}, {seconds(r['message'])}")
            lines.append(f"| {TITLE[name]}, {rows} rows a rank | {plan} | " + " | ".join(cells) + " |")
    return lines


def other_table(results, ranks, table):
    lines = ["| workload | rows a rank and step | " + " | ".join(f"{p} ranks" for p in ranks) + " |", "|---|---|" + "---|" * len(ranks)]
    for name in TITLE:
        for rows in rows_of(results, table, "rows", name):
            one = pick(results, table="weak", workload=name, rows=rows, ranks=1)
            cells = []
            for p in ranks:
                r = pick(results, table=table, workload=name, rows=rows, ranks=p)
                cells.append(f"{seconds(r['step'])}, {percent(one['step'] / r['step'])}, {seconds(r['message'])}")
            lines.append(f"| {TITLE[name]} | {rows} | " + " | ".join(cells) + " |")
    return lines


def cost_lines(costs):
    lines = [f"Measured: adding a value of a message {costs['combine'] * 1e9:.2g} ns."]
    for name in TITLE:
        c = costs[name]
        blocks = ", ".join(f"{rows}: {seconds(t)}" for rows, t in c["block"])
        lines.append(f"{TITLE[name]}: fixed {seconds(c['fixed'])} a step, optimizer {c['optimizer'] * 1e9:.2g} ns a value, forward and backward by rows of a block: {blocks}.")
    return lines


def table(path, readme):
    with open(path) as f:
        data = json.load(f)
    results = data["results"]
    ranks = sorted({r["ranks"] for r in results} - {1})
    text = ["### Weak scaling", "Seconds a step, efficiency against one rank without messages, share of the reduction; last column: efficiency against the fewest ranks.", "",
            *weak_table(results, ranks), "",
            "### Strong scaling", "Seconds a step, speed-up and efficiency against one rank, share of the reduction.", "", *strong_table(results, ranks), "",
            "### Plans", "Seconds a step; of them, in messages.", "", *plan_table(results, ranks), "",
            f"### Ranks that are not alike ({percent(JITTER)} exponential jitter on all work)", "Seconds a step, efficiency against one rank without jitter, of them in messages and waiting.", "",
            *other_table(results, ranks, "jitter"), "",
            "### One rank a node", "Seconds a step, efficiency, in messages.", "", *other_table(results, ranks, "single"), "",
            "### Costs", *cost_lines(data["costs"])]
    text = "\n".join(text)
    if not readme:
        print(text)
        return
    with open(readme) as f:
        old = f.read()
    new = re.sub(r"(<!-- table -->\n).*?(<!-- end of table -->)", lambda m: m.group(1) + text + "\n" + m.group(2), old, flags=re.S)
    with open(readme, "w") as f:
        f.write(new)


# ---- the short test --------------------------------------------------------------------------------------------------

SOME = {"combine": 2e-10, "vae": {"block": [[1, 1e-4], [64, 2e-3]], "fixed": 3e-4, "optimizer": 1e-9},
        "fvi": {"block": [[1, 1e-6], [64, 3e-5]], "fixed": 5e-6, "optimizer": 1e-9}}


def check(scale):
    """Every plan with real values (the program refuses wrong sums) cut into parts, and against closed forms of time."""
    with tempfile.TemporaryDirectory() as folder:
        lines = [line_of(("", "fvi", 64, 1024, plan, NODE, 0), SOME, folder, 100000).replace(f" {NODE} ", " 4 ") for plan in PLANS]
        os.environ["SCALE_LARGE_FROM"] = "16"
        real = simulate(scale, lines, 4, 16, folder, 120)
        del os.environ["SCALE_LARGE_FROM"]
        lines = [line_of(("", "vae", 64, 1024, plan, NODE, 0), SOME, folder) for plan in PLANS]
        long = simulate(scale, lines, NODE, 16, folder, 120)
    work = 3e-4 + 2e-3 + 652832 * 1e-9
    # 15/16 of the vector out, as much back, at 0.92 of 3 GB/s, and the additions.
    bound = 2 * 15 / 16 * 652832 * 4 / (0.92 * 3e9) + 15 / 16 * 652832 * 2e-10
    one = long[0]
    failures = []
    if abs(one["step"] - one["message"] - work) > 0.01 * work:
        failures.append(f"work of a step is {one['step'] - one['message']:.6g} s, {work:.6g} s were put in")
    if not bound * 0.99 < one["message"] < bound * 1.1:
        failures.append(f"the reduction takes {one['message']:.6g} s, by bandwidth {bound:.6g} s")
    if not long[2]["message"] > 2 * one["message"]:
        failures.append("reducing everything to one rank costs no more than reducing in parts")
    if not long[1]["step"] - long[1]["message"] < work - 0.9 * 652832 * 1e-9 * 15 / 16:
        failures.append("a sharded optimizer does as much work as a replicated one")
    if any(r["message"] <= 0 for r in real):
        failures.append("a reduction takes no time")
    for f in failures:
        print("scale.py: " + f)
    sys.exit(1 if failures else 0)


def long(scale):
    """The goal of weak scaling with 1024 ranks, for costs of the size that machines have (SOME), 1024 images a rank and step."""
    with tempfile.TemporaryDirectory() as folder:
        s = ("", "vae", 1024, 1048576, "allreduce", NODE, 0)
        r = simulate(scale, [line_of(s, SOME, folder)], NODE, 1024, folder, 1400)[0]
    work = r["step"] - r["message"]
    print(f"1024 ranks: {r['step']:.6g} s a step, {percent(work / r['step'])} of them work")
    sys.exit(0 if work / r["step"] >= 0.9 else 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["measure", "run", "table", "check", "long"])
    parser.add_argument("--program")
    parser.add_argument("--scale")
    parser.add_argument("--costs")
    parser.add_argument("--results")
    parser.add_argument("--out")
    parser.add_argument("--readme")
    parser.add_argument("--ranks", default=",".join(map(str, [1] + RANKS)))
    a = parser.parse_args()
    if a.what == "measure":
        measure(a.program, a.out)
    elif a.what == "run":
        run(a.scale, a.costs, a.out, [int(r) for r in a.ranks.split(",")])
    elif a.what == "table":
        table(a.results, a.readme)
    elif a.what == "check":
        check(a.scale)
    else:
        long(a.scale)


if __name__ == "__main__":
    main()
