"""What ranks must agree on: that their parameters are the same bits, and that one rank's signal stops all.

    ranks_agree.py LIBRARY [CHECK ...]     LIBRARY: drift.c as a shared library"""
import os
import pathlib
import signal
import subprocess
import sys
import time

from small import data, write
from runs import Failure, command, empty_ini, main, metrics, refusal, start, status

INTERNAL, STOPPED = 70, 75
LIBRARY = sys.argv.pop(1)
MLP = ["model.name=linear", "data.source=hdf5", "data.dataset=x", "inference.function=mlp", "inference.hidden=20,20", "run.precision=double", "optim.batch=21", "optim.tile=3"]


def arguments(scratch, name, *more):
    return [empty_ini(scratch), "-q", f"run.output={scratch / name}", f"data.path={write(scratch / 'x.h5', data(58))}", *MLP, *more, "--fresh"]


def drift(scratch):
    """One rank's copy of the parameters goes another way by one bit: found at the next checkpoint, an internal error on all ranks, and no checkpoint of it."""
    settings, disturbed = [arguments(scratch, name, "optim.steps=60", "checkpoint.every=15", "log.eval_every=-1", "run.reduction=messages")
                           for name in ("run", "disturbed")]  # by messages: in shared memory there is one total for all
    text = start(3, settings)
    if (scratch / "run" / "checkpoint" / "latest").read_text().strip() != "step_000000060.h5":
        raise Failure(f"no checkpoint of step 60 without the fault: {text}")
    text = start(3, disturbed, environment={"LD_PRELOAD": LIBRARY}, expect=(INTERNAL,))
    if "step 30" not in (refusal(text) or "") or "differ" not in text or text.count("avi_mpi: error") != 1:
        raise Failure(f"drift from step 20 on must be told at step 30, once: {text}")
    if (scratch / "disturbed" / "checkpoint" / "latest").read_text().strip() != "step_000000015.h5":
        raise Failure("a checkpoint was written of parameters that differ")
    return "a bit changed on rank 1 in step 20: exit status 70 at step 30, the checkpoint of step 15 stays"


def rank_process(folder, rank):
    """The process of a rank of the run into this folder, by what the launcher gives it."""
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and f"run.output={folder}".encode() in (entry / "cmdline").read_bytes().split(b"\0"):
                if {f"{name}={rank}".encode() for name in ("OMPI_COMM_WORLD_RANK", "PMI_RANK")} & set((entry / "environ").read_bytes().split(b"\0")):
                    return int(entry.name)
        except OSError:
            continue  # it ended while we looked
    return None


def one_signal(scratch):
    """USR1 to one rank, first and last: all ranks stop with the checkpoint written."""
    for rank in (0, 2):
        folder = scratch / f"run{rank}"
        run = subprocess.Popen(command(3, arguments(scratch, folder.name, "optim.steps=100000000", "log.every=100", "log.eval_every=-1")), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
        lines, deadline = folder / "metrics.csv", time.monotonic() + 60
        try:
            while not (lines.exists() and lines.read_text().count("\n") > 2):
                if run.poll() is not None or time.monotonic() > deadline:
                    raise Failure("the run does not come to its second line")
                time.sleep(0.05)
            process = rank_process(folder, rank)
            if process is None:
                raise Failure(f"the process of rank {rank} is not found")
            os.kill(process, signal.SIGUSR1)
            text = run.communicate(timeout=30)[0]
        except subprocess.TimeoutExpired:
            raise Failure(f"30 s after USR1 to rank {rank} the run goes on") from None
        finally:
            if run.poll() is None:
                run.kill()
                run.communicate()
        if run.returncode != STOPPED or status(folder) != "stopped" or not metrics(folder):
            raise Failure(f"exit status {run.returncode} after USR1 to rank {rank}: {text}")
    return "USR1 to rank 0 and to rank 2: exit status 75"


if __name__ == "__main__":
    main(drift, one_signal)
