#!/usr/bin/env python3
"""Runs and checkpoints exchanged between two builds of the program, for example one with HDF5 1.10 and one with 1.14.

    exchange.py FOLDER PROGRAM OTHER_PROGRAM [PREFIX ...]

PREFIX ... starts a command in the other system, where FOLDER is to be found at the same path and /usr/bin/python3 has h5py. Each build fits half of a run and the other
resumes it, in both directions. What one has written the other must read: every dataset of run.h5 and of the checkpoint in the same bits through both systems'
HDF5, and the resumed run must be the whole one's. Prints one line for each model and whether the two builds compute the same bits. 1: something was not read.
"""
import json
import pathlib
import re
import subprocess
import sys

import h5py
import numpy

HALF, WHOLE = 6, 12
COMMON = ["-q", "run.reproducible=yes", "optim.batch=32", "optim.tile=8", "checkpoint.every=3", "log.every=1", "log.eval_every=3", "log.progress=none"]
RUNS = {
    "vae by a network": ["data.source=strokes", "data.rows=128", "data.test_rows=16", "model.hidden=16", "inference.hidden=16", "model.latent=3"],
    "linear, factorized": ["model.name=linear", "data.source=model", "data.rows=128", "data.test_rows=0", "inference.function=factorized"],
}
# Digests tell of which program they are.
OF_THE_MACHINE = re.compile(r"seconds|_rank$|profile|^/config|^config|^digests?\b")
# Not bits that two compilers and two versions of a BLAS share, but far below what a damaged file would show.
CLOSE = 1e-3

# Reads files on the other side: {path: {dataset: hash of its bits}}.
READER = r"""
import hashlib, h5py, json, sys
found = {}
for path in sys.argv[1:]:
    one = found[path] = {}
    with h5py.File(path, "r") as file:
        def visit(name, item):
            if isinstance(item, h5py.Dataset):
                value = item[()]
                one[name] = hashlib.sha256(value.tobytes() if hasattr(value, "tobytes") else bytes(value)).hexdigest()
        file.visititems(visit)
print(json.dumps(found))
"""


class Side:
    def __init__(self, name, program, prefix=()):
        self.name, self.program, self.prefix = name, program, list(prefix)

    def call(self, *command):
        done = subprocess.run([*self.prefix, *map(str, command)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
        if done.returncode:
            sys.exit(f"FAILED: exit status {done.returncode} of the {self.name} build: {' '.join(map(str, command))}\n{done.stdout[-1500:]}{done.stderr[-1500:]}")
        return done.stdout

    def fit(self, ini, folder, steps, arguments):
        self.call(self.program, ini, f"run.output={folder}", f"optim.steps={steps}", *COMMON, *arguments)
        return folder

    def hashes(self, paths):
        return json.loads(self.call("/usr/bin/python3" if self.prefix else sys.executable, "-c", READER, *paths))


def checkpoint(folder):
    return folder / "checkpoint" / (folder / "checkpoint" / "latest").read_text().strip()


def numbers(folder):
    """{dataset: values} of the results and of the state in the last checkpoint."""
    found = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset) and not OF_THE_MACHINE.search(name):
            found[name] = item[()]
    for path in (folder / "run.h5", checkpoint(folder)):
        with h5py.File(path, "r") as file:
            (file["state"] if "state" in file else file).visititems(visit)
    return found


def largest(a, b, what):
    """Largest difference of two runs, of the scale of each dataset; names and shapes must be the same."""
    a, b = numbers(a), numbers(b)
    if set(a) != set(b):
        sys.exit(f"FAILED: {what}: datasets {sorted(set(a) ^ set(b))} are in one alone")
    worst, name_of_worst = 0.0, ""
    for name, value in a.items():
        one, two = numpy.asarray(value), numpy.asarray(b[name])
        if one.shape != two.shape:
            sys.exit(f"FAILED: {what}: {name} has the shapes {one.shape} and {two.shape}")
        if one.dtype.kind not in "fiu" or one.tobytes() == two.tobytes():
            continue
        one, two = one.astype(float), two.astype(float)
        if not numpy.array_equal(numpy.isnan(one), numpy.isnan(two)):
            sys.exit(f"FAILED: {what}: {name} is NaN in one alone")
        scale = max(float(numpy.nanmax(numpy.abs(one))), 1e-30)
        difference = float(numpy.nanmax(numpy.abs(one - two))) / scale
        if difference > worst:
            worst, name_of_worst = difference, name
    return worst, name_of_worst


def exchange(scratch, ini, label, arguments, sides):
    """Largest difference between the builds' own runs."""
    folder = scratch / re.sub(r"\W+", "_", label)
    folder.mkdir()
    whole = {s.name: s.fit(ini, folder / f"whole_{s.name}", WHOLE, arguments) for s in sides}
    own, where = largest(*whole.values(), label)
    count = 0
    for first, second in (sides, sides[::-1]):
        what = f"{label}: begun by the {first.name} build, resumed by the {second.name} build"
        run = first.fit(ini, folder / f"from_{first.name}", HALF, arguments)
        paths = [run / "run.h5", checkpoint(run)]
        one, two = first.hashes(paths), second.hashes(paths)
        if one != two:
            sys.exit(f"FAILED: {what}: the two HDF5 libraries read different bits")
        count += sum(len(v) for v in one.values())
        second.fit(ini, run, WHOLE, arguments)
        differs, name = largest(run, whole[second.name], what)
        if own == 0 and differs != 0 or differs > CLOSE:
            sys.exit(f"FAILED: {what}: {name} differs from the whole run by {differs:.1e} of its scale; the two builds' whole runs by {own:.1e}")
    print(f"{label}: {count} datasets in the same bits through both HDF5 libraries, resumed in both directions; "
          + ("the two builds compute the same bits" if own == 0 else f"the two builds differ by {own:.1e} at most ({where})"))
    return own


def main():
    scratch, here, there, prefix = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]
    ini = scratch / "empty.ini"
    ini.write_text("[run]\n")
    sides = (Side("first", here), Side("second", there, prefix))
    worst = max(exchange(scratch, ini, label, arguments, sides) for label, arguments in RUNS.items())
    print("exchanged: same bits" if worst == 0 else f"exchanged: bits differ, {worst:.0e}")


if __name__ == "__main__":
    main()
