"""A run of the program under observation: its ranks, its checkpoints, its end."""
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "support"))  # by hand too
from descendants import descendants  # noqa: E402
import launcher as launchers  # noqa: E402

# So that a finding can be replayed by hand as it was found.
for _name in ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "OMPI_MCA_mpi_yield_when_idle", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
MPIRUN = shlex.split(os.environ.get("AVI_MPIRUN", "mpirun --oversubscribe --bind-to none"))
# What no end of a run may show: traces of crashes and the HDF5 library's own error stack.
NOISE = re.compile(r"Traceback|HDF5-DIAG|Segmentation fault|Signal code:|AddressSanitizer|runtime error|double free|corrupted|Assertion", re.I)


class Failure(Exception):
    """What the program did against the contract, in words."""


def program():
    path = os.environ.get("AVI_MPI")
    if not path or not os.path.exists(path):
        raise SystemExit("AVI_MPI must name the program avi_mpi")
    return os.path.realpath(path)


def alive(pid):
    """Zombies count as gone: they hold nothing."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False


def rank_of(pid, executable):
    """The rank of a process that runs the program, else None."""
    try:
        if os.readlink(f"/proc/{pid}/exe") != executable:
            return None
        text = pathlib.Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return None
    found = re.search(rb"(?:^|\0)(?:OMPI_COMM_WORLD_RANK|PMI_RANK)=(\d+)", text)
    return int(found.group(1)) if found else None


def catches(pid, number):
    """Whether the process has a handler for the signal."""
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
        return bool(int(re.search(r"SigCgt:\s*([0-9a-f]+)", text).group(1), 16) >> (number - 1) & 1)
    except (OSError, AttributeError):
        return False


def latest(folder):
    """The step that checkpoint/latest names, -1 when there is none yet."""
    try:
        return int(re.match(r"step_(\d{9})\.h5\n", (pathlib.Path(folder) / "checkpoint" / "latest").read_text()).group(1))
    except (OSError, AttributeError, ValueError):
        return -1


def temporaries(folder):
    """Files that are being written."""
    return [p for p in pathlib.Path(folder).rglob("*.tmp")]


class Job:
    """mpirun -np N avi_mpi ...; output goes to two files beside the output folder."""

    def __init__(self, np, arguments, log, mca=(), environment=None, launcher=None):
        self.log = pathlib.Path(log)
        self.command = (launcher or MPIRUN) + list(mca) + ["-n", str(np), program()] + [str(a) for a in arguments]
        self.np, self.seen, self.start, self.left = np, {}, time.monotonic(), pathlib.Path(f"{log}.status")
        self.left.unlink(missing_ok=True)
        with open(f"{log}.out", "wb") as out, open(f"{log}.err", "wb") as err:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True,
                                            env=dict(os.environ, **dict({"AVI_STATUS_FILE": str(self.left)}, **(environment or {}))))

    @property
    def pid(self):
        return self.process.pid

    def ended(self):
        return self.process.poll() is not None

    def ranks(self):
        """{rank: pid} of those that run now."""
        found = {}
        for pid in descendants(self.pid):
            rank = rank_of(pid, program())
            if rank is not None:
                found[rank] = pid
        self.seen.update(found)
        return found

    def until(self, condition, limit=60, pause=0.0005):
        """Waits for the condition; False when the run ended first."""
        end = time.monotonic() + limit
        while not condition():
            if self.ended():
                return False
            if time.monotonic() > end:
                self.fail_hang(f"did not come to the awaited point within {limit} s")
            time.sleep(pause)
        return True

    def all_ranks(self):
        """Waits until every rank runs the program."""
        return self.until(lambda: len(self.ranks()) == self.np)

    def send(self, pid, number):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return False
        return True

    def wait(self, limit):
        """Exit status, within `limit` seconds or it is a hang; then every rank must be gone too."""
        end = time.monotonic() + limit
        while not self.ended():
            if time.monotonic() > end:
                self.fail_hang(f"mpirun still runs {limit} s later")
            self.ranks()
            time.sleep(0.01)
        while any(alive(p) for p in self.seen.values()):
            if time.monotonic() > end:
                self.fail_hang(f"ranks still run {limit} s later, after mpirun has ended")
            time.sleep(0.01)
        code = launchers.status_of(self.process.returncode, self.left)
        return code if code >= 0 else 128 - code

    def fail_hang(self, text):
        states = []
        for rank, pid in sorted(self.seen.items()):
            try:
                states.append(f"rank {rank}: {pathlib.Path(f'/proc/{pid}/wchan').read_text()} {pathlib.Path(f'/proc/{pid}/stat').read_text().split()[2]}")
            except OSError:
                states.append(f"rank {rank}: gone")
        self.end()
        raise Failure(f"hang: {text} ({'; '.join(states)})\n{self.text()}")

    def end(self):
        """Takes away what is left of the run; only what it started."""
        for pid in [*self.seen.values(), self.pid]:
            if pid != self.pid and rank_of(pid, program()) is None:
                continue
            for number in (signal.SIGKILL, signal.SIGCONT):
                self.send(pid, number) if pid != self.pid or not self.ended() else None
        self.process.wait()

    def output(self):
        return pathlib.Path(f"{self.log}.out").read_text(errors="replace")

    def errors(self):
        return pathlib.Path(f"{self.log}.err").read_text(errors="replace")

    def text(self):
        return f"$ {' '.join(self.command)}\n{self.output()[-2000:]}{self.errors()[-3000:]}"

    def messages(self):
        """The program's own errors (its warnings are something else)."""
        return [line for line in self.errors().splitlines() if line.startswith("avi_mpi: ") and not line.startswith("avi_mpi: warning:")]

    def expect(self, code, allowed, most_messages=1, least_messages=0, words=None):
        """Exit status, number of messages and their words."""
        names = " or ".join(map(str, allowed))
        if code not in allowed:
            raise Failure(f"exit status {code}, expected {names}\n{self.text()}")
        if NOISE.search(self.errors() + self.output()):
            raise Failure(f"crash or noise in the output: {NOISE.search(self.errors() + self.output()).group(0)}\n{self.text()}")
        found = self.messages()
        if not least_messages <= len(found) <= most_messages:
            raise Failure(f"{len(found)} error messages, expected {least_messages} to {most_messages}\n{self.text()}")
        if words and not re.search(words, self.errors()):
            raise Failure(f"no message with /{words}/\n{self.text()}")
