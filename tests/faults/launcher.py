"""What launchers do on signals, and how the launcher of these tests is asked for it."""
import functools
import os
import pathlib
import re
import shlex
import subprocess

MPIRUN = shlex.split(os.environ.get("AVI_MPIRUN", "mpirun --oversubscribe --bind-to none"))


@functools.lru_cache
def version():
    """("open mpi", 4), ("open mpi", 5), ("hydra", 4) (of MPICH) or ("other", 0)."""
    done = subprocess.run([MPIRUN[0], "--version"], capture_output=True, text=True, timeout=60)
    text = done.stdout + done.stderr
    found = re.search(r"\((?:Open MPI|OpenRTE)\) (\d+)", text)  # OpenRTE where it is called by another name
    if found:
        return "open mpi", int(found.group(1))
    if "HYDRA" in text:
        found = re.search(r"Version:\s+(\d+)", text)
        return "hydra", int(found.group(1)) if found else 0
    return "other", 0


# Seconds that ranks have between a TERM or INT to the launcher and their end by KILL, measured with a program that writes down what it
# receives. Open MPI 4 sends CONT at once, TERM after 1 s and KILL after 2 s; Open MPI 5 sends TERM after 0.25 s and KILL after 0.5 s.
def grace():
    return {("open mpi", 4): 2.0, ("open mpi", 5): 0.5}.get(version(), 0.0)


# The launcher's exit status after a rank was killed by KILL: Open MPI counts from 128, as shells do.
def killed():
    return 9 if version()[0] == "hydra" else 137


def status_of(code, left):
    """Exit status of a run under the launcher. mpirun of MPICH mostly returns 0 once it has passed a signal on: then it is the status that the first rank
    has left in the file `left`, which AVI_STATUS_FILE named, as jobs/run.sbatch takes it."""
    if code == 0 and version()[0] == "hydra" and pathlib.Path(left).exists():
        return int(pathlib.Path(left).read_text())
    return code


def drops_words():
    """Whether the launcher drops what ranks say after one of them has ended with another status than 0."""
    return version() == ("open mpi", 5) or version()[0] == "hydra"
