"""Processes below one of ours. A launcher's ranks are its children (Open MPI) or those of a proxy of it (MPICH)."""
import os
import pathlib


def children(pid):
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            found += pathlib.Path(f"/proc/{pid}/task/{task}/children").read_text().split()
    except OSError:
        pass
    return [int(p) for p in found]


def descendants(pid):
    found = children(pid)
    return found + [p for child in found for p in descendants(child)]


def runs(pid, program):
    """Whether the process runs this program."""
    try:
        return os.path.realpath(os.readlink(f"/proc/{pid}/exe")) == os.path.realpath(program)
    except OSError:
        return False


def ranks_below(launcher, program):
    """Processes of the program below a launcher (its Popen); the launcher itself where it is the program, alone."""
    return [pid for pid in (launcher.pid, *descendants(launcher.pid)) if runs(pid, program)]
