"""A file gets its name when its bytes are on the disk, and `latest` names a checkpoint that is there: the order of writes, syncs and renames of a run.

    synced.py LIBRARY [CHECK ...]     LIBRARY: watch.c as a shared library"""
import os
import pathlib
import sys

from small import data, write
from runs import Failure, empty_ini, main, start

LIBRARY = sys.argv.pop(1)


def check_order(events):
    """Every renamed file was synced after its last write, its folder is synced before the next rename in it; the names in order."""
    state, unsynced, names = {}, None, []
    for kind, *paths in events:
        if kind in ("write", "sync"):
            state[paths[0]] = kind
            if kind == "sync" and paths[0] == unsynced:
                unsynced = None
            continue
        old, new = paths
        if state.get(old, "nothing") != "sync":
            raise Failure(f"{new} gets its name after {state.get(old, 'nothing')} of its bytes, not after a sync")
        if unsynced:
            raise Failure(f"{new} is renamed before the folder {unsynced} of the rename before is synced")
        unsynced = str(pathlib.Path(new).parent)
        names.append(pathlib.Path(new).name)
    return names


def synced(scratch):
    log, run = scratch / "events", scratch / "run"
    os.environ.update(LD_PRELOAD=LIBRARY, AVI_WATCH=str(log))
    try:
        start(None, [empty_ini(scratch), "-q", f"run.output={run}", "model.name=linear", "data.source=hdf5", f"data.path={write(scratch / 'x.h5', data(58))}", "data.dataset=x",
                     "inference.function=factorized", "optim.batch=0", "optim.tile=4", "optim.steps=9", "checkpoint.every=3", "--fresh"])
    finally:
        del os.environ["LD_PRELOAD"], os.environ["AVI_WATCH"]
    events = [line.split(" ") for line in log.read_text().splitlines() if str(run) in line and "metrics.csv" not in line]
    names = check_order(events)
    # run.h5 is there before the first step; the last checkpoint is written before the last evaluation, and again with it.
    wanted = ["run.h5"] + [name for step in (3, 6, 9) for name in (f"step_{step:09d}.h5", "latest", *((f"step_{step:09d}.h5", "latest") if step == 9 else ()), "run.h5")]
    if [name for name in names if name != "config.ini"] != wanted:
        raise Failure(f"renamed in the order {names}")
    return f"{len(events)} writes, syncs and renames"


if __name__ == "__main__":
    main(synced)
