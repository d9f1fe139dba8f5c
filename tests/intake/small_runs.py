"""What the cases share: a folder, an HDF5 file, and runs of the program on it."""
import os
import re
import shlex
import subprocess

import h5py
import numpy

MPIRUN = shlex.split(os.environ.get("AVI_MPIRUN", "mpirun --oversubscribe --bind-to none"))
SOURCE = os.environ.get("AVI_SOURCE_DIR", os.path.join(os.path.dirname(__file__), "..", ".."))
INI = """[data]
source = hdf5
path = d.h5
dataset = x
[model]
name = vae
latent = 2
hidden = 8
likelihood = gaussian
[inference]
hidden = 8
[optim]
batch = 0
epochs = 1
[log]
progress = lines
images = 4
"""


class Outcome:
    def __init__(self, code, text, folder):
        self.code, self.text, self.folder = code, text, folder

    def good(self, *words):
        return self.ends(0, *words)

    def ends(self, code, *words):
        """Ended with `code`, and said each of the regular expressions."""
        if self.code != code:
            raise AssertionError(f"exit status {self.code}, expected {code}: {self.text[-700:]}")
        for word in words:
            if not re.search(word, self.text):
                raise AssertionError(f"did not say {word!r}: {self.text[-900:]}")
        return self

    def silent(self, word):
        if re.search(word, self.text):
            raise AssertionError(f"said {word!r}: {self.text[-900:]}")
        return self

    def read(self, name):
        with h5py.File(self.folder / "run.h5") as file:
            return file[name][()]

    def attribute(self, name, key):
        with h5py.File(self.folder / "run.h5") as file:
            return file[name].attrs[key]


class Case:
    def __init__(self, folder):
        self.folder, self.number = folder, 0
        (folder / "t.ini").write_text(INI)

    def file(self, name="d.h5"):
        return h5py.File(self.folder / name, "a")

    def write(self, x, name="d.h5", dataset="x", **how):
        with self.file(name) as file:
            file.create_dataset(dataset, data=x, **how)
        return self

    def run(self, *arguments, ini="t.ini", ranks=1, environment=None, limit=60):
        self.number += 1
        output = self.folder / f"run{self.number}"
        start = [] if ranks == 1 else [*MPIRUN, "-np", str(ranks)]
        done = subprocess.run([*start, os.path.realpath(os.environ["AVI_MPI"]), str(ini), *map(str, arguments), f"run.output={output}"], cwd=self.folder, capture_output=True, text=True,
                              timeout=limit, env={**os.environ, **(environment or {})}, stdin=subprocess.DEVNULL)
        return Outcome(done.returncode, done.stdout + done.stderr, output)


def close(a, b, tolerance, what):
    difference = numpy.max(numpy.abs(numpy.asarray(a, float) - numpy.asarray(b, float)))
    if not difference <= tolerance:
        raise AssertionError(f"{what}: {difference} apart, at most {tolerance} allowed: {numpy.ravel(a)[:4]} and {numpy.ravel(b)[:4]}")
