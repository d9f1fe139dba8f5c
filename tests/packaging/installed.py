"""An installed tree by itself: every part is there, and each finds the others from where it is: program, job scripts, Python package, page, completion, modulefiles."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from runs import Failure, main

BUILD = pathlib.Path(os.environ["AVI_BUILD_DIR"])
PARTS = ("bin/avi_mpi", "include/avi/run.h", "share/man/man1/avi_mpi.1", "share/bash-completion/completions/avi_mpi", "share/doc/avi_mpi/README.md", "share/doc/avi_mpi/LICENSE",
         "share/avi_mpi/launcher", "share/avi_mpi/jobs/run.sbatch", "share/avi_mpi/jobs/common.sh", "share/avi_mpi/jobs/site.conf.example", "share/avi_mpi/inputs/vae.ini",
         "share/avi_mpi/inputs/reference.ini", "share/avi_mpi/inputs/paper/saw.h5", "share/avi_mpi/inputs/examples/embed/embed.c", "share/avi_mpi/analysis/avi_mpi/__init__.py",
         "share/avi_mpi/analysis/avi_mpi/python.ini", "share/avi_mpi/analysis/plot_trace.py")
SMALL = ("data.rows=64", "data.test_rows=0", "optim.batch=64", "optim.tile=32", "optim.steps=2", "model.hidden=4", "inference.hidden=4", "model.latent=2")
PREFIX = None


def run(*command, expect=0, limit=100, cwd=None, **environment):
    """In an environment where nothing names this program or its repository."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AVI_") and name != "PYTHONPATH"}
    done = subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit, cwd=cwd, env=dict(clean, **environment))
    if done.returncode != expect:
        raise Failure(f"exit status {done.returncode}, expected {expect}\n$ {' '.join(map(str, command))}\n{done.stdout[-1500:]}{done.stderr[-1500:]}")
    return done.stdout + done.stderr


def parts(scratch):
    """All parts, and no file of a build or of a cache; nothing names the build or the place where it was installed first."""
    global PREFIX
    run("cmake", "--install", BUILD, "--prefix", scratch / "first")
    PREFIX = pathlib.Path(tempfile.mkdtemp(prefix="avi-installed-")) / "moved"
    shutil.move(scratch / "first", PREFIX)
    missing = [part for part in PARTS if not (PREFIX / part).is_file()]
    if missing:
        raise Failure(f"not installed: {missing}")
    files = [path for path in PREFIX.rglob("*") if path.is_file()]
    wrong = [path for path in files if re.search(r"__pycache__|\.pyc$|/build/|/runs/|\.o$|\.sh$", str(path.relative_to(PREFIX))) and path.name not in ("common.sh", "paper.sh")]
    if wrong:
        raise Failure(f"does not belong there: {wrong[:5]}")
    for path in files:
        text = path.read_bytes()
        if str(scratch).encode() in text:
            raise Failure(f"{path.name} names the folder where it was installed first")
        if "bin" not in path.parts and "lib" not in path.parts and str(BUILD).encode() in text:
            raise Failure(f"{path.name} names the build folder")
    return f"{len(files)} files"


def jobs(scratch):
    """run.sbatch, called from a folder that has no repository, starts the program beside it; so does a copy of the script, as Slurm makes it, with avi_mpi on PATH."""
    share = PREFIX / "share" / "avi_mpi"
    copy = shutil.copy(share / "jobs" / "run.sbatch", scratch / "slurm_script")
    # The launcher that was found at the time of the build is started, and nothing else.
    launcher, built_with = scratch / "launch", (share / "launcher").read_text().strip()
    launcher.write_text(f'#!/bin/sh\necho "started $*" >>{scratch}/started\nexec {built_with} "$@"\n')
    launcher.chmod(0o755)
    (share / "launcher").write_text(f"{launcher}\n")
    path = os.environ["PATH"]
    for script, folder, search in ((share / "jobs" / "run.sbatch", "a", path), (copy, "b", f"{PREFIX}/bin:{path}")):
        (scratch / folder).mkdir()
        run("bash", script, share / "inputs" / "vae.ini", "-q", *SMALL, cwd=scratch / folder, PATH=search)
        if not (scratch / folder / "runs" / "vae" / "run.h5").exists():
            raise Failure(f"{script}: no run.h5")
    started = (scratch / "started").read_text().splitlines()
    if len(started) != 2 or any(f"{PREFIX}/" not in os.path.realpath(line.split()[3]) for line in started):
        raise Failure(f"another program was started: {started}")
    (share / "launcher").write_text(f"{built_with}\n")
    said = run("bash", copy, share / "inputs" / "vae.ini", expect=66, cwd=scratch)
    if "set AVI_JOBS" not in said:
        raise Failure(said)
    return "2 runs"


def python(scratch):
    """The package of the tree fits with the program of the tree; the scripts beside it draw."""
    analysis = PREFIX / "share" / "avi_mpi" / "analysis"
    run(sys.executable, "-B", "-c", "import avi_mpi, numpy; run = avi_mpi.fit(numpy.random.rand(40, 3), 'ppca', np=1, output='fit', model__latent=1, optim__epochs=2); "
        f"assert avi_mpi.__file__.startswith('{analysis}'), avi_mpi.__file__; assert run.provenance['argv'].split()[0].startswith('{PREFIX}/bin/'), run.provenance['argv']",
        cwd=scratch, PYTHONPATH=str(analysis))
    run(sys.executable, "-B", analysis / "plot_trace.py", "fit", cwd=scratch)
    if not (scratch / "fit" / "trace.png").exists():
        raise Failure("plot_trace.py drew nothing")
    return "a fit and a picture"


# Environment Modules and Lmod, where they are (AVI_MODULECMD and AVI_LMOD name the commands that print lines for a shell).
MODULES = {"Environment Modules": ("AVI_MODULECMD", ("/usr/lib/x86_64-linux-gnu/modulecmd.tcl", "/usr/share/modules/libexec/modulecmd.tcl")),
           "Lmod": ("AVI_LMOD", ("/usr/share/lmod/lmod/libexec/lmod",))}


def modules(scratch):
    """`module load avi_mpi` sets the same variables with both systems: program, page, library, Python package, job scripts."""
    share, said = PREFIX / "share" / "avi_mpi", []
    library = str(next(PREFIX.rglob("libavi.so")).parent)
    expected = {"PATH": f"{PREFIX}/bin", "MANPATH": f"{PREFIX}/share/man", "LD_LIBRARY_PATH": library, "PKG_CONFIG_PATH": f"{library}/pkgconfig", "CMAKE_PREFIX_PATH": str(PREFIX),
                "PYTHONPATH": f"{share}/analysis", "AVI_JOBS": f"{share}/jobs", "AVI_MPI": f"{PREFIX}/bin/avi_mpi"}
    for name, (variable, places) in MODULES.items():
        command = next((place for place in (os.environ.get(variable), *places) if place and os.path.exists(place)), None)
        if not command:
            said.append(f"{name} is not here")
            continue
        lines = run(command, "bash", "load", "avi_mpi", cwd=scratch, MODULEPATH=str(share / "modulefiles"), PATH="/usr/bin:/bin", MANPATH="/usr/share/man", LMOD_SYSTEM_DEFAULT_MODULES="")
        values = run("bash", "-c", f"{lines}\nfor v in {' '.join(expected)}; do echo $v ${{!v}}; done", MODULEPATH="", PATH="/usr/bin:/bin", MANPATH="/usr/share/man", LD_LIBRARY_PATH="")
        found = dict(line.split(" ", 1) for line in values.splitlines() if " " in line)
        wrong = {v: found.get(v) for v, value in expected.items() if found.get(v, "").split(":")[0] != value}
        if wrong:
            raise Failure(f"{name}: {wrong}\n{lines}")
        said.append(name)
    return ", ".join(said)


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.argv.append(parts.__name__)
    try:
        main(parts, jobs, python, modules)
    finally:
        if PREFIX:
            shutil.rmtree(PREFIX.parent, ignore_errors=True)
