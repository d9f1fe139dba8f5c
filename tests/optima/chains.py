"""q(z) of a chain with a tridiagonal precision: its optimum is the posterior of a linear Gaussian chain, so that the ELBO is the evidence; what is left of a gap is the inference
function's. Evidence and posterior come from the precision matrix of all z, dense, in numpy."""
import re

import h5py
import numpy

from runs import Failure, empty_ini, expect_same_bits, fit, main, read, refusal, small_data, start

ONE = dict(A=numpy.array([[1.0]]), C=numpy.array([[1.0]]), Q=numpy.array([1.0]), R=numpy.array([1.0]))
TWO = dict(A=numpy.array([[0.9, 0.2], [-0.1, 0.7]]), C=numpy.array([[1, 0.5], [0, 2], [1, 1]]), Q=numpy.array([0.5, 2]), R=numpy.array([1.0, 2, 3]))
WITHOUT_NOISE = ["objective.draws=0", "optim.method=lbfgs", "optim.steps=100", "optim.tolerance=1e-9", "run.precision=double"]


def matrix(m):
    return "; ".join(", ".join(f"{v:g}" for v in row) for row in numpy.atleast_2d(m))


def draw(model, rows, seed):
    rng, z, x = numpy.random.default_rng(seed), numpy.zeros(len(model["Q"])), []
    for n in range(rows):
        z = (model["A"] @ z if n else 0) + (numpy.sqrt(model["Q"]) if n else 1) * rng.normal(size=len(z))
        x.append(model["C"] @ z + numpy.sqrt(model["R"]) * rng.normal(size=len(model["R"])))
    return numpy.array(x)


def posterior(model, x):
    """log p(x), the means (N, L), and the covariance (N L, N L) of all z."""
    rows, latent = len(x), len(model["Q"])
    a, c, size = model["A"], model["C"], rows * latent
    precision, right, log_prior = numpy.zeros((size, size)), numpy.zeros(size), 0.0
    for n in range(rows):
        i = slice(n * latent, (n + 1) * latent)
        variance = model["Q"] if n else numpy.ones(latent)
        precision[i, i] += c.T @ numpy.diag(1 / model["R"]) @ c + numpy.diag(1 / variance)
        right[i] = c.T @ (x[n] / model["R"])
        log_prior -= 0.5 * numpy.log(variance).sum()
        if n:
            j = slice((n - 1) * latent, n * latent)
            precision[j, j] += a.T @ numpy.diag(1 / variance) @ a
            precision[i, j] = -numpy.diag(1 / variance) @ a
            precision[j, i] = precision[i, j].T
    mean = numpy.linalg.solve(precision, right)
    constant = log_prior - 0.5 * rows * numpy.log(2 * numpy.pi * model["R"]).sum() - 0.5 * (x**2 / model["R"]).sum()
    evidence = constant + 0.5 * right @ mean - 0.5 * numpy.linalg.slogdet(precision)[1]
    return evidence, mean.reshape(rows, latent), numpy.linalg.inv(precision)


def given(scratch, name, model, x):
    with h5py.File(scratch / f"{name}.h5", "w") as file:
        file["x"] = x
    keys = [f"model.{key}={matrix(model[key])}" for key in "AC"] + [f"model.{key}={', '.join(f'{v:g}' for v in model[key])}" for key in "QR"]
    return ["model.name=hmm", f"model.latent={len(model['Q'])}", *keys, "data.source=hdf5", f"data.path={scratch / name}.h5", "data.dataset=x"]


def elbo(folder, rows):
    return float(read(folder, "/eval/elbo_train")[-1]) * rows


def evidence(scratch):
    """F-VI: the ELBO is log p(x) to 1e-8 nats of all rows together, and mean and covariance of a row are those of the posterior, in one and in two dimensions, the same bits on 1 to 3
    ranks. `exact` says how far below log p(x) a fit is."""
    ini, told = empty_ini(scratch), []
    for name, model, rows in (("one", ONE, 150), ("two", TWO, 60)):
        x = draw(model, rows, 3)
        keys, (log_p, mean, covariance) = given(scratch, name, model, x), posterior(model, x)
        tied = [*keys, *WITHOUT_NOISE, "inference.function=factorized", "inference.family=tridiagonal", "run.reproducible=yes", "optim.tile=7", "optim.newton=200"]
        runs = [fit(scratch / f"{name}{np}", *tied, np=np, ini=ini) for np in (1, 2, 3)]
        expect_same_bits(runs[1], runs[0], f"{name}: 2 ranks and 1")
        expect_same_bits(runs[2], runs[0], f"{name}: 3 ranks and 1")
        off = abs(elbo(runs[0], rows) - log_p)
        if off > 1e-8:
            raise Failure(f"{name}: ELBO {elbo(runs[0], rows):.12f}, log p(x) {log_p:.12f}")
        held = read(fit(scratch / f"{name}_held", *tied, "run.after=exact", ini=ini), "/exact/evidence_gap_fit")
        if abs(held) > 1e-8:
            raise Failure(f"{name}: exact says {held} nats below log p(x)")
        latent = len(model["Q"])
        own = numpy.array([covariance[n * latent:(n + 1) * latent, n * latent:(n + 1) * latent] for n in range(rows)])
        for path, expected in (("/local/mean", mean), ("/local/covariance", own), ("/local/log_sd", 0.5 * numpy.log(numpy.einsum("nii->ni", own)))):
            if not numpy.allclose(read(runs[0], path), expected, atol=1e-6):
                raise Failure(f"{name}: {path} is off by {numpy.abs(read(runs[0], path) - expected).max():.1e}")
        gaussian = fit(scratch / f"{name}_gaussian", *keys, *WITHOUT_NOISE, "inference.function=factorized", "inference.family=gaussian_full", "optim.newton=200", ini=ini)
        cost = log_p - elbo(gaussian, rows)
        if not cost > 1:
            raise Failure(f"{name}: rows that are independent under q lose {cost} nats; the test has no gap to close")
        told.append(f"{name}: off by {off:.0e} nats, independent rows lose {cost:.4f}")
    return "; ".join(told)


def amortized(scratch):
    """A-VI with minibatches of segments, draws and one reduction a step, and without noise: f(window) of the three numbers of a row comes within its window's gap of log p(x), far above the
    best F-VI of rows that are independent under q."""
    rows, ini = 400, empty_ini(scratch)
    x = draw(ONE, rows, 4)
    keys, (log_p, _, _) = given(scratch, "x", ONE, x), posterior(ONE, x)
    common = [*keys, "inference.function=polynomial", "inference.degree=1", "inference.family=tridiagonal"]
    gaps = {}
    for window in (2, 6):
        folder = fit(scratch / f"w{window}", *common, *WITHOUT_NOISE, f"inference.domain=window:{window}", "optim.steps=400", ini=ini)
        gaps[window] = log_p - elbo(folder, rows)
    apart = fit(scratch / "apart", *keys, *WITHOUT_NOISE, "inference.function=factorized", "optim.newton=200", ini=ini)
    floor = log_p - elbo(apart, rows)
    if not 0 < gaps[6] < gaps[2] < floor or not gaps[6] < 1:
        raise Failure(f"nats below log p(x) by window {gaps}; independent factors of each row's own lose {floor}")
    noisy = [*common, "inference.domain=window:6", "objective.draws=4", "optim.batch=80", "optim.tile=8", "optim.epochs=250", "optim.learning_rate=0.05", "optim.schedule=cosine",
             "run.precision=double", "log.eval_draws=2000"]
    folders = [fit(scratch / f"noisy{np}", *noisy, "run.reproducible=yes", np=np, ini=ini) for np in (1, 3)]
    expect_same_bits(folders[0], folders[1], "3 ranks and 1")
    gap, error = log_p - elbo(folders[0], rows), rows * float(read(folders[0], "/eval/elbo_train_error")[-1])
    if not gap < gaps[6] + 2 + 4 * error:
        raise Failure(f"with draws and minibatches {gap:.3f} +- {error:.3f} nats below log p(x), without noise {gaps[6]:.3f}")
    return f"nats below log p(x): {gaps[2]:.3f} and {gaps[6]:.3f} by windows of 2 and 6, {gap:.2f} +- {error:.2f} with draws; independent rows {floor:.2f}"


def constant_elbo(x, nu):
    """ELBO of all rows in one dimension, every row with nu = (m, log s, p); no row is before the first."""
    m, s, rows, x = nu[0], numpy.exp(nu[1]), len(x), x.ravel()
    p = numpy.r_[0.0, numpy.full(rows - 1, nu[2])]
    variance, log_2pi = s**2 + p**2, numpy.log(2 * numpy.pi)
    likelihood = -0.5 * log_2pi - 0.5 * ((x - m) ** 2 + variance)
    with_before = variance[1:] + variance[:-1] - 2 * numpy.sqrt(variance[:-1]) * p[1:]  # of z_n - z_{n-1}
    return likelihood.sum() - 0.5 * rows * log_2pi - 0.5 * (m**2 + variance[0] + with_before.sum()) + rows * (nu[1] + 0.5 + 0.5 * log_2pi)


def closed_form(scratch):
    """The ELBO of factors that are all alike, where the first row has none before it."""
    rows, ini = 40, empty_ini(scratch)
    x = draw(ONE, rows, 7)
    run = fit(scratch / "run", *given(scratch, "x", ONE, x), "inference.function=constant", "inference.family=tridiagonal", "objective.draws=0", "run.precision=double", "optim.batch=0",
              "optim.tile=6", "optim.steps=30", "optim.learning_rate=0.1", np=2, ini=ini)
    nu = read(run, "/inference/constant").ravel()
    said, expected = elbo(run, rows), constant_elbo(x, nu)
    if abs(said - expected) > 1e-10 * abs(expected) or not abs(nu[2]) > 0.1:
        raise Failure(f"{said:.12f}, closed form {expected:.12f}, nu {nu}")
    return f"off by {abs(said - expected):.0e} nats"


def estimates(scratch):
    """The ELBO by draws, whatever the form of the KL, is that without noise, of one fit: an evaluation at other settings of the same parameters."""
    rows, ini = 60, empty_ini(scratch)
    keys = given(scratch, "x", TWO, draw(TWO, rows, 5))
    common = [*keys, "inference.function=polynomial", "inference.degree=1", "inference.domain=window:1", "inference.family=tridiagonal", "run.precision=double", "optim.batch=20",
              "optim.tile=5", "optim.steps=40", "optim.learning_rate=0.05"]
    exact = fit(scratch / "exact", *common, "objective.draws=0", ini=ini)
    told = []
    for kl in ("analytic", "sampled"):
        text = start(2, [exact, "run.task=evaluate", f"objective.kl={kl}", "rows.draws=4000", f"run.output={scratch / kl}", f"data.path={scratch / 'x.h5'}"])
        found = re.search(r"ELBO +(-[\d.]+) \+- ([\d.e-]+)", text)
        said, error, expected = float(found.group(1)), float(found.group(2)), float(read(exact, "/eval/elbo_train")[-1])
        if not abs(said - expected) < 5 * error + 1e-9:
            raise Failure(f"kl {kl}: {said} +- {error}, without noise {expected}")
        told.append(f"{kl}: {said:.4f} +- {error:.4f}, without noise {expected:.4f}")
    return "; ".join(told)


def weighed(scratch):
    """objective.beta weighs the factors between blocks like those within: with beta the optimum of a chain's means is the posterior of data whose noise has beta times the variance."""
    rows, ini = 50, empty_ini(scratch)
    x = draw(ONE, rows, 6)
    _, mean, _ = posterior(dict(ONE, R=numpy.array([3.0])), x)
    for family in ("gaussian", "tridiagonal"):
        run = fit(scratch / family, *given(scratch, "x", ONE, x), *WITHOUT_NOISE, "inference.function=factorized", f"inference.family={family}", "objective.beta=3", "optim.tile=4",
                  "optim.newton=200", np=2, ini=ini)
        off = numpy.abs(read(run, "/local/mean") - mean).max()
        if off > 1e-6:
            raise Failure(f"{family}: means are off by {off:.1e}")
    return "means with beta = 3 are those of three times the noise"


def refused(scratch):
    ini = empty_ini(scratch)
    for arguments, words in (([*small_data("ppca")], "use gaussian, or gaussian_full"), ([*small_data("gp")], "use gaussian, or gaussian_full"),
                             ([*small_data("hmm"), "objective.estimator=stl"], "use pathwise")):
        said = refusal(start(None, [ini, *arguments, "inference.family=tridiagonal", f"run.output={scratch / 'x'}"], expect=(78,))) or ""
        if words not in said:
            raise Failure(f"{' '.join(map(str, arguments))}: {said}")
    return "models without a chain, and sticking the landing, with the remedy"


if __name__ == "__main__":
    main(evidence, amortized, closed_form, estimates, weighed, refused)
