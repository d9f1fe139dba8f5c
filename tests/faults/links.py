#!/usr/bin/env python3
"""Links and pipes where files are expected: nothing is written through a link, nothing waits for the other end of a pipe.

    links.py [CHECK ...]"""
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import h5py
import numpy

import result
from job import Failure, alive, latest, program
from descendants import children

RUN = ["-q", "model.name=linear", "data.source=model", "data.rows=48", "data.test_rows=0", "inference.function=factorized", "run.reproducible=yes", "optim.batch=16", "optim.tile=4",
       "log.every=1", "log.eval_every=2", "checkpoint.every=1", "checkpoint.keep=3"]
TEMPORARY = ("lock", "metrics.csv.tmp", "config.ini.tmp", "run.h5.tmp", "checkpoint/latest.tmp", "checkpoint/step_000000003.h5.tmp")


def run(scratch, *arguments, expect=0, words=None, limit=30):
    ini = scratch / "empty.ini"
    ini.write_text("[run]\nseed = 3\n")
    try:
        done = subprocess.run([program(), ini, *RUN, *map(str, arguments)], capture_output=True, text=True, errors="replace", timeout=limit, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise Failure(f"hangs: {arguments}") from None
    messages = [line for line in done.stderr.splitlines() if line.startswith("avi_mpi: ") and not line.startswith("avi_mpi: warning:")]
    if done.returncode != expect or len(messages) != (expect != 0) or (words and words not in done.stderr):
        raise Failure(f"exit status {done.returncode}, {expect} expected with '{words}': {arguments}\n{done.stderr}")
    return done.stderr


def half(scratch):
    """A run of two steps, and what four steps end with."""
    folder, whole = scratch / "run", scratch / "whole"
    run(scratch, f"run.output={folder}", "optim.steps=2")
    run(scratch, f"run.output={whole}", "optim.steps=2")
    run(scratch, f"run.output={whole}", "optim.steps=4")
    return folder, result.bits(whole)


def go_on(scratch, folder, bits):
    run(scratch, f"run.output={folder}", "optim.steps=4")
    wrong = result.differing(bits, result.bits(folder))
    if wrong:
        raise Failure(f"differs in {wrong}")
    result.check_tidy(folder)


def links(scratch):
    """Planted links to files of the same person, and to nothing."""
    folder, bits = half(scratch)
    precious = scratch / "precious"
    precious.write_text("of great value\n")
    for place in TEMPORARY:
        (folder / place).unlink(missing_ok=True)
        (folder / place).symlink_to(precious if place != "config.ini.tmp" else scratch / "nothing")
    go_on(scratch, folder, bits)
    if precious.read_text() != "of great value\n" or (scratch / "nothing").exists():
        raise Failure("something was written through a link")
    diverging = scratch / "diverging"
    diverging.mkdir()
    (diverging / "dump.h5.tmp").symlink_to(precious)
    run(scratch, f"run.output={diverging}", "optim.method=sgd", "optim.learning_rate=1000", "nan.policy=stop", "optim.steps=50", expect=4)
    if precious.read_text() != "of great value\n" or (diverging / "dump.h5").is_symlink():
        raise Failure("dump.h5 was written through a link")
    return f"{len(TEMPORARY) + 1} links"


def pipes(scratch):
    """In every place that is written or read."""
    folder, bits = half(scratch)
    for place in (*TEMPORARY, "checkpoint/latest", "metrics.csv", "config.ini", "run.h5", "checkpoint/step_000000009.h5"):
        (folder / place).unlink(missing_ok=True)
        os.mkfifo(folder / place)
    run(scratch, f"run.output={folder}", "optim.steps=4")
    if not (folder / "run.h5").is_file() or latest(folder) != 4:
        raise Failure("results are missing")
    (folder / "checkpoint" / "step_000000009.h5").unlink(missing_ok=True)
    wrong = result.differing(bits, result.bits(folder))
    if wrong:
        raise Failure(f"differs in {wrong}")
    result.check_tidy(folder)
    return "none waited"


def outputs(scratch):
    """What run.output may turn out to be."""
    (scratch / "dangling").symlink_to(scratch / "gone" / "far")
    (scratch / "loop").symlink_to(scratch / "loop")
    (scratch / "file").write_text("")
    os.mkfifo(scratch / "pipe")
    (scratch / "good").symlink_to(scratch / "folder")
    (scratch / "folder").mkdir()
    for name, words in (("dangling", f"is a link to {scratch}/gone/far, which is no folder"), ("loop", "which leads back to itself"), ("file", "is a file, not a folder"),
                        ("pipe", "is a file, not a folder"), ("file/below", "Not a directory")):
        run(scratch, f"run.output={scratch / name}", "optim.steps=2", expect=73, words=words)
    run(scratch, f"run.output={scratch / 'good'}", "optim.steps=2")
    return "links to nothing and in a circle, files, pipes"


def data(scratch):
    """A pipe as the data, and behind an external link of HDF5; what a killed SWMR writer leaves."""
    x = numpy.random.default_rng(1).normal(size=60)
    os.mkfifo(scratch / "pipe.h5")
    (scratch / "below").mkdir()
    with h5py.File(scratch / "below" / "real.h5", "w") as file:
        file["x"] = x
    with h5py.File(scratch / "links.h5", "w") as file:
        file["x"] = h5py.ExternalLink("pipe.h5", "/x")
        file["y"] = h5py.ExternalLink(str(scratch / "pipe.h5"), "/x")
        file["z"] = h5py.ExternalLink("below/real.h5", "/x")
    source = ["--fresh", "data.source=hdf5", "data.rows=0", f"run.output={scratch / 'run'}", "optim.steps=2"]
    run(scratch, *source, f"data.path={scratch / 'pipe.h5'}", "data.dataset=x", expect=66, words="not a regular file")
    for name in "xy":
        run(scratch, *source, f"data.path={scratch / 'links.h5'}", f"data.dataset={name}", expect=65, words="pipe.h5, which is no regular file")
    run(scratch, *source, f"data.path={scratch / 'links.h5'}", "data.dataset=z")
    swmr = scratch / "swmr.h5"
    writer = f"import h5py, os, numpy; f = h5py.File({str(swmr)!r}, 'w', libver='latest'); d = f.create_dataset('x', data=numpy.arange(60.0), maxshape=(None,), chunks=(60,)); " \
             "f.swmr_mode = True; d.flush(); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", writer], check=False)
    run(scratch, *source, f"data.path={swmr}", "data.dataset=x", expect=65, words=f"use h5clear -s {swmr}")
    try:
        subprocess.run(["h5clear", "-s", str(swmr)], check=True, capture_output=True)
    except FileNotFoundError:
        return "pipes, links (h5clear is not installed: its advice was not tried)"
    run(scratch, *source, f"data.path={swmr}", "data.dataset=x")
    return "pipes, links, a mark that h5clear takes away"


def looks(pid):
    try:
        return b"--look-at-hdf5" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes() and has_begun(pid)
    except OSError:
        return False


def has_begun(pid):
    """The child has come to its own code: it has set its limits."""
    limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
    return any(line.startswith("Max cpu time") and line.split()[3] != "unlimited" for line in limits.splitlines())


def orphan(scratch):
    """The child that looks at a file goes with its parent, however that ends."""
    with h5py.File(scratch / "x.h5", "w") as file:
        file.create_dataset("x", data=numpy.zeros(30000), chunks=(1,), compression="gzip")  # many chunks to look at
    (scratch / "empty.ini").write_text("")
    parent = subprocess.Popen([program(), scratch / "empty.ini", *RUN, "data.source=hdf5", f"data.path={scratch / 'x.h5'}", "data.dataset=x", "data.rows=0", f"run.output={scratch / 'run'}"],
                              stderr=subprocess.DEVNULL)
    end = time.monotonic() + 30
    found = []
    while not found and time.monotonic() < end and parent.poll() is None:
        found = [p for p in children(parent.pid) if looks(p)]
    for pid in found:
        os.kill(pid, signal.SIGSTOP)  # as if its file system did not answer
    time.sleep(0.3)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    if not found:
        raise Failure("no child was seen to look at the file")
    end = time.monotonic() + 3
    while any(alive(p) for p in found):
        if time.monotonic() > end:
            os.kill(found[0], signal.SIGKILL)
            raise Failure("the child still runs 3 s after its parent was killed")
        time.sleep(0.01)
    return "gone with its parent"


def main():
    failed = 0
    checks = (links, pipes, outputs, data, orphan)
    for check in [c for c in checks if not sys.argv[1:] or c.__name__ in sys.argv[1:]]:
        with tempfile.TemporaryDirectory(prefix="avi_links_") as scratch:
            try:
                print(f"ok      {check.__name__}: {check(pathlib.Path(scratch))}", flush=True)
            except Failure as failure:
                failed += 1
                print(f"FAILED  {check.__name__}: {failure}", flush=True)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
