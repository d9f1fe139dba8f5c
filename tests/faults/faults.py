#!/usr/bin/env python3
"""Injects faults into runs and checks what is left of them.

    faults.py --short | --long [--seed S] [--only NAME] [--index K] [--table FILE] [--list]

After every fault: no hang beyond a stated time, the right exit status, at most one error message, a folder that can be resumed, and an end
in the same bits as that of an undisturbed run. Exit status 0: nothing was lost; 1: findings (each printed with what replays it); 77: skipped."""
import argparse
import datetime
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback

import elastic
import files
import network
import place
import processes
from job import Failure, program

USR1, USR2, TERM, INT = signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM, signal.SIGINT
PHASES = ("steps", "start", "checkpoint", "evaluation", "any", "end")


def turn(options):
    """One of the options, by the number of the injection."""
    return lambda index: options[index % len(options)]


kill_phase = turn(("checkpoint", "steps", "start", "checkpoint", "end"))
signal_phase, signal_target = turn(PHASES), turn(("mpirun", "rank"))


def signals(*numbers):
    return lambda bench, rng, index: processes.ask(bench, rng, numbers, signal_target(index + index // len(PHASES)), signal_phase(index))


def two_signals(bench, rng, index):
    numbers = rng.choice((USR1, USR2, TERM, INT)), rng.choice((USR1, USR2, TERM, INT))
    return processes.ask(bench, rng, numbers, signal_target(index), signal_phase(index + index // 2))


MODELS = [name for name, v in place.VARIANTS.items() if v.get("source") == "model"]

# (name, words for the table, times in --short, times in --long, what to do)
FAULTS = [
    ("kill_rank", "kill -9 of a random rank", 2, 70, lambda b, r, i: processes.kill(b, r, "rank", kill_phase(i))),
    ("kill_mpirun", "kill -9 of mpirun", 1, 30, lambda b, r, i: processes.kill(b, r, "mpirun", kill_phase(i))),
    ("stop_rank", "SIGSTOP of a rank, SIGCONT 0.5 to 2 s later", 1, 20, lambda b, r, i: processes.pause(b, r, "rank")),
    ("stop_mpirun", "SIGSTOP of mpirun, SIGCONT later", 0, 5, lambda b, r, i: processes.pause(b, r, "mpirun")),
    ("usr1", "SIGUSR1 to mpirun or one rank", 1, 20, signals(USR1)),
    ("usr2", "SIGUSR2 to mpirun or one rank", 1, 20, signals(USR2)),
    ("term", "SIGTERM to mpirun or one rank", 1, 20, signals(TERM)),
    ("int", "SIGINT to mpirun or one rank", 1, 20, signals(INT)),
    ("twice", "two signals within 0.2 s", 1, 20, two_signals),
    ("disk_full", "disk full from the start", 1, 10, lambda b, r, i: files.full_from_start(b, r)),
    ("disk_fills", "disk fills at a random checkpoint", 1, 20, lambda b, r, i: files.fills_at_checkpoint(b, r)),
    ("disk_between", "disk fills between checkpoints", 1, 10, lambda b, r, i: files.fills_between(b, r)),
    ("read_only", "read-only output folder", 1, 6, lambda b, r, i: files.read_only(b, r)),
    ("deleted", "output folder deleted under the run", 1, 10, lambda b, r, i: files.deleted(b, r)),
    ("second_job", "second job on the same output folder", 1, 10, lambda b, r, i: files.second_job(b, r)),
    ("damaged", "newest checkpoint damaged", 1, 40, lambda b, r, i: files.damaged(b, r, "newest")),
    ("latest", "checkpoint/latest damaged", 0, 8, lambda b, r, i: files.damaged(b, r, "latest")),
    ("link_cut", "link between two hosts cut", 0, 3, lambda b, r, i: network.lose(b, r, "cut", 2)),
    ("link_of_four", "link to one of four hosts cut", 0, 3, lambda b, r, i: network.lose(b, r, "cut", 4)),
    ("host_of_four", "one of four hosts loses its power", 0, 3, lambda b, r, i: network.lose(b, r, "kill", 4)),
    ("elastic", "stop and resume at other rank counts, other allreduce algorithms", 1, 24,
     lambda b, r, i: elastic.elastic(b, r, turn(("mlp", "factorized", "bayes"))(i), 8)),
    ("elastic_models", "the same: linear, nonlinear, saw, hmm, ppca, hier_logistic", 0, 3 * len(MODELS), lambda b, r, i: elastic.elastic(b, r, turn(MODELS)(i), 8)),
]


class Tally:
    """One row of the table."""

    def __init__(self, name, words):
        self.name, self.words, self.times, self.lost, self.ends, self.notes, self.longest, self.skipped = name, words, 0, 0, {}, {}, 0.0, None

    def add(self, ended, seconds, note):
        self.times += 1
        self.ends[ended] = self.ends.get(ended, 0) + 1
        self.longest = max(self.longest, seconds)
        if note:
            self.notes[note] = self.notes.get(note, 0) + 1

    def row(self):
        if self.skipped:
            return f"| {self.words} | 0 | | skipped: {self.skipped} | |"
        ends = ", ".join(f"{word} ({n})" for word, n in sorted(self.ends.items()))
        notes = "".join(f"; {n} {word}" for word, n in self.notes.items())
        return f"| {self.words} | {self.times}{notes} | {'nothing' if not self.lost else f'{self.lost} findings'} | {ends} | {self.longest:.1f} s |"


def inject(bench, tally, name, action, index, seed):
    """One injection, at another moment when the run was over before. False: a finding."""
    for attempt in range(12):
        try:
            tally.add(*action(bench, place.draws(seed, name, f"{index}.{attempt}"), index))
            return True
        except processes.Missed:
            continue
        except place.Skip as why:
            tally.skipped = str(why)
            return True
        except Exception as problem:  # a finding must not end the round
            tally.times += 1
            tally.lost += 1
            text = str(problem) if isinstance(problem, (Failure, AssertionError)) else traceback.format_exc()
            print(f"FOUND {name} (replay: --only {name} --index {index} --seed {seed}):\n  " + text.replace("\n", "\n  "), flush=True)
            return False
    print(f"{name} {index}: the run was over before the fault, twelve times", flush=True)
    return True


def table(tallies, seed, seconds, revision):
    lines = [f"{datetime.date.today()}, revision {revision}, seed {seed}, {seconds / 60:.0f} minutes.", "",
             "| fault | times injected | lost | how it ended | longest |", "|---|---|---|---|---|"]
    return "\n".join(lines + [t.row() for t in tallies]) + "\n"


def revision():
    done = subprocess.run([program(), "--version"], capture_output=True, text=True, timeout=60)
    found = re.search(r"^revision +(\S+)", done.stdout, re.M)
    return found.group(1) if found else "unknown"


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--short", action="store_true")
    p.add_argument("--long", action="store_true")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--only", help="names, separated by commas")
    p.add_argument("--index", type=int, help="one injection of a fault")
    p.add_argument("--times", type=int, help="injections of each fault, instead of the mode's")
    p.add_argument("--table", help="file for the table")
    p.add_argument("--list", action="store_true", help="names of the faults")
    p.add_argument("--keep", action="store_true", help="keep the folder of the runs")
    return p.parse_args()


def main():
    a = arguments()
    if a.list:
        print("\n".join(f"{name:12} {words}" for name, words, *_ in FAULTS))
        return 0
    chosen = a.only.split(",") if a.only else [f[0] for f in FAULTS]
    unknown = set(chosen) - {f[0] for f in FAULTS}
    if unknown:
        sys.exit(f"unknown faults {sorted(unknown)}; --list names them")
    began, findings, tallies = time.monotonic(), 0, []
    folder = tempfile.mkdtemp(prefix="avi_faults_")
    bench = place.Bench(folder, a.seed)
    for name, words, short, long, action in FAULTS:
        times = a.times if a.times is not None else long if a.long else short
        if name not in chosen or (times == 0 and a.index is None):
            continue
        tally = Tally(name, words)
        tallies.append(tally)
        start = time.monotonic()
        for index in [a.index] if a.index is not None else range(times):
            findings += not inject(bench, tally, name, action, index, a.seed)
            if tally.skipped:
                break
        print(f"{name:12} {tally.row()}  [{time.monotonic() - start:.0f} s]", flush=True)
    text = table(tallies, a.seed, time.monotonic() - began, revision())
    if a.table:
        pathlib.Path(a.table).write_text(text)
    print(f"\n{text}\n{findings} findings in {time.monotonic() - began:.0f} s")
    if findings or a.keep:
        print(f"the runs are in {folder}")
    else:
        subprocess.run(["rm", "-rf", folder], check=False)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
