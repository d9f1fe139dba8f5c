"""log.gradient_variance: the variance of a step's gradient over rows and draws against closed forms, with errors that hold; the doubly reparameterized gradient varies less than the
pathwise one; what a fit does is the same bit for bit with and without it, and on 1 and 3 ranks, and after a stop; it is in run.h5, metrics.csv and on the screen."""
import csv

import h5py
import numpy

from arrays import close, read
from dreg import COMMON, DRAWS, gradients
from runs import Failure, differing, empty_ini, fit, main, numbers, small_data, start

ROWS, BATCH, PAIRS = 4000, 8, 400


def closed_form(x, minibatch):
    """Of the gradient of -ELBO/N by theta, and by mean and log sd of one factor for all rows, N(0, 1), of the linear model at theta = 0, with one draw: the variances over draws and over sets of
    `minibatch` rows; and the squared norm of its mean. With z = eps and a = tau^2 / sigma^2 + 1 a row has (x - tau z) / sigma^2, tau x / sigma^2 - a z and (tau x / sigma^2 - a z) z + 1."""
    tau, sigma = 1.3, 0.5
    slope, a = tau / sigma**2, tau**2 / sigma**2 + 1
    of_draws = numpy.array([slope**2, a**2, slope**2 * numpy.mean(x**2) + 2 * a**2])
    of_rows = numpy.array([1 / sigma**4, slope**2, 0]) * numpy.var(x)
    of_rows *= (len(x) - minibatch) / (len(x) - 1)
    mean = numpy.array([numpy.mean(x) / sigma**2, slope * numpy.mean(x), 1 - a])
    return (of_draws + of_rows) / minibatch, float((mean**2).sum())


def closed(scratch):
    ini, told = empty_ini(scratch), []
    x = numpy.random.default_rng(2).normal(size=ROWS) * 2
    with h5py.File(scratch / "x.h5", "w") as file:
        file["x"] = x[:, None]
    common = [*[k for k in COMMON if not k.startswith(("objective", "optim"))], f"data.path={scratch / 'x.h5'}", "optim.learning_rate=0", "optim.steps=1", "optim.tile=8",
              f"log.gradient_variance={PAIRS}", "objective.kl=sampled"]
    for batch in (0, BATCH):
        run = fit(scratch / f"b{batch}", *common, f"optim.batch={batch}", "data.shuffle=yes", ini=ini)
        with h5py.File(run / "run.h5") as file:
            got = {name: file[f"gradient_variance/{name}"][-1] for name in file["gradient_variance"]}
        want, square = closed_form(x, batch or ROWS)
        allowed = 0.2 * bool(batch)  # the minibatches of an epoch are 500 sets of rows, and not any
        for name, value in (("total", want.sum()), ("theta", want[0]), ("inference", want[1:].sum())):
            if abs(got[name] - value) > 5 * got[name + "_error"] + allowed * value or not 0 < got[name + "_error"] < 0.3 * got[name]:
                raise Failure(f"batch {batch}, {name}: {got[name]} +- {got[name + '_error']}, {value} in closed form")
        if abs(got["mean_square"] - square) > 6 * numpy.sqrt((square + want.sum()) * want.sum() / PAIRS) + 0.05 * square:
            raise Failure(f"batch {batch}: squared mean {got['mean_square']}, {square} in closed form")
        told.append(f"{got['total']:.3g} +- {got['total_error']:.1g} ({want.sum():.3g} in closed form)")
    return "variance " + ", by minibatches ".join(told)


def of_estimators(scratch):
    with h5py.File(scratch / "x.h5", "w") as file:
        file["x"] = numpy.full((50, 1), 2.0)
    ini, found = empty_ini(scratch), {}
    own, _ = gradients(numpy.random.default_rng(1).normal(size=(200000, DRAWS)), numpy.array([0.0, 0.0]))
    for estimator, rows in (("pathwise", own[0]), ("dreg", own[2])):
        run = fit(scratch / estimator, *COMMON, f"data.path={scratch / 'x.h5'}", "optim.learning_rate=0", f"objective.estimator={estimator}", "log.gradient_variance=200", ini=ini)
        value, error = (v[-1] for v in read(run / "run.h5", "gradient_variance/inference", "gradient_variance/inference_error"))
        close(f"{estimator}: variance in errors", (value - rows.var(0).sum() / 50) / error, 0, 5)
        found[estimator] = value, error
    (a, e), (b, f) = found["pathwise"], found["dreg"]
    if not b + 5 * numpy.hypot(e, f) < a:
        raise Failure(f"dreg does not vary less: {found}")
    return f"with {DRAWS} draws the gradient of q varies by {a:.3g} pathwise and {b:.3g} doubly reparameterized"


def bits(scratch):
    ini = empty_ini(scratch)
    common = [*small_data("vae"), "data.rows=60", "inference.hidden=5", "optim.batch=20", "optim.tile=4", "optim.steps=9", "log.eval_every=3", "log.every=1", "run.reproducible=yes",
              "log.eval_draws=2", "model.global=gaussian"]
    plain, one = fit(scratch / "plain", *common, ini=ini), fit(scratch / "one", *common, "log.gradient_variance=3", ini=ini)
    several = fit(scratch / "several", *common, "log.gradient_variance=3", ini=ini, np=3)
    apart = [name for name in differing(one, several) if "config" not in name]
    if apart or "/gradient_variance/total" not in numbers(one):
        raise Failure(f"on 3 ranks other bits in {apart}")
    moved = [name for name in differing(plain, one) if "gradient_variance" not in name and "config" not in name]
    if moved:
        raise Failure(f"measuring changes {moved}")
    fit(scratch / "stopped", *common, "log.gradient_variance=3", "optim.steps=4", ini=ini)
    resumed = fit(scratch / "stopped", *common, "log.gradient_variance=3", ini=ini)
    steps, total = read(one / "run.h5", "gradient_variance/step", "gradient_variance/total")
    again, values = read(resumed / "run.h5", "gradient_variance/step", "gradient_variance/total")
    if list(steps) != [3, 6, 9] or not set(steps) <= set(again) or any(values[list(again).index(s)] != t for s, t in zip(steps, total)):
        raise Failure(f"measured at {steps}: {total}; after a stop {again}: {values}")
    with open(one / "metrics.csv") as file:
        lines = {float(line["step"]): float(line["gradient_variance"]) for line in csv.DictReader(file)}
    if any(abs(lines[s] / t - 1) > 1e-8 for s, t in zip(steps[:2], total)) or not numpy.isnan(lines[4]):
        raise Failure(f"metrics.csv: {lines}, not {dict(zip(steps, total))}")
    said = start(None, [ini, *common, "log.gradient_variance=3", f"run.output={scratch / 'told'}"])
    if "  gradient     variance " not in said:
        raise Failure(f"not on the screen: {said[-800:]}")
    for settings, words in ((["log.gradient_variance=1"], "use 2 or more"), (["optim.method=lbfgs", "optim.batch=0", "objective.draws=0", "model.global=point"], "use optim.method = adam"),
                            (["inference.function=factorized", "model.global=point", f"model.theta_from={plain}", "model.theta_fixed=yes"], "use an inference function such as mlp")):
        said = start(None, [ini, *common, "log.gradient_variance=2", *settings, f"run.output={scratch / 'no'}"], expect=(78,))
        if words not in said:
            raise Failure(f"{settings}: {said}")
    return "the same bits on 1 and 3 ranks and after a stop, and of the fit with and without"


if __name__ == "__main__":
    main(closed, of_estimators, bits)
