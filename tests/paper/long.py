#!/usr/bin/env python3
"""The paper's numbers with the paper's settings (100 draws, Adam), and those that take minutes.

    long.py [saw linear sizes nonlinear hier_logistic]
"""
import json

import numpy as np

from paper import INPUTS, REFERENCE, WITHOUT_NOISE, Failure, Run, between, data, elbo, fit, listed, loss, main, near, sweep
from paper_loss import Nonlinear, Saw
from short import linear_data


def saw(scratch):
    """30000 steps of Adam with 100 draws, and L-BFGS from more starts."""
    model = Saw(data(INPUTS / "saw.h5"))
    best, found = model.offset - model.optimum(), []
    for name, settings, want, tolerance in (("F-VI, the paper's settings", ["inference.function=factorized"], 553.077, 0.03),
                                            ("F-VI, a rate that falls", ["inference.function=factorized", "optim.schedule=cosine", "optim.learning_rate=3e-3"], best, 0.02),
                                            ("constant", ["inference.function=constant"], model.offset - model.constant(), 0.05)):
        f = fit("saw.ini", scratch / name, *settings)
        found.append(near(f"{name}, Adam", loss(model, f), want, tolerance))
    for name, settings, low, high in (("f(x_n, x_n+1), k = 4", ["inference.hidden=4,4"], best - 1e-6, best + 0.1),
                                      ("f(x_n+1), k = 10", ["inference.hidden=10,10", "inference.domain=ahead"], 878, 889)):
        losses = [loss(model, f) for f in sweep("run.seed=1..5", "saw.ini", scratch / f"adam_{settings[0][-2:]}", *settings)]
        found.append(f"{name}, Adam with the paper's settings: {listed(losses)}")
        losses = [loss(model, f) for f in sweep("run.seed=1..10", "saw.ini", scratch / f"lbfgs_{settings[0][-2:]}", *settings, *WITHOUT_NOISE, "optim.steps=3000")]
        found.append(between(f"{name}, L-BFGS, best of {listed(losses)}", min(losses), low, high))
    return found


def linear(scratch):
    """Adam with the paper's 100 draws, and a rate that falls so that F-VI converges too."""
    model, where = linear_data(scratch / "x.h5", 10000, 3)
    found = []
    for name, settings, want in (("degree 1", [], model.optimum()), ("degree 2", ["inference.degree=2"], model.optimum()),
                                 ("constant", ["inference.function=constant"], model.constant()), ("F-VI", ["inference.function=factorized"], model.optimum())):
        f = fit("linear.ini", scratch / name.replace(" ", "_"), *where, *settings, "optim.schedule=cosine", "optim.learning_rate=1e-2", "run.precision=double")
        found.append(near(f"{name}, Adam", elbo(model, f), want, 0.5 if name == "F-VI" else 0.05))
    return found


def sizes(scratch):
    """The gap of degree 1, 2 and constant for N = 10 .. 1e6, by task exact, against numpy."""
    found = []
    for rows in (10, 100, 1000, 10000, 100000, 1000000):
        model, where = linear_data(scratch / "x.h5", rows, rows)
        f = fit("linear.ini", scratch / str(rows), "run.task=exact", *where)
        with Run(str(f)) as run:
            exact = {name: float(run.group("/exact")[name]) for name in ("elbo", "elbo_constant", "elbo_degree_1", "elbo_degree_2")}
        near(f"ELBO*, N = {rows}", exact["elbo"], model.optimum(), 1e-9 * rows + 1e-6)
        near(f"constant, N = {rows}", exact["elbo_constant"], model.constant(), 1e-9 * rows + 1e-6)
        for degree in (1, 2):
            near(f"degree {degree}, N = {rows}", exact[f"elbo_degree_{degree}"], model.optimum(), 1e-9 * rows + 1e-6)
        found.append(f"N = {rows}: gaps of degree 1 {exact['elbo'] - exact['elbo_degree_1']:.1e}, degree 2 {exact['elbo'] - exact['elbo_degree_2']:.1e}, "
                     f"constant {exact['elbo'] - exact['elbo_constant']:.4g}")
    return found


def nonlinear(scratch):
    """log sigma dropped: networks of every width within 0.05 % of the paper's best loss, the best of 5 seeds; nothing that is not a number."""
    model, found = Nonlinear(data(INPUTS / "nonlinear.h5")), []
    for width, paper, steps, warmup in ((8, 32386.99, 5000, 200), (16, 32385.98, 2000, 0), (24, 32385.57, 2000, 0), (32, 32385.38, 2000, 0)):
        folders = sweep("run.seed=1..5", "nonlinear.ini", scratch / str(width), f"inference.hidden={width},{width}", "objective.draws=10", "optim.schedule=cosine",
                        f"optim.warmup={warmup}", f"optim.steps={steps}")
        losses = [loss(model, f) for f in folders]
        if not np.isfinite(losses).all():
            raise Failure(f"losses of k = {width}: {listed(losses)}")
        found.append(between(f"k = {width}, best of {listed(losses)}", min(losses), 32220, 1.0005 * paper))
    return found


def theta_of(folder):
    with Run(str(folder)) as run:
        return {name: tuple(float(np.ravel(run.global_[name][part])[0]) for part in ("mean", "sd")) for name in ("alpha", "log_tau", "beta")}


def hier_logistic(scratch):
    """Means against a stored long run of Hamiltonian Monte Carlo (hier_logistic_hmc.py), and all of q(theta) against the best mean-field solution, by quadrature
    (hier_logistic_meanfield.py). That one misses the mean of log tau by a tenth of a standard deviation: its posterior is skew, and a factor that leaves correlations out
    is too narrow to feel it (about sqrt(2 / groups) standard deviations). For the same reason variances are too small."""
    stored = json.loads((REFERENCE / "hier_logistic.json").read_text())
    where = ["data.source=hdf5", f"data.path={REFERENCE / 'hier_logistic.h5'}", "data.dataset=x", "data.rows=0", "model.trials=60", "model.covariates=1"]
    f = fit("hier_logistic.ini", scratch / "f", *where, "inference.function=factorized", "run.precision=double", "objective.draws=16", "optim.steps=10000")
    found = []
    for name, (mean, sd) in theta_of(f).items():
        hmc, best = stored["theta"][name], stored["mean_field"][name]
        if not hmc["r_hat"] < 1.005:
            raise Failure(f"the stored chains of {name} have R-hat {hmc['r_hat']}")
        found.append(near(f"{name}: mean {mean:.5f}, mean-field {best['mean']:.5f}, apart in posterior sd", (mean - best["mean"]) / hmc["sd"], 0, 0.02))
        found.append(near(f"{name}: mean {mean:.5f}, posterior {hmc['mean']:.5f}, apart in sd", (mean - hmc["mean"]) / hmc["sd"], 0, 0.15 if name == "log_tau" else 0.02))
        found.append(near(f"{name}: sd {sd:.5f} (posterior {hmc['sd']:.5f}) over mean-field's {best['sd']:.5f}", sd / best["sd"], 1, 0.02))
    return found


if __name__ == "__main__":
    main(saw, linear, sizes, nonlinear, hier_logistic)
