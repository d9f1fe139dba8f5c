"""data.missing = mask against exact answers: log p of the values that are there."""
import numpy

from small_runs import close

R = numpy.random.default_rng(7)
LOG_2PI = numpy.log(2 * numpy.pi)


def gaps(rows, columns, part=0.3):
    w, z = R.normal(size=(columns, 2)), R.normal(size=(rows, 2))
    x = z @ w.T + R.normal(size=columns) + 0.4 * R.normal(size=(rows, columns))
    x[R.random(x.shape) < part] = numpy.nan
    x[0] = numpy.nan  # a row of which nothing is known
    x[1, 1:] = numpy.nan
    return x


def log_p(x, w, mu, s):
    """log N(x_o; mu_o, W_o W_o' + s^2 I) of each row's observed values."""
    out = numpy.zeros(len(x))
    for n, row in enumerate(x):
        o = ~numpy.isnan(row)
        cov = w[o] @ w[o].T + s**2 * numpy.eye(o.sum())
        d = row[o] - mu[o]
        out[n] = -0.5 * (o.sum() * LOG_2PI + numpy.linalg.slogdet(cov)[1] + d @ numpy.linalg.solve(cov, d)) if o.any() else 0
    return out


EXACT = ["data.missing=mask", "inference.function=factorized", "inference.family=gaussian_full", "objective.draws=0", "optim.method=lbfgs", "optim.steps=30", "run.precision=double", "data.shuffle=no"]


def case_ppca(c):
    """The optimal full-covariance factors have no gap: the ELBO is log p of the observed values."""
    x = gaps(60, 5)
    c.write(x)
    for ranks in (1, 3):
        run = c.run("model.name=ppca", "model.latent=2", "optim.tile=20", *EXACT, ranks=ranks).good("missing and left out")
        w, mu, s = run.read("/global/decoder.weight/mean"), run.read("/global/decoder.bias/mean"), numpy.exp(run.read("/global/log_noise_sd/mean").item())
        close(run.read("/eval/elbo_train")[-1], log_p(x, w, mu.ravel(), s).mean(), 2e-6, "ELBO of masked ppca")
    run = c.run("model.name=ppca", "model.latent=2", "log.images=60", "log.mse_at=means", *EXACT).good()
    there = ~numpy.isnan(x)
    close(run.read("/eval/mse_train")[-1], ((run.read("/local/mean") @ run.read("/global/decoder.weight/mean").T + run.read("/global/decoder.bias/mean").ravel() - x)[there] ** 2).mean(), 1e-9,
          "squared error of the observed values")


def case_gaussian_vae(c):
    """A linear decoder with known noise is the same model; a standardised one has the observed columns' moments."""
    x = gaps(50, 4)
    c.write(x)
    mean, sd = numpy.nanmean(x, 0), numpy.nanstd(x, 0)
    for standardise in ("no", "yes"):
        run = c.run("model.hidden=", "model.noise_sd=0.5", f"data.standardise={standardise}", *EXACT).good()
        seen = (x - mean) / sd if standardise == "yes" else x
        w, mu = run.read("/global/decoder.0.weight/mean"), run.read("/global/decoder.0.bias/mean").ravel()
        close(run.read("/eval/elbo_train")[-1], log_p(seen, w, mu, 0.5).mean(), 2e-6, "ELBO of a masked vae")
    close(run.read("/data/mean"), mean, 1e-8, "means of what is there")


def case_bernoulli_vae(c):
    """E_q log p of each observed bit by Gauss-Hermite quadrature in numpy."""
    x = (R.random((40, 6)) < 0.4).astype("f8")
    x[R.random(x.shape) < 0.25] = numpy.nan
    c.write(x)
    run = c.run("data.missing=mask", "model.likelihood=bernoulli", "model.hidden=", "model.latent=1", "inference.function=factorized", "objective.draws=0", "objective.points=64", "optim.steps=40",
                "optim.learning_rate=0.05", "run.precision=double", "data.shuffle=no").good()
    m, l = run.read("/local/mean"), run.read("/local/log_sd")
    nodes, weights = numpy.polynomial.hermite_e.hermegauss(80)
    z = m + numpy.exp(l) * nodes  # (N, K)
    logits = z[:, :, None] * run.read("/global/decoder.0.weight/mean").ravel() + run.read("/global/decoder.0.bias/mean").ravel()
    bits = numpy.where(numpy.isnan(x)[:, None], 0, x[:, None] * logits - numpy.logaddexp(0, logits)).sum(2)
    expected = bits @ (weights / weights.sum()) - (0.5 * (m**2 + numpy.exp(2 * l) - 1) - l).ravel()
    close(run.read("/eval/elbo_train")[-1], expected.mean(), 1e-8, "ELBO of a masked Bernoulli vae")


def case_encoder(c):
    """The encoder sees (0, mask): twice the columns; the same bits on any number of ranks; its gradients are right."""
    x = gaps(60, 5)
    c.write(x).write(x[:20], dataset="t")
    keys = ["data.missing=mask", "run.reproducible=yes", "optim.tile=10", "optim.steps=4", "run.precision=double", "data.test_dataset=t"]
    runs = [c.run(*keys, ranks=r).good(r"encoder.0.weight \(8, 10\)") for r in (1, 2)]
    assert numpy.array_equal(runs[0].read("/trace/elbo"), runs[1].read("/trace/elbo"))
    assert numpy.all(numpy.isfinite(runs[0].read("/eval/elbo_test")))
    c.run(*keys, "model.hidden=3", "inference.hidden=3", "inference.activation=tanh", "model.activation=tanh", "--check-gradient").good()
    c.run(*keys, "model.name=ppca", "inference.hidden=3", "inference.activation=tanh", "--check-gradient").good()
    # Where nothing is missing, the mask is 1 and the likelihood that of whole rows.
    c.write(numpy.nan_to_num(x), dataset="whole")
    a = c.run("data.dataset=whole", "data.missing=mask", "inference.function=constant", "run.precision=double", "optim.steps=3").good()
    b = c.run("data.dataset=whole", "inference.function=constant", "run.precision=double", "optim.steps=3").good()
    close(a.read("/trace/elbo"), b.read("/trace/elbo"), 1e-9, "whole rows")


def case_refused(c):
    """Models and tasks that need whole rows say so before anything is done; Inf is no missing value."""
    x = gaps(40, 1)
    c.write(x).write(gaps(40, 5), dataset="wide")
    c.run("data.missing=mask", "model.name=linear").ends(78, r"\[data\] missing = mask: model linear", "use model.name = ppca or vae")
    c.run("data.missing=mask", "model.name=ppca", "run.task=exact", "data.dataset=wide").ends(78, "exact answers need rows without missing values")
    y = gaps(40, 3)
    y[7, 2] = numpy.inf
    c.write(y, dataset="inf")
    c.run("data.dataset=inf", "data.missing=mask").ends(65, r"row 7, column 2 \(both from 0\) is infinite")
    y[:, 2] = numpy.nan
    c.write(y, dataset="empty")
    c.run("data.dataset=empty", "data.missing=mask").ends(65, r"column 2 \(from 0\) has no value in any row")
