"""How runs stand while they go on: status() by the program's --status, and the steps in metrics.csv. Both read files only."""

import glob
import math
import os

import numpy

from .errors import NotFound
from .launch import call, raise_for
from .reading import configuration
from .run import Run
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


# ---- steps as they come ----

class Going:
    """A run before its first checkpoint: it has no run.h5 yet, only the steps in metrics.csv. What a figure of its trace asks for."""

    status = "running"
    trace, eval = {}, {}

    def __init__(self, folder):
        self.path, self.folder = folder, os.path.abspath(folder)
        self.name = os.path.basename(self.folder)
        self.origin = f"avi_mpi, {self.name}, running"

    def setting(self, section, key, fallback=""):
        """A value of config.ini, as text."""
        try:
            with open(os.path.join(self.folder, "config.ini"), encoding="utf-8") as file:
                return configuration(file.read()).get(section, key, fallback=fallback)
        except OSError:
            return fallback

    def reload(self):
        """The Run, once it has written run.h5; else itself."""
        return open_going(self.folder)


def open_going(path):
    """The Run in a folder, or a Going where it has written no run.h5 yet. Runs are passed on."""
    if isinstance(path, (Run, Going)):
        return path
    path = os.fspath(path)
    if os.path.isfile(os.path.join(path, "metrics.csv")) and not os.path.exists(os.path.join(path, "run.h5")):
        return Going(path)
    return Run(path)


def logged(run, names):
    """Columns of the logged steps (list of arrays): of the trace; of a run that is going on those of metrics.csv, which is ahead of run.h5."""
    path = os.path.join(run.folder, "metrics.csv")
    if run.status != "running" or not os.path.isfile(path):
        return [run.trace[name].ravel() for name in names]
    values = [run.trace[name].ravel() if name in run.trace else numpy.empty(0) for name in names]
    with open(path, encoding="utf-8") as file:
        head, *lines = file.read().rpartition("\n")[0].split("\n")  # without a line that is being written
    at = [head.split(",").index(name) for name in names]
    rows = numpy.array([[float(line.split(",")[k] or "nan") for k in at] for line in lines]).reshape(-1, len(at))
    return list(rows.T) if len(rows) >= len(values[0]) else values
