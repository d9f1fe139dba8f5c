"""What a person sees of a run while it goes on: run.h5 from the start on, how the ranks add up, and few enough lines in the log of a long run."""
import os
import re
import signal
import subprocess
import sys
import time

import h5py

from runs import Failure, command, empty_ini, main, metrics, program, read, small_data, start, status
from small import data, write

CLOCK = sys.argv.pop(1)
LINEAR = [*small_data("linear"), "data.rows=200", "inference.function=polynomial", "optim.batch=50", "log.every=1", "log.second_start=no", "checkpoint.minutes=0"]
LOCAL = [*LINEAR, "inference.function=factorized"]


def ini(scratch):
    return str(empty_ini(scratch))


def wait_for(what, condition, process):
    until = time.monotonic() + 60
    while not condition():
        if time.monotonic() > until or process.poll() is not None:
            process.kill()
            raise Failure(f"{what} did not come before the run ended or within a minute")
        time.sleep(0.02)


def from_the_start(scratch):
    """A run without a checkpoint has a run.h5 with status running, and one that is killed there is begun again, afresh too, without a folder beside."""
    for np, keys in ((1, LINEAR), (3, LOCAL)):
        folder = scratch / f"early{np}"
        arguments = [ini(scratch), *keys, f"run.output={folder}", "-q"]
        run = subprocess.Popen(command(np, [*arguments, "optim.steps=900000"]), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for("steps", lambda: (folder / "metrics.csv").exists() and (folder / "metrics.csv").read_text().count("\n") > 5, run)
            found = status(folder) if (folder / "run.h5").exists() else "no run.h5"
            said = subprocess.run([program(), "--status", folder], capture_output=True, text=True, check=True).stdout
            with h5py.File(folder / "run.h5") as file:
                names = set(file)
        finally:
            os.kill(int(re.search(r"pid (\d+)", (folder / "lock").read_text()).group(1)), signal.SIGKILL)  # rank 0: the launcher then ends the others
            run.wait()
        if found != "running" or "running" not in said or not {"trace", "eval", "global", "config", "provenance", "data"} <= names or "local" in names:
            raise Failure(f"{np} ranks, before the first checkpoint: status {found}, {sorted(names)}; --status says {said}")
        start(np, [*arguments, "optim.steps=7", "--fresh"])
        if (folder / "fresh").exists() or status(folder) != "done" or len(read(folder, "/trace/step")) != 7:
            raise Failure(f"{np} ranks, afresh after a kill before the first checkpoint: {status(folder)}, {sorted(p.name for p in folder.iterdir())}")
    folder = scratch / "exact"
    start(None, [ini(scratch), *LINEAR, f"run.output={folder}", "-q", "run.task=exact"])
    before = (folder / "run.h5").read_bytes()
    run = subprocess.Popen([program(), ini(scratch), *LINEAR, f"run.output={folder}", "-q", "optim.steps=900000"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for("steps", lambda: (folder / "metrics.csv").exists() and (folder / "metrics.csv").read_text().count("\n") > 5, run)
    run.kill()
    run.wait()
    if (folder / "run.h5").read_bytes() != before:
        raise Failure("a fit that has just begun replaced the results of another task")
    return "running from the first step on, at 1 and 3 ranks; begun afresh without a folder beside; results of another task stay"


def ranks_line(scratch):
    """The header says how the ranks add up their gradients."""
    for np, keys, words in ((2, ["run.reduction=messages"], "2, gradients added by messages (MPI_Allreduce); "), (2, ["run.reduction=auto"], " in shared memory; "), (1, [], "ranks        1; ")):
        line = re.search(r"^  ranks .*", start(np, [ini(scratch), *LINEAR, *keys, "optim.steps=2", f"run.output={scratch / 'how'}{np}{len(keys)}", "--fresh"]), re.M).group()
        if words not in line:
            raise Failure(f"\"{words}\" is not in \"{line}\"")
    return "by messages, in shared memory, alone"


def few_lines(scratch):
    """Hours of a fast clock, the more the slower the machine: lines come after 5 seconds at first, then after a twentieth of the time so far, 10 minutes at most."""
    folder = scratch / "day"
    text = start(None, [ini(scratch), *LINEAR, f"run.output={folder}", "optim.steps=60000", "log.eval_every=-1", "log.progress=lines"], environment={"LD_PRELOAD": CLOCK, "AVI_CLOCK_FACTOR": "25000"})
    seconds = {int(row["step"]): float(row["seconds"]) for row in metrics(folder)}
    at = [seconds[int(step)] for step in re.findall(r"^  step (\d+)/", text, re.M)]
    hours = at[-1] / 3600
    if hours < 3:
        raise Failure(f"only {hours:.1f} hours went by: the clock is not fast")
    longest = max(after - before for before, after in zip(at, at[1:]))
    steps = max(b - a for a, b in zip(list(seconds.values()), list(seconds.values())[1:]))
    if longest > 660 + 3 * steps:
        raise Failure(f"no line for {longest:.0f} s; a step took {steps:.0f} s at most")
    early = sum(s < 3600 for s in at)
    if early > 110 or len(at) > 110 + 20 * hours:
        raise Failure(f"{early} lines in the first hour, {len(at)} in {hours:.1f} hours")
    return f"{len(at)} lines in {hours:.1f} hours"


def warnings_of_runs(scratch):
    """In a sweep a warning names its run, comes once, and is counted at the end; a single run prints it as it is."""
    write(scratch / "x.h5", data(60))
    keys = ["model.name=linear", "inference.function=constant", "data.source=hdf5", *(f"data.{test}{key}" for test in ("", "test_") for key in (f"path={scratch / 'x.h5'}", "dataset=x")),
            "optim.steps=3", "log.second_start=no"]
    words = r"60 of 60 test rows are training rows too"
    alone = start(1, [ini(scratch), *keys, f"run.output={scratch / 'one'}", "-q"])
    if len(re.findall(rf"^avi_mpi: warning: {words}", alone, re.M)) != 1:
        raise Failure(f"one run: {alone}")
    for groups in (1, 2):
        text = start(2, [ini(scratch), *keys, f"run.output={scratch / 'many'}{groups}", "--sweep", "run.seed=1..7", "--groups", groups])
        printed = re.findall(rf"^avi_mpi: warning: run 00\d: {words}.*", text, re.M)
        counted = [line for line in printed if line.endswith("; and in 6 other runs")]
        if len(counted) != 1 or len(printed) > groups + 1 or text.count("training rows too") != len(printed):
            raise Failure(f"{groups} groups: {printed} in: {text}")
    return "7 runs in 1 and 2 groups"


def far_below(scratch):
    """A run whose ELBO is finite and far below that of its first step is not done: exit 4, status diverged."""
    keys = [*LINEAR, "run.precision=double", "optim.method=sgd", "optim.learning_rate=10", "optim.batch=0", "log.eval_every=-1"]
    folder = scratch / "far"
    text = start(None, [ini(scratch), *keys, "optim.steps=2", f"run.output={folder}"], expect=(4,))
    end = float(read(folder, "/eval/elbo_train")[-1])
    if not -1e30 < end < -1e4 or status(folder) != "diverged" or not re.search(r"error: diverged: the ELBO of its last evaluation, \S+ nats per row, is far below that of its first step", text):
        raise Failure(f"ELBO {end}: status {status(folder)}: {text}")
    good = scratch / "good"
    start(None, [ini(scratch), *LINEAR, "optim.steps=9", f"run.output={good}", "-q"])
    return f"ELBO {end:.3g}"


if __name__ == "__main__":
    main(from_the_start, ranks_line, few_lines, warnings_of_runs, far_below)
