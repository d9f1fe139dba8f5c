"""inference.theta: functions that see the global parameters, for the linear model against closed forms in numpy.

x_n ~ N(theta + tau z_n, sigma^2). Given theta the posterior of z_n has mean tau (x_n - theta) / v and variance sigma^2 / v, v = sigma^2 + tau^2: affine in (x_n, theta). A function that sees each
draw of theta reaches it for all theta at once, so that q(theta) q(z | x, theta) is the posterior and the ELBO is log p(x). One that sees the mean, or nothing, has the best independent factors."""

import re

import h5py
import numpy

from runs import Failure, empty_ini, expect_same_bits, main, read, refusal, small_data, start
from small import LOG_2PI, PRIOR_SD, SIGMA, TAU, data, kl_global, linear

V = SIGMA**2 + TAU**2
AFFINE = ["inference.function=polynomial", "inference.standardise=no", "optim.batch=0", "model.global=gaussian", "log.second_start=no", "output.local=yes"]


def near(found, expected, what, bound):
    worst = float(numpy.max(numpy.abs(numpy.asarray(found) - expected) / (1 + numpy.abs(expected))))
    if not worst < bound:
        raise Failure(f"{what}: off by {worst:.1e}, bound {bound:g}")


def log_p(x):
    """x ~ N(0, v I + p^2 1 1')."""
    covariance = V * numpy.eye(len(x)) + PRIOR_SD**2
    return -0.5 * (x @ numpy.linalg.solve(covariance, x) + numpy.linalg.slogdet(covariance)[1] + len(x) * LOG_2PI)


def mean_of(folder):
    return float(read(folder, "/global/theta/mean").ravel()[0])


def fitted(folder):
    """t, s of q(theta); the affine function: coefficients of x and of theta, constants, each of (mean, log sd)."""
    t, s = (float(read(folder, f"/global/theta/{name}").ravel()[0]) for name in ("mean", "sd"))
    by, constant = read(folder, "/inference/polynomial.coefficients"), read(folder, "/inference/polynomial.constant").ravel()
    return t, s, by[:, 0], by[:, 1], constant


def rows_elbo(x, of, spread):
    """E over q(theta) of each row's ELBO, where the function sees theta ~ N(t, spread^2) with the draw (spread = s), or its mean (spread = 0)."""
    t, s, by_x, by_theta, constant = of
    m, l = (by_x[i] * x + by_theta[i] * t + constant[i] for i in (0, 1))
    variance = numpy.exp(2 * l + 2 * (by_theta[1] * spread) ** 2)
    noise = (s * (1 + TAU * by_theta[0])) ** 2 if spread else s**2
    squares = (x - t - TAU * m) ** 2 + noise + TAU**2 * variance
    return -0.5 * LOG_2PI - numpy.log(SIGMA) - squares / (2 * SIGMA**2) - 0.5 * (m**2 + (by_theta[0] * spread) ** 2 + variance - 1) + l


def draws(scratch):
    """Each draw seen: the posterior, on any number of ranks with the same bits, and over a stop; the factors that are written are those at the mean, whose gap is 0."""
    x = data(12)
    keys = [*AFFINE, "inference.theta=draw", "objective.draws=8", "objective.estimator=stl", "optim.steps=1200", "optim.learning_rate=0.05", "optim.schedule=cosine", "run.reproducible=yes",
            "log.eval_draws=512", "optim.tile=4", "run.after=gap,exact", "log.every=100"]
    run = linear(scratch, "draw", x, *keys)
    short = [*keys[:-2], "optim.schedule=constant", "log.eval_every=10", "log.every=1", "optim.steps=20"]
    for seen in ("draw", "mean"):
        short.append(f"inference.theta={seen}")
        linear(scratch, f"stopped_{seen}", x, *short, "optim.steps=10", np=2)
        expect_same_bits(linear(scratch, f"stopped_{seen}", x, *short, np=3), linear(scratch, f"whole_{seen}", x, *short), f"{seen}: 10 steps on 2 ranks, then 10 on 3")
    t, s, by_x, by_theta, constant = of = fitted(run)
    near([by_x[0], by_theta[0], constant[0]], [TAU / V, -TAU / V, 0], "means given theta", 1e-6)
    near([by_x[1], by_theta[1], constant[1]], [0, 0, numpy.log(SIGMA / numpy.sqrt(V))], "log sds given theta", 1e-6)
    elbo = float(numpy.sum(rows_elbo(x, of, s))) - kl_global(t, numpy.log(s))
    if not -0.01 < elbo - log_p(x) < 1e-9:
        raise Failure(f"ELBO {elbo}, log p(x) {log_p(x)}")
    told, error = read(run, "/eval/elbo_train")[-1] * len(x), read(run, "/eval/elbo_train_error")[-1] * len(x)
    if not abs(told - elbo) < 5 * error + 1e-9:
        raise Failure(f"evaluation {told} +- {error}, in numpy {elbo}")
    with h5py.File(run / "run.h5") as file:
        below = float(numpy.ravel(file["exact/evidence_gap_fit"][()])[0])
    near(below, log_p(x) - told, "run.after = exact: log p(x) - ELBO of the fit", 1e-9)
    near(read(run, "/local/mean").ravel(), TAU * (x - t) / V, "factors at the mean of theta", 1e-6)
    near(read(run, "/gap/train/amortization_gap"), 0, "amortization gap", 1e-9)
    best = {}
    for seen in ("no", "mean"):
        best[seen] = read(linear(scratch, seen, x, *AFFINE, f"inference.theta={seen}", "objective.draws=0", "optim.method=lbfgs", "optim.steps=200"), "/eval/elbo_train")[-1] * len(x)
    near(best["mean"], best["no"], "a function that sees the mean at its optimum", 1e-7)
    if not best["no"] < log_p(x) - 0.1:
        raise Failure(f"independent factors have {best['no']}, log p(x) is {log_p(x)}")
    return f"ELBO {elbo:.5f}, log p(x) {log_p(x):.5f}; {best['no']:.5f} without draws of theta"


def means(scratch):
    """The mean seen, far from an optimum: the ELBO of the fit without draws, and that of the same rows by draws of theta, are those of factors at the mean."""
    x = data(12)
    run = linear(scratch, "mean", x, *AFFINE, "model.global_log_sd=0", "inference.theta=mean", "objective.draws=3", "optim.steps=6", "optim.learning_rate=0.2", np=2)
    t, s, by_x, by_theta, constant = of = fitted(run)
    rows = rows_elbo(x, of, 0)
    near(read(run, "/eval/elbo_train")[-1], (numpy.sum(rows) - kl_global(t, numpy.log(s))) / len(x), "evaluation", 1e-10)
    near(read(run, "/local/mean").ravel(), by_x[0] * x + by_theta[0] * t + constant[0], "factors", 1e-12)
    start(None, [run, "-q", "run.task=evaluate", "log.eval_draws=64", "rows.draws=40000", f"run.output={scratch / 'rows'}"])
    with h5py.File(scratch / "rows" / "rows.h5") as file:
        found, error = file["elbo"][()].ravel(), file["elbo_error"][()].ravel()
    # Draws of theta are common to all rows, so that their errors are too.
    if not numpy.abs(found - rows).max() < 5 * error.max():
        raise Failure(f"rows by draws: {found - rows} beside {error}")
    if numpy.abs(rows_elbo(x, of, s) - rows).max() < 8 * error.max():
        raise Failure(f"the draws could be seen as well: nothing is tested; error {error.max()}, by theta {by_theta}, sd {s}, {rows_elbo(x, of, s) - rows}")
    said = start(None, [run, "--check-gradient", "optim.tile=4", f"run.output={scratch / 'gradient'}"])
    largest = float(re.search(r"largest relative error (\S+)", said).group(1))
    if not largest < 1e-6:
        raise Failure(f"largest relative error of the gradient {largest}")
    return f"slope by the mean {by_theta[0]:.3f}, rows by draws within {numpy.abs((found - rows) / error).max():.1f} errors"


def another(scratch):
    """A function that has seen draws of theta encodes with the theta of another run: its factors are the posteriors under that one. One that sees nothing stays as it is."""
    x, new = data(12), data(7, seed=4)
    keys = [*AFFINE, "objective.draws=8", "objective.estimator=stl", "optim.steps=1200", "optim.learning_rate=0.05", "optim.schedule=cosine", "log.eval_draws=2"]
    run = linear(scratch, "seen", x, *keys, "inference.theta=draw")
    blind = linear(scratch, "blind", x, *keys)
    other = linear(scratch, "other", x + 1.5, *AFFINE, "objective.draws=0", "optim.method=lbfgs", "optim.steps=40")
    with h5py.File(scratch / "new.h5", "w") as file:
        file["x"] = new
    for np, fit in ((1, run), (3, run), (2, blind)):
        found = {}
        for name, more in (("own", []), ("other", [f"model.theta_from={other}"])):
            folder = scratch / f"codes_{fit.name}_{np}_{name}"
            start(np, [fit, "-q", "run.task=encode", f"data.path={scratch / 'new.h5'}", *more, f"run.output={folder}"])
            with h5py.File(folder / "rows.h5") as file:
                found[name] = file["mean"][()].ravel()
        for name, of in (("own", fit), ("other", other)):
            t = mean_of(of if fit == run else blind)
            expected = TAU * (new - t) / V
            near(found[name], expected, f"codes by {fit.name} with the theta of the {name} run, {t:.3f}, {np} ranks", 1e-5 if fit == run else 0.05)
        if fit == blind and numpy.any(found["own"] != found["other"]):
            raise Failure("a function that does not see theta follows it")
    if not abs(mean_of(run) - mean_of(other)) > 0.5:
        raise Failure("the two runs have one theta: nothing is tested")
    scaled = linear(scratch, "scaled", x + 1.5, *AFFINE, "data.standardise=yes", "objective.draws=0", "optim.steps=2")
    said = refusal(start(None, [run, "-q", "run.task=encode", f"data.path={scratch / 'new.h5'}", f"model.theta_from={scaled}", f"run.output={scratch / 'no'}"], expect=(78,)))
    if "is a fit of another model" not in said:
        raise Failure(said)
    return f"theta {mean_of(run):.3f} and {mean_of(other):.3f}: factors are the posteriors under both"


def refusals(scratch):
    """What cannot be is refused with what to use, and that works."""
    ini = empty_ini(scratch)
    ask = lambda *more, expect=(78,): start(None, [ini, "-q", "data.rows=20", "optim.steps=2", f"run.output={scratch / 'r'}", "--fresh", *more], expect=expect)
    for model, more, words, instead in (
        ("linear", ["inference.function=constant", "inference.theta=mean"], "use no, or inference.function = mlp or polynomial", ["inference.function=polynomial", "inference.theta=mean"]),
        ("linear", ["inference.function=factorized", "inference.theta=draw"], "use no", ["inference.function=factorized", "inference.theta=no"]),
        ("linear", ["inference.function=semi", "inference.base=constant", "inference.theta=draw"], "inference.base = mlp", ["inference.function=semi", "inference.base=mlp", "inference.theta=draw"]),
        ("vae", ["inference.theta=mean"], "at most 1024; use no", ["inference.theta=no"]),
        ("hmm", ["inference.theta=mean"], "no global parameters; use no", ["inference.theta=no"]),
        ("linear", ["model.global=gaussian", "objective.draws=0", "inference.theta=draw"], "use mean, or objective.draws = 1", ["model.global=gaussian", "objective.draws=0", "inference.theta=mean"]),
        ("linear", ["model.global=gaussian", "objective.draws=0", "inference.theta=draw"], "use mean, or objective.draws = 1", ["model.global=gaussian", "objective.draws=1", "inference.theta=draw"]),
    ):
        said = refusal(ask(*small_data(model), "inference.hidden=3", *more))
        if not said or words not in said:
            raise Failure(f"{model} {' '.join(more)}: {said}")
        ask(*small_data(model), "inference.hidden=3", *instead, expect=(0,))
    return "seven refusals, whose advice works"


if __name__ == "__main__":
    main(draws, means, another, refusals)
