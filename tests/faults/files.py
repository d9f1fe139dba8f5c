"""Faults of disks and files: full, read-only, deleted, in use, damaged."""
import errno
import os
import shutil
import signal
import time

import result
from job import Failure, latest
from place import END, STEPS, Mount
from processes import Missed, reach

FULL = r"No space left on device: (\d+ bytes needed, \d+ free|\d+ bytes free)"


def fill(where, leave=0):
    """Ballast that leaves so many bytes free."""
    space = os.statvfs(where)
    ballast = where / "ballast"
    try:
        ballast.write_bytes(bytes(max(0, space.f_bavail * space.f_frsize - leave)))
    except OSError as error:  # the run takes space at the same time: full is full
        if error.errno != errno.ENOSPC:
            raise
    return ballast


def must_fail(job, allowed, words):
    began = time.monotonic()
    code = job.wait(END + 30)
    job.expect(code, allowed, least_messages=1, words=words)
    return f"exit {code}", time.monotonic() - began, None


def full_from_start(bench, rng):
    folder = bench.new()
    with Mount(folder, "size=4m") as disk:
        ballast = fill(disk.where, rng.choice((0, 0, 4096, rng.randrange(300000))))
        job = bench.job("mlp", rng.choice((1, 2, 3)), folder / "run")
        try:
            # Full before the lock, the folder itself, the configuration or the first checkpoint could be written.
            ended = must_fail(job, [74], FULL)
            ballast.unlink()
            bench.finish("mlp", rng.choice((1, 2, 3)), folder / "run")
        finally:
            job.end()
    bench.drop(folder)
    return ended


def fills_at_checkpoint(bench, rng):
    """The disk fills while the run goes on: by somebody else's file, or by checkpoints that are all kept."""
    folder, variant = bench.new(), rng.choice(("mlp", "factorized", "bayes"))
    with Mount(folder, "size=4m") as disk:
        kept = rng.choice((True, False))
        job = bench.job(variant, rng.choice((1, 2, 3)), folder / "run", *(["checkpoint.keep=1000"] if kept else []))
        try:
            before = rng.randrange(1, STEPS - 5)
            if not kept:
                if not job.until(lambda: latest(folder / "run") >= before, pause=0.0002):
                    raise Missed
                ballast = fill(disk.where, rng.choice((0, rng.randrange(100000))))
            ended = must_fail(job, [74], FULL)
            before = 0 if kept else before
            if latest(folder / "run") < before:
                raise Failure(f"the checkpoint of step {before} is gone, {latest(folder / 'run')} is named")
            result.check_readable(folder / "run")
            ballast.unlink() if not kept else disk.remount("size=64m")
            bench.finish(variant, rng.choice((1, 2, 3)), folder / "run", least=before)
        finally:
            job.end()
    bench.drop(folder)
    return ended


def lines(path):
    try:
        return path.read_bytes().count(b"\n")
    except OSError:
        return 0


def fills_between(bench, rng):
    """The disk fills between checkpoints: metrics.csv, which rank 0 alone writes, feels it first (at its second page)."""
    folder, half = bench.new(), rng.randrange(5, 20)
    with Mount(folder, "size=4m") as disk:
        first = bench.job("mlp", 2, folder / "run", f"optim.steps={half}", log=bench.folder / f"{folder.name}.first")
        first.expect(first.wait(60), [0], most_messages=0)
        job = bench.job("mlp", rng.choice((1, 2, 3)), folder / "run", "--resume", "checkpoint.every=1000")
        try:
            if not job.until(lambda: lines(folder / "run" / "metrics.csv") > half + 2, pause=0.0002):
                raise Missed
            ballast = fill(disk.where)
            ended = must_fail(job, [74], FULL)
            ballast.unlink()
            bench.finish("mlp", rng.choice((1, 2, 3)), folder / "run", least=half, cuts=[half])
        finally:
            job.end()
    bench.drop(folder)
    return ended


def read_only(bench, rng):
    """From the start, or for a run that wants to go on."""
    folder = bench.new()
    with Mount(folder, "size=16m") as disk:
        first = None
        if rng.choice((True, False)):
            first = bench.job("mlp", 2, folder / "run", "optim.steps=15", log=bench.folder / f"{folder.name}.first")
            first.expect(first.wait(60), [0], most_messages=0)
        disk.remount("ro")
        job = bench.job("mlp", rng.choice((1, 2, 3)), folder / "run", *(["--resume"] if first else []))
        try:
            ended = must_fail(job, [73], "Read-only file system")
            disk.remount("rw")
            bench.finish("mlp", rng.choice((1, 2, 3)), folder / "run", *(["--resume"] if first else []), least=15 if first else 0, cuts=[15])
        finally:
            job.end()
    bench.drop(folder)
    return ended


def deleted(bench, rng):
    """rm -rf of the output folder under the run: an end that says so, and the folder can be used again."""
    folder, variant = bench.new(), rng.choice(("mlp", "factorized"))
    job = bench.job(variant, rng.choice((1, 2, 3)), folder)
    try:
        reach(bench, job, folder, variant, rng.choice(("steps", "checkpoint")), rng)
        shutil.rmtree(folder, ignore_errors=True)
        began = time.monotonic()
        code = job.wait(END)
        ended = f"exit {code}", time.monotonic() - began, None
        job.expect(code, [73, 74], least_messages=1, words=str(folder) + ".*(was removed|No such file)")
        bench.finish(variant, rng.choice((1, 2, 3)), folder)
    finally:
        job.end()
    bench.drop(folder)
    return ended


def second_job(bench, rng):
    """A job on a folder that another one writes to."""
    folder = bench.new()
    job = bench.job("evaluation", rng.choice((1, 2)), folder)
    other = None
    try:
        if not job.until(lambda: latest(folder) >= 1):
            raise Missed
        other = bench.job(rng.choice(("evaluation", "mlp")), rng.choice((1, 2)), folder, *rng.choice(([], ["--resume"], ["--fresh"])),
                          log=bench.folder / f"{folder.name}.second")
        began = time.monotonic()
        code = other.wait(END)
        if job.ended():
            raise Missed
        other.expect(code, [73], least_messages=1, words=r"in use by process \d+ on host \S+ since 20\d\d-")
        ended = f"exit {code}", time.monotonic() - began, None
        job.expect(job.wait(120), [0], most_messages=0)
        bench.check_end("evaluation", folder, job)
    finally:
        job.end()
        if other:
            other.end()
    bench.drop(folder)
    return ended


def harm(path, rng):
    """Damages a file; a word for how."""
    data = bytearray(path.read_bytes())
    kind = rng.choice(("byte", "byte", "byte", "truncated", "empty", "zeros", "text", "gone"))
    if kind == "byte":
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == "truncated":
        del data[rng.randrange(1, len(data)):]
    elif kind == "empty":
        data.clear()
    elif kind == "zeros":
        at = rng.randrange(len(data))
        length = min(4096, len(data) - at)
        data[at:at + length] = bytes(length)
    elif kind == "text":
        data = bytearray(b"not a checkpoint\n")
    if kind == "gone":
        path.unlink()
    else:
        path.write_bytes(data)
    return kind


def damaged(bench, rng, which):
    """The newest checkpoint (or the file that names it) is damaged: the one before serves, and a message says so."""
    variant, folder = rng.choice(("mlp", "factorized", "bayes")), bench.new()
    job = bench.job(variant, rng.choice((1, 2)), folder)
    try:
        reach(bench, job, folder, variant, "steps", rng)
        if latest(folder) < 2:
            job.until(lambda: latest(folder) >= 2)
        job.send(job.pid, signal.SIGUSR1)
        if job.wait(END) != 75:
            raise Missed
        inside = folder / "checkpoint"
        newest = sorted(inside.glob("step_*.h5"))[-1]
        before = newest.read_bytes()
        if which == "latest":
            (inside / "latest").write_bytes(rng.choice((b"", b"step_000000001.h5\n", b"../../etc/passwd\n", b"\0\xff" * 50)))
            kind = "latest"
        else:
            kind = harm(newest, rng)
        damaged_bytes = newest.read_bytes() if newest.exists() else None
        began = time.monotonic()
        again = bench.finish(variant, rng.choice((1, 2, 3)), folder)
        said = newest.name in again.errors() or which == "latest" and "latest" in again.errors()
        # A byte that nothing reads may be flipped without notice: then the file was as good as before.
        if not said and damaged_bytes != before and kind not in ("byte", "zeros"):
            raise Failure(f"{newest.name} damaged ({kind}), and no message names it\n{again.text()}")
    finally:
        job.end()
    bench.drop(folder)
    return "exit 0" + (", older one used" if said and which != "latest" else ""), time.monotonic() - began, None
