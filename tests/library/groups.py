"""Groups of any number of entries that a program hands over in memory: what the library says of them is what the command says of the same table in a file, bit for bit."""
import os
import subprocess

import h5py
import numpy

from runs import MPIRUN, Failure, empty_ini, fit, main, start

PROGRAM = os.path.join(os.environ["AVI_BUILD_DIR"], "tests", "library_groups")
FIELDS = ["mean", "log_sd", "elbo", "elbo_error", "log_likelihood", "kl", "log_p", "log_p_error", "khat", "ess"]


def table(groups, seed, largest=900):
    """A long table: key, outcome, two covariates; entries of a group lie apart, and one group has most of them."""
    generator = numpy.random.default_rng(seed)
    key = generator.permutation(numpy.repeat(generator.permutation(groups) * 7 - 50, numpy.where(numpy.arange(groups) == 3, largest, generator.integers(1, 9, groups))))
    return numpy.column_stack([key, generator.integers(0, 2, len(key)), generator.normal(size=(len(key), 2))])


def write(path, rows):
    with h5py.File(path, "w") as file:
        file["x"] = rows
    rows.tofile(path.with_suffix(".bin"))
    return path


def as_the_command(scratch):
    """evaluate of new groups by inference functions, by own factors and with draws of theta: library and command, on 1 and 3 ranks. The library takes blocks of at most 5120 groups and of
    about 350,000 entries; the ELBO of large groups takes draws."""
    train = write(scratch / "old.h5", table(60, 1))
    base = ["model.name=hier_logistic", "data.source=hdf5", "data.dataset=x", "data.group=0", "model.covariates=2", "run.reproducible=yes", "optim.batch=20", "optim.steps=10", "rows.draws=30"]
    cases = [("mlp", 3, table(5200, 2), ["inference.function=mlp", "inference.hidden=6", "run.precision=double"]),
             ("set", 1, table(150, 3, 360000), ["inference.function=set", "inference.entry_hidden=5", "model.global=gaussian"]),
             ("own", 1, table(150, 4), ["inference.function=factorized"])]
    for name, ranks, new, how in cases:
        path = write(scratch / "new.h5", new)
        run = fit(scratch / name, *base, f"data.path={train}", *how, ini=empty_ini(scratch))
        start(None, [run, "-q", "run.task=evaluate", f"data.path={path}", f"run.output={scratch / name}_rows"])
        with h5py.File(f"{scratch / name}_rows/rows.h5") as file:
            want = [file[field][()].ravel().astype(float) for field in FIELDS]  # of a fit in single precision means are stored in it
        command = [*MPIRUN, "-n", str(ranks), PROGRAM, run, str(len(new)), "3", path.with_suffix(".bin"), scratch / "out"]
        done = subprocess.run([str(c) for c in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100)
        if done.returncode or done.stdout.strip() != "ok":
            raise Failure(f"{name} on {ranks} ranks: {done.stdout}{done.stderr}")
        for rank in range(ranks):
            got = numpy.fromfile(scratch / f"out.{rank}").reshape(len(FIELDS), -1)
            for field, a, b in zip(FIELDS, got, want):
                if a.tobytes() != b.tobytes():
                    raise Failure(f"{name}, rank {rank} of {ranks}: other bits of {field} than the command's: {a[:3]}, {b[:3]}")
    return f"{len(FIELDS)} values of each group with the command's bits"


if __name__ == "__main__":
    main(as_the_command)
