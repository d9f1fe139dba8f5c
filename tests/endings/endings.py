"""Runs that end without a fit: nothing false is called done. Rows that are not finite, steps that are not, a stop rule that NaN must not meet, a sweep's table."""
import csv

import h5py
import numpy

from small import MODEL, data, write
from runs import SOURCE, Failure, empty_ini, main, read, refusal, start

BUDGET, DIVERGED = 3, 4
WILD = ["data.rows=300", "data.test_rows=50", "optim.batch=64", "model.hidden=12", "inference.hidden=12", "optim.method=sgd", "optim.learning_rate=1000", "optim.steps=12",
        "log.eval_every=1", "log.images=0"]


def ending(folder):
    with h5py.File(folder / "run.h5") as file:
        return [value.decode() if isinstance(value, bytes) else str(value) for value in (file.attrs["status"], file.attrs["why_stopped"])]


def expect_diverged(folder, words):
    status, why = ending(folder)
    if status != "diverged" or words not in why:
        raise Failure(f"{folder.name}: {status}, {why!r}; diverged, with {words!r}, expected")


def nan_rows(scratch):
    """One row of 3e38 among 64: ELBO and error of the last evaluation are not finite, and the run is not done."""
    x = data(64)
    x[41] = 3e38
    base = [*MODEL[:-1], "run.precision=single", f"data.path={write(scratch / 'x.h5', x)}", "data.dataset=x", "inference.function=constant", "optim.batch=16", "optim.tile=2",
            "optim.steps=7", "log.eval_every=2"]
    for exact, at, np in (("no", "draws", None), ("yes", "draws", 3), ("yes", "means", None), ("no", "means", 3)):
        run = scratch / f"{exact}-{at}"
        text = start(np, [empty_ini(scratch), "-q", f"run.output={run}", *base, f"run.reproducible={exact}", f"log.mse_at={at}"], expect=(DIVERGED,))
        elbo, mse = read(run, "/eval/elbo_train"), read(run, "/eval/mse_train")
        if numpy.isfinite(elbo).any() or (mse < 1e70).any():
            raise Failure(f"{run.name}: /eval has ELBO {elbo}, error {mse}")
        if "ELBO on training rows" not in (refusal(text) or "") or text.count("avi_mpi: error") != 1:
            raise Failure(f"{run.name}: {text}")
        expect_diverged(run, "last evaluation is not finite")
    return "ELBO and error NaN, exit status 4"


def bad_steps(scratch):
    """Fewer bad steps at the end than nan.max_skips, and none that was applied."""
    run = scratch / "wild"
    text = start(None, [SOURCE / "inputs/vae.ini", "-q", f"run.output={run}", *WILD], expect=(DIVERGED,))
    expect_diverged(run, "steps were not finite")
    if "diverged" not in (refusal(text) or ""):
        raise Failure(f"no message: {text}")
    for np in (None, 3):
        x, run = numpy.full(60, 1e30), scratch / f"none{np}"
        start(np, [empty_ini(scratch), "-q", f"run.output={run}", *MODEL[:-1], "run.precision=single", f"data.path={write(scratch / 'x.h5', x)}", "data.dataset=x",
                   "inference.function=constant", "optim.batch=0", "optim.tile=4", "optim.steps=5"], expect=(DIVERGED,))
        expect_diverged(run, "none of its 5 steps")
    return "steps at the end, and all of them"


def rules(scratch):
    """A stop rule is not met by what is not a number: exit status 3 where it is required."""
    for rule in ("stop.mse=0.2", "stop.elbo_per_row=-1e6"):
        for exact in ("no", "yes"):
            run = scratch / f"{rule[5:8]}-{exact}"
            text = start(None, [SOURCE / "inputs/vae.ini", "-q", f"run.output={run}", *WILD, rule.replace("-1e6", "0"), "stop.required=yes", f"run.reproducible={exact}"],
                         expect=(BUDGET,))
            if "before the stop rule was met: elbo_train is not finite" not in text:
                raise Failure(f"{rule}: {text}")
            if ending(run)[0] != "diverged":
                raise Failure(f"{rule}: status {ending(run)}")
    return "neither rule is met by NaN"


def swept(scratch):
    """sweep.csv says which run has diverged."""
    out = scratch / "sweep"
    start(2, [SOURCE / "inputs/vae.ini", "-q", f"run.output={out}", *[w for w in WILD if "learning_rate" not in w], "--sweep", "optim.learning_rate=1e-4|1000"], expect=(DIVERGED,))
    lines = list(csv.DictReader((out / "sweep.csv").read_text().splitlines()))
    found = [(line["status"], line["exit_code" if "exit_code" in line else "code"]) for line in lines]
    if found != [("done", "0"), ("diverged", "4")]:
        raise Failure(f"sweep.csv says {found}")
    # Each run can be made again from its own file, though its path holds an =.
    own = next(out.glob("000_*")) / "config.ini"
    text = start(None, [own])
    if "done already" not in text:
        raise Failure(f"{own}: {text}")
    return "done 0, diverged 4"


def first_step(scratch):
    """Grey values as floats: the message names the range and a key that helps, and rollback ends at once."""
    grey = numpy.random.default_rng(0).integers(0, 256, (200, 784)).astype("f4")
    grey[7, 30] = 4000
    base = [empty_ini(scratch), "model.name=vae", "model.latent=2", "model.hidden=16", "inference.hidden=16", "model.likelihood=gaussian", "inference.standardise=no", "data.source=hdf5",
            f"data.path={write(scratch / 'x.h5', grey)}", "data.dataset=x", "optim.batch=50", "optim.tile=5", "optim.steps=60", "-q"]
    for np, policy in ((None, "skip"), (3, "rollback")):
        text = start(np, [*base, f"run.output={scratch / policy}", f"nan.policy={policy}"], expect=(DIVERGED,))
        said = refusal(text) or ""
        if "up to 4000 (row 7, column 30)" not in said or "data.standardise = yes" not in said or "learning rate," in said or "back to step" in text:
            raise Failure(f"nan.policy = {policy}: {text}")
    start(None, [*base, f"run.output={scratch / 'standardised'}", "data.standardise=yes"])
    return "data.standardise = yes as advised: done"


if __name__ == "__main__":
    main(nan_rows, bad_steps, rules, swept, first_step)
