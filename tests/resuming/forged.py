"""Checkpoints whose checksums hold and whose values no run can have had: refused (65) with the value named, in time, and left where they are."""
import pathlib
import shutil
import sys
import time

import h5py
import numpy

from small import data, write
from runs import Failure, empty_ini, fit, main, read, refusal, start

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "io"))
from store import checksum  # noqa: E402

BAD_DATA, SOON = 65, 20  # seconds
BASE = ["run.reproducible=yes", "run.precision=double", "log.every=1", "log.eval_every=2", "checkpoint.keep=1"]
ADAM = ["model.name=linear", "inference.function=factorized", "optim.batch=21", "optim.tile=3"]
LBFGS = ["model.name=nonlinear", "objective.draws=0", "objective.points=8", "inference.function=polynomial", "optim.method=lbfgs", "optim.batch=0", "optim.tile=3"]


def attribute(name, value):
    def change(file):
        file.attrs.modify(name, value)
    return change


def values(path, at, value):
    """Changes one value of a dataset, and its checksum with it."""
    def change(file):
        content = file[path][()]
        content[at] = value
        file[path][...] = content
        file[path].attrs.modify("checksum", numpy.bytes_(f"{checksum(content.tobytes(), content[0].nbytes):016x}"))
    return change


def nested(depth):
    def change(file):
        group = file
        for _ in range(depth):
            group = group.create_group("g")
    return change


def swapped(file):
    """The gradients of L-BFGS's newest pair point the other way: negative curvature."""
    content = file["/state/lbfgs"][()]
    values("/state/lbfgs", slice(len(content) // 2, None), -content[len(content) // 2:])(file)


COUNTERS = [
    ("step -1", attribute("step", -1), "step -1"),
    ("step 10^15", attribute("step", 10**15), "1000000000000000"),
    ("more skipped than done", attribute("skipped", 8), "8 steps skipped of 4"),
    ("skipped in a row below 0", attribute("skipped_in_a_row", -1), "-1 of them in a row"),
    ("a factor of -1", attribute("rate_factor", -1.0), "rate_factor is -1"),
    ("a factor that is not a number", attribute("rate_factor", numpy.nan), "rate_factor is nan"),
    ("a factor of 2", attribute("rate_factor", 2.0), "rate_factor is 2"),
    ("seconds that are not a number", attribute("seconds", numpy.nan), "nan seconds"),
]
VECTORS = [
    ("a parameter", values("/state/global/value", 0, numpy.nan), "global parameters are not finite"),
    ("a moment", values("/state/global/second_moment", 0, numpy.inf), "optimizer's state are not finite"),
    ("a mean of squares below 0", values("/state/global/second_moment", 0, -1.0), "squared gradients is below 0"),
    ("a local mean of squares below 0", values("/state/local/second_moment", (40, 1), -1e-30), "squared gradients is below 0"),
    ("a local factor", values("/state/local/value", (40, 1), numpy.nan), "local factors are not finite"),
    ("a scale of 1e300", values("/state/exact_scales", 0, 1e300), "is 1e+300"),
    ("a scale below 0", values("/state/exact_scales", 0, -1.0), "is -1"),
    ("a scale that is not a number", values("/state/exact_scales", 0, numpy.nan), "is nan"),
    ("a line of the future", values("/trace", (3, 0), 900.0), "/trace is of step 900"),
    ("lines in no order", values("/trace", (1, 0), 1.0), "line 1 of /trace"),
    ("an evaluation of the past", values("/eval", (1, 0), -5.0), "line 1 of /eval"),
]
PLACES = [("2000 groups in each other", nested(2000), "deeper than any")]


def hold(scratch, kind, cases):
    arguments = [*BASE, *kind, "data.source=hdf5", f"data.path={write(scratch / 'x.h5', data(58))}", "data.dataset=x"]
    whole = fit(scratch / "whole", *arguments, "optim.steps=4", ini=empty_ini(scratch))
    for name, change, words in cases:
        run = scratch / "run"
        shutil.copytree(whole, run)
        file = run / "checkpoint" / "step_000000004.h5"
        with h5py.File(file, "r+", libver=("v108", "latest")) as opened:
            change(opened)
        forged, began = file.read_bytes(), time.monotonic()
        text = start(None, [empty_ini(scratch), "-q", f"run.output={run}", *arguments, "optim.steps=9"], expect=(BAD_DATA,))
        if words not in text or not refusal(text):
            raise Failure(f"{name}: {words!r} is not in: {text}")
        if time.monotonic() - began > SOON:
            raise Failure(f"{name}: refused after {time.monotonic() - began:.0f} s")
        if file.read_bytes() != forged:
            raise Failure(f"{name}: the file was changed or replaced")
        shutil.rmtree(run)
    unforged = scratch / "unforged"
    shutil.copytree(whole, unforged)
    with h5py.File(unforged / "checkpoint" / "step_000000004.h5", "r+", libver=("v108", "latest")) as opened:
        values("/trace", (0, 2), 0.5)(opened)  # a value that says nothing wrong: what writes the file here is not what is refused
    fit(unforged, *arguments, "optim.steps=9", ini=empty_ini(scratch))
    return f"{len(cases)} values refused"


def in_order_of_data(order):
    """Makes a checkpoint of format 1 of one of format 2: local factors in the order of the data. order: the row of the data that each row of the file is."""
    def change(file):
        if file.attrs["format_version"] != 2 or "shuffle_seed" not in file.attrs:
            raise Failure("shuffled factors are not kept as they are held")
        file.attrs.modify("format_version", 1)
        del file.attrs["shuffle_seed"]
        for name in list(file["/state/local"]):
            content = numpy.empty_like(file[f"/state/local/{name}"][()])
            content[order] = file[f"/state/local/{name}"][()]
            values(f"/state/local/{name}", slice(None), content)(file)
    return change


def older_format(scratch):
    """A checkpoint as written before local factors were kept in the order in which ranks hold them goes on to the same bits, on another number of ranks, as does one of today."""
    arguments = [*BASE, *ADAM, "data.source=hdf5", f"data.path={write(scratch / 'x.h5', data(58))}", "data.dataset=x"]
    ini = empty_ini(scratch)
    whole = fit(scratch / "whole", *arguments, "optim.steps=12", ini=ini)
    half = fit(scratch / "half", *arguments, "optim.steps=5", np=2, ini=ini)
    file = half / "checkpoint" / "step_000000005.h5"
    given = numpy.column_stack([read(half, "/local/mean")[:, 0], read(half, "/local/log_sd")[:, 0]])
    with h5py.File(file) as opened:
        held = opened["/state/local/value"][()]
    order = numpy.array([numpy.flatnonzero((given == row).all(axis=1)) for row in held])[:, 0]
    if sorted(order) != list(range(58)) or (order == numpy.arange(58)).all():
        raise Failure(f"rows of the checkpoint are these rows of the data: {order}")
    older = scratch / "older"
    shutil.copytree(half, older)
    with h5py.File(older / "checkpoint" / "step_000000005.h5", "r+", libver=("v108", "latest")) as opened:
        in_order_of_data(order)(opened)
    for run, ranks in ((half, 3), (older, 3)):
        fit(run, *arguments, "optim.steps=12", np=ranks, ini=ini)
        for name in ("/local/mean", "/local/log_sd", "/global/theta/mean", "/trace/elbo"):
            if (read(run, name) != read(whole, name)).any():
                raise Failure(f"{run.name}: {name} differs from that of one run")
    return f"{len(order)} rows"


def forged(scratch):
    return hold(scratch, ADAM, [*COUNTERS, *VECTORS, *PLACES])


def forged_pairs(scratch):
    return hold(scratch, LBFGS, [("pairs of negative curvature", swapped, "of L-BFGS has curvature")])


if __name__ == "__main__":
    main(forged, forged_pairs, older_format)
