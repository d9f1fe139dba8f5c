"""Whole runs of the program from Python: start one, read what it leaves, compare two."""
import atexit
import csv
import functools
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

import h5py
import numpy

MPIRUN = shlex.split(os.environ.get("AVI_MPIRUN", "mpirun --oversubscribe --bind-to none"))
SOURCE = pathlib.Path(os.environ.get("AVI_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[2]))
VAE = SOURCE / "inputs" / "vae.ini"
PLUGINS = os.environ.get("AVI_TEST_PLUGINS", "")  # shared objects whose models and functions are to be tested with those that are built in
# What depends on clocks and on the number of ranks, and says so.
OF_THE_MACHINE = re.compile(r"seconds|_rank$|profile")


class Failure(Exception):
    """What the program did against the contract, in words."""


def program():
    path = os.environ.get("AVI_MPI")
    if not path or not os.path.exists(path):
        raise SystemExit("AVI_MPI must name the program avi_mpi")
    return os.path.realpath(path)


def program_for_all(folder):
    """A copy of the program in `folder`, which other users may start: a build in the home folder of root is out of their reach."""
    own = shutil.copy(program(), pathlib.Path(folder) / "avi_mpi")
    os.chmod(own, 0o755)
    return str(own)


def command(np, arguments):
    """Without np the program starts alone, as one rank."""
    return ([*MPIRUN, "-n", str(np)] if np else []) + [program(), *map(str, arguments)]


def measured(arguments, limit=120):
    """A run alone, to its end: seconds of the processor, and bytes at the peak of memory. A small process starts it: the peak of a child counts what its parent had when it started it."""
    script = "import resource,subprocess,sys\nstatus = subprocess.call(sys.argv[1:])\nr = resource.getrusage(resource.RUSAGE_CHILDREN)\n" \
             "print('took', r.ru_utime + r.ru_stime, r.ru_maxrss * 1024)\nsys.exit(status)\n"
    done = subprocess.run([sys.executable, "-c", script, *command(None, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit)
    if done.returncode:
        raise Failure(f"exit status {done.returncode}: {done.stdout}{done.stderr}")
    return tuple(map(float, re.search(r"took (\S+) (\S+)", done.stdout).groups()))


def tail(text, lines):
    """The program's last words; without the back traces that the MPI library adds."""
    return "".join([line + "\n" for line in text.splitlines() if not re.match(r"\[\S+:\d+\]|-{20}", line)][-lines:])


def start(np, arguments, environment=None, expect=(0,), limit=120):
    """Runs to the end, with these variables too; its output. Another exit status than expected is a failure."""
    try:
        done = subprocess.run(command(np, arguments), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit, env=dict(os.environ, **(environment or {})))
    except subprocess.TimeoutExpired as late:
        raise Failure(f"did not end within {limit} s: {' '.join(late.cmd)}") from None
    if done.returncode not in expect:
        raise Failure(f"exit status {done.returncode}, expected {expect}\n$ {' '.join(done.args)}\n{tail(done.stdout, 4)}{tail(done.stderr, 12)}")
    return done.stdout + done.stderr


def with_algorithm(number):
    """Variables that make Open MPI add up in its way `number` (1 to 6; another MPI does not read them); 0: as it likes."""
    return {"OMPI_MCA_coll_tuned_use_dynamic_rules": "1", "OMPI_MCA_coll_tuned_allreduce_algorithm": str(number)} if number else {}


def refusal(text):
    """The program's own words for what it does not do, None when there are none."""
    found = re.findall(r"^avi_mpi: error: (.*)", text, re.M)
    return found[0] if found else None


def fit(folder, *arguments, np=None, ini=VAE, **how):
    """Trains into a folder; returns it."""
    start(np, [ini, "-q", f"run.output={folder}", *arguments], **how)
    return pathlib.Path(folder)


def datasets(group):
    """{path: values} of all datasets of a file or group that hold values: not of scales that name an axis."""
    found = {}
    group.visititems(lambda name, item: found.__setitem__(f"{group.name.rstrip('/')}/{name}", item[()]) if isinstance(item, h5py.Dataset) and "checksum" in item.attrs else None)
    return found


def read(folder, name):
    with h5py.File(pathlib.Path(folder) / "run.h5", "r") as file:
        return file[name][()]


def status(folder):
    with h5py.File(pathlib.Path(folder) / "run.h5", "r") as file:
        value = file.attrs["status"]
    return value.decode() if isinstance(value, bytes) else str(value)


def numbers(folder):
    """{path: bytes} of all that must be the same whatever machine and rank count computed it: results, and the state in the last checkpoint."""
    folder, found = pathlib.Path(folder), {}
    with h5py.File(folder / "run.h5", "r") as file:
        found.update({name: value for name, value in datasets(file).items() if not name.startswith("/config")})
    with h5py.File(folder / "checkpoint" / (folder / "checkpoint" / "latest").read_text().strip(), "r") as file:
        found.update(datasets(file["state"]))
    if "/digest/digest" in found:  # of the gradients; not of the settings, in which runs that are to agree may differ, and of the line with them
        found["/digest/digest"] = found["/digest/digest"][:, [k for k, name in enumerate(found.pop("/digest/quantity")) if name not in (b"settings", b"line")]]
    return {name: numpy.asarray(value) for name, value in found.items() if not OF_THE_MACHINE.search(name)}


def differing(a, b):
    """Names whose bits differ between two runs."""
    a, b = numbers(a), numbers(b)
    return sorted(name for name in set(a) | set(b) if name not in a or name not in b or a[name].tobytes() != b[name].tobytes())


def expect_same_bits(a, b, what):
    wrong = differing(a, b)
    if wrong:
        raise Failure(f"{what}: not the same bits in {', '.join(wrong[:6])}{' and more' if len(wrong) > 6 else ''}")


def relative(a, b, names=("elbo",)):
    """Largest relative difference of columns of the trace."""
    return max(float(numpy.max(numpy.abs(read(a, f"/trace/{n}") - read(b, f"/trace/{n}")) / numpy.abs(read(b, f"/trace/{n}")))) for n in names)


def metrics(folder):
    text = (pathlib.Path(folder) / "metrics.csv").read_text()
    if not text.endswith("\n"):
        raise Failure(f"{folder}/metrics.csv ends with half a line")
    return list(csv.DictReader(text.splitlines()))


def registered(what):
    """Names that --list tells for 'models', 'inference functions', 'variational families', ..."""
    names, inside = [], False
    for line in start(None, ["--list", *([f"run.plugins={PLUGINS}"] if PLUGINS else [])]).splitlines():
        if not line.startswith(" "):
            inside = line.startswith(what)
        elif inside:
            names.append(line.split()[0])
    if not names:
        raise Failure(f"--list names no {what}")
    return names


def registry_table(*arguments):
    tool = pathlib.Path(os.environ["AVI_BUILD_DIR"]) / "tests" / "registry_table"
    lines = subprocess.run([tool, *arguments], capture_output=True, text=True, check=True).stdout.splitlines()
    return {table["name"]: table for table in map(json.loads, lines)}


@functools.lru_cache
def models():
    """{name: what the table of a model says}: width, latent, coupling, support, simulates, reconstructs, closed_form, and the keys that make it small."""
    return registry_table()


@functools.lru_cache
def functions():
    """{name: what the table of an inference function says}: features, and the keys that make it small."""
    return registry_table("functions")


def with_groups(names):
    """The models, and NAME+groups for those that draw groups of any number of entries."""
    return [variant for name in names for variant in [name, *([f"{name}+groups"] if models()[name]["ragged"] else [])]]


@functools.lru_cache
def small_rows(support, width):
    """A file of rows whose values the likelihood of a model can have, kept until the tests end."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="avi-rows-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    generator = numpy.random.default_rng(11)
    draw = {"real": generator.normal, "count": lambda size: generator.poisson(3, size), "binary": lambda size: generator.integers(0, 2, size)}[support]
    with h5py.File(folder / "rows.h5", "w") as file:
        file["x"], file["x_test"] = draw(size=(1000, width)), draw(size=(200, width))
    return folder / "rows.h5"


def small_data(model):
    """Overrides that give every registered model a small size and a small data set: rows drawn from the model itself where it draws any, else images or a file of values that its
    likelihood can have. A name of with_groups has groups of any number of entries."""
    model, _, groups = model.partition("+")
    table = models()[model]
    keys = [f"model.{line.replace(' = ', '=', 1)}" for line in (table["small"] + (table["ragged"] if groups else "")).splitlines()]
    if table["simulates"]:
        return [f"model.name={model}", "data.source=model", *keys]
    if has_images(model):
        return [f"model.name={model}", "data.source=strokes", *keys]
    path = small_rows(table["support"], table["width"])
    return [f"model.name={model}", "data.source=hdf5", f"data.path={path}", "data.dataset=x", f"data.test_path={path}", "data.test_dataset=x_test", *keys]


def has_images(model):
    """Whether small_data gives a model images."""
    table = models()[model.partition("+")[0]]
    return not table["simulates"] and table["support"] == "unit"


def small_function(function, model):
    """Overrides that make an inference function small. It sees images, or of other rows a window, for functions that need neighbours."""
    if function == "mlp":  # for every other model with all that a network can have
        if len(model) % 2:
            return ["inference.function=mlp", "inference.hidden=6,5"]
        return ["inference.function=mlp", "inference.hidden=6,6", "inference.residual=yes", "inference.norm=layer", "inference.activation=gelu"]
    if function == "polynomial":
        few = models()[model.partition("+")[0]]["width"] <= 3
        return ["inference.function=polynomial", f"inference.degree={2 if few else 1}"]
    table = functions()[function]
    keys = [f"inference.{line.replace(' = ', '=', 1)}" for line in table["small"].splitlines()]
    alone = has_images(model) or "+" in model  # groups have no neighbours
    return [f"inference.function={function}", *keys, *(["inference.domain=window:2"] if table["features"] and not alone else [])]


def empty_ini(folder):
    """A file that sets nothing: everything comes from overrides. Plug-ins that the tests are to take are in it."""
    path = pathlib.Path(folder) / "empty.ini"
    path.write_text("[run]\nseed = 1\n" + (f"plugins = {PLUGINS}\n" if PLUGINS else ""))
    return path


class Skip(Exception):
    pass


def main(*checks):
    """Runs checks (functions of a scratch folder), says what each found, ends with the status of the test."""
    chosen = [c for c in checks if not sys.argv[1:] or c.__name__ in sys.argv[1:]]
    failed = 0
    for check in chosen:
        scratch, began = pathlib.Path(tempfile.mkdtemp(prefix="avi-fit-")), time.monotonic()
        try:
            print(f"ok      {check.__name__}: {check(scratch)}  ({time.monotonic() - began:.1f} s)", flush=True)
        except Failure as failure:
            failed += 1
            print(f"FAILED  {check.__name__}: {failure}", flush=True)
        except Skip as skip:
            print(f"skipped {check.__name__}: {skip}", flush=True)
            sys.exit(77)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    if not chosen:
        raise SystemExit(f"no such check; there are {', '.join(c.__name__ for c in checks)}")
    sys.exit(1 if failed else 0)
