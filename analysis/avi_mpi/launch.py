"""Starts the program on several ranks, as jobs/common.sh does: finds it and its launcher, shows its progress, turns its exit status into an error.

Environment: AVI_MPI names the program, AVI_BUILD_DIR the folder of the build, AVI_LAUNCHER the command that starts ranks with its options, to which
-n RANKS is added. Inside a Slurm job the number of ranks is that of its tasks.
"""

import collections
import datetime
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings

from .errors import CannotStart, UsageError, error_of

HERE = os.path.dirname(os.path.abspath(__file__))

Ended = collections.namedtuple("Ended", "status messages complaint")
Ended.__doc__ = "How the program ended: exit status, what it printed, and what it complained of (both str)."


# ---- where things are ----

def find_program():
    """Path of the program avi_mpi (str).

    AVI_MPI; else avi_mpi in AVI_BUILD_DIR, in build/ of the repository that this file is in, in build/ of the
    current folder, or in bin/ of the prefix where both were installed; else on PATH. CannotStart where it is none of these.
    """
    named = os.environ.get("AVI_MPI")
    if named:
        if not (os.path.isfile(named) and os.access(named, os.X_OK)):
            raise CannotStart(f"AVI_MPI={named} is not a program; set AVI_MPI to the path of avi_mpi, for example build/avi_mpi")
        return os.path.abspath(named)
    builds = [os.environ.get("AVI_BUILD_DIR"), os.path.join(HERE, "..", "..", "build"), "build", os.path.join(HERE, "..", "..", "..", "..", "bin")]
    for build in builds:
        path = os.path.abspath(os.path.join(build, "avi_mpi")) if build else ""
        if path and os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    found = shutil.which("avi_mpi")
    if not found:
        raise CannotStart("the program avi_mpi is not here: build it (jobs/build.sh), or set AVI_MPI to its path")
    return found


def find_launcher(program):
    """The command that starts ranks, as a list of words; -n RANKS and the program are to be added.

    The words of AVI_LAUNCHER; else the launcher of the MPI that the program was built with, as its build folder, or
    share/avi_mpi of an installed one, says; else mpirun. CannotStart where it is missing.
    """
    words = shlex.split(os.environ.get("AVI_LAUNCHER", ""))
    if not words:
        folder = os.path.dirname(os.path.realpath(program))
        for known in (os.path.join(folder, "launcher"), os.path.join(folder, "..", "share", "avi_mpi", "launcher")):
            if os.path.isfile(known):
                with open(known, encoding="utf-8") as file:
                    words = [line for line in [file.read().strip()] if line]
                break
    words = words or ["mpirun"]
    if words == ["srun"]:
        words = ["srun", "--mpi=pmix", "--kill-on-bad-exit=1"]
    if not shutil.which(words[0]):
        raise CannotStart(f"the launcher {words[0]} is not here: install an MPI (apt-get install openmpi-bin; on a cluster: module load openmpi), or set AVI_LAUNCHER to the command that starts "
                          'ranks, for example AVI_LAUNCHER="srun --mpi=pmix"')
    return words


# ---- how many ranks ----

def _words(path):
    """The words in a small file of the system; none where it is not there."""
    try:
        with open(path, encoding="ascii") as file:
            return file.read().split()
    except OSError:
        return []


def _quota():
    """CPUs of a container's quota (cgroup 2 or 1), or None."""
    folder = "/sys/fs/cgroup"
    found = _words(f"{folder}/cpu.max") or _words(f"{folder}/cpu/cpu.cfs_quota_us") + _words(f"{folder}/cpu/cpu.cfs_period_us")
    if len(found) != 2 or found[0] in ("max", "-1"):
        return None
    return max(1, int(found[0]) // int(found[1]))


def cores_allowed():
    """Physical cores that this process may use (int): affinity and a container's quota count."""
    cpus = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    cores = set()
    for cpu in cpus:
        cores.update(_words(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list") or [str(cpu)])
    return max(1, min(len(cores), _quota() or len(cores)))


def tasks_of_slurm():
    """Tasks of all nodes of the Slurm job that this runs in (int); 0 outside. SLURM_TASKS_PER_NODE is 8(x4),3 for instance."""
    if "SLURM_JOB_ID" not in os.environ:
        return 0
    total = 0
    for count, times in re.findall(r"(\d+)(?:\(x(\d+)\))?", os.environ.get("SLURM_TASKS_PER_NODE", "")):
        total += int(count) * int(times or 1)
    return total or int(os.environ.get("SLURM_NTASKS", 1))


def ranks_by_default():
    """Ranks where none are asked for (int): the tasks of the Slurm job, else the physical cores."""
    return tasks_of_slurm() or cores_allowed()


def nodes_of_slurm():
    """Nodes of the Slurm job that this runs in (int); 1 outside."""
    return int(os.environ.get("SLURM_JOB_NUM_NODES", os.environ.get("SLURM_NNODES", 1)))


# ---- what launchers have to know ----

# Variables that tell a process that it is a rank: those of this process are not for the program's ranks.
_OF_A_RANK = re.compile(r"(OMPI_COMM_WORLD|OMPI_UNIVERSE|OMPI_APP_CTX|OMPI_MCA_(ess|orte_|pmix|initial_)|PMIX?_|ORTE_|HYDI?_)")


def _refuse_ranks():
    """Python on several ranks would start the program as many times, all in one folder."""
    for name in ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"):
        if os.environ.get(name, "").isdigit() and int(os.environ[name]) > 1:
            raise CannotStart(f"Python itself was started on {os.environ[name]} ranks ({name}): start it once (without mpirun or srun); it starts the ranks of the program")


def _end_of_job(job):
    """When the Slurm job ends, in seconds since 1970 (str), as scontrol says; None where it does not. Slurm before 23.02 does not tell its jobs."""
    try:
        said = subprocess.run(["scontrol", "show", "job", job], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20).stdout
        found = re.search(r"EndTime=([0-9T:-]+)", said)
        return found and str(int(datetime.datetime.fromisoformat(found[1]).timestamp()))
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def environment(ranks):
    """Environment of the launcher (dict), as prepare_launcher of jobs/common.sh: each MPI reads only its own variables."""
    _refuse_ranks()
    is_rank = any(name in os.environ for name in ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK"))
    found = {name: value for name, value in os.environ.items() if not (is_rank and _OF_A_RANK.match(name))}
    add = found.setdefault
    if os.geteuid() == 0:
        found.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    found["OMPI_MCA_orte_execute_quiet"] = "1"
    if "SLURM_JOB_ID" in found:
        for prefix in ("OMPI", "PRTE"):  # mpirun notices a node that went away
            add(f"{prefix}_MCA_oob_tcp_keepalive_time", "5")
            add(f"{prefix}_MCA_oob_tcp_keepalive_intvl", "2")
            add(f"{prefix}_MCA_oob_tcp_keepalive_probes", "3")
        if "SLURM_JOB_END_TIME" not in found:  # for run.time_limit = auto
            found.update({"SLURM_JOB_END_TIME": end for end in [_end_of_job(found["SLURM_JOB_ID"])] if end})
    else:
        found.update(OMPI_MCA_hwloc_base_binding_policy="none", PRTE_MCA_hwloc_default_binding_policy="none")
        if not any(name in found for name in ("AVI_LAUNCHER", "PBS_JOBID", "LSB_JOBID")):
            add("OMPI_MCA_btl_tcp_if_include", "127.0.0.0/8")
            add("OMPI_MCA_pml", "ob1")
        if ranks > cores_allowed():
            found.update(OMPI_MCA_rmaps_base_oversubscribe="1", PRTE_MCA_rmaps_default_mapping_policy=":oversubscribe")
    if os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv") or "container" in found:
        found["OMPI_MCA_btl_vader_single_copy_mechanism"] = "none"
    found["OPENBLAS_NUM_THREADS"] = "1"
    return found


# ---- progress ----

_STEP = re.compile(r"^ +step +\d+/\d+ ")


def _in_notebook():
    shell = sys.modules.get("IPython") and sys.modules["IPython"].get_ipython()
    return shell is not None and "ZMQ" in type(shell).__name__


class _Screen:
    """Shows the lines of the program as they come; on a terminal and in a notebook a step takes the place of the one before."""

    def __init__(self):
        self.stream = sys.stdout if _in_notebook() else sys.stderr
        self.in_place = _in_notebook() or self.stream.isatty()
        self.length = 0

    def __call__(self, line):
        step = self.in_place and _STEP.match(line)
        if self.length or step:
            self.stream.write("\r" + line.ljust(self.length))
        else:
            self.stream.write(line)
        self.length = len(line) if step else 0
        if not step:
            self.stream.write("\n")
        self.stream.flush()

    def end(self):
        if self.length:
            self.stream.write("\n")


def _shower(progress):
    if progress is True:
        return _Screen()
    return progress if callable(progress) else (lambda line: None)


# ---- start ----

def own_words(text):
    """What the program says in its error output: without its name in front, without what the MPI library adds, and with fit()'s argument for the option --fresh."""
    kept, inside = [], False
    for line in text.splitlines():
        if line.startswith("avi_mpi: error: "):
            inside = True
            kept.append(line[len("avi_mpi: error: "):])
        elif re.match(r"-{20}|\[\S+:\d+\]|Abort\(|avi_mpi: ", line):
            inside = False
        elif inside:
            kept.append(line)
    return "\n".join(kept).rstrip().replace("--fresh", "fresh=True")


def _without_decoration(text):
    lines = [line for line in text.splitlines() if line.strip() and not re.match(r"-{20}|\[\S+:\d+\] \*\*\*", line)]
    return "\n".join(lines[-12:])


def _follow(process, show):
    """Reads lines until the program ends. Ctrl-C asks it to write a checkpoint and stop (USR1); a second one ends it at once."""
    said, interrupts = [], 0
    while True:
        try:
            for line in process.stdout:
                said.append(line)
                show(line.rstrip("\r\n"))
            process.wait()
            return "".join(said), interrupts
        except KeyboardInterrupt:
            interrupts += 1
            process.send_signal(signal.SIGUSR1 if interrupts == 1 else signal.SIGTERM)


def _status(process, path):
    """Exit status: of the launcher, or the program's own where the launcher returns 0 for ranks that were lost (Open MPI 5, MPICH)."""
    status = process.returncode if process.returncode >= 0 else 128 - process.returncode
    if status == 0:
        try:
            with open(path, encoding="ascii") as file:
                status = int(file.read().strip() or 0)
        except OSError:
            status = 205
    return status


def call(arguments, ranks=None, progress=False, scratch=None):
    """Runs the program on `ranks` ranks to its end. Ended(status, messages, complaint).

    arguments   of the program (list of str)
    ranks       int; None: without a launcher, as one process that reads files only
    progress    True: lines on the screen; a function: called with each line (str); False: nothing
    scratch     a folder that every node has, for a small file while it runs; None: of the system

    CannotStart where the program or the launcher is missing. KeyboardInterrupt after Ctrl-C, when the program has
    written its checkpoint and ended.
    """
    program = find_program()
    launcher = find_launcher(program) if ranks else []
    command = [*launcher, *(["-n", str(ranks)] if ranks else []), program, *arguments]
    show = _shower(progress)
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as complaints, tempfile.TemporaryDirectory(prefix=".avi_", dir=scratch) as folder:
        told = os.path.join(folder, "status")
        try:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=complaints, text=True, encoding="utf-8", errors="replace",
                                       start_new_session=True, env=dict(environment(ranks or 1), AVI_STATUS_FILE=told))
        except OSError as error:
            raise CannotStart(f"{command[0]}: cannot be started: {error.strerror}") from error
        try:
            said, interrupts = _follow(process, show)
        finally:
            if process.poll() is None:  # an error in `progress`: a checkpoint, then its end
                process.send_signal(signal.SIGUSR1)
                process.communicate()
            process.stdout.close()
        if hasattr(show, "end"):
            show.end()
        complaints.seek(0)
        complaint = complaints.read()
        if interrupts:
            raise KeyboardInterrupt("stopped by Ctrl-C; where a checkpoint was written the same call resumes from it")
        return Ended(_status(process, told) if ranks else process.returncode, said, complaint)


def raise_for(ended, run=None):
    """Raises the error of an exit status that is not 0, with the program's message."""
    if ended.status == 0:
        return
    words = own_words(ended.complaint)
    if not words and ended.status in (3, 4, 75):
        words = "\n".join(line for line in ended.messages.splitlines()[-1:])
    if not words and ended.status not in (3, 4, 64, 65, 66, 70, 73, 74, 75, 78):
        words = _without_decoration(ended.complaint)
        if 0 < ended.status < 64:
            raise CannotStart(f"the launcher could not start the ranks (exit status {ended.status}):\n{words}", run=run, messages=ended.messages)
    raise error_of(ended.status, words, run, ended.messages)


def warn_of(ended):
    """Passes the program's warnings on as warnings of Python."""
    for line in ended.complaint.splitlines():
        if line.startswith("avi_mpi: warning: "):
            warnings.warn(line[len("avi_mpi: warning: "):], RuntimeWarning, stacklevel=3)


def check_ranks(np):
    """`np` as int: at least 1; None: ranks_by_default(). UsageError else; CannotStart where Python itself is one of several ranks.

    Callers ask before they make a folder or write a file: of several ranks that are refused, one would otherwise remove what another one has just made.
    """
    _refuse_ranks()
    if np is None:
        return ranks_by_default()
    if isinstance(np, bool) or int(np) != np or np < 1:
        raise UsageError(f"np={np!r} is not a number of ranks; use np=4, or leave it out for all cores")
    return int(np)
