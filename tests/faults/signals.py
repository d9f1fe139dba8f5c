#!/usr/bin/env python3
"""Signals wherever a run may be: while it loads, evaluates, in every task and in a sweep; a second signal; closed and full standard streams.

    signals.py [CHECK ...]

After every signal: the end comes within seconds, with the right exit status and one message; the lock is gone; what was saved is there, and the same
command ends in the same bits as a run that was left alone."""
import itertools
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import tempfile
import time

import launcher
import result
from job import MPIRUN, NOISE, Failure, alive, catches, latest, program, rank_of
from descendants import descendants

SOURCE = pathlib.Path(os.environ.get("AVI_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[2]))
VAE = [SOURCE / "inputs" / "vae.ini", "model.hidden=8", "inference.hidden=8", "log.images=0", "optim.batch=64", "optim.tile=16", "run.reproducible=yes"]
LOADING = [*VAE, "data.rows=6000000", "data.test_rows=0", "data.storage=memory"]  # half a minute of drawing
STOPPED, PROMPT = 75, 8  # seconds on a machine that is busy; what is interrupted takes much longer
ALL = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def name(number):
    return signal.Signals(number).name


class Run:
    """avi_mpi alone, or under mpirun."""

    def __init__(self, folder, arguments, np=None, preset=None, **streams):
        self.folder = pathlib.Path(folder)
        self.command = ([*MPIRUN, "-np", str(np)] if np else []) + [program(), *map(str, arguments), f"run.output={folder}"]
        self.np, self.err, self.left = np, self.folder.parent / f"{self.folder.name}.err", self.folder.parent / f"{self.folder.name}.status"
        self.left.unlink(missing_ok=True)
        with open(self.err, "wb") as err:
            self.process = subprocess.Popen(self.command, stderr=err, preexec_fn=preset, start_new_session=True,
                                            env=dict(os.environ, AVI_STATUS_FILE=str(self.left)), **(dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) | streams))

    def ranks(self):
        if not self.np:
            return [self.process.pid]
        return [p for p in descendants(self.process.pid) if rank_of(p, program()) is not None]

    def until(self, condition, what, limit=90):
        end = time.monotonic() + limit
        while not condition():
            if self.process.poll() is not None:
                raise Failure(f"ended with {self.process.returncode} before {what}\n{self.text()}")
            if time.monotonic() > end:
                self.kill()
                raise Failure(f"not {what} after {limit} s\n{self.text()}")
            time.sleep(0.005)

    def until_loading(self, work=0.7):
        """All ranks run and have their handlers, for longer than a start takes: `work` seconds of a processor."""
        self.until(lambda: len(self.ranks()) == (self.np or 1) and all(catches(p, signal.SIGUSR1) for p in self.ranks()), "all ranks were there")
        processor = lambda: min((cpu_seconds(p) for p in self.ranks()), default=0)
        begun = processor()
        self.until(lambda: processor() > begun + work, "the ranks were at work")

    def until_step(self, step):
        self.until(lambda: lines(self.folder / "metrics.csv") > step, f"step {step} was done")
        time.sleep(0.4)

    def end(self, number, allowed, words, whom=None, limit=PROMPT):
        os.kill(whom or self.process.pid, number)
        return self.ended(allowed, words, limit)

    def ended(self, allowed, words, limit=PROMPT):
        seen, began = self.ranks(), time.monotonic()
        heard = not (self.np and launcher.drops_words())  # else it is luck whether the words get through
        try:
            code = self.process.wait(limit)
        except subprocess.TimeoutExpired:
            self.kill()
            raise Failure(f"still runs {limit} s later\n{self.text()}") from None
        while any(alive(p) for p in seen) and time.monotonic() < began + limit:
            time.sleep(0.01)
        if any(alive(p) for p in seen):
            raise Failure(f"ranks still run\n{self.text()}")
        code = launcher.status_of(code, self.left)  # mpirun of MPICH may return before its ranks have ended
        code = code if code >= 0 else 128 - code
        if not self.np and (not self.left.exists() or self.left.read_text() != f"{code}\n"):
            raise Failure(f"exit status {code}, but AVI_STATUS_FILE has {self.left.read_text()!r}" if self.left.exists() else f"exit status {code}, and nothing in AVI_STATUS_FILE")
        said = [line for line in self.err.read_text(errors="replace").splitlines() if line.startswith("avi_mpi: ") and "warning" not in line]
        if code not in allowed or len(said) > (1 if words else 0) or (words and heard and not said) or (said and words not in said[0]) or NOISE.search(self.err.read_text(errors="replace")):
            raise Failure(f"exit status {code}, expected {allowed}, with '{words}' in one message\n{self.text()}")
        if (self.folder / "lock").exists():
            raise Failure(f"the lock is left behind\n{self.text()}")
        return code

    def kill(self):
        for pid in [*self.ranks(), self.process.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()

    def text(self):
        return f"$ {shlex.join(map(str, self.command))}\n{self.err.read_text(errors='replace')[-2000:]}"


def cpu_seconds(pid):
    try:
        words = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError):
        return 0


def lines(path):
    try:
        return path.read_bytes().count(b"\n")
    except OSError:
        return 0


def loading(scratch):
    """Nothing is saved yet: the same command starts the run."""
    for number in ALL:
        run = Run(scratch / name(number), LOADING)
        run.until_loading()
        run.end(number, [STOPPED], f"stopped by {name(number)}; no step was done yet")
    for number in (signal.SIGUSR1, signal.SIGTERM):  # to one rank of two
        run = Run(scratch / f"two_{name(number)}", LOADING, np=2)
        run.until_loading()
        run.end(number, [STOPPED], "no step was done yet", whom=run.ranks()[1])
    return f"{len(ALL)} signals, and two to one of two ranks"


def tasks(scratch):
    """What prints, or writes at its end, has nothing to save: it ends of the signal."""
    model = [VAE[0], "data.source=model", "data.test_rows=0", "optim.batch=0", "inference.function=factorized"]
    wide = [*VAE, "data.test_rows=0", "model.hidden=3000", "inference.hidden=3000", "objective.draws=50", "--dry-run"]  # it tries some tiles of steps
    runs = {"dry-run": wide, "check-gradient": [*LOADING, "--check-gradient"],
            "simulate": [*model, "model.name=linear", "data.rows=60000000", "run.task=simulate"],
            "exact": [*model, "model.name=gp", "data.rows=4000", "run.task=exact"],
            "evaluate": [*LOADING, "run.task=evaluate"]}
    for (what, arguments), number in zip(runs.items(), itertools.cycle(ALL)):
        run = Run(scratch / what, arguments)
        run.until_loading()
        run.end(number, [128 + number], f"stopped by {name(number)}; nothing was there to be saved")
        if (scratch / what / "run.h5").exists():
            raise Failure(f"{what}: results of a task that was not done")
    return ", ".join(runs)


def of_a_fit(scratch):
    """Tasks on a fit that keep the rows that are done: 75, and the same command resumes."""
    fit = [*VAE, "data.rows=20000", "data.test_rows=0", "optim.steps=2"]
    Run(scratch / "fit", fit).ended([0], None, limit=60)
    for number, np in ((signal.SIGTERM, None), (signal.SIGUSR1, 2)):
        run = Run(scratch / "fit", [*fit, "run.task=gap", "gap.draws=5000", "gap.save=0"], np=np)
        run.until_loading(3)  # the rows are begun, also where a start is slow
        run.end(number, [STOPPED], "the same command resumes with the others")
    rows = Run(scratch / "rows", [scratch / "fit", "run.task=evaluate", "rows.draws=5000", "rows.block=64"])
    rows.until_loading(3)
    rows.end(signal.SIGTERM, [STOPPED], "the same command resumes with the others")
    return "gap on one rank and two, evaluate"


# An evaluation of all of very many streamed rows after every second step; a tenth of a second of it must be enough to hear.
EVALUATION = [*VAE, "data.storage=stream", "data.rows=640", "log.every=1", "log.eval_every=2", "optim.steps=5"]
LONG, SHORT = ["log.eval_rows=0", "log.last_rows=64", "data.test_rows=2000000"], ["log.eval_rows=0", "log.last_rows=64", "data.test_rows=20000"]


def evaluations(scratch):
    """An evaluation is left; the run that goes on makes up for it, and ends in the same bits."""
    for number, np in ((signal.SIGTERM, None), (signal.SIGUSR1, 2)):
        run = Run(scratch / f"long{np}", [*EVALUATION, *LONG], np=np)
        run.until_step(1)
        run.end(number, [STOPPED], "stopped by a signal; the checkpoint is written")
        if latest(run.folder) != 2:
            raise Failure(f"the checkpoint is of step {latest(run.folder)}, the evaluation was after step 2\n{run.text()}")
    whole = Run(scratch / "whole", [*EVALUATION, *SHORT])
    whole.ended([0], None, limit=60)
    run = Run(scratch / "part", [*EVALUATION, *SHORT])
    run.until(lambda: lines(run.folder / "metrics.csv") > 1, "step 1 was done")
    os.kill(run.process.pid, signal.SIGUSR2)
    if run.process.wait(60) == 0:
        raise Failure("the run was over before the signal: its evaluation is too short for this test")
    Run(scratch / "part", [*EVALUATION, *SHORT], np=2).ended([0], None, limit=60)
    wrong = result.differing(result.bits(whole.folder), result.bits(run.folder))
    if wrong:
        raise Failure(f"a run that left an evaluation and went on differs in {wrong}")
    return f"left in an evaluation, and gone on to the same bits from step {latest(scratch / 'long2')}"


def last_evaluation(scratch):
    """The steps are done and saved: the end is at once, and the same command finishes."""
    run = Run(scratch / "run", [*EVALUATION, "log.eval_rows=64", "data.test_rows=2000000"], np=2)
    run.until(lambda: latest(run.folder) == 5, "the last checkpoint was there")
    time.sleep(0.4)
    run.end(signal.SIGUSR1, [STOPPED], "stopped by SIGUSR1; the checkpoint is written")
    return "exit 75"


def sweeps(scratch):
    """Groups are joined: each saves what it has, and the same command resumes it."""
    words = ["--sweep", "run.seed=1..2", *EVALUATION, *LONG]
    run = Run(scratch / "sweep", words, np=2)
    run.until(lambda: len(list(run.folder.glob("0*/metrics.csv"))) == 2 and all(lines(p) > 1 for p in run.folder.glob("0*/metrics.csv")), "both groups had a step")
    time.sleep(0.4)
    run.end(signal.SIGTERM, [STOPPED], "2 of 2 runs are left", whom=run.ranks()[1], limit=3 * PROMPT)
    if [latest(p) for p in sorted(run.folder.glob("0*"))] != [2, 2]:
        raise Failure(f"checkpoints of steps {[latest(p) for p in run.folder.glob('0*')]}, 2 and 2 expected")
    run = Run(scratch / "loading", ["--sweep", "run.seed=1..2", *LOADING], np=2)
    run.until_loading()
    run.end(signal.SIGUSR1, [STOPPED], "2 of 2 runs are left", limit=3 * PROMPT)
    return "one rank told, both groups stopped; left while loading"


def second(scratch):
    """A step of half a minute: the first signal waits for its end, the second does not."""
    run = Run(scratch / "run", [*(w for w in VAE if "optim" not in str(w)), "data.rows=3000000", "data.test_rows=0", "data.storage=stream", "optim.batch=0", "optim.tile=64", "optim.steps=2"])
    run.until(lambda: (run.folder / "metrics.csv").exists(), "the steps had begun")
    time.sleep(0.3)
    os.kill(run.process.pid, signal.SIGUSR1)
    time.sleep(0.6)
    run.end(signal.SIGTERM, [128 + signal.SIGTERM], "ended by a second signal, SIGTERM")
    return "exit 143"


def streams(scratch):
    """Closed, full and abandoned standard streams; nohup."""
    small = [*VAE, "data.rows=640", "data.test_rows=64", "log.every=1", "optim.steps=30", "log.progress=lines"]
    whole = Run(scratch / "whole", small)
    whole.ended([0], None, limit=60)
    done = subprocess.run(f"{shlex.quote(program())} {shlex.join(map(str, small))} run.output={scratch}/head | head -1; exit ${{PIPESTATUS[0]}}", shell=True, executable="/bin/bash",
                          capture_output=True, text=True, timeout=60)
    if done.returncode or lines(scratch / "head" / "metrics.csv") != 31:
        raise Failure(f"| head: exit status {done.returncode}, {lines(scratch / 'head' / 'metrics.csv')} lines\n{done.stderr}")
    closed = subprocess.run(f"exec {shlex.quote(program())} {shlex.join(map(str, small))} run.output={scratch}/closed <&- >&- 2>&-", shell=True, executable="/bin/bash", timeout=60)
    if closed.returncode:
        raise Failure(f"closed streams: exit status {closed.returncode}")
    for folder in ("head", "closed"):
        wrong = result.differing(result.bits(whole.folder), result.bits(scratch / folder))
        if wrong:
            raise Failure(f"{folder}: {wrong} differ from the run with a terminal's streams")
    for arguments in (["--reference"], ["--help-keys"], ["--list"], ["--version"], [*small, "--dry-run"], [*small, "--check-gradient"]):
        for where, code in ((">/dev/full", 74), ("| head -c 1 >/dev/null", 0), (">&-", 0)):
            done = subprocess.run(f"{shlex.quote(program())} {shlex.join(map(str, arguments))} run.output={scratch}/none {where}; exit ${{PIPESTATUS[0]}}", shell=True,
                                  executable="/bin/bash", capture_output=True, text=True, timeout=60)
            if done.returncode != code or len([x for x in done.stderr.splitlines() if x.startswith("avi_mpi")]) != (code > 0):
                raise Failure(f"{arguments[-1]} {where}: exit status {done.returncode}, {code} expected\n{done.stderr}")
    # mpirun itself takes what ranks print for signals when its standard output is closed: our scripts open it first.
    mpirun = f"source {SOURCE}/jobs/common.sh; exec {shlex.join(MPIRUN)} -np 2 {shlex.quote(program())} {shlex.join(map(str, small))} run.output={scratch}/scripts"
    done = subprocess.run(["/bin/bash", "-c", f"({mpirun}) <&- >&-"], stderr=subprocess.PIPE, text=True, timeout=60)
    if done.returncode:
        raise Failure(f"mpirun from our scripts with closed streams: exit status {done.returncode}\n{done.stderr}")
    kept = Run(scratch / "nohup", LOADING, preset=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    kept.until_loading()
    os.kill(kept.process.pid, signal.SIGHUP)
    time.sleep(0.3)
    if kept.process.poll() is not None:
        raise Failure("nohup: SIGHUP ended a run that was told to ignore it")
    kept.end(signal.SIGTERM, [STOPPED], "no step was done yet")
    return "| head, <&- >&- 2>&-, /dev/full, nohup"


CHECKS = (loading, tasks, of_a_fit, evaluations, last_evaluation, sweeps, second, streams)


def main():
    failed = 0
    for check in [c for c in CHECKS if not sys.argv[1:] or c.__name__ in sys.argv[1:]]:
        with tempfile.TemporaryDirectory(prefix="avi_signals_") as scratch:
            began = time.monotonic()
            try:
                print(f"ok      {check.__name__}: {check(pathlib.Path(scratch))}  ({time.monotonic() - began:.1f} s)", flush=True)
            except (Failure, subprocess.TimeoutExpired) as failure:
                failed += 1
                print(f"FAILED  {check.__name__}: {failure}", flush=True)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
