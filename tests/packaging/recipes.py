"""The recipes of Spack and EasyBuild against stand-ins of their languages, which are Python, and the container recipes against each other: names, versions, options and paths that they
give are those of this source. Whether Spack and EasyBuild can build by them is not checked here."""
import os
import pathlib
import re
import subprocess
import types

from runs import SOURCE, Failure, main

BUILD = pathlib.Path(os.environ["AVI_BUILD_DIR"])
PACKAGING = SOURCE / "cmake" / "packaging"
CMAKE = (SOURCE / "CMakeLists.txt").read_text()
VERSION = re.search(r"project\(avi_mpi VERSION (\S+)", CMAKE).group(1)
OPTIONS = set(re.findall(r"^(\w+):\w+=", (BUILD / "CMakeCache.txt").read_text(), re.M))


def parts():
    """Installed files and folders, below the prefix."""
    rows = re.findall(r"file\(INSTALL DESTINATION \"\$\{CMAKE_INSTALL_PREFIX\}/(\S+)\".*?FILES \"([^\"]*)\"(?: REGEX[^)]*)?\)| FILES_MATCHING", (BUILD / "cmake_install.cmake").read_text())
    return {f"{folder}/{pathlib.Path(name).name}" for folder, name in rows if folder}


def options_exist(given, recipe):
    """Every -DNAME is a variable of the configured build."""
    unknown = {name for name in given if name not in OPTIONS and name != "HDF5_ROOT"}
    if unknown or not given:
        raise Failure(f"{recipe} sets {unknown or 'nothing'}, which CMake does not know")


def spack(scratch):
    """The class has the version and licence of the source, its options exist, every library that CMake asks for is a dependency."""
    recorded = {name: [] for name in ("version", "depends_on", "variant", "license", "conflicts")}
    space = {name: (lambda *a, _list=calls, **k: _list.append((a, k))) for name, calls in recorded.items()}

    class When:
        def __init__(self, condition):
            self.condition = condition

        def __enter__(self):
            return self

        def __exit__(self, *error):
            return False

    class Prefix(str):
        def __getattr__(self, name):
            return Prefix(f"{self}/{name}")

    class CMakePackage:
        prefix = Prefix("/prefix")
        define = staticmethod(lambda name, value: f"-D{name}={value}")
        define_from_variant = staticmethod(lambda name, variant: f"-D{name}={variant}" if any(a[0] == variant for a, k in recorded["variant"]) else f"-DNO_VARIANT_{variant}=")

        class spec(dict):
            def __contains__(self, text):
                return True
        spec = spec({name: types.SimpleNamespace(mpicc="mpicc", prefix=f"/{name}") for name in ("mpi", "hdf5")})

    space.update(CMakePackage=CMakePackage, when=When)
    text = (PACKAGING / "spack" / "packages" / "avi_mpi" / "package.py").read_text().replace("from spack.package import *", "")
    exec(compile(text, "package.py", "exec"), space)
    package = space["AviMpi"]()
    if VERSION not in [a[0] for a, k in recorded["version"]]:
        raise Failure(f"no version {VERSION}: {recorded['version']}")
    options_exist({re.match(r"-D(\w+)=", option).group(1) for option in package.cmake_args()}, "package.py")
    needed = {re.split(r"[@+~]", a[0])[0]: k for a, k in recorded["depends_on"]}
    missing = {"mpi", "hdf5", "scalapack", "openblas", "random123", "inih", "zlib-api", "pkgconfig", "cmake", "c"} - set(needed)
    minimum = re.search(r"cmake_minimum_required\(VERSION (\S+)\)", CMAKE).group(1)
    if missing or f"cmake@{minimum}:" not in [a[0] for a, k in recorded["depends_on"]]:
        raise Failure(f"dependencies: {missing} missing, cmake@{minimum}: {needed}")
    env = types.SimpleNamespace(set=lambda name, value: paths.append(value), prepend_path=lambda name, value: paths.append(value))
    paths = []
    package.setup_run_environment(env)
    return f"version {VERSION}, {len(needed)} dependencies; {where_installed(paths, '/prefix/')}"


def where_installed(paths, prefix):
    """Each path is a file or folder that is installed."""
    rules = (BUILD / "cmake_install.cmake").read_text()
    for path in paths:
        inside = str(path).removeprefix(prefix)
        if inside == "share/avi_mpi/analysis":
            inside += "/avi_mpi" if "share/avi_mpi/analysis" in rules else ""
        folder = inside if f"}}/{inside}\"" in rules else os.path.dirname(inside)
        if f"}}/{folder}\"" not in rules or (folder != inside and f"/{os.path.basename(inside)}\"" not in rules):
            raise Failure(f"{inside} is not installed")
    return f"{len(paths)} paths"


def easybuild(scratch):
    """The easyconfig has the version of the source and of its file name, its options exist, and what it looks for is installed."""
    file, = (PACKAGING / "easybuild").glob("*.eb")
    values = {}
    exec(compile(file.read_text(), file.name, "exec"), values)
    if file.name != f"{values['name']}-{values['version']}-{values['toolchain']['name']}-{values['toolchain']['version']}.eb" or values["version"] != VERSION:
        raise Failure(f"{file.name} is of version {values['version']}, the source of {VERSION}")
    options_exist(set(re.findall(r"-D(\w+)=", values["configopts"])), file.name)
    checked = values["sanity_check_paths"]
    paths = [*checked["files"], *values["modextravars"].values(), *values["modextrapaths"].values()]
    return f"version {VERSION}; {where_installed([path.replace('%(installdir)s/', '') for path in paths], '')}"


def docker_commands(name):
    return re.findall(r"^RUN (.*)", (PACKAGING / name).read_text(), re.M)


def containers(scratch):
    """The Dockerfile and the definition of Apptainer do the same, with files that are there; shellcheck has nothing to say of their commands."""
    docker = docker_commands("Dockerfile")
    definition = (PACKAGING / "avi_mpi.def").read_text()
    posts = re.findall(r"^%post\n((?:    .*\n)+)", definition, re.M)
    apptainer = [line.strip() for post in posts for line in post.splitlines()]
    if [c for c in docker if not c.startswith("useradd")] != [c for c in apptainer if not re.match(r"tar |cd ", c)]:
        raise Failure(f"the recipes differ:\n{docker}\n{apptainer}")
    for command in docker:
        script = command.split()[0]
        if "/" in script and not os.access(SOURCE / script, os.X_OK):
            raise Failure(f"{script} is not a program of this repository")
    bases = set(re.findall(r"^FROM (\S+)", (PACKAGING / "Dockerfile").read_text(), re.M)) | set(re.findall(r"^From: (\S+)", definition, re.M))
    if len(bases) != 1:
        raise Failure(f"several systems: {bases}")
    for shell in ("\n".join(docker), "\n".join(apptainer)):
        (scratch / "commands.sh").write_text(f"#!/bin/sh\nset -e\n{shell}\n")
        done = subprocess.run(["sh", "-n", scratch / "commands.sh"], capture_output=True, text=True)
        if done.returncode:
            raise Failure(done.stderr)
    return f"{len(docker)} commands on {bases.pop()}"


if __name__ == "__main__":
    main(spack, easybuild, containers)
