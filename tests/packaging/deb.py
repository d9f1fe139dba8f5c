"""The Debian package of this build, looked into: what it needs by dpkg-shlibdeps, where its files are, and that the program in it is this one."""
import os
import pathlib
import re
import shutil
import subprocess

from runs import Failure, Skip, main, program

BUILD = pathlib.Path(os.environ["AVI_BUILD_DIR"])
PACKAGE = {}


def run(*command, **options):
    done = subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=200, **options)
    if done.returncode:
        raise Failure(f"exit status {done.returncode}\n$ {' '.join(map(str, command))}\n{done.stdout[-1500:]}{done.stderr[-1500:]}")
    return done.stdout


def fields(scratch):
    """cpack makes one package, whose Depends names the libraries that the program is linked with, and the launcher."""
    for tool in ("dpkg-deb", "dpkg-shlibdeps", "cpack", "file"):
        if not shutil.which(tool):
            raise Skip(f"{tool} is not here")
    run("cpack", "-G", "DEB", "-B", scratch, "--config", BUILD / "CPackConfig.cmake", cwd=BUILD)
    file, = scratch.glob("*.deb")
    PACKAGE["file"] = shutil.copy(file, BUILD / "packaging_test.deb")
    native = re.search(r"^AVI_ARCH:STRING=native$", (BUILD / "CMakeCache.txt").read_text(), re.M)
    version = run(program(), "--version").split()[1] + ("+native" if native else "") + "-1"
    architecture = run("dpkg", "--print-architecture").strip()
    if file.name != f"avi-mpi_{version}_{architecture}.deb":
        raise Failure(f"the file is {file.name}")
    depends = run("dpkg-deb", "-f", file, "Depends")
    # What the program is linked with, by the packages that own these files.
    needed = set(re.findall(r"NEEDED +(\S+)", run("objdump", "-p", program())))
    where = dict(re.findall(r"(\S+) => (\S+)", run("ldd", program())))
    owners = {}
    for name in needed:
        for path in (where.get(name, ""), os.path.realpath(where.get(name, ""))):
            found = subprocess.run(["dpkg", "-S", path.replace("/lib/", "/usr/lib/", 1) if path.startswith("/lib/") else path], capture_output=True, text=True)
            if found.returncode == 0:
                owners[name] = found.stdout.split(":")[0]
    missing = {name: owner for name, owner in owners.items() if not re.search(rf"(?:^|[ ,|]){re.escape(owner)}\b", depends) and owner not in ("libc6", "libopenblas0-pthread")}
    if len(owners) < 4 or missing or not re.search(r"\bopenmpi-bin\b|\bmpich\b", depends) or not re.search(r"libc6 \(>= \d", depends):
        raise Failure(f"Depends: {depends}needed: {owners}, missing: {missing}")
    for field in ("Maintainer", "Section", "Description", "Recommends"):
        if not run("dpkg-deb", "-f", file, field).strip():
            raise Failure(f"no {field}")
    return f"{file.name}, {file.stat().st_size / 1e6:.1f} MB, {len(owners)} libraries owned by packages"


def contents(scratch):
    """Files are root's, under /usr, with Debian's documents; the program is this one, stripped, and of this revision."""
    listing = run("dpkg-deb", "-c", PACKAGE["file"])
    for line in listing.splitlines():
        mode, owner, path = line.split()[0], line.split()[1], line.split()[5]
        if owner != "root/root" or not path.startswith("./") or (path not in ("./",) and not path.startswith("./usr/")) or "w" in mode[5:] and mode[0] != "l":
            raise Failure(f"not as it should be: {line}")
    expected = ("bin/avi_mpi", "share/man/man1/avi_mpi.1.gz", "share/doc/avi-mpi/copyright", "share/doc/avi-mpi/changelog.gz", "share/bash-completion/completions/avi_mpi",
                "share/avi_mpi/jobs/run.sbatch", "share/avi_mpi/inputs/vae.ini", "include/avi/run.h")
    missing = [path for path in expected if f" ./usr/{path}\n" not in listing]
    if missing or "share/doc/avi_mpi/" in listing:
        raise Failure(f"missing: {missing}; share/doc has {re.findall(r'share/doc/(.*)', listing)}")
    run("dpkg-deb", "-x", PACKAGE["file"], scratch)
    inside = scratch / "usr" / "bin" / "avi_mpi"
    if run(inside, "--version") != run(program(), "--version"):
        raise Failure(f"another program:\n{run(inside, '--version')}")
    if "not stripped" in run("file", inside):
        raise Failure("the program is not stripped")
    page = run("gzip", "-dc", scratch / "usr/share/man/man1/avi_mpi.1.gz")
    if ".SH OPTIONS" not in page:
        raise Failure("the page is not the page")
    return f"{len(listing.splitlines())} files and folders"


if __name__ == "__main__":
    try:
        main(fields, contents)
    finally:
        if "file" in PACKAGE:
            os.unlink(PACKAGE["file"])
