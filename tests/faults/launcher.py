"""What launchers do on signals, and how the launcher of these tests is asked for it."""
import re
import shlex
import subprocess
import os

MPIRUN = shlex.split(os.environ.get("AVI_MPIRUN", "mpirun --oversubscribe --bind-to none"))


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
