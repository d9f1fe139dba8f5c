"""Runs the program and holds its exit status and what it says to what is expected."""
import os
import pathlib
import re
import shlex
import subprocess
import time

# So that a finding can be replayed by hand as it was found.
for _name in ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "OMPI_MCA_mpi_yield_when_idle", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
MPIRUN = shlex.split(os.environ.get("AVI_MPIRUN", "mpirun --oversubscribe --bind-to none"))
PROGRAM = os.environ.get("AVI_MPI", "avi_mpi")
SOURCE = pathlib.Path(os.environ.get("AVI_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[2]))
LIMIT = 60  # seconds: longer is a hang
NOISE = re.compile(r"Traceback|HDF5-DIAG|Segmentation fault|Signal code:|AddressSanitizer|runtime error:|double free|Assertion|MPI_ABORT|\(null\)")


def _words(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


class Done:
    def __init__(self, np, arguments, cwd=None, environment=None):
        self.command = MPIRUN + ["-n", str(np), PROGRAM] + [str(a) for a in arguments]
        self._start(cwd, environment)
        # PRRTE 3.0 (Open MPI 5) seldom forwards the start of what a rank writes on standard error to standard output. A program that wrote it there
        # would do so again.
        if "avi_mpi: error: " in self.out:
            self._start(cwd, environment)

    def _start(self, cwd, environment):
        done = subprocess.run(self.command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=LIMIT, cwd=cwd,
                              env=dict(os.environ, **(environment or {})))
        self._outlive()
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    def _outlive(self):
        """mpirun of MPICH may return before its ranks have ended: the next command is to find their folder free."""
        rank = "\0".join(self.command[len(MPIRUN) + 2:]).encode()
        until = time.monotonic() + 20
        while time.monotonic() < until and any(words.startswith(rank) for words in map(_words, pathlib.Path("/proc").glob("[0-9]*/cmdline"))):
            time.sleep(0.05)

    def __str__(self):
        return f"$ {' '.join(self.command)}\n-> {self.code}\n{self.out[-3000:]}{self.err[-3000:]}"

    def errors(self):
        """The program's error messages, each with its further lines."""
        return re.findall(r"^avi_mpi: error: .*", self.err, re.M)

    def message(self):
        """The error message as a person reads it: what mpirun adds below left out."""
        text = self.err[self.err.find("avi_mpi: error: "):]
        return text.split("\n-----")[0].strip()

    def must(self, condition, what):
        if not condition:
            raise AssertionError(f"{what}\n{self}")
        return self

    def good(self, *words):
        """Exit status 0, the words on standard output, not a word on standard error."""
        self.must(self.code == 0, "exit status 0 expected")
        self.must(not self.err.strip(), "nothing expected on standard error")
        for word in words:
            self.must(re.search(word, self.out), f"/{word}/ expected on standard output")
        return self

    def refused(self, code, *words):
        """The exit status, and exactly one message, on standard error, with these words; no crash beside it."""
        self.must(self.code == code, f"exit status {code} expected")
        self.must(len(self.errors()) == 1, "exactly one error message expected")
        self.must(not NOISE.search(self.err + self.out), "noise")
        self.must("error" not in self.out.lower(), "errors belong on standard error")
        for word in words:
            self.must(re.search(word, self.message()), f"/{word}/ expected in the message")
        return self


def run(np, *arguments, **options):
    return Done(np, arguments, **options)
