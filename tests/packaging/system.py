"""The Dockerfile by hand in bare systems of Debian 12: each of its stages is a folder, each COPY a copy, each RUN a command there. Then the package that it has made and installed is used by an
ordinary user, looked at by lintian, and removed. It needs root, debootstrap and a mirror (AVI_DEBIAN_MIRROR), and half an hour of a core; AVI_PLATFORMS_DIR keeps the bare system."""
import os
import pathlib
import re
import shlex
import shutil
import subprocess

from runs import SOURCE, Failure, Skip, main

FOLDER = pathlib.Path(os.environ.get("AVI_PLATFORMS_DIR", "/tmp/avi_platforms"))
MIRROR = os.environ.get("AVI_DEBIAN_MIRROR", "http://deb.debian.org/debian")
STAGES = {}
ENTER = """root=$0
mount --bind "$root" "$root" && mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" && mount -t tmpfs tmpfs "$root/run" && mount -t tmpfs tmpfs "$root/dev/shm" || exit 125
exec chroot "$root" "$@"
"""


def run(*command, expect=0, limit=3000, **options):
    done = subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit, **options)
    if expect is not None and done.returncode != expect:
        raise Failure(f"exit status {done.returncode}, expected {expect}\n$ {' '.join(map(str, command))}\n{done.stdout[-2500:]}{done.stderr[-2500:]}")
    return done.stdout + done.stderr


def inside(root, command, expect=0, user=None, environment=()):
    """A command of a shell in a system, with a clean environment."""
    words = ["su", user, "-c", command] if user else ["sh", "-c", command]
    return run("unshare", "--mount", "--propagation", "private", "bash", "-c", ENTER, root, "/usr/bin/env", "-i", "HOME=/root", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8",
               "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1", *environment, *words, expect=expect)


def stages(scratch):
    """All instructions of the Dockerfile, one after another."""
    if os.geteuid() != 0 or not shutil.which("debootstrap") or subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
        raise Skip("it takes root, debootstrap and mount namespaces")
    bare = FOLDER / "debian-12-bare"
    if not (bare / ".made").exists():
        shutil.rmtree(bare, ignore_errors=True)
        FOLDER.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["debootstrap", "--variant=minbase", "bookworm", str(bare), MIRROR], capture_output=True, text=True)
        if done.returncode:
            raise Skip(f"debootstrap from {MIRROR}: {done.stdout.strip().splitlines()[-1:]}")
        (bare / ".made").touch()
    root, user, folder, variables, count = None, None, "/", [], 0
    for line in (SOURCE / "cmake" / "packaging" / "Dockerfile").read_text().splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            name = rest.split()[-1] if " AS " in rest else "final"
            root, user, folder, variables = FOLDER / f"packaging-{name}", None, "/", []
            shutil.rmtree(root, ignore_errors=True)
            run("cp", "-a", bare, root)
            STAGES[name] = (root, variables)
        elif word == "COPY" and rest.startswith("--from="):
            source, path, target = re.fullmatch(r"--from=(\S+) (\S+) (\S+)", rest).groups()
            run("cp", "-a", f"{STAGES[source][0]}{path}", f"{root}{target}")
        elif word == "COPY":
            target = rest.split()[1]
            run("bash", "-c", f"mkdir -p {root}{target} && git -C {SOURCE} archive HEAD | tar -x -C {root}{target}")
        elif word == "RUN":
            inside(root, f"cd {folder} && {rest}", environment=variables)
            count += 1
        elif word == "WORKDIR":
            folder = rest
            (pathlib.Path(f"{root}{rest}")).mkdir(exist_ok=True)
        elif word == "ENV":
            variables += shlex.split(rest)
        elif word == "USER":
            user = rest
        elif word and word not in ("CMD", "#"):
            raise Failure(f"this test does not know the instruction {word}")
    if user != "avi":
        raise Failure("the image starts as root")
    return f"{count} commands"


def use(scratch):
    """In the system with nothing but the package: the revision is that of the commit, although there was no .git; runs on two ranks, from Python and from a job script, by an ordinary user."""
    root, variables = STAGES["final"]
    revision = run("git", "-C", SOURCE, "rev-parse", "--short=12", "HEAD").strip()
    said = inside(root, "avi_mpi --version", user="avi", environment=variables)
    if not re.search(rf"^revision +{revision}$", said, re.M):
        raise Failure(f"the revision is not {revision}:\n{said}")
    small = "data.rows=200 data.test_rows=0 optim.batch=100 optim.tile=10 optim.steps=4 model.hidden=8 inference.hidden=8 model.latent=2"
    share = "/usr/share/avi_mpi"
    for name, command in (
            ("mpirun", f"mpirun --oversubscribe -n 2 avi_mpi {share}/inputs/vae.ini -q {small} run.output=two"),
            ("python", "python3 -c \"import avi_mpi, numpy; r = avi_mpi.fit(numpy.random.rand(60, 3), 'ppca', np=2, output='py', model__latent=1, optim__epochs=2); print(r.status)\""),
            ("figure", f"python3 {share}/analysis/plot_trace.py two && test -s two/trace.png"),
            ("job", f"bash {share}/jobs/run.sbatch {share}/inputs/vae.ini -q {small} run.output=job && test -s job/run.h5"),
            ("status", "avi_mpi --status two job py"),
            ("completion", "bash -c '. /usr/share/bash-completion/completions/avi_mpi; complete -p avi_mpi'"),
            ("kept", "test -s /usr/share/man/man1/avi_mpi.1.gz -a -s /usr/share/doc/avi-mpi/copyright")):
        inside(root, f"cd && {command}", user="avi", environment=variables)
    inside(root, "dpkg --verify avi-mpi")
    levels = inside(root, "ls /usr/bin | grep avi_mpi").split()
    return f"revision {revision}, programs {', '.join(levels)}"


def lintian(scratch):
    """Debian's own check of packages finds no error. Who hands a package out names himself (CPACK_PACKAGE_CONTACT): the host of the address is not checked."""
    root = STAGES["build"][0]
    inside(root, "apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends lintian")
    said = inside(root, "lintian --no-tag-display-limit --suppress-tags bogus-mail-host,no-changelog,debian-changelog-file-missing /packages/*.deb", expect=None)
    print(said)
    errors = [line for line in said.splitlines() if line.startswith("E:")]
    if errors:
        raise Failure("\n".join(errors))
    return f"{len([line for line in said.splitlines() if line.startswith('W:')])} warnings"


def remove(scratch):
    """apt-get purge leaves nothing of it."""
    root = STAGES["final"][0]
    inside(root, "DEBIAN_FRONTEND=noninteractive apt-get purge -y avi-mpi")
    left = [line for line in inside(root, "find / -xdev -name '*avi*mpi*' -not -path '/proc/*' -not -path '/home/*' -not -path '/var/lib/*' -not -path '/var/log/*'", expect=None).splitlines() if line]
    if left:
        raise Failure(f"left: {left}")
    return "nothing left"


if __name__ == "__main__":
    try:
        main(stages, use, lintian, remove)
    finally:
        for root, _ in STAGES.values():
            shutil.rmtree(root, ignore_errors=True)
