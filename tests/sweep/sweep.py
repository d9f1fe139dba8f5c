"""Sweeps from end to end: the same table and the same bits at any number of groups, failures that stay their own, going on after a kill, stops that reach all groups."""
import csv
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time

import h5py
import numpy as np

from descendants import ranks_below

PROGRAM = os.environ["AVI_MPI"]
MPIRUN = shlex.split(os.environ.get("AVI_MPIRUN", "mpirun --oversubscribe --bind-to none"))
INI = """[run]
reproducible = yes
[data]
source = model
rows = 256
[model]
name = linear
global = gaussian
[inference]
function = polynomial
degree = 1
[optim]
batch = 0
tile = 32
steps = 40
learning_rate = 1e-2
[checkpoint]
keep = 1
"""
NUMBERS = ("steps", "rows", "elbo_train", "elbo_test", "mse_train", "mse_test", "elbo_train_error", "elbo_test_error", "mse_train_error", "mse_test_error", "elbo", "elbo_error", "gap_fit",
           "gap_fit_error", "slope", "slope_error", "loss", "best_elbo")


class Bench:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        (self.folder / "tiny.ini").write_text(INI)
        self.jobs = []

    def command(self, ranks, *arguments):
        return [*(MPIRUN + ["-n", str(ranks)] if ranks > 1 else []), PROGRAM, *arguments]

    def run(self, ranks, *arguments, expect=0):
        """Runs the program; stdout and stderr together."""
        done = subprocess.run(self.command(ranks, *arguments), cwd=self.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=90)
        assert done.returncode == expect, f"{arguments} at {ranks} ranks: exit {done.returncode}, expected {expect}\n{done.stdout}"
        return done.stdout

    def start(self, ranks, *arguments):
        self.jobs.append(subprocess.Popen(self.command(ranks, *arguments), cwd=self.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT))
        return self.jobs[-1]

    def end(self):
        """Nothing of ours runs on after a failure."""
        for job in self.jobs:
            left = ranks_below(job, PROGRAM) if job.poll() is None else []
            for pid in [*left, job.pid] if job.poll() is None else []:
                os.kill(pid, signal.SIGKILL)
            job.wait()

    def table(self, output):
        with open(self.folder / output / "sweep.csv", newline="") as f:
            return list(csv.DictReader(f))


def text_of(attribute):
    return attribute.decode() if isinstance(attribute, bytes) else str(attribute)


def values(file):
    """Everything of a run.h5 that does not depend on time or rank count."""
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset) and "checksum" in item.attrs and "seconds" not in name and "_rank" not in name and "config" not in name:
            found[name] = item[()].tobytes()

    with h5py.File(file) as f:
        f.visititems(visit)
        found["status"] = f.attrs["status"]
    return found


def wait_for(condition, what, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} did not come within {seconds} s"
        time.sleep(0.02)


def same_at_any_groups(b):
    sweep = ["--sweep", "inference.degree=1|2|3; run.seed=1|2", "tiny.ini"]
    singles = []
    for degree in (1, 2, 3):
        for seed in (1, 2):
            output = f"single_{degree}_{seed}"
            b.run(1, "-q", "tiny.ini", f"inference.degree={degree}", f"run.seed={seed}", f"run.output={output}")
            singles.append(values(b.folder / output / "run.h5"))
    for ranks, more, groups in ((1, [], 1), (3, [], 3), (4, [], 4), (4, ["--groups", "2"], 2), (3, ["--groups=2"], 2)):
        output = f"sweep_{ranks}_{groups}"
        text = b.run(ranks, *sweep, *more, f"run.output={output}")
        assert f"sweep of 6 runs over {groups} group" in text, text
        assert len(re.findall(r"^run \d+ starts", text, re.M)) == 6 and len(re.findall(r"^run \d+ done", text, re.M)) == 6, text
        table = b.table(output)
        assert [(r["inference.degree"], r["run.seed"]) for r in table] == [(d, s) for d in "123" for s in "12"]
        for row, single in zip(table, singles):
            assert (row["status"], row["exit_code"], row["steps"], row["rows"]) == ("done", "0", "40", "256"), row
            assert values(b.folder / output / row["folder"] / "run.h5") == single, f"{output}/{row['folder']} differs from the single run"
        check_hdf5(b, output, table)
    text = b.run(3, *sweep, "run.output=sweep_3_3")
    assert len(re.findall("was done before", text)) == 6 and "starts" not in text, text
    text = b.run(3, *sweep, "run.output=sweep_3_3", "optim.steps=41")
    assert "was done before" not in text and {r["steps"] for r in b.table("sweep_3_3")} == {"41"}, text
    text = b.run(3, *sweep, "run.output=sweep_3_3", "optim.steps=41", "--fresh")
    assert "was done before" not in text, text


def grows(b):
    """More values in a sweep: what was done is found, whatever its number is now."""
    b.run(3, "--sweep", "inference.degree=1|2; run.seed=1|2", "tiny.ini", "run.output=growing")
    old = {(r["inference.degree"], r["run.seed"]): (r["folder"], r["elbo_train"]) for r in b.table("growing")}
    text = b.run(3, "--sweep", "inference.degree=1..3; run.seed=1..3", "tiny.ini", "run.output=growing")
    rows = b.table("growing")
    assert text.count("was done before") == 4 and [r["status"] for r in rows] == ["done"] * 9, text
    new = {(r["inference.degree"], r["run.seed"]): (r["folder"], r["elbo_train"]) for r in rows}
    assert all(new[key] == old[key] for key in old) and len({folder for folder, _ in new.values()}) == 9, new
    text = b.run(2, "--sweep", "inference.degree=1|2; run.seed=1|2", "tiny.ini", "run.output=growing")
    assert text.count("was done before") == 4, text


def check_hdf5(b, output, table):
    """sweep.h5 against sweep.csv, and the table against the runs' own files."""
    with h5py.File(b.folder / output / "sweep.h5") as f:
        assert text_of(f.attrs["format"]) == "avi_mpi sweep"
        runs = f["runs"]
        assert list(runs["inference.degree"][:]) == [float(r["inference.degree"]) for r in table]
        for name in NUMBERS:
            expected = np.array([float(r[name] or "nan") for r in table])
            assert np.array_equal(runs[name][:], expected, equal_nan=True), (name, runs[name][:], expected)
        best = int(f.attrs["best"])
        assert best == int(np.argmax(runs["elbo_train"][:]))
    for row in table:
        with h5py.File(b.folder / output / row["folder"] / "run.h5") as f:
            elbo, trace = f["eval/elbo_train"][-1], f["trace/elbo_per_row"][:]
            assert float(row["elbo_train"]) == elbo and float(row["best_elbo"]) == trace.max()
            assert abs(float(row["loss"]) - (f.attrs["loss_offset"] - 256 * elbo)) < 1e-9
            assert f.attrs["rows"] == 256
            for name in ("elbo_train_error", "mse_train_error"):
                assert float(row[name]) == f[f"eval/{name}"][-1]
            assert float(row["elbo"]) == 256 * elbo and float(row["elbo_error"]) == 256 * f["eval/elbo_train_error"][-1]
            assert row["gap_fit"] == row["gap_fit_error"] == ""


def loss_of_the_paper(b):
    """Saw data as shipped: loss 553.0139 where ELBO* = -1471.0335 (closed form), so their sum is the constant between the two units."""
    b.run(2, "--sweep", "inference.function=factorized|constant", f"{os.environ['AVI_SOURCE_DIR']}/inputs/paper/saw.ini", "optim.steps=3", "run.after=exact", "run.output=saw")
    for row in b.table("saw"):
        assert abs(float(row["loss"]) + int(row["rows"]) * float(row["elbo_train"]) - (553.0139 - 1471.0335)) < 2e-3, row
        assert abs(-1471.0335 - float(row["elbo"]) - float(row["gap_fit"])) < 2e-3 and float(row["gap_fit_error"]) == float(row["elbo_error"]) == 0, row


def failures_stay_their_own(b):
    with h5py.File(b.folder / "good.h5", "w") as f:
        f["x"] = np.random.default_rng(1).normal(size=(256, 1))
    (b.folder / "bad.h5").write_text("this is not HDF5, whatever its name says")
    for ranks in (1, 4):
        output = f"failing_{ranks}"
        text = b.run(ranks, "--sweep", "data.path=good.h5|bad.h5|none.h5;optim.learning_rate=1e-2|1000", "tiny.ini", "data.source=hdf5", "data.dataset=x",
                     "optim.method=sgd", f"run.output={output}", expect=66)
        rows = b.table(output)
        assert [r["status"] for r in rows] == ["done", "diverged", "failed", "failed", "failed", "failed"], rows
        assert [r["exit_code"] for r in rows] == ["0", "4", "65", "65", "66", "66"], rows
        assert "without a finite gradient" in rows[1]["message"] and "bad.h5" in rows[2]["message"] and "none.h5" in rows[4]["message"], rows
        assert rows[2]["elbo_train"] == "" and float(rows[0]["elbo_train"]) < 0
        assert "1 of the 6 runs diverged, 4 failed" in text, text
    # What failed is tried again when its data are there, what is done is not.
    (b.folder / "bad.h5").unlink()
    for name in ("bad.h5", "none.h5"):
        os.symlink("good.h5", b.folder / name)
    text = b.run(3, "--sweep", "data.path=good.h5|bad.h5|none.h5;optim.learning_rate=1e-2|1000", "tiny.ini", "data.source=hdf5", "data.dataset=x",
                 "optim.method=sgd", "run.output=failing_4", expect=4)
    assert [r["status"] for r in b.table("failing_4")] == ["done", "diverged"] * 3 and text.count("was done before") == 1, text


def mistakes_before_anything_runs(b):
    text = b.run(3, "--sweep", "run.seed=1|x; modl.a=1; inference.degree=99", "tiny.ini", "optim.stps=3", "run.output=never", expect=78)
    for words in ("'x' is not an integer", "[modl] a: unknown section", "'99' is out of range", "unknown key; did you mean steps?"):
        assert text.count(words) == 1, (words, text)
    assert not (b.folder / "never").exists()
    for arguments, words in ((["--sweep"], "its value is missing"), (["--sweep", "run.seed=1|2", "--groups", "3", "tiny.ini"], "more than the 1 ranks"),
                             (["--groups", "1", "tiny.ini"], "goes with --sweep"), (["--sweep", "run.seed=1", "--groups", "x", "tiny.ini"], "--groups x"),
                             (["--sweep", "run.seed=1..0..1", "tiny.ini"], "never gets from 1 to 0"),
                             (["--sweep", "run.seed=1", "--check-gradient", "tiny.ini"], "--check-gradient")):
        assert words in b.run(1, *arguments, expect=64), words
    assert "a sweep makes a table of fits" in b.run(1, "--sweep", "run.seed=1", "tiny.ini", "run.task=simulate", expect=78)
    text = b.run(2, "--sweep", "inference.function=polynomial|factorized; inference.degree=1|2", "tiny.ini", "--dry-run", "run.output=never")
    assert "inference.degree is not used in 2 of the 4 runs" in text and "003_inference.function=factorized,inference.degree=2" in text, text
    assert not (b.folder / "never").exists()


def long_sweep(output):
    return ["--sweep", "run.seed=1..6", "tiny.ini", "optim.steps=20000", "checkpoint.every=1000", "log.every=100", f"run.output={output}"]


def checkpoints(b, output):
    return len(list((b.folder / output).glob("*/checkpoint/latest")))


def kill_sweep(b, output, target):
    job = b.start(3, *long_sweep(output))
    wait_for(lambda: checkpoints(b, output) >= 4, "a checkpoint of the fourth run")
    ranks = ranks_below(job, PROGRAM)
    os.kill(job.pid if target == "mpirun" else ranks[0], signal.SIGKILL)
    for p in ranks if target == "mpirun" else []:  # as when a node dies; a rank alone in its group would go on to the end of the sweep
        try:
            os.kill(p, signal.SIGKILL)
        except ProcessLookupError:
            pass
    job.communicate(timeout=60)
    wait_for(lambda: not any(os.path.exists(f"/proc/{p}") for p in ranks), "the end of the ranks")


def goes_on_after_kill(b):
    b.run(4, *long_sweep("whole"))
    expected = [values(b.folder / "whole" / r["folder"] / "run.h5") for r in b.table("whole")]
    for target in ("mpirun", "rank"):
        # Ranks live on for a moment after the kill: on a fast machine they may end the sweep in it, and there is nothing left to resume.
        for attempt in range(8):
            output = f"killed_{target}_{attempt}"
            kill_sweep(b, output, target)
            if not (b.folder / output / "sweep.csv").exists():
                break
        assert not (b.folder / output / "sweep.csv").exists(), "every sweep ended before the kill"
        text = b.run(2, *long_sweep(output))
        rows = b.table(output)
        assert [r["status"] for r in rows] == ["done"] * 6 and "was done before" in text and "starts" in text, text
        for row, wanted in zip(rows, expected):
            assert values(b.folder / output / row["folder"] / "run.h5") == wanted, f"{output}/{row['folder']} differs after the kill"


def stops_everywhere(b):
    # One signal to one rank of one group: all groups stop, each with a checkpoint.
    endless = ["--sweep", "run.seed=1..6", "tiny.ini", "optim.steps=100000000", "checkpoint.every=500", "log.every=1000", "log.eval_every=-1"]
    for which in (0, 2):
        output = f"signal_{which}"
        job = b.start(3, *endless, f"run.output={output}")
        wait_for(lambda: checkpoints(b, output) >= 3, "a checkpoint of each group")
        os.kill(sorted(ranks_below(job, PROGRAM))[which], signal.SIGUSR1)
        text, _ = job.communicate(timeout=40)
        assert job.returncode == 75, text
        assert [r["status"] for r in b.table(output)] == ["stopped"] * 3 + ["waiting"] * 3, text
        assert "6 of 6 runs are left" in text, text
    text = b.run(3, *endless, "run.output=clock", "run.time_limit=0.05", expect=75)
    assert [r["status"] for r in b.table("clock")] == ["stopped"] * 3 + ["waiting"] * 3, text
    b.run(2, "--sweep", "run.seed=1..6", "tiny.ini", "run.output=clock", "optim.steps=100000000", "run.time_limit=0.05", "--resume", expect=75)


def afresh(b):
    """A sweep that fits its runs again and is stopped tells of the new fits alone; what goes on without --fresh finishes all of them, those too that were not begun."""
    sweep = ["--sweep", "run.seed=1..3", "tiny.ini", "optim.steps=12000", "checkpoint.every=500", "log.every=100", "log.eval_every=-1", "run.output=again"]
    b.run(3, *sweep)
    before = b.table("again")
    whole = [values(b.folder / "again" / r["folder"] / "run.h5") for r in before]
    begun = [(b.folder / "again" / r["folder"] / "run.h5").stat().st_ino for r in before]
    for attempt in range(8):
        job = b.start(2, *sweep, "--fresh")
        wait_for(lambda: list((b.folder / "again").glob("*/fresh/checkpoint/latest")) or job.poll() is not None, "a checkpoint of a run begun afresh")
        for rank in ranks_below(job, PROGRAM)[:1]:
            os.kill(rank, signal.SIGUSR1)
        text, _ = job.communicate(timeout=60)
        rows = b.table("again")
        if [r["status"] for r in rows] == ["stopped", "stopped", "waiting"]:
            break
    assert [r["status"] for r in rows] == ["stopped", "stopped", "waiting"] and job.returncode == 75, text
    assert "without --fresh resumes them" in text, text
    for row in rows[:2]:
        with h5py.File(b.folder / "again" / row["folder"] / "fresh" / "run.h5") as file:
            assert int(row["steps"]) == file["trace/step"][-1] < 12000, (row, file["trace/step"][-1])
            assert float(row["best_elbo"]) == file["trace/elbo_per_row"][:].max() and row["elbo_train"] == "", row
    text = b.run(2, *sweep)
    rows = b.table("again")
    assert "was done before" not in text and text.count("starts on") == 3 and [r["status"] for r in rows] == ["done"] * 3, text
    for row, wanted, old in zip(rows, whole, begun):
        folder = b.folder / "again" / row["folder"]
        assert values(folder / "run.h5") == wanted and not (folder / "fresh").exists(), f"{row['folder']} differs, or is not finished"
        assert (folder / "run.h5").stat().st_ino != old, f"{row['folder']} was not fitted again"
    assert b.run(2, *sweep).count("was done before") == 3


def parts(b):
    """Jobs that share a sweep work side by side in one folder; the sweep without a part then has the bits and the table of one job."""
    sweep = ["--sweep", "inference.degree=1|2|3; run.seed=1|2", "tiny.ini"]
    b.run(2, *sweep, "run.output=one_job")
    jobs = [b.start(ranks, *sweep, "run.output=in_parts", "--part", f"{k + 1}/4") for k, ranks in enumerate((1, 2, 1, 2))]
    for k, job in enumerate(jobs):
        text, _ = job.communicate(timeout=60)
        runs = [int(run) for run in re.findall(r"^run (\d+) done", text, re.M)]
        assert job.returncode == 0 and sorted(runs) == list(range(k, 6, 4)) and f"(part {k + 1}/4)" in text and "without --part writes in_parts/sweep.csv" in text, text
    assert not (b.folder / "in_parts" / "sweep.csv").exists()
    text = b.run(2, *sweep, "run.output=in_parts")
    assert text.count("was done before") == 6, text
    for one, part in zip(b.table("one_job"), b.table("in_parts")):
        assert {k: v for k, v in one.items() if k not in ("seconds",)} == {k: v for k, v in part.items() if k not in ("seconds",)}, (one, part)
        assert values(b.folder / "one_job" / one["folder"] / "run.h5") == values(b.folder / "in_parts" / part["folder"] / "run.h5"), part["folder"]
    text = b.run(1, *sweep, "run.output=in_parts", "--part=1/4", "--fresh")
    assert text.count("starts on") == 2 and "was done before" not in text, text
    for wrong, words in (("7/7", "more parts than the 6 runs"), ("0/3", "use K/N"), ("4/3", "use K/N"), ("2", "use K/N"), ("1/2x", "use K/N")):
        text = b.run(1, *sweep, "run.output=wrong", "--part", wrong, expect=64)
        assert words in text and not (b.folder / "wrong").exists(), text
    assert "goes with --sweep" in b.run(1, "tiny.ini", "--part=1/2", expect=64)


def targets(b):
    """[stop] in a sweep: runs that end without it are done, and the job says so where asked to mind."""
    sweep = ["--sweep", "inference.function=constant|polynomial; run.seed=1|2", "tiny.ini", "objective.draws=0", "optim.learning_rate=0.1", "optim.steps=400", "log.eval_every=20"]
    b.run(2, *sweep, "run.output=free")
    low, high = (max(float(r["elbo_train"]) for r in b.table("free") if r["inference.function"] == name) for name in ("constant", "polynomial"))
    assert high - low > 0.01, (low, high)
    rule = [f"stop.elbo_per_row={0.5 * (low + high)}", "run.output=ruled"]
    for turn in range(2):
        text = b.run(3, *sweep, *rule, "stop.required=yes", expect=3)
        rows = b.table("ruled")
        assert "2 of the 4 runs ended before the stop rule was met" in text and text.count("was done before") == 4 * turn, text
        assert [(r["status"], r["exit_code"]) for r in rows] == [("done", "3")] * 2 + [("done", "0")] * 2, rows
        assert [int(r["steps"]) < 400 for r in rows] == [False] * 2 + [True] * 2 and "stop rule" in rows[0]["message"] and not rows[2]["message"], rows
    text = b.run(2, *sweep, *rule)
    assert text.count("was done before") == 4, text


def main():
    for check in (same_at_any_groups, grows, loss_of_the_paper, mistakes_before_anything_runs, failures_stay_their_own, parts, targets, afresh, goes_on_after_kill, stops_everywhere):
        if len(sys.argv) > 1 and check.__name__ not in sys.argv[1:]:
            continue
        with tempfile.TemporaryDirectory() as folder:
            from_ = time.monotonic()
            bench = Bench(folder)
            try:
                check(bench)
            finally:
                bench.end()
            print(f"{check.__name__}: {time.monotonic() - from_:.1f} s", flush=True)


if __name__ == "__main__":
    main()
