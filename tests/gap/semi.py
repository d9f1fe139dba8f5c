#!/usr/bin/env python3
"""inference.function = semi: steps of gradient ascent on the ELBO of a row behind another function, against the recursion in numpy and the contraction of a quadratic.

Linear model: ELBO_n is quadratic in m with curvature P = 1 + tau^2 / sigma^2, so that k steps of rate r leave (1 - r P)^k of the distance to the optimum, and (1 - r P)^(2 k) of what a mean
costs. With refine_draws = 0 the steps are exact; with draws in pairs eps, -eps those of the means are."""

import h5py
import numpy

from runs import Failure, empty_ini, expect_same_bits, fit, main, read, refusal, start
from small import LOG_2PI, SIGMA, TAU, data, gradient, kl_local, likelihood, linear, parameters, write

SEMI = ["inference.function=semi", "inference.base=constant", "objective.draws=0", "optim.batch=0", "output.local=yes", "model.global=point"]
P = 1 + TAU**2 / SIGMA**2
RATE = 0.06  # below 1 / P = 0.275


def near(found, expected, what, bound=1e-11):
    worst = float(numpy.max(numpy.abs(numpy.asarray(found) - expected) / (1 + numpy.abs(expected))))
    if not worst < bound:
        raise Failure(f"{what}: off by {worst:.1e}, bound {bound:g}")


def moved(x, theta, start_nu, steps, rate=RATE):
    """(N, 2): nu of each row after the steps, from what the function gives."""
    nu = numpy.tile(start_nu, (len(x), 1)).astype(float)
    for _ in range(steps):
        m, l = nu[:, 0].copy(), nu[:, 1].copy()
        nu[:, 0] += rate * (TAU * (x - theta - TAU * m) / SIGMA**2 - m)
        nu[:, 1] += rate * (1 - P * numpy.exp(2 * l))
    return nu


def function_of(folder):
    return read(folder, "/global/theta/mean").ravel()[0], read(folder, "/inference/constant").ravel()


def recursion(scratch):
    """The factors that a fit writes, its ELBO and those of new rows are those of the recursion, on any number of ranks."""
    x, new = data(23), data(9, seed=5)
    for np in (1, 2, 3):
        run = linear(scratch, f"fit{np}", x, *SEMI, "inference.refine_steps=4", f"inference.refine_rate={RATE}", "inference.refine_draws=0", "optim.steps=5",
                     "optim.learning_rate=0.05", "optim.tile=4", np=np)
        theta, nu0 = function_of(run)
        nu = moved(x, theta, nu0, 4)
        near(parameters(run)[2], nu, f"factors of the fit, {np} ranks")
        elbo = float(numpy.sum(likelihood(x, theta, None, nu) - kl_local(nu))) - 0.5 * (theta / 2.0) ** 2 - numpy.log(2.0) - 0.5 * LOG_2PI
        near(read(run, "/eval/elbo_train")[-1], elbo / len(x), f"ELBO of the fit, {np} ranks")
        codes = scratch / f"codes{np}"
        start(np, [run, "-q", "run.task=evaluate", f"data.path={write(scratch / 'new.h5', new)}", "data.test_path=", f"run.output={codes}"])
        nu = moved(new, theta, nu0, 4)
        with h5py.File(codes / "rows.h5") as file:
            near(file["mean"][()].ravel(), nu[:, 0], "means of new rows")
            near(file["log_sd"][()].ravel(), nu[:, 1], "log sds of new rows")
    return "factors, ELBO and new rows on 1, 2 and 3 ranks"


def contraction(scratch):
    """The amortization gap of a constant falls by (1 - r P)^2 at each step: of the optimum of each k, by the program's own ledger."""
    x, gap = data(60, seed=3), {}
    for k in (1, 3):
        run = linear(scratch, f"k{k}", x, *SEMI, f"inference.refine_steps={k}", f"inference.refine_rate={RATE}", "inference.refine_draws=0", "optim.steps=1500", "optim.learning_rate=0.05",
                     "optim.schedule=cosine", "run.after=gap", "gap.tolerance=1e-9", "log.every=500")
        theta, nu0 = function_of(run)
        best = TAU * (x - theta) / (SIGMA**2 + TAU**2)
        nu = moved(x, theta, nu0, k)
        near(nu[:, 0] - best, (1 - RATE * P) ** k * (nu0[0] - best), f"distance of the means to their optima after {k} steps")
        sd = 0.5 * (P * numpy.exp(2 * nu[:, 1]) - 1 - numpy.log(P)) - nu[:, 1]
        gap[k] = float(numpy.sum(read(run, "/gap/train/amortization_gap")))
        near(gap[k], (1 - RATE * P) ** (2 * k) * P / 2 * float(numpy.sum((best - nu0[0]) ** 2)) + float(numpy.sum(sd)), f"amortization gap of a constant and {k} steps", 1e-7)
    # At the optimum of a constant its mean is that of the rows' optima, and its sd is theirs.
    near(gap[3] / gap[1], (1 - RATE * P) ** 4, "gap of 3 steps over that of 1", 1e-3)
    return f"gaps {gap[1]:.4f} and {gap[3]:.4f} nats, as the curvature says"


def by_start(x, theta, nu0, steps):
    """nu_k of each row (N, 2), and its derivatives: of the mean by that of nu_0 and by theta, of the log sd by that of nu_0, (N) each. No value moves by more than 1 in a step."""
    nu, by_mean, by_theta, by_sd = numpy.tile(nu0, (len(x), 1)).astype(float), 1.0, 0.0, 1.0
    for _ in range(steps):
        step = RATE * numpy.column_stack([TAU * (x - theta - TAU * nu[:, 0]) / SIGMA**2 - nu[:, 0], 1 - P * numpy.exp(2 * nu[:, 1])])
        free = abs(step) < 1
        by_mean, by_theta = by_mean * (1 - free[:, 0] * RATE * P), by_theta * (1 - free[:, 0] * RATE * P) - free[:, 0] * RATE * TAU / SIGMA**2
        by_sd = by_sd * (1 - free[:, 1] * 2 * RATE * P * numpy.exp(2 * nu[:, 1]))
        nu += numpy.clip(step, -1, 1)
    return nu, by_mean, by_theta, by_sd


def through(scratch):
    """Gradient descent with refine_gradient = full follows the derivative of the ELBO at nu_k by nu_0 and theta; with first_order what is left of it where nu_k - nu_0 is held. q(theta) a point and
    a Gaussian, 1 and 3 ranks; a network's steps have the same bits on 1, 2 and 3. The first steps of some rows are cut."""
    x, k, rate, steps = data(23) + numpy.where(numpy.arange(23) % 3, 0, 12), 3, 0.1, 4
    for gaussian in (False, True):
        for full in (True, False):
            t, s, nu0 = 0.0, -1.0 if gaussian else None, numpy.zeros(2)
            for _ in range(steps):
                nu, by_mean, by_theta, by_sd = by_start(x, t, nu0, k)
                of_t, of_s, rows = gradient(x, t, s, nu)
                if full:
                    of_t += numpy.sum(by_theta * rows[:, 0])
                    rows = numpy.column_stack([by_mean * rows[:, 0], by_sd * rows[:, 1]])
                t, s = t + rate * of_t / len(x), s + rate * of_s / len(x) if gaussian else None
                nu0 = nu0 + rate * rows.sum(0) / len(x)
            for np, exact in ((None, "no"), (3, "no"), (3, "yes")):
                what = f"refine_gradient = {'full' if full else 'first_order'}, {'Gaussian' if gaussian else 'point'} theta, {np or 1} ranks, reproducible = {exact}"
                run = linear(scratch, "through", x, *SEMI, f"model.global={'gaussian' if gaussian else 'point'}", "model.global_log_sd=-1", f"inference.refine_steps={k}",
                             f"inference.refine_rate={RATE}", "inference.refine_draws=0", f"inference.refine_gradient={'full' if full else 'first_order'}", "optim.method=sgd",
                             "optim.momentum=0", f"optim.learning_rate={rate}", f"optim.steps={steps}", "optim.tile=4", f"run.reproducible={exact}", "--fresh", np=np)
                theta, constant = function_of(run)
                near(theta, t, f"{what}: theta", 1e-8)
                near(constant, nu0, f"{what}: nu_0", 1e-8)
                if gaussian:
                    near(numpy.log(read(run, "/global/theta/sd")).ravel()[0], s, f"{what}: log sd of theta", 1e-8)
    given = ["model.name=vae", "model.hidden=70", "model.latent=3", "data.source=strokes", "data.rows=53", "inference.function=semi", "inference.hidden=6", "inference.family=flow", "optim.batch=20",
             "optim.tile=5", "optim.steps=6", "run.reproducible=yes", "inference.refine_gradient=full", "inference.refine_steps=2", "inference.refine_rate=0.02", "--fresh"]
    kept = [fit(scratch / f"bits{np}", *given, ini=empty_ini(scratch), np=np) for np in (None, 2, 3)]
    for np, other in zip((2, 3), kept[1:]):
        expect_same_bits(kept[0], other, f"a vae and a flow on {np} ranks")
    return f"{steps} steps of gradient descent through {k} steps, in closed form"


def draws(scratch):
    """With draws in pairs the steps of the means are exact for this model; those of the scales are not. In an evaluation the draws are the same for all rows."""
    x = data(12)
    run = linear(scratch, "pairs", x, *SEMI, "objective.draws=3", "inference.refine_steps=3", f"inference.refine_rate={RATE}", "inference.refine_draws=4", "optim.steps=4")
    theta, nu0 = function_of(run)
    expected, nu = moved(x, theta, nu0, 3), parameters(run)[2]
    near(nu[:, 0], expected[:, 0], "means with pairs of draws")
    if numpy.allclose(nu[:, 1], expected[:, 1], atol=1e-6):
        raise Failure("the scales have the steps of a quadrature, not of draws")
    run = linear(scratch, "same", numpy.full(6, 0.4), *SEMI, "objective.draws=3", "inference.refine_steps=3", f"inference.refine_rate={RATE}", "inference.refine_draws=3", "optim.steps=4")
    if numpy.ptp(parameters(run)[2], axis=0).max() > 0:
        raise Failure("rows that are alike have different factors in an evaluation")
    return "exact means, the same draws for all rows"


def refusals(scratch):
    """What it cannot do is refused with what to use, and that works."""
    ini, drawn = empty_ini(scratch), ["data.source=model", "data.rows=20", "optim.steps=2"]
    ask = lambda *more, expect=(78,): start(None, [ini, "-q", *drawn, "inference.function=semi", "inference.hidden=3", f"run.output={scratch / 'r'}", "--fresh", *more], expect=expect)
    for more, words, instead in (
        (["model.name=hmm"], "use mlp", ["model.name=hmm", "inference.function=mlp"]),
        (["model.name=linear", "inference.base=factorized"], "use mlp, constant", ["model.name=linear", "inference.base=constant"]),
        (["model.name=linear", "inference.base=semi"], "use mlp, constant", ["model.name=linear", "inference.base=mlp"]),
        (["model.name=linear", "optim.method=lbfgs", "optim.batch=0", "objective.draws=0"], "use adam", ["model.name=linear", "optim.method=adam", "optim.batch=0", "objective.draws=0"]),
        (["model.name=linear", "optim.method=lbfgs", "optim.batch=0", "objective.draws=0", "inference.refine_draws=0"], "inference.refine_gradient = full",
         ["model.name=linear", "optim.method=lbfgs", "optim.batch=0", "objective.draws=0", "inference.refine_draws=0", "inference.refine_gradient=full"]),
    ):
        said = refusal(ask(*more))
        if not said or words not in said:
            raise Failure(f"{' '.join(more)}: {said}")
        ask(*instead, expect=(0,))
    return "five refusals, whose advice works"


main(recursion, contraction, through, draws, refusals)
