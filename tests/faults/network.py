"""Two hosts on one machine (network namespaces joined by a cable), and the cable cut."""
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
# says nothing. With it the daemons of Open MPI miss each other. jobs/run.sbatch sets the same.
KEEPALIVE = {"oob_tcp_keepalive_time": "5", "oob_tcp_keepalive_intvl": "2", "oob_tcp_keepalive_probes": "3"}
ROUTES = {"oob_tcp_if_include": "eth0", "plm_rsh_no_tree_spawn": "1", "plm_ssh_no_tree_spawn": "1"}
LIMIT = 60  # seconds from the cut to the end of the job


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode:
        raise Skip(f"no network namespaces here: ip {' '.join(words)}: {done.stderr.strip()}")


class Hosts:
    """Two namespaces with one cable; removed at the end."""

    def __init__(self, folder):
        tag = f"avi{os.getpid()}"
        self.names = [f"{tag}a", f"{tag}b"]
        self.addresses = ["10.199.77.1", "10.199.77.2"]
        self.agent = pathlib.Path(folder) / "agent.sh"
        self.agent.write_text("#!/bin/sh\n# agent.sh ADDRESS COMMAND...: runs it on the host with that address\nhost=$1; shift\n" + "".join(
            f"[ $host = {a} ] && exec ip netns exec {n} unshare -u sh -c \"hostname {n}; $*\"\n" for a, n in zip(self.addresses, self.names)) + "exit 1\n")
        self.agent.chmod(0o755)

    def __enter__(self):
        try:
            for name in self.names:
                ip("netns", "add", name)
            ip("link", "add", "eth0", "netns", self.names[0], "type", "veth", "peer", "name", "eth0", "netns", self.names[1])
            for name, address in zip(self.names, self.addresses):
                ip("-n", name, "addr", "add", address + "/24", "dev", "eth0")
                ip("-n", name, "link", "set", "eth0", "up")
                ip("-n", name, "link", "set", "lo", "up")
        except Skip:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)

    def launcher(self):
        where = ",".join(f"{a}:2" for a in self.addresses)
        parameters = {**KEEPALIVE, **ROUTES, "plm_rsh_agent": str(self.agent), "plm_ssh_agent": str(self.agent)}
        variables = [f"{prefix}_MCA_{name}={value}" for prefix in ("OMPI", "PRTE") for name, value in parameters.items()]
        return ["ip", "netns", "exec", self.names[0], "unshare", "-u", "sh", "-c", f'hostname {self.names[0]}; exec "$@"', "sh", "env", *variables,
                "OMPI_MCA_btl_tcp_if_include=eth0", *launcher.MPIRUN, "--bind-to", "none", "--map-by", "node", "--host", where, "-x", "OMPI_MCA_mpi_yield_when_idle=1",
                "-x", "OPENBLAS_NUM_THREADS=1", "-x", "PATH"]

    def cut(self):
        ip("-n", self.names[1], "link", "set", "eth0", "down")


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


def cut(bench, rng):
    if launcher.version()[0] != "open mpi":
        raise Skip("the two hosts are told to Open MPI alone")
    folder = bench.new()
    with Hosts(bench.folder) as hosts:
        np = rng.choice((2, 3, 4))
        (folder.parent / "status").unlink(missing_ok=True)
        job = bench.job("mlp", np, folder, launcher=hosts.launcher(), environment={"AVI_STATUS_FILE": str(folder.parent / "status")})
        try:
            step = rng.randrange(1, STEPS - 5)
            if not job.until(lambda: latest(folder) >= step):
                raise Failure(f"two hosts: the run ended by itself\n{job.text()}")
            hosts.cut()
            began, before = time.monotonic(), latest(folder)
            code = job.wait(LIMIT)
            while ranks_on(folder) and time.monotonic() - began < LIMIT:
                time.sleep(0.2)
            seconds = time.monotonic() - began
            if ranks_on(folder):
                raise Failure(f"{len(ranks_on(folder))} ranks still run {LIMIT} s after the cut")
            if re.search("^Done after", job.output(), re.M):
                raise Missed
            # The mpirun of Open MPI 5 returns 0 here, and says on standard error that it lost a host; jobs/run.sbatch finds that the program left no status.
            if code == 0 and (launcher.version() != ("open mpi", 5) or (folder.parent / "status").exists()):
                raise Failure(f"exit status 0 after a cut link\n{job.text()}")
            if latest(folder) < before:
                raise Failure(f"the checkpoint of step {before} is gone")
            bench.finish("mlp", rng.choice((1, 2, 3)), folder)
        finally:
            job.end()
            for pid in ranks_on(folder):
                if alive(pid):
                    os.kill(pid, signal.SIGKILL)
    bench.drop(folder)
    return f"exit {code}", seconds, None
