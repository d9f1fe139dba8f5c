#!/usr/bin/env python3
"""Tests of the benchmark harness: its form and its arithmetic, never the clock.

    test_harness.py known     a program whose steps take a known time by its own trace: the table must say just that
    test_harness.py smoke     avi_mpi itself, 2 steps of the smallest workload
    test_harness.py torch     PyTorch's side, 2 steps of every workload on few rows (77 without PyTorch)
    test_harness.py answer    time to the answer: its arithmetic, and avi_mpi on few rows
    test_harness.py reduce    ways to reduce a gradient: all must agree on the step, and the table has them
"""
import json
import math
import os
import stat
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import answer  # noqa: E402
import table  # noqa: E402
from workloads import WORKLOADS  # noqa: E402

BUILD = os.environ.get("AVI_BUILD_DIR", os.path.join(HERE, "..", "..", "build"))

# Stands in for avi_mpi: 4 ms a step, after a first fifth of the steps at 50 ms and with one straggler.
KNOWN = """#!%s
import os, sys
if "--list" in sys.argv:
    print("models\\n  vae  images\\n  linear\\n  nonlinear\\n  saw")
    sys.exit(0)
if os.environ.get("OMPI_COMM_WORLD_RANK", "0") != "0":
    sys.exit(0)
import h5py, numpy as np
keys = dict(a.split("=", 1) for a in sys.argv if "=" in a)
steps, every = int(keys["optim.steps"]), int(keys["log.every"])
step = np.arange(every, steps + 1, every)
each = np.where(np.arange(1, steps + 1) <= steps // 10, 0.050, 0.004)
each[steps // 2] = 1.0
seconds = np.cumsum(each)[step - 1]
os.makedirs(keys["run.output"])
with h5py.File(keys["run.output"] + "/run.h5", "w") as f:
    f["trace/step"], f["trace/seconds"], f["trace/elbo_per_row"] = step, seconds, np.full(len(step), -1.5)
"""


def check(condition, what):
    if not condition:
        print("FAILED: " + what)
        sys.exit(1)


def bench(folder, *options, expect=0):
    command = [sys.executable, os.path.join(HERE, "bench.py"), "--limits", os.path.join(BUILD, "tests", "limits"), "--out", folder,
               "--rounds", "1", "--seconds", "0.001", "--ranks", "2", *options]
    done = subprocess.run(command, capture_output=True, text=True)
    check(done.returncode == expect, f"{' '.join(command)}: status {done.returncode}, expected {expect}\n{done.stdout}{done.stderr}")
    return done


def read_both(folder):
    """Rows from the CSV; the HDF5 file must say the same."""
    rows, about = table.read(f"{folder}/table.csv")
    again, _ = table.read(f"{folder}/table.h5")
    check(len(rows) == len(again) > 0, "CSV and HDF5 differ in length")
    for a, b in zip(rows, again):
        for name, _, _ in table.COLUMNS:
            same = a[name] == b[name] or (isinstance(a[name], float) and math.isnan(a[name]) and math.isnan(b[name]))
            check(same, f"{a['workload']}: {name} is {a[name]} in CSV and {b[name]} in HDF5")
    for key in ("revision", "machine", "date", "blas", "limits"):
        check(about.get(key), f"the table does not say its {key}")
    return rows


def compare(old, new, *options):
    return subprocess.run([sys.executable, os.path.join(HERE, "compare.py"), old, new, *options], capture_output=True, text=True)


def known(folder):
    program = os.path.join(folder, "known")
    with open(program, "w") as f:
        f.write(KNOWN % sys.executable)
    os.chmod(program, os.stat(program).st_mode | stat.S_IXUSR)
    bench(folder, "--program", program, "--no-torch", "--steps", "100")
    rows = read_both(folder)
    check([r["workload"] for r in rows] == [w.name for w in WORKLOADS], "a workload is missing from the table")
    for row in rows:
        check(abs(row["avi_ms"] - 4.0) < 1e-6, f"{row['workload']}: {row['avi_ms']} ms a step instead of 4")
        check(row["avi_elbo"] == -1.5, "the ELBO is not the trace's")
        check(math.isnan(row["ratio"]), "a ratio without PyTorch")
    by = {r["workload"]: r for r in rows}
    # 2 ranks, 4 ms, 10000 rows x 100 draws: 8 ns.
    check(abs(by["linear_fvi"]["draw_ns"] - 8.0) < 1e-6, f"draws cost {by['linear_fvi']['draw_ns']} ns instead of 8")
    vae = by["vae_1024"]
    total = vae["gemm_ms"] + vae["adam_ms"] + vae["allreduce_ms"]
    check(vae["gemm_ms"] > 0 and abs(vae["limit_ms"] - total) < 1e-9 * total, "the limit is not the sum of its parts")
    check(abs(vae["limit_fraction"] - total / 4.0) < 1e-9 * total, "the fraction of the limit is wrong")
    shapes = {w.name: w for w in WORKLOADS}
    # Counted by hand: 313600+400 + 16000+40 + 8000+400 + 313600+784, and 2 x 283920 + 299648 for the Bayesian one.
    check(shapes["vae_1024"].shared == 652824, f"the VAE has {shapes['vae_1024'].shared} shared parameters")
    check(shapes["bayes_vae_avi"].shared == 867488, f"the Bayesian VAE has {shapes['bayes_vae_avi'].shared} shared parameters")
    # 544 + 32832 + 803072 + 10280 + 5376 + 805952 + 32800 + 513.
    check(shapes["conv_vae"].shared == 1691369, f"the VAE of convolutions has {shapes['conv_vae'].shared} shared parameters")
    same = compare(f"{folder}/table.csv", f"{folder}/table.h5")
    check(same.returncode == 0 and "1.000" in same.stdout, f"compare.py on one table twice:\n{same.stdout}{same.stderr}")
    with open(f"{folder}/table.csv") as f:
        text = f.read()
    with open(f"{folder}/slow.csv", "w") as f:
        f.write(text.replace(repr(vae["avi_ms"]), "8.0").replace(repr(vae["limit_fraction"]), repr(0.5 * vae["limit_fraction"])))
    slow = compare(f"{folder}/table.csv", f"{folder}/slow.csv", "--tolerance", "0.1")
    check(slow.returncode == 1 and "vae_1024" in slow.stderr, "compare.py does not see a program that became slower")
    check(compare(f"{folder}/none.csv", f"{folder}/table.csv").returncode == 66, "compare.py on a file that is not there")
    bench(folder, "--program", program, "--workloads", "nothing", expect=64)
    bench(folder, "--program", os.path.join(folder, "absent"), expect=66)
    bench(folder, "--program", "/bin/false", "--no-torch", expect=70)


def smoke(folder):
    program = os.environ["AVI_MPI"]
    bench(folder, "--program", program, "--no-torch", "--steps", "2", "--rows", "256", "--workloads", "vae_128,saw_fvi")
    for row in read_both(folder):
        check(row["avi_ms"] > 0.0 and math.isfinite(row["avi_elbo"]), f"{row['workload']}: no time or no ELBO")


def torch(_folder):
    if subprocess.run([sys.executable, "-c", "import torch"], capture_output=True).returncode != 0:
        print("skipped: PyTorch is not installed (apt-get install python3-torch)")
        sys.exit(77)
    for w in WORKLOADS:
        for setting in (["--threads", "2"], ["--processes", "2"]) if w.name == "saw_fvi" else ([],):
            command = [sys.executable, os.path.join(HERE, "torch_workloads.py"), "--workload", w.name, "--steps", "2", "--warmup", "0",
                       "--rows", "2048" if w.batch == 1024 else "1000", *setting]
            done = subprocess.run(command, capture_output=True, text=True)
            check(done.returncode == 0, f"{' '.join(command)}\n{done.stderr}")
            found = json.loads(done.stdout.splitlines()[-1])
            check(found["steps"] == 2 and found["seconds_per_step"] > 0.0 and math.isfinite(found["elbo_per_row"]), f"{w.name}: {found}")


def arithmetic_of_answer():
    """Times and ratios from numbers that are known."""
    check(answer.first_below([1, 2, 3], [10, 20, 30], [9, 5, 4], 5) == (2.0, 20.0), "not the first value that is as low as asked")
    check(math.isnan(answer.first_below([1], [10], [9], 5)[0]), "an answer that was never reached has a time")
    case = next(c for c in answer.CASES if c.name == "saw_fvi")
    run = dict(avi_one=0.5, avi_all=1.0, avi_command=2.0, steps_one=3, steps_all=4, loss_one=2.0, loss_all=1.0, loss_end=0.9, load=0.1)
    ours = {1: [dict(run, avi_all=math.nan)], 2: [run], 3: [dict(run, avi_all=1.1)]}
    row = answer.tabulate([case], {case.name: ours}, {case.name: {(1, 1): [0.003, 0.001, 0.002], (2, 1): [0.1]}})[0]
    check(row["ranks"] == 2, f"the fastest of 1, 2 and 3 ranks is 2, not {row['ranks']}")
    check(row["torch_ms"] == 2.0 and row["torch_setting"] == "1 thread x 1 process", "PyTorch's step is not the median of its best setting")
    for name, steps, ours_seconds in (("one", 17595, 0.5), ("all", 30000, 1.0), ("command", 30000, 2.0)):
        check(abs(row["ratio_" + name] - 0.002 * steps / ours_seconds) < 1e-9, f"ratio_{name} is {row['ratio_' + name]}")


def read_answer(folder):
    """Rows of the HDF5 file; the CSV must have the same columns and as many rows."""
    import h5py
    with h5py.File(f"{folder}/answer.h5", "r") as f:
        columns = {name: f[name].asstr()[:] if f[name].dtype == object else f[name][:] for name, _, _ in answer.COLUMNS}
    with open(f"{folder}/answer.csv") as f:
        lines = [line for line in f if not line.startswith("# ")]
    check(lines[0].rstrip().split(",") == [c[0] for c in answer.COLUMNS], "the columns of answer.csv")
    check(len(lines) == 1 + len(columns["case"]), "answer.csv and answer.h5 differ in length")
    return [{k: v[i] for k, v in columns.items()} for i in range(len(columns["case"]))]


def of_answer(folder):
    arithmetic_of_answer()
    script = os.path.join(HERE, "answer.py")
    common = [sys.executable, script, "--program", os.environ["AVI_MPI"], "--out", folder, "--rounds", "1", "--ranks", "2", "--no-torch", "--limits", "none"]
    done = subprocess.run(common + ["--rows", "300", "--cases", "saw_fvi,linear_avi"], capture_output=True, text=True)
    check(done.returncode == 0, f"answer.py: status {done.returncode}\n{done.stdout}{done.stderr}")
    for row in read_answer(folder):
        check(0.0 < row["avi_one"] <= row["avi_all"] < row["avi_command"], f"{row['case']}: times {row['avi_one']}, {row['avi_all']}, {row['avi_command']}")
        check(row["loss_end"] <= row["loss_all"] < row["loss_one"], f"{row['case']}: losses {row['loss_end']}, {row['loss_all']}, {row['loss_one']}")
        check(math.isnan(row["ratio_one"]), "a ratio without PyTorch")
    done = subprocess.run(common + ["--rows", "300", "--cases", "nonlinear_avi", "--steps", "100"], capture_output=True, text=True)
    check(done.returncode == 0, f"answer.py: status {done.returncode}\n{done.stdout}{done.stderr}")
    row = read_answer(folder)[0]
    check(math.isfinite(row["loss_end"]) and row["steps_one"] % 50 == 0, "a minibatch recipe is not judged by its evaluations")
    check(subprocess.run(common + ["--cases", "nothing"], capture_output=True).returncode == 64, "an unknown case is taken")


def of_reduce(folder):
    command = [sys.executable, os.path.join(HERE, "reduce.py"), "--bench-reduce", os.path.join(BUILD, "tests", "bench_reduce"), "--limits", "none", "--out", folder,
               "--ranks", "2", "--seconds", "0.01", "--updates", "352:40000", "--overlaps", "40000,8"]
    done = subprocess.run(command, capture_output=True, text=True)
    check(done.returncode == 0, f"{' '.join(command)}: status {done.returncode}\n{done.stdout}{done.stderr}")
    with open(f"{folder}/reduce.json") as f:
        found = json.load(f)
    check([r["bytes"] for r in found[0]["update"]] == [352, 40000] and [r["bytes"] for r in found[0]["overlap"]] == [40000], "a size is missing")
    for row in found[0]["update"] + found[0]["overlap"]:
        check(all(v > 0 for v in row.values()), f"a time is not above 0: {row}")
    check(done.stdout.count("| 40 kB") == 2, "the tables lack a row")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        {"known": known, "smoke": smoke, "torch": torch, "answer": of_answer, "reduce": of_reduce}[sys.argv[1]](scratch)
    print("ok")
