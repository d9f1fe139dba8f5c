"""status: how runs stand, by the program's --status, which reads files only."""

import glob
import math
import os

from .errors import NotFound
from .launch import call, raise_for
from .table import Table

# Columns of the program's table: name, first and last character.
_FIELDS = (("state", 0, 12), ("step", 12, 33), ("elbo", 33, 48), ("rate", 48, 59), ("left", 59, 69), ("checkpoint", 69, 81))


def _number(text):
    try:
        return float(text)
    except ValueError:
        return math.nan


def _rows(text):
    for line in text.splitlines():
        if line.startswith("state ") or len(line) < 83 or "are no folders of runs" in line:
            continue
        found = {name: line[first:last].strip() for name, first, last in _FIELDS}
        step, _, steps = found["step"].partition("/")
        yield {"folder": line[83:], "state": found["state"], "step": _number(step), "steps": _number(steps), "elbo": _number(found["elbo"]), "rate": _number(found["rate"]),
               "left": "" if found["left"] == "-" else found["left"], "checkpoint": _number(found["checkpoint"])}


def status(folders):
    """How runs stand: a Table with a row for each.

    folders    one or several folders of runs; a * in them stands for any name: status("runs/*")

    Columns: folder, state (running, interrupted, done, stopped, diverged), step, steps (that it is to have), elbo
    (nats per row, of the rows of the last logged step), rate (steps per second), left (time, text), checkpoint (its
    step). NaN where a run does not say. It reads files only: also while runs go on, on a login node, and where
    nothing may be written. Folders that hold no run are left out; NotFound where none does.
    """
    folders = [folders] if isinstance(folders, (str, os.PathLike)) else list(folders)
    paths = []
    for folder in map(os.fspath, folders):
        paths += sorted(glob.glob(folder)) if glob.has_magic(folder) and not os.path.isdir(folder) else [folder]
    if not paths:
        raise NotFound(f"{', '.join(map(str, folders))}: no such folders; use the folders of runs")
    ended = call(["--status", *paths, *(paths if len(paths) == 1 else [])])  # of one alone it prints sentences
    raise_for(ended)
    rows = list(_rows(ended.messages))[:len(paths)]
    if not rows:
        raise NotFound(f"{', '.join(paths)}: no run has written there; use the folders of runs")
    return Table({name: [row[name] for row in rows] for name in rows[0]})
