"""avi_mpi --status: what it says of runs that are running, done, killed and stopped, of folders that are none and of damaged files; it changes nothing and needs no right to write."""
import csv
import os
import re
import signal
import subprocess
import time

from runs import Failure, empty_ini, main, program, program_for_all, small_data

SMALL = [*small_data("linear"), "data.rows=200", "inference.function=polynomial", "optim.batch=50", "log.every=1", "log.second_start=no"]


def say(*folders, expect=0, of=None, **how):
    done = subprocess.run([of or program(), "--status", *map(str, folders)], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, **how)
    if done.returncode != expect:
        raise Failure(f"exit status {done.returncode}, expected {expect}: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def begin(scratch, name, *more):
    return subprocess.Popen([program(), str(empty_ini(scratch)), *SMALL, *more, f"run.output={scratch / name}", "-q"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def expect(text, *patterns):
    for pattern in patterns:
        if not re.search(pattern, text):
            raise Failure(f"no \"{pattern}\" in:\n{text}")


def last_step(metrics):
    words = metrics.read_text().rpartition("\n")[0].rpartition("\n")[2].split(",")
    return int(words[0]) if words[0].isdigit() else 0


def snapshot(folder):
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in [folder, *folder.rglob("*")]}


def wait_for(what, condition):
    until = time.monotonic() + 60
    while not condition():
        if time.monotonic() > until:
            raise Failure(f"{what} did not come within a minute")
        time.sleep(0.02)


def states(scratch):
    """One folder through its life: running, killed, stopped by a signal, done; the numbers are those of metrics.csv."""
    folder, metrics = scratch / "life", scratch / "life" / "metrics.csv"
    run = begin(scratch, "life", "optim.steps=999999", "checkpoint.every=20")
    wait_for("a checkpoint", lambda: (folder / "checkpoint" / "latest").exists() and metrics.read_text().count("\n") > 40)
    expect(say(folder), r"life: running\n", r"model +linear, inference polynomial", rf"process +{run.pid} on ", r"of 999999 \(", r"steps/s, .* left", r"checkpoint +step \d+, written \d+ s ago")
    run.send_signal(signal.SIGKILL)
    run.wait()
    expect(say(folder), r"life: interrupted", "start the same command again")
    run = begin(scratch, "life", "optim.steps=999999", "checkpoint.every=20")
    before = last_step(metrics)
    wait_for("steps of the second start", lambda: last_step(metrics) > before + 20 and "running" in say(folder))
    run.send_signal(signal.SIGUSR1)
    run.wait()
    expect(say(folder), r"life: stopped")
    begin(scratch, "done", "optim.steps=60").wait()
    text = say(scratch / "done")
    with open(scratch / "done" / "metrics.csv") as file:
        last = list(csv.DictReader(file))[-1]
    expect(text, r"done: done", r"step +60 of 60 \(100 %\)", rf"ELBO +{float(last['elbo_per_row']):.6g} nats per row", r"trend +[+-]")
    return "running, interrupted, stopped, done"


def table(scratch):
    (scratch / "empty").mkdir()
    (scratch / "file").write_text("")
    text = say(scratch / "life", scratch / "done", scratch / "empty", scratch / "file", scratch / "missing")
    expect(text, r"(?m)^stopped .*/life$", r"(?m)^done +60/60 .*/done$", "3 of the 5 paths are no folders of runs")
    expect(say(scratch / "empty", expect=66), "no run has written there; use")
    expect(say(scratch / "missing", expect=66), "No such file")
    expect(say(expect=64), "use --status runs/vae")
    return "a table of several, and what is no run"


def leaves_all(scratch):
    """Nothing changes; a user who may only read gets the same."""
    before, text = snapshot(scratch / "done"), say(scratch / "done")
    if snapshot(scratch / "done") != before:
        raise Failure("--status changed the folder")
    if os.getuid() == 0:
        for path in [scratch, *scratch.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        times = r"\d[\d. a-z]* ago"
        environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}  # a library that this user may not open
        other = say(scratch / "done", of=program_for_all(scratch), user=65534, group=65534, env=environment)
        if re.sub(times, "", other) != re.sub(times, "", text):
            raise Failure(f"another user reads something else: {other}\nthan: {text}")
    return "nothing changes, and no right to write is needed"


def damaged(scratch):
    """Files that are cut, strange or pipes: exit 0 or 66, in time, with what is left."""
    folder = scratch / "done"
    for name, damage in (("metrics.csv", b"step,epoch\n1,2,x\n\x00\xff" * 1000), ("config.ini", b"[optim\nsteps = " + b"9" * 5000), ("run.h5", b"\x89HDF\r\n\x1a\n" + b"\xff" * 2000)):
        (folder / name).write_bytes(damage)
        expect(say(folder), "done: ")
    for name in ("metrics.csv", "config.ini", "lock"):
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)
    say(folder)
    (folder / "checkpoint" / "latest").write_text("step_99999999999999999999.h5\n")
    say(folder, expect=66)
    return "damaged files and pipes"


def status(scratch):
    return "; ".join([states(scratch), table(scratch), leaves_all(scratch), damaged(scratch)])


if __name__ == "__main__":
    main(status)
