"""Minibatches that do not divide the data: every row counts alike over an epoch (include/avi/elbo.h), and fits end where a full batch ends.

Over an epoch at standing parameters, the mean of the steps' ELBO is the ELBO of all rows, and the sum of the steps' moves under plain gradient descent is E times the move of a
full batch, with E steps an epoch. objective.draws = 0 makes both exact."""
import sys

import h5py
import numpy

from small import MODEL, SIGMA, TAU, data, elbo, linear, write
from runs import Failure, datasets, empty_ini, fit, main, read, small_data

RATE = 1e-8  # so small that the gradient stays what it is, so large that a move stands out of the parameters' rounding
EXACT = ["objective.draws=0", "optim.method=sgd", "optim.momentum=0", "log.eval_every=-1", "checkpoint.resume=no"]
DOUBLE = ["run.precision=double", "log.every=1"]


def cases(scratch):
    """Name, arguments, (rows, batch, tile): batches and tiles that do not divide the rows, lanes of unequal length."""
    x = [f"data.path={write(scratch / 'x.h5', data(101))}", "data.dataset=x"]
    ppca = write(scratch / "ppca.h5", numpy.random.default_rng(3).normal(size=(101, 4)) @ numpy.random.default_rng(4).normal(size=(4, 4)))
    series = write(scratch / "series.h5", numpy.cumsum(data(60, 3)) / 3)
    strokes = [*DOUBLE, "model.name=vae", "data.source=strokes", "data.rows=50", "data.test_rows=0", "model.latent=1", "model.hidden=6", "objective.points=3", "log.images=0"]
    drawn = [*DOUBLE, "data.source=hdf5", "data.dataset=x", f"data.path={series}"]
    yield "linear F-VI", [*MODEL, *x, "inference.function=factorized", "model.global=gaussian"], (101, 100, 1)
    yield "linear A-VI", [*MODEL, *x, "inference.function=polynomial", "inference.degree=1"], (101, 40, 8)
    yield "saw F-VI", ["model.name=saw", *drawn, "inference.function=factorized", "model.global=gaussian"], (59, 50, 5)
    yield "saw A-VI next", ["model.name=saw", *drawn, "inference.function=mlp", "inference.hidden=4", "inference.domain=next"], (59, 24, 4)
    yield "ppca A-VI", [*DOUBLE, "model.name=ppca", "model.latent=2", "data.source=hdf5", f"data.path={ppca}", "data.dataset=x", "inference.function=polynomial", "inference.degree=1"], (101, 25, 5)
    yield "hier_logistic A-VI", [*DOUBLE, "model.name=hier_logistic", "model.trials=3", "data.source=model", "data.rows=37", "inference.function=mlp", "inference.hidden=4",
                                 "objective.points=5"], (37, 20, 4)
    yield "vae A-VI", [*strokes, "inference.function=mlp", "inference.hidden=5"], (50, 12, 3)
    yield "vae F-VI, all rows at a step", [*strokes, "inference.function=factorized", "optim.local_rows=all"], (50, 12, 3)
    yield "hmm F-VI", ["model.name=hmm", *drawn, "inference.function=factorized"], (60, 24, 3)


def state(folder):
    """All that a fit moves: parameters of q(theta) and of the inference function, own factors of rows; sds as their logs. (A covariance is no parameter.)"""
    with h5py.File(folder / "run.h5") as file:
        found = datasets(file)
    return {name: numpy.log(value) if name.endswith("/sd") else value.astype(float) for name, value in found.items()
            if name.startswith(("/global/", "/inference/", "/local/mean", "/local/log_sd")) and value.dtype.kind == "f"}


def expect(what, found, wanted, bound):
    error = float(numpy.max(numpy.abs(numpy.asarray(found) - wanted)) / (1e-2 + numpy.max(numpy.abs(wanted))))
    if not error <= bound:
        raise Failure(f"{what}: {numpy.ravel(found)[:4]}, expected {numpy.ravel(wanted)[:4]}: relative error {error:.1e}")


def one_epoch(scratch, name, arguments, rows, batch, tile, also):
    own = "yes" if "inference.function=factorized" in arguments else "no"  # what a function gives is no parameter

    def steps(folder, count, rate, np=None, *more):
        return fit(scratch / folder, *arguments, *EXACT, f"output.local={own}", f"optim.steps={count}", f"optim.learning_rate={rate}", *more, np=np, ini=empty_ini(scratch))

    minibatch = [f"optim.batch={batch}", f"optim.tile={tile}"]
    full = steps("full", 1, RATE, None, "optim.batch=0")
    whole = float(read(full, "/trace/elbo")[0])  # of the parameters before the step
    tiles = -(-rows // tile)
    count = -(-tiles // (batch // tile))
    still = steps("still", count, 0, None, *minibatch)
    each = read(still, "/trace/elbo")
    expect(f"{name}: mean of the ELBO of {count} steps", each.mean(), whole, 1e-12)
    expect(f"{name}: mean of log p(x | z)", read(still, "/trace/log_likelihood").mean(), read(full, "/trace/log_likelihood")[0], 1e-12)
    before, after = state(still), state(full)
    if own == "yes" and "/local/mean" not in before:
        raise Failure(f"{name}: the rows' own factors are not compared")
    for np, reproducible in also:
        run = steps("moved", count, RATE, np, *minibatch, f"run.reproducible={reproducible}")
        what = f"{name}, {np or 1} ranks, reproducible = {reproducible}"
        expect(f"{what}: the steps' ELBO", read(run, "/trace/elbo"), each, 1e-5)
        moved = state(run)
        for key, start in before.items():
            visits = 1 if key.startswith("/local/") and "optim.local_rows=all" not in arguments else count
            expect(f"{what}: move of {key}", (moved[key] - start) / RATE, visits * (after[key] - start) / RATE, 1e-5)
    return count


def weights(scratch):
    """The estimator itself, for every coupling and kind of parameter."""
    ways, told = [(None, "no"), (3, "yes"), (3, "no")], []
    for i, (name, arguments, sizes) in enumerate(cases(scratch)):
        also = ways if i == 0 else [ways[0], ways[1 + i % 2]]
        told.append(f"{name} {one_epoch(scratch, name, arguments, *sizes, also)}")
    x = data(101)  # the whole data set's ELBO once from outside the program
    run = linear(scratch, "outside", x, *EXACT, "inference.function=constant", "model.global=gaussian", "model.global_log_sd=-1", "optim.batch=100", "optim.steps=2",
                 "optim.learning_rate=0")
    expect("linear, constant: mean of 2 steps' ELBO", read(run, "/trace/elbo").mean(), elbo(x, 0.0, -1.0, numpy.zeros(2)), 1e-12)
    return "steps of an epoch: " + ", ".join(told)


def other_cases(scratch):
    """As cases: groups of any number of entries, streamed rows, functions with steps behind them, correlated factors of rows, of chains (a tile boundary is a term) and of theta."""
    hmm = [*DOUBLE, "model.name=hmm", "data.source=hdf5", "data.dataset=x", f"data.path={write(scratch / 'chain.h5', numpy.cumsum(data(60, 3)) / 3)}", "inference.family=tridiagonal"]
    drawn = [*DOUBLE, "data.source=model"]
    groups = [*DOUBLE, *small_data("hier_logistic+groups"), "data.rows=37", "objective.points=5"]
    semi = ["inference.function=semi", "inference.base=mlp", "inference.hidden=4", "inference.refine_steps=2", "inference.refine_draws=0"]
    yield "hmm tridiagonal F-VI", [*hmm, "inference.function=factorized"], (60, 24, 3)
    yield "hmm tridiagonal A-VI, tiles of one row", [*hmm, "inference.function=mlp", "inference.hidden=4", "inference.domain=window:1"], (60, 7, 1)
    yield "groups A-VI set", [*groups, "inference.function=set", "inference.entry_hidden=4", "inference.hidden=4"], (37, 20, 4)
    yield "groups F-VI, q(theta) a Gaussian", [*groups, "model.global=gaussian", "inference.function=factorized"], (37, 20, 4)
    yield "streamed ppca", [*drawn, "model.name=ppca", "model.latent=2", "data.rows=101", "data.storage=stream", "inference.function=polynomial", "inference.degree=1"], (101, 25, 5)
    yield "semi nonlinear", [*drawn, "model.name=nonlinear", "data.rows=101", *semi, "objective.points=9"], (101, 40, 8)
    yield "regression, q(theta) full", [*drawn, "model.name=regression", "data.rows=53", "model.global=gaussian_full", "inference.function=factorized"], (53, 20, 4)
    yield "ppca, low rank", [*drawn, "model.name=ppca", "model.latent=3", "data.rows=101", "inference.function=factorized", "inference.family=gaussian_lowrank"], (101, 25, 5)


def importance_weighted(x, t, nu, count, draws):
    """Mean over draws of log of the mean of `count` weights p(x, z) / q(z), of all rows, and its error."""
    z = nu[0] + numpy.exp(nu[1]) * draws.normal(size=(2000, count, len(x)))
    log_q = -0.5 * ((z - nu[0]) / numpy.exp(nu[1])) ** 2 - nu[1]
    weight = -0.5 * ((x - t - TAU * z) / SIGMA) ** 2 - numpy.log(SIGMA) - 0.5 * numpy.log(2 * numpy.pi) - 0.5 * z**2 - log_q
    bound = numpy.sum(numpy.log(numpy.mean(numpy.exp(weight), axis=1)), axis=1)
    return bound.mean(), bound.std() / numpy.sqrt(len(bound))


def others(scratch):
    """The estimator for what came later; and of the importance-weighted bound, which has draws, the mean over 300 epochs within its error of numpy's."""
    told = []
    for i, (name, arguments, sizes) in enumerate(other_cases(scratch)):
        told.append(f"{name} {one_epoch(scratch, name, arguments, *sizes, [(3, 'yes') if i % 2 else (None, 'no')])}")
    x, epochs = data(101), 300
    run = linear(scratch, "iwae", x, "objective.name=iwae", "objective.draws=3", "inference.function=constant", "optim.method=sgd", "optim.learning_rate=0", "optim.batch=40", "optim.tile=8",
                 f"optim.steps={3 * epochs}", "log.eval_every=-1", "output.local=no")
    steps = read(run, "/trace/elbo").reshape(epochs, 3).mean(axis=1)
    prior = elbo(x[:0], 0.0, None, numpy.zeros(2))  # log p(theta) of the point 0
    wanted, error = importance_weighted(x, 0.0, numpy.zeros(2), 3, numpy.random.default_rng(2))
    apart = (steps.mean() - wanted - prior) / numpy.hypot(error, steps.std() / numpy.sqrt(epochs))
    if not abs(apart) < 4:
        raise Failure(f"iwae: {steps.mean():.4f} in the mean over {epochs} epochs, {wanted + prior:.4f} by numpy: {apart:.1f} errors apart")
    return "steps of an epoch: " + ", ".join(told) + f"; iwae {apart:+.1f} errors of {error:.2g} nats from numpy"


def saw_series(rows):
    """x_0 = 0, z_n ~ N(x_n, 1), x_{n+1} ~ N(a (z_n + 1/2), 1), a = 0.75; and mean(r) / a of r_n = x_{n+1} - a x_n: the optimal mean of theta (math.md 3), also of affine f(x_{n+1})."""
    draw, x = numpy.random.default_rng(5), numpy.zeros(rows + 1)
    for n in range(rows):
        x[n + 1] = 0.75 * (x[n] + draw.normal() + 0.5) + draw.normal()
    return x, numpy.mean(x[1:] - 0.75 * x[:-1]) / 0.75


def theta_off(scratch, what, arguments, wanted, sd, np=None):
    """How far q(theta)'s mean ends from the closed form, in posterior sds."""
    run = fit(scratch / "fit", *arguments, "run.precision=double", "objective.draws=0", "model.global=gaussian", "log.every=1000", "log.eval_every=-1", "checkpoint.resume=no",
              "optim.schedule=cosine", "optim.learning_rate=0.1", np=np, ini=empty_ini(scratch), limit=600)
    off = (float(read(run, "/global/theta/mean").ravel()[0]) - wanted) / sd
    if not abs(off) < 0.05:
        raise Failure(f"{what}: theta ends {off:.2f} posterior sds from the closed form")
    return abs(off)


def closed_form_fits(scratch, rows, steps, seeds, ways, batch=100):
    worst = 0.0
    x, (series, a_theta) = data(rows), saw_series(rows)
    source = ["data.source=hdf5", "data.dataset=x"]
    of_linear = [*source, f"data.path={write(scratch / 'x.h5', x)}", "model.name=linear", f"model.tau={TAU}", f"model.sigma={SIGMA}"]
    of_saw = [*source, f"data.path={write(scratch / 'series.h5', series)}", "model.name=saw", "model.a=0.75", "data.shuffle=no"]
    for seed in seeds:
        for np, reproducible in ways:
            how = [f"run.seed={seed}", f"optim.batch={batch}", f"run.reproducible={reproducible}", f"optim.steps={steps}"]
            for function in ([["factorized"]] if rows < 5000 else []) + [["polynomial", "inference.degree=1"]]:  # F-VI of many rows takes more epochs
                name = f"{rows} rows, {function[0]}, seed {seed}, {np or 1} ranks, reproducible = {reproducible}"
                given = [f"inference.function={function[0]}", *function[1:], *how]
                worst = max(worst, theta_off(scratch, f"linear, {name}", [*of_linear, *given], x.mean(), SIGMA / numpy.sqrt(rows), np))
                domain = ["inference.domain=next"] if len(function) > 1 else []
                worst = max(worst, theta_off(scratch, f"saw, {name}", [*of_saw, *given, *domain], a_theta, 1 / (0.75 * numpy.sqrt(rows)), np))
    return worst


def fits(scratch):
    """Fits by batches of 100 of 101 and of 1001 rows end in the closed forms."""
    worst = max(closed_form_fits(scratch, 101, 2000, [1], [(None, "no")]), closed_form_fits(scratch, 1001, 4000, [1], [(None, "no")]))
    return f"theta of linear and saw within {worst:.4f} posterior sds of the closed form"


def against_full_batch(scratch, name, model, steps, rate, bound, np, reproducible, seeds):
    """Minibatch fits against the optimum that L-BFGS finds with all rows: the loss in nats of all rows (the mean over seeds), which no bias of theta escapes."""
    common = [*model, "run.precision=double", "objective.draws=0", "log.every=1000000", "log.eval_every=-1", "checkpoint.resume=no"]
    best = float(read(fit(scratch / "best", *common, "optim.batch=0", "optim.method=lbfgs", "optim.steps=3000", ini=empty_ini(scratch), limit=900), "/eval/elbo_train")[-1])
    rows = int(next(a for a in model if a.startswith("data.rows=")).split("=")[1])
    lost = [rows * (best - float(read(fit(scratch / "fit", *common, f"run.seed={seed}", "optim.batch=100", "optim.schedule=cosine", f"optim.learning_rate={rate}",
                                          f"optim.steps={steps}", f"run.reproducible={reproducible}", np=np, ini=empty_ini(scratch), limit=900), "/eval/elbo_train")[-1])) for seed in seeds]
    if not -1e-3 < numpy.mean(lost) < bound:
        raise Failure(f"{name}, {np or 1} ranks, reproducible = {reproducible}: {numpy.mean(lost):.4f} nats below the optimum of a full batch, at most {bound}")
    return f"{name} {numpy.mean(lost):.1e}"


def linear_vae(scratch, rows):
    draw = numpy.random.default_rng(6)
    x = draw.normal(size=(rows, 1)) * draw.normal(size=4) + 0.7 * draw.normal(size=(rows, 4))
    return ["model.name=vae", "model.hidden=", "model.likelihood=gaussian", "model.noise_sd=0.7", "model.latent=1", "objective.points=3", "data.source=hdf5", "data.dataset=x",
            f"data.path={write(scratch / 'vae.h5', x)}", f"data.rows={rows}", "inference.function=mlp", "inference.hidden="]


def fits_long(scratch):
    """Three seeds, 1 and 3 ranks, fast and reproducible; ppca, hier_logistic and a linear vae against full batches."""
    ways, told = [(None, "no"), (3, "yes")], []
    for rows, steps, seeds, batch in ((101, 2000, (1, 2, 3), 100), (1001, 6000, (1, 2, 3), 100), (20000, 40000, (1, 2), 300)):
        told.append(f"{rows} rows: {closed_form_fits(scratch, rows, steps, seeds, ways, batch):.4f} posterior sds")
    for rows, steps in ((101, 3000), (1001, 8000)):
        drawn = ["data.source=model", f"data.rows={rows}", "data.data_seed=1", "inference.function=polynomial", "inference.degree=1"]
        for np, reproducible in ways:
            told.append(against_full_batch(scratch, f"ppca, {rows} rows", ["model.name=ppca", "model.latent=2", "model.simulate_width=5", *drawn], steps, 0.03, 0.01, np, reproducible, (1, 2, 3)))
            told.append(against_full_batch(scratch, f"hier_logistic, {rows} rows", ["model.name=hier_logistic", "model.trials=4", *drawn], steps, 0.03, 0.01, np, reproducible, (1, 2, 3)))
            told.append(against_full_batch(scratch, f"vae, {rows} rows", linear_vae(scratch, rows), steps, 0.03, 0.01, np, reproducible, (1, 2, 3)))
    return "; ".join(told)


if __name__ == "__main__":
    main(*([weights, others, fits] if len(sys.argv) < 2 else [weights, others, fits, fits_long]))
