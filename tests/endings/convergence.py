"""What the end of a fit says of its convergence: the slope against numpy's, of fits that are stopped far too early and of one at its optimum."""
import re

import h5py
import numpy

from small import data, linear
from runs import Failure, expect_same_bits, main, read, start, empty_ini

ROWS, BATCH = 58, 21
STEPS_OF_EPOCH, LAST = 3, 5
BASE = ["run.reproducible=yes", f"optim.batch={BATCH}", "optim.tile=3", "model.global=gaussian", "objective.draws=1"]


def told(folder):
    with h5py.File(folder / "run.h5") as file:
        return {name: value.decode() if isinstance(value, bytes) else value for name, value in file["/trace"].attrs.items()}


def slope_of(folder):
    """Least squares through the means of the last five epochs, from the lines of the trace, of which there is one per step."""
    elbo, per_row, kl, step = (read(folder, f"/trace/{name}") for name in ("elbo", "elbo_per_row", "kl_global", "step"))
    local = (elbo + kl) / STEPS_OF_EPOCH
    rows = local / (per_row + kl / ROWS)
    ends = len(step) // STEPS_OF_EPOCH * STEPS_OF_EPOCH
    cut = [array[:ends].reshape(-1, STEPS_OF_EPOCH)[-LAST:] for array in (local, rows, kl, step)]
    if not numpy.allclose(cut[1].sum(1), ROWS):
        raise Failure(f"rows of the epochs: {cut[1].sum(1)}")
    mean, at = cut[0].sum(1) / cut[1].sum(1) - cut[2][:, 1] / ROWS, cut[3].mean(1) / STEPS_OF_EPOCH
    (slope, _), covariance = numpy.polyfit(at, mean, 1, cov=True)
    return slope, float(numpy.sqrt(covariance[0, 0]))


def slope(scratch):
    """On 1, 2 and 3 ranks and in two parts, the same bits; the value is numpy's."""
    arguments = [*BASE, "inference.function=polynomial", "optim.learning_rate=0.02", "log.eval_every=50", "optim.steps=121"]
    runs = [linear(scratch, f"run-{np}", data(ROWS), *arguments, np=np) for np in (None, 2, 3)]
    parts = linear(scratch, "parts", data(ROWS), *arguments[:-1], "optim.steps=50", np=2)
    linear(scratch, "parts", data(ROWS), *arguments)
    wanted, error = slope_of(runs[0])
    for run in [*runs, parts]:
        expect_same_bits(run, runs[0], f"{run.name} against one rank")
        found = told(run)
        if not numpy.allclose((found["slope"], found["slope_error"]), (wanted, error), rtol=1e-9) or found["slope"] != told(runs[0])["slope"]:
            raise Failure(f"{run.name}: slope {found['slope']} +- {found['slope_error']}, numpy {wanted} +- {error}")
        if found["slope_steps"] != LAST * STEPS_OF_EPOCH:
            raise Failure(f"{run.name}: of {found['slope_steps']} steps")
    return f"{wanted:.6f} +- {error:.6f} nats per row and epoch"


def words(scratch):
    """Stopped far too early, amortized and factorized; at the optimum; falling; at the end of a schedule; by L-BFGS; too short to tell."""
    quiet = ["objective.draws=0"]
    factorized = ["inference.function=factorized", "optim.local_learning_rate=0.002", "optim.local_steps=1"]
    for name, expected, arguments in (
            ("early", "still rises by", ["inference.function=polynomial", "optim.learning_rate=0.002", "optim.epochs=30", *quiet]),
            ("factors", "still rises by", [*factorized, "optim.learning_rate=0.05", "optim.epochs=60", *quiet]),
            ("optimum", "converged to within", ["inference.function=polynomial", "optim.learning_rate=0.02", "optim.epochs=400", "optim.batch=0", *quiet]),
            ("noise", "do not tell whether", ["inference.function=polynomial", "optim.learning_rate=0.3", "optim.epochs=12", "objective.draws=1"]),
            ("falls", "falls by", ["inference.function=polynomial", "optim.method=sgd", "optim.learning_rate=0.75", "optim.batch=0", "optim.epochs=40", *quiet]),
            ("schedule", "at a learning rate of", ["inference.function=polynomial", "optim.learning_rate=0.02", "optim.schedule=cosine", "optim.epochs=100", *quiet]),
            ("lbfgs", "optim.tolerance is reached", ["optim.tolerance=1e-7", "inference.function=polynomial", "optim.method=lbfgs", "optim.batch=0", "optim.steps=60", *quiet])):
        run = linear(scratch, name, data(ROWS), *BASE[:-1], *arguments)
        if expected not in told(run).get("convergence", ""):
            raise Failure(f"{name}: {told(run)}; {expected} expected")
    within = float(re.search(r"within (\S+)", told(scratch / "optimum")["convergence"])[1])
    if not 0 <= within < 1e-3 or not told(scratch / "early")["convergence"].endswith("use more optim.epochs"):
        raise Failure(f"within {within}; {told(scratch / 'early')['convergence']}")
    short = linear(scratch, "short", data(ROWS), *BASE, "inference.function=polynomial", "optim.steps=3")
    if "slope" in told(short) or "convergence" in told(short):
        raise Failure(f"three steps: {told(short)}")
    text = start(None, [empty_ini(scratch), f"run.output={scratch / 'screen'}", "data.rows=64", "data.test_rows=8", "optim.batch=32", "optim.epochs=12"])
    if text.count("\n  convergence  the ELBO ") != 1:
        raise Failure(f"not once on the screen: {text}")
    return f"seven endings; the optimum to within {within}"


if __name__ == "__main__":
    main(slope, words)
