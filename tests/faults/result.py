"""What a run leaves, as bits, and what is wrong with an output folder."""
import csv
import hashlib
import pathlib
import re

import h5py

from job import Failure, latest, temporaries

GROUPS = ("global", "inference", "local")


def digest(dataset):
    values = dataset[()]
    return f"{dataset.dtype} {dataset.shape} {hashlib.sha256(values.tobytes()).hexdigest()[:20]}"


def text_attribute(file, name):
    value = file.attrs[name]
    return value.decode() if isinstance(value, bytes) else str(value)


def is_values(item):
    """Whether an item of a group has values of its own; scales of dimensions have numbers or names, of ranks for instance."""
    return isinstance(item, h5py.Dataset) and (item.name.endswith("/step") or not h5py.h5ds.is_scale(item.id))


def datasets(group):
    """{path: digest} of all datasets with values below a group."""
    found = {}
    group.visititems(lambda name, item: found.__setitem__(f"{group.name.rstrip('/')}/{name}", digest(item)) if is_values(item) else None)
    return found


def evaluations(file):
    """{"evaluation at STEP": values as bits}."""
    names = [name for name, item in sorted(file["eval"].items()) if is_values(item)] if "eval" in file else []
    found = {"last evaluation: " + name: digest(file["eval"][name]) for name in names if name.endswith("_half")}
    names = [name for name in names if not name.endswith("_half")]
    for row, step in enumerate(file["eval/step"][()] if names else []):
        name = f"evaluation at {step:.0f}"
        if name in found:
            raise Failure(f"run.h5: /eval has step {step:.0f} twice")
        found[name] = " ".join(f"{n}={file['eval'][n][row].tobytes().hex()}" for n in names)
    return found


def bits(folder):
    """{name: digest} of what must not depend on faults: parameters, optimizer state, trace and evaluations, without times and ranks' shares."""
    folder, found = pathlib.Path(folder), {}
    with h5py.File(folder / "run.h5", "r") as file:
        found["status"] = text_attribute(file, "status")
        for name in GROUPS:
            if name in file:
                found.update(datasets(file[name]))
        for name, values in datasets(file["trace"]).items():
            if not re.search(r"seconds|_rank$|profile", name):
                found[name] = values
        found.update(evaluations(file))
    with h5py.File(folder / "checkpoint" / f"step_{latest(folder):09d}.h5", "r") as file:
        found.update({"checkpoint " + name: values for name, values in datasets(file["state"]).items()})
    return found


def differing(expected, found, cuts=()):
    """Names that differ. A run that was planned to end at `cuts` and then prolonged has evaluations there too."""
    extra = {f"evaluation at {step}" for step in cuts} - set(expected)
    return sorted(name for name in (set(expected) | set(found)) - extra if expected.get(name) != found.get(name))


def metrics(folder):
    """Lines of metrics.csv as dictionaries."""
    path = pathlib.Path(folder) / "metrics.csv"
    text = path.read_text()
    if not text.endswith("\n"):
        raise Failure(f"{path} ends with half a line")
    return list(csv.DictReader(text.splitlines()))


def check_metrics(folder, steps, reference=None):
    """Each step once, and the numbers of the undisturbed run apart from times."""
    lines = metrics(folder)
    found = [int(float(line["step"])) for line in lines]
    if found != list(range(1, steps + 1)):
        missing, doubled = sorted(set(range(1, steps + 1)) - set(found)), sorted({s for s in found if found.count(s) > 1})
        raise Failure(f"metrics.csv: missing steps {missing}, doubled {doubled}, {len(found)} lines")
    if reference:
        for a, b in zip(lines, metrics(reference)):
            wrong = [name for name in b if not re.search("seconds|_rank", name) and a.get(name) != b[name]]
            if wrong:
                raise Failure(f"metrics.csv: step {a['step']}: {wrong} differ from the undisturbed run")


def check_trace(folder, steps):
    with h5py.File(pathlib.Path(folder) / "run.h5", "r") as file:
        found = [int(s) for s in file["trace/step"][()]]
    if found != list(range(1, steps + 1)):
        raise Failure(f"run.h5: /trace has steps {found[:3]}..{found[-3:]}, {len(found)} rows; {steps} expected, each once")


def check_readable(folder):
    """After a fault, what is there under its final name can be read whole. True when that is the result of a finished run."""
    path = pathlib.Path(folder) / "run.h5"
    if not path.exists():
        return False
    try:
        with h5py.File(path, "r") as file:
            datasets(file)
            return text_attribute(file, "status") == "done"
    except OSError as error:
        raise Failure(f"run.h5 cannot be read after the fault: {error}") from None


def check_tidy(folder):
    """Nothing of a fault stays behind once a later run has ended well."""
    folder = pathlib.Path(folder)
    if temporaries(folder):
        raise Failure(f"left behind: {[p.name for p in temporaries(folder)]}")
    if (folder / "lock").exists():
        raise Failure("the lock was left behind")
    allowed = r"run\.h5|metrics\.csv|config\.ini|checkpoint"
    strange = [p.name for p in folder.iterdir() if not re.fullmatch(allowed, p.name)]
    if strange:
        raise Failure(f"strange files in the output folder: {strange}")
