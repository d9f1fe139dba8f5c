"""Several hosts on one machine (tests/hosts/hosts.sh: Linux namespaces joined by a switch): one loses its power, or its cable is pulled out."""
import os
import pathlib
import re
import signal
import subprocess
import time

import launcher
from job import Failure, alive, latest, program, rank_of
from place import STEPS, Skip
from processes import Missed

# Of the launcher: OMPI_MCA_ is read by that of Open MPI 4, PRTE_MCA_ by that of Open MPI 5. Without the keepalive a cut is silence for ever: TCP
# says nothing. With it the daemons of Open MPI miss each other. jobs/run.sbatch sets the same, and jobs/README.md says so for runs by hand.
KEEPALIVE = {"oob_tcp_keepalive_time": "5", "oob_tcp_keepalive_intvl": "2", "oob_tcp_keepalive_probes": "3"}
ROUTES = {"oob_tcp_if_include": "eth0", "plm_rsh_no_tree_spawn": "1", "plm_ssh_no_tree_spawn": "1"}
LIMIT = 30  # seconds from the loss to the end of the job
SCRIPT = pathlib.Path(__file__).resolve().parent.parent / "hosts" / "hosts.sh"


class Hosts:
    """As many hosts as asked for; they go away at the end. mpirun runs on the first one."""

    def __init__(self, folder, count):
        self.folder, self.names = pathlib.Path(folder) / "hosts", [f"h{i + 1}" for i in range(count)]

    def __enter__(self):
        done = subprocess.run([str(SCRIPT), "up", str(self.folder), str(len(self.names))], capture_output=True, text=True)
        if done.returncode:
            raise Skip(done.stdout.strip() or done.stderr.strip())
        return self

    def __exit__(self, *_):
        self.do("down")

    def do(self, *words):
        subprocess.run([str(SCRIPT), words[0], str(self.folder), *words[1:]], check=True, capture_output=True)

    def launcher(self, each=2):
        where, agent = ",".join(f"{name}:{each}" for name in self.names), str(self.folder / "agent.sh")
        parameters = {**KEEPALIVE, **ROUTES, "plm_rsh_agent": agent, "plm_ssh_agent": agent}
        variables = [f"{prefix}_MCA_{name}={value}" for prefix in ("OMPI", "PRTE") for name, value in parameters.items()]
        return [str(SCRIPT), "beside", str(self.folder), self.names[0], "env", *variables, "OMPI_MCA_btl_tcp_if_include=eth0", *launcher.MPIRUN,
                *([] if "--bind-to" in launcher.MPIRUN else ["--bind-to", "none"]), "--map-by", "node", "--host", where,
                "-x", "OMPI_MCA_mpi_yield_when_idle=1", "-x", "OPENBLAS_NUM_THREADS=1", "-x", "PATH"]


def ranks_on(folder):
    """Processes of this run, wherever they were started from."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and rank_of(int(entry), program()) is not None:
            try:
                if str(folder).encode() in pathlib.Path(f"/proc/{entry}/cmdline").read_bytes():
                    found.append(int(entry))
            except OSError:
                pass
    return found


def end_ranks(folder):
    for pid in ranks_on(folder):
        if alive(pid):
            os.kill(pid, signal.SIGKILL)


def check_loss(job, folder, what):
    """The launcher ends the job in time, says why, and leaves no rank; Open MPI 5 returns 0, and the program has then left no status (jobs/run.sbatch looks for it)."""
    began, before = time.monotonic(), latest(folder)
    code = job.wait(LIMIT)
    while ranks_on(folder) and time.monotonic() - began < LIMIT:
        time.sleep(0.2)
    seconds = time.monotonic() - began
    if ranks_on(folder):
        raise Failure(f"{len(ranks_on(folder))} ranks still run {LIMIT} s after {what}")
    if re.search("^Done after", job.output(), re.M):
        raise Missed
    if code == 0 and (launcher.version() != ("open mpi", 5) or (folder.parent / "status").exists()):
        raise Failure(f"exit status 0 after {what}\n{job.text()}")
    if not re.search("lost communication|daemon has lost|unexpectedly|connection", job.output() + job.errors(), re.I):
        raise Failure(f"no message about {what}\n{job.text()}")
    if latest(folder) < before:
        raise Failure(f"the checkpoint of step {before} is gone")
    return code, seconds


def lose(bench, rng, how, count):
    """how: "cut" or "kill" of one of `count` hosts, at a random step; what is left is resumed on one machine."""
    if launcher.version()[0] != "open mpi":
        raise Skip("the hosts are told to Open MPI alone")
    folder = bench.new()
    with Hosts(bench.folder, count) as hosts:
        np = rng.randrange(count, 2 * count + 1)
        (folder.parent / "status").unlink(missing_ok=True)
        job = bench.job("mlp", np, folder, launcher=hosts.launcher(), environment={"AVI_STATUS_FILE": str(folder.parent / "status")})
        try:
            step, victim = rng.randrange(1, STEPS - 5), rng.choice(hosts.names[1:])
            if not job.until(lambda: latest(folder) >= step):
                raise Failure(f"{count} hosts: the run ended by itself\n{job.text()}")
            hosts.do(how, victim)
            code, seconds = check_loss(job, folder, f"the loss of one of {count} hosts ({how})")
            bench.finish("mlp", rng.choice((1, 2, 3)), folder)
        finally:
            job.end()
            end_ranks(folder)
    bench.drop(folder)
    return f"exit {code}", seconds, None
