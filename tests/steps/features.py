"""What the inference function sees is standardised: steps against numpy, data far from 0 and of other scales, digits that single precision does not have, networks that have died."""
import h5py
import numpy

from small import data, elbo, gradient, linear, write
from runs import Failure, empty_ini, fit, main, read, start
from algebra import FULL, SGD, WAYS, near


def moments(x):
    return x.mean(), x.std()


def design(x, domain):
    """Features of each row, standardised, edges padded with the edge row: (N, inputs)."""
    mean, sd = moments(x)
    u = (x - mean) / sd
    shifts = {"self": [0], "window:1": [-1, 0, 1], "next": [0, 1]}[domain]
    place = numpy.arange(len(x))
    return numpy.column_stack([u[numpy.clip(place + s, 0, len(x) - 1)] for s in shifts])


def standardised(scratch):
    """Gradient descent on the coefficients of a polynomial of standardised values, at 1 and 3 ranks; test rows by the moments of the training rows; moments in run.h5."""
    x, test, rate, steps = data(59) + 40, data(10, 2) + 38, 0.1, 3
    for domain in ("self", "window:1"):
        f = design(x, domain)
        t, c, b = 0.0, numpy.zeros((2, f.shape[1])), numpy.zeros(2)
        for _ in range(steps):
            nu = f @ c.T + b
            of_t, _, rows = gradient(x, t, None, nu)
            t, c, b = t + rate * of_t / len(x), c + rate * rows.T @ f / len(x), b + rate * rows.mean(0)
        nu = f @ c.T + b
        for np, exact in WAYS:
            what = f"{domain}, {np or 1} ranks, reproducible = {exact}"
            run = linear(scratch, "run", x, *FULL, *SGD, "inference.function=polynomial", f"inference.domain={domain}", f"optim.learning_rate={rate}", f"optim.steps={steps}",
                         f"run.reproducible={exact}", "--fresh", np=np, test=test)
            near(f"{what}: feature_mean", read(run, "/inference/feature_mean"), [x.mean()])
            near(f"{what}: feature_sd", read(run, "/inference/feature_sd"), [x.std()])
            near(f"{what}: coefficients", read(run, "/inference/polynomial.coefficients"), c, 1e-6)
            near(f"{what}: constant", read(run, "/inference/polynomial.constant").ravel(), b, 1e-6)
            near(f"{what}: elbo_train", read(run, "/eval/elbo_train")[-1], elbo(x, t, None, nu) / len(x))
            if domain == "self":
                unseen = ((test - x.mean()) / x.std())[:, None] @ c.T + b
                prior = elbo(x[:0], t, None, nu[:0])
                near(f"{what}: elbo_test", read(run, "/eval/elbo_test")[-1], (elbo(test, t, None, unseen) - prior) / len(test) + prior / len(x))
    return f"{steps} steps on standardised values, mean {x.mean():.0f}"


OPTIMUM = ["model.name=linear", "model.global=gaussian", "data.source=hdf5", "data.dataset=x", "objective.draws=0", "optim.batch=0", "optim.method=lbfgs", "optim.steps=500",
           "log.eval_rows=0", "log.eval_every=-1"]


def optimum(x, tau, sigma):
    """ELBO of all rows at the F-VI optimum of the linear model with a flat theta, in closed form."""
    n, v, squares = len(x), tau**2 + sigma**2, numpy.sum((x - x.mean()) ** 2)
    rest = -0.5 * n * numpy.log(2 * numpy.pi * v) + 0.5 * numpy.log(2 * numpy.pi * sigma**2 / n)
    return rest - 0.5 * squares / v


def located(scratch):
    """Means of 0 to 1e5 and scales of 1e-3 to 1e3: polynomials and networks end at the F-VI optimum in closed form, in double precision, in single where it has the digits."""
    base, worst = numpy.random.default_rng(3).normal(size=400), 0
    cases = [("double", mean, sd) for sd in (1e-3, 1, 1e3) for mean in (0, 1e5)] + [("double", 1e3, 1), ("single", 10, 1), ("single", 0, 1e-3), ("single", 1e5, 1e3)]
    for precision, mean, sd in cases:
        x, tau, sigma = mean + sd * base, 0.6 * sd, 0.8 * sd
        for function in ("mlp", "polynomial"):
            run = fit(scratch / "run", *OPTIMUM, "inference.hidden=8", f"model.tau={tau}", f"model.sigma={sigma}", f"data.path={write(scratch / 'x.h5', x)}",
                      f"inference.function={function}", f"run.precision={precision}", "--fresh", ini=empty_ini(scratch))
            error = abs(read(run, "/eval/elbo_train")[-1] * len(x) - optimum(x, tau, sigma))
            worst = max(worst, error)
            if not error <= 1e-3:
                raise Failure(f"{precision}, mean {mean}, sd {sd}, {function}: {error:.2e} nats from the closed form")
    x = 100 + base
    adam = fit(scratch / "adam", "model.name=linear", "model.global=gaussian", "data.source=hdf5", "data.dataset=x", f"data.path={write(scratch / 'x.h5', x)}", "objective.draws=0",
               "optim.batch=0", "model.tau=0.6", "model.sigma=0.8", "inference.function=polynomial", "optim.learning_rate=1e-2", "optim.steps=1500", "log.eval_every=-1",
               "log.eval_rows=0", "run.precision=double", ini=empty_ini(scratch))
    missing = optimum(x, 0.6, 0.8) - read(adam, "/eval/elbo_train")[-1] * len(x)
    if not missing < 1:
        raise Failure(f"degree 1 with Adam at mean 100: {missing:.3g} nats below the optimum")
    return f"worst {worst:.1e} nats; Adam {missing:.1e}"


def wave_rows(rows=400):
    """Rows of the nonlinear model, centred."""
    draw = numpy.random.default_rng(3)
    z = draw.normal(size=rows)
    x = z * numpy.sin(z) + z + numpy.exp(numpy.cos(z)) * draw.normal(size=rows)
    return x - x.mean()


# L-BFGS makes of a rounding another local optimum of a network, 1e-3 to 2e-2 nats away; a fixed number of small steps leaves it a rounding.
NETWORK = ["inference.hidden=8", "optim.method=adam", "optim.schedule=cosine", "optim.steps=3000", "optim.learning_rate=1e-2"]


def nonlinear_run(scratch, x, function, *arguments):
    """ELBO of all rows, and what the end says of the convergence."""
    given = {"polynomial": ["inference.degree=3"], "mlp": NETWORK, "factorized": []}[function]
    run = fit(scratch / "run", *OPTIMUM, "model.name=nonlinear", f"data.path={write(scratch / 'x.h5', x)}", f"inference.function={function}", *given, "--fresh", *arguments, ini=empty_ini(scratch))
    with h5py.File(run / "run.h5") as file:
        says = file["/trace"].attrs["convergence"]
    return float(read(run, "/eval/elbo_train")[-1]) * len(x), says.decode() if isinstance(says, bytes) else says


def nonlinear(scratch):
    """The model is equivariant under a shift of x, since theta shifts with it: ELBOs, so gaps, are the same at any mean. It is not under another scale: z sin z + z stays. Far below that scale all
    rows have one factor, and every function closes the gap. Far above it, where double precision does not tell values of 1e8 nats apart, the end does not claim convergence, and
    data.standardise = yes, which brings the rows to the model's scale, gives the same ELBO at any mean and scale."""
    x, double, single = wave_rows(), ["run.precision=double"], ["run.precision=single"]
    worst, gaps = 0.0, {}
    for precision, means in ((double, (0, 10, 1e3, 1e5)), (single, (0, 10))):
        for mean in means:
            own, _ = nonlinear_run(scratch, mean + x, "factorized", *precision)
            for function in ("polynomial", "mlp"):
                gap = own - nonlinear_run(scratch, mean + x, function, *precision)[0]
                worst = max(worst, abs(gap - gaps.setdefault(function, gap)))
    for precision, mean in ((double, 1e5), (single, 0)):
        own, _ = nonlinear_run(scratch, mean + 1e-3 * x, "factorized", *precision)
        for function in ("polynomial", "mlp"):
            worst = max(worst, abs(own - nonlinear_run(scratch, mean + 1e-3 * x, function, *precision)[0]))
    if not worst <= 1e-3:
        raise Failure(f"gaps differ by {worst:.2e} nats")
    for precision, use in ((double, "use data.standardise = yes"), (single, "use run.precision = double, or data.standardise = yes")):
        _, says = nonlinear_run(scratch, 1e3 * x, "polynomial", *precision)
        if precision == double and "has converged as far as double precision tells" in says:
            continue  # rounding decides, which is not that of every compiler
        if "has converged" in says or not says.endswith(use):
            raise Failure(f"sd 1e3, {precision[0]}: {says!r}")
    apart = 0.0
    for function in ("polynomial", "mlp"):
        served = [nonlinear_run(scratch, mean + sd * x, function, "data.standardise=yes", *precision)[0]
                  for precision, mean, sd in ((double, 0, 1), (double, 1e5, 1e-3), (double, 0, 1e3), (single, 1e5, 1e-3), (single, 1e5, 1), (single, 1e3, 1e3))]
        apart = max(apart, numpy.ptp(served))
        if not apart <= 1e-3:
            raise Failure(f"data.standardise = yes, {function}: ELBOs {served}")
    return f"gaps of degree 3 and of a network, {gaps['polynomial']:.4f} and {gaps['mlp']:.4f} nats, at every mean within {worst:.1e}; standardised within {apart:.1e}"


def digits(scratch):
    """A column whose mean is far beyond its sd is refused in single precision; the key named helps."""
    x = write(scratch / "x.h5", 1e5 + data(60))
    given = ["model.name=linear", "data.source=hdf5", "data.dataset=x", f"data.path={x}", "optim.batch=0", "optim.steps=2", f"run.output={scratch / 'run'}"]
    for np in (None, 2):
        text = start(np, [empty_ini(scratch), *given], expect=(78,))
        if "[run] precision" not in text or "use run.precision = double" not in text:
            raise Failure(f"the refusal: {text}")
        start(np, [empty_ini(scratch), *given, "run.precision=double"])
    return "run.precision = double serves"


def dead(scratch):
    """A relu network that sees values far from 0, without standardising, dies; that is not called converged."""
    x = write(scratch / "x.h5", 1e3 + data(60))
    given = [*OPTIMUM, "run.precision=double", f"data.path={x}", "inference.hidden=2"]
    for seed in range(1, 6):
        text = start(None, [empty_ini(scratch), *given, "inference.standardise=no", f"run.output={scratch / 'run'}", f"run.seed={seed}", "--fresh"])
        if "inference function is dead" in text:
            break
    else:
        raise Failure("no seed of five has a network that dies")
    if "inference.standardise = yes" not in text or "converged" in text:
        raise Failure(f"the message: {text}")
    with h5py.File(scratch / "run" / "run.h5") as file:
        why = file.attrs["why_stopped"]
    if "dead" not in (why.decode() if isinstance(why, bytes) else why):
        raise Failure(f"why_stopped = {why}")
    text = start(None, [empty_ini(scratch), *given, "inference.standardise=yes", f"run.output={scratch / 'run'}", f"run.seed={seed}", "--fresh"])
    if "dead" in text:
        raise Failure(f"the remedy does not help: {text}")
    return f"seed {seed} dies and is named"


if __name__ == "__main__":
    main(standardised, located, nonlinear, digits, dead)
