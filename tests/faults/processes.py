"""Faults of processes: kills, stops, signals, at random moments."""
import re
import signal
import time

import launcher
import result
from job import Failure, catches, latest, temporaries
from place import END, STEPS

# A stop by signal leaves a checkpoint; launchers leave their ranks some time for it on TERM and INT (launcher.py), of which these
# small runs want two seconds at most, and USR1 all the time they want.
ENOUGH = 2.0  # seconds
STOPPED, DONE = 75, 0


class Missed(Exception):
    """The run was over before the fault came: try again at another moment."""


def reach(bench, job, folder, variant, phase, rng):
    """Waits for a random moment of the phase: start, steps, checkpoint (inside a write), end (while results are written)."""
    _, _, first, whole = bench.reference(variant)
    if phase == "start":
        moment = rng.uniform(0, first)
        there = job.until(lambda: time.monotonic() - job.start >= moment)
    elif phase == "any":
        moment = rng.uniform(0, whole)
        there = job.until(lambda: time.monotonic() - job.start >= moment)
    elif phase == "end":
        pause = rng.uniform(0, 0.05)
        there = job.until(lambda: latest(folder) >= STEPS - 1, pause=0.0002)
        time.sleep(pause)
    else:
        step, pause = rng.randrange(0, STEPS - 2), rng.choice((0, rng.uniform(0, 0.003), rng.uniform(0, 0.01)))
        there = job.until(lambda: latest(folder) >= step, pause=0.0002)
        if there and phase == "checkpoint":
            there = job.until(lambda: temporaries(folder / "checkpoint"), pause=0)
        time.sleep(pause)
    if not there or job.ended():
        raise Missed


def target_of(job, rng, whom):
    """A process to hurt: mpirun, or a random rank (of those that run by now)."""
    if whom == "mpirun":
        return job.pid
    ranks = job.ranks()
    if not ranks:
        raise Missed
    return ranks[rng.choice(sorted(ranks))]


def resume(bench, variant, folder, rng, before):
    """Goes on at another rank count; what was safe before the fault must not be computed again. Returns a word on the rest."""
    if before > latest(folder):
        raise Failure(f"a checkpoint of step {before} was there before the fault, the newest after it is {latest(folder)}")
    finished, inside = result.check_readable(folder), bool(temporaries(folder))
    bench.finish(variant, rng.choice((1, 2, 3)), folder, least=0 if finished else max(0, latest(folder)))
    return inside


def kill(bench, rng, whom, phase):
    variant, np, folder = rng.choice(("mlp", "factorized", "bayes")), rng.choice((2, 3)), bench.new()
    job = bench.job(variant, np, folder)
    try:
        reach(bench, job, folder, variant, phase, rng)
        victim, before = target_of(job, rng, whom), latest(folder)
        job.ranks()
        if not job.send(victim, signal.SIGKILL):
            raise Missed
        began = time.monotonic()
        code = job.wait(END)
        seconds = time.monotonic() - began
        if code == DONE:
            raise Missed
        # The launcher's own word for a rank that was killed is one of these; other ranks may see the lost connection first.
        job.expect(code, [137] if whom == "mpirun" else [launcher.killed(), 1, 70], most_messages=np)
        inside = resume(bench, variant, folder, rng, before)
    finally:
        job.end()
    bench.drop(folder)
    return f"exit {code}", seconds, "inside a write" if inside else None


def pause(bench, rng, whom):
    """SIGSTOP, seconds of silence, SIGCONT: the run goes on as if nothing had been."""
    variant, np, folder = rng.choice(("mlp", "factorized")), rng.choice((2, 3)), bench.new()
    job = bench.job(variant, np, folder)
    try:
        reach(bench, job, folder, variant, rng.choice(("steps", "checkpoint", "start")), rng)
        victim = target_of(job, rng, whom)
        job.send(victim, signal.SIGSTOP)
        time.sleep(rng.uniform(0.5, 2))
        if not job.send(victim, signal.SIGCONT):
            raise Failure(f"the stopped process is gone\n{job.text()}")
        began = time.monotonic()
        job.expect(job.wait(120), [DONE], most_messages=0)
        bench.check_end(variant, folder, job)
    finally:
        job.end()
    bench.drop(folder)
    return "went on, exit 0", time.monotonic() - began, None


def ask(bench, rng, numbers, whom, phase):
    """One or two signals that ask for a clean stop."""
    variant = "evaluation" if phase == "evaluation" else rng.choice(("mlp", "factorized", "bayes"))
    np, folder = rng.choice((1, 2, 3)), bench.new()
    job = bench.job(variant, np, folder)
    try:
        reach(bench, job, folder, variant, "any" if phase == "evaluation" else phase, rng)
        victim, before = target_of(job, rng, whom), latest(folder)
        ranks = job.ranks()
        # Before the program has put up its handlers a signal ends it: nothing is there that could be lost.
        armed = len(ranks) == np and all(catches(p, signal.SIGUSR1) for p in ranks.values()) and all(catches(victim, n) for n in numbers)
        if not job.send(victim, numbers[0]):
            raise Missed
        began = time.monotonic()
        for number in numbers[1:]:
            time.sleep(rng.choice((0, rng.uniform(0, 0.02), rng.uniform(0, 0.2))))
            job.send(victim, number)
        code = job.wait(END)
        seconds = time.monotonic() - began
        judge(job, code, numbers, whom, armed, before)
        if code == STOPPED and before >= 0 and latest(folder) < before:
            raise Failure(f"stopped with the checkpoint of step {latest(folder)}, older than {before}")
        if code == STOPPED and latest(folder) < 0 and "no step was done yet" not in job.errors():
            raise Failure(f"exit {STOPPED}, but there is no checkpoint\n{job.text()}")
        if code == DONE:
            bench.check_end(variant, folder, job)
        else:
            resume(bench, variant, folder, rng, before)
    finally:
        job.end()
    bench.drop(folder)
    return f"exit {code}", seconds, None


def judge(job, code, numbers, whom, armed, before):
    allowed = [STOPPED, DONE]
    harsh = whom == "mpirun" and {signal.SIGTERM, signal.SIGINT} & set(numbers)
    if harsh:
        allowed.append(1)  # mpirun's own, whatever its ranks return
    if len(numbers) > 1:
        allowed += [128 + n for n in numbers]  # the second one ends it
    if not armed or before < 0:  # nothing is there that could be saved
        allowed += [128 + n for n in numbers] + [1]
    job.expect(code, allowed, most_messages=1)
    # A second signal makes mpirun kill its ranks, and so does a time that does not suffice for the start of a run. Where the launcher leaves less
    # than these runs want, ranks may be killed before they have written: then the run resumes from the checkpoint before, in the same bits.
    patient = launcher.grace() >= ENOUGH
    if armed and patient and code == 1 and before >= 0 and len(numbers) == 1 and not re.search("the checkpoint is written|^Done after", job.errors() + job.output(), re.M):
        raise Failure(f"mpirun returned 1, and no rank said that the run is done or the checkpoint written\n{job.text()}")
