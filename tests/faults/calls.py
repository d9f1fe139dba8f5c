#!/usr/bin/env python3
"""Every system call on the output folder fails once: shim.c, preloaded, makes the n-th open, write, close, sync, rename, truncate, reserve, mkdir or
unlink below it fail.

    calls.py SHIM [--long | --each] [--only CALL] [--jobs N] [--table FILE]     SHIM: shim.c as a shared library

--long takes every call with every errno, on one rank and on two; --each every call with one errno, in turn; without either the first, one in the middle and the last of
each kind. --jobs N makes N injections at a time: a run mostly waits for its start.

Each injection hits a run that starts anew, or one that resumes from a checkpoint of step 2. What must hold: EINTR is tried again; every other errno ends the run
with 73 or 74 and one message, or does no harm at all; the checkpoint that was there is there; and the same command ends in the bits of an undisturbed run."""
import argparse
import collections
import concurrent.futures
import errno
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import result
from job import MPIRUN, NOISE, Failure, latest, program

CALLS = ("open", "write", "close", "sync", "rename", "truncate", "reserve", "mkdir", "unlink")
NUMBERS = (errno.EDQUOT, errno.EIO, errno.ENOSPC, errno.ESTALE, errno.EACCES, errno.EINTR)
RUN = ["-q", "model.name=linear", "data.source=model", "data.rows=48", "data.test_rows=0", "inference.function=factorized", "model.global=gaussian", "run.reproducible=yes",
       "optim.batch=16", "optim.tile=4", "log.every=1", "log.eval_every=2", "checkpoint.every=1", "checkpoint.keep=2", "checkpoint.minutes=0"]
HALF, WHOLE = 2, 4


class Bench:
    def __init__(self, scratch, shim):
        self.scratch, self.shim = scratch, shim
        self.ini = scratch / "empty.ini"
        self.ini.write_text("[run]\nseed = 3\n")
        self.half, self.whole = scratch / "half", scratch / "whole"
        self.run(self.half, HALF)
        shutil.copytree(self.half, self.whole)
        self.run(self.whole, WHOLE)
        self.bits = result.bits(self.whole)

    def run(self, folder, steps, np=1, expect=0, **shim):
        words = ([*MPIRUN, "-np", str(np)] if np > 1 else []) + [program(), str(self.ini), *RUN, f"optim.steps={steps}", f"run.output={folder}"]
        environment = dict(os.environ, LD_PRELOAD=str(self.shim), AVI_SHIM_FOLDER=str(folder), **{f"AVI_SHIM_{k.upper()}": str(v) for k, v in shim.items()}) if shim else None
        done = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=60, env=environment)
        if expect is not None and done.returncode != expect:
            raise Failure(f"exit status {done.returncode}, expected {expect}\n{done.stdout[-500:]}{done.stderr[-1500:]}")
        return done

    def start(self, folder, fresh):
        shutil.rmtree(folder, ignore_errors=True)
        if not fresh:
            shutil.copytree(self.half, folder)

    def counts(self, fresh, np):
        """{(rank, call): how often}."""
        folder, log = self.scratch / "counted", self.scratch / "log"
        log.unlink(missing_ok=True)
        self.start(folder, fresh)
        self.run(folder, WHOLE, np, log=log)
        return collections.Counter(tuple(line.split(" ")[:2]) for line in log.read_text().splitlines())

    def inject(self, fresh, np, rank, call, n, number):
        folder = self.scratch / f"run_{threading.get_ident()}"
        self.start(folder, fresh)
        done = self.run(folder, WHOLE, np, None, rank=rank, call=call, n=n, errno=number)
        messages = [line for line in done.stderr.splitlines() if line.startswith("avi_mpi: error")]
        allowed = [0] if number == errno.EINTR else [0, 74, 73, 66] if number == errno.EACCES else [0, 74]
        if done.returncode not in allowed or len(messages) != (done.returncode != 0) or NOISE.search(done.stderr):
            raise Failure(f"exit status {done.returncode}, expected one of {allowed}; {len(messages)} messages\n{done.stderr[-1500:]}")
        if done.returncode:
            before = -1 if fresh else HALF
            if latest(folder) < before or not (folder / "checkpoint" / f"step_{latest(folder):09d}.h5").exists() and before >= 0:
                raise Failure(f"the checkpoint of step {before} was there before, {latest(folder)} is named after\n{done.stderr[-1500:]}")
            result.check_readable(folder)
            done = self.run(folder, WHOLE, 1)
        wrong = result.differing(self.bits, result.bits(folder), [HALF])
        if wrong:
            raise Failure(f"the end differs from the undisturbed run in {wrong[:5]}")
        if call == "unlink":  # a lock that could not be removed names a process that is gone: the next run takes it over
            (folder / "lock").unlink(missing_ok=True)
        result.check_tidy(folder)


def choose(count, every, turn):
    """Which of the calls fail: all, or the first, one in the middle and the last."""
    if every:
        return range(1, count + 1)
    return sorted({1, 1 + (turn * 7 + count // 2) % count, count})


def plan(bench, long, each, only):
    """(fresh, np, rank, call, n, errno) of every injection."""
    turn = 0
    for fresh, np in ((False, 1), (True, 1), (False, 2)) if long or each else ((False, 1), (True, 1)):
        counts = bench.counts(fresh, np)
        for rank in range(np):
            for call in CALLS:
                count = counts[str(rank), call]
                if not count or only and call != only:
                    continue
                for n in choose(count, long or each, turn) if long or each or not fresh else [1]:
                    for number in NUMBERS if long else [NUMBERS[turn % len(NUMBERS)]]:
                        yield fresh, np, rank, call, n, number
                    turn += 1


def attempt(bench, one):
    """(injection, what is wrong or None, seconds)."""
    began, problem = time.monotonic(), None
    try:
        bench.inject(*one)
    except (Failure, subprocess.TimeoutExpired) as what:
        problem = what
    return one, problem, time.monotonic() - began


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("shim")
    p.add_argument("--long", action="store_true")
    p.add_argument("--each", action="store_true")
    p.add_argument("--only", choices=CALLS)
    p.add_argument("--jobs", type=int, default=1)
    p.add_argument("--table")
    a = p.parse_args()
    findings, times, longest = 0, collections.Counter(), 0.0
    with tempfile.TemporaryDirectory(prefix="avi_calls_") as scratch, concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        bench = Bench(pathlib.Path(scratch), pathlib.Path(a.shim).resolve())
        for (fresh, np, rank, call, n, number), problem, seconds in pool.map(lambda one: attempt(bench, one), plan(bench, a.long, a.each, a.only)):
            times[call] += 1
            longest = max(longest, seconds)
            if problem:
                findings += 1
                print(f"FOUND {call} {n} of rank {rank} of {np}, {errno.errorcode[number]}, {'a new run' if fresh else 'going on'}: {problem}", flush=True)
            if sum(times.values()) % 500 == 0:
                print(f"{sum(times.values())} injections so far, {findings} findings", flush=True)
    lines = [f"| {call} fails | {times[call]} | {'nothing' if not findings else 'see above'} |" for call in CALLS if times[call]]
    print("\n".join(lines) + f"\n{sum(times.values())} injections, {findings} findings, the longest took {longest:.1f} s")
    if a.table:
        pathlib.Path(a.table).write_text("\n".join(lines) + "\n")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
