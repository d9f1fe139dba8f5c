"""data.missing = mask through encode, evaluate and reconstruct of other rows, under random masks: codes, ELBO, log p(x) and reconstructions against the exact posterior given the columns that are
there (ppca: own factors, a network in numpy), and against draws of numpy's own (vae with a learned noise). A row without any value has the prior. The same bits on 1, 2 and 3 ranks."""
import h5py
import numpy

from arrays import close, read, within_errors
from runs import Failure, empty_ini, fit, main, start

LOG_2PI = numpy.log(2 * numpy.pi)


def rows_with_gaps(generator, weight, rows, part):
    x = generator.normal(size=(rows, weight.shape[1])) @ weight.T + 2 + 0.5 * generator.normal(size=(rows, weight.shape[0]))
    x[generator.uniform(size=x.shape) < part] = numpy.nan
    x[0], x[1, 1:] = numpy.nan, numpy.nan
    x[2] = 1.0
    return x


def log_p(x, w, mu, s):
    """log N(x_o; mu_o, W_o W_o' + s^2 I) of the values that are there, and the posterior of z given them: (N), (N, L), (N, L, L)."""
    value, mean, cov = numpy.zeros(len(x)), numpy.zeros((len(x), w.shape[1])), numpy.zeros((len(x), w.shape[1], w.shape[1]))
    for n, row in enumerate(x):
        o = ~numpy.isnan(row)
        c, d = w[o] @ w[o].T + s**2 * numpy.eye(o.sum()), row[o] - mu[o]
        value[n] = -0.5 * (o.sum() * LOG_2PI + numpy.linalg.slogdet(c)[1] + d @ numpy.linalg.solve(c, d)) if o.any() else 0
        cov[n] = numpy.linalg.inv(numpy.eye(w.shape[1]) + w[o].T @ w[o] / s**2)
        mean[n] = cov[n] @ w[o].T @ d / s**2
    return value, mean, cov


def use(run, task, output, *arguments, np=None):
    start(np, [run, f"run.task={task}", "-q", f"run.output={output}", *arguments])
    return output / "rows.h5"


def data_of(scratch, generator, columns=6):
    weight = generator.normal(size=(columns, 2))
    x, y = rows_with_gaps(generator, weight, 200, 0.3), rows_with_gaps(generator, weight, 130, 0.4)
    with h5py.File(scratch / "d.h5", "w") as file:
        file["x"], file["y"] = x, y
    return x, y


COMMON = ["model.latent=2", "data.source=hdf5", "data.dataset=x", "data.missing=mask", "run.precision=double", "run.reproducible=yes", "optim.tile=20"]


def ppca(scratch):
    x, y = data_of(scratch, numpy.random.default_rng(1))
    common = ["model.name=ppca", "inference.family=gaussian_full", f"data.path={scratch / 'd.h5'}", *COMMON]
    own = fit(scratch / "own", *common, "inference.function=factorized", "objective.draws=0", "optim.method=lbfgs", "optim.batch=0", "optim.steps=30", ini=empty_ini(scratch))
    w, bias, log_s = read(own / "run.h5", "global/decoder.weight/mean", "global/decoder.bias/mean", "global/log_noise_sd/mean")
    mu, s = bias.ravel(), float(numpy.exp(log_s[0]))
    exact, post, cov = log_p(y, w, mu, s)
    file = use(own, "evaluate", scratch / "own_scores", "data.dataset=y", "rows.tolerance=1e-12")
    mean, got_cov, elbo, got_p, kl = read(file, "mean", "covariance", "elbo", "log_p", "kl")
    close("posterior means given what is there", mean, post, 1e-5)
    close("posterior covariances", got_cov, cov, 1e-5)
    close("ELBO of the posterior", elbo, exact, 1e-9)
    close("log p(x) by the posterior", got_p, exact, 1e-5)
    close("a row without values", [elbo[0], kl[0], *mean[0], *(got_cov[0] - numpy.eye(2)).ravel()], 0, 1e-9)
    back = read(use(own, "reconstruct", scratch / "own_back", "data.dataset=y", "rows.draws=400"), "reconstruction")[0]
    within_errors("reconstructions, missing columns too", back, post @ w.T + mu, numpy.sqrt(numpy.einsum("ij,njk,ik->ni", w, cov, w) / 400))
    run = fit(scratch / "net", *common, "inference.hidden=8", "optim.batch=40", "optim.epochs=8", "optim.learning_rate=0.02", ini=empty_ini(scratch))
    files = [use(run, "evaluate", scratch / f"net{np}", "data.dataset=y", "rows.block=64", "rows.draws=300", np=np) for np in (None, 2, 3)]
    names = ("mean", "covariance", "elbo", "log_likelihood", "log_p", "log_p_error")
    for name, *values in zip(names, *(read(f, *names) for f in files)):
        if any(v.tobytes() != values[0].tobytes() for v in values):
            raise Failure(f"{name} has other bits on 2 or 3 ranks")
    w, bias, log_s, centre, spread = read(run / "run.h5", "global/decoder.weight/mean", "global/decoder.bias/mean", "global/log_noise_sd/mean", "inference/feature_mean", "inference/feature_sd")
    w0, b0, w1, b1 = read(run / "run.h5", *(f"inference/encoder.{i}.{part}" for i in range(2) for part in ("weight", "bias")))
    mu, s, there = bias.ravel(), float(numpy.exp(log_s[0])), ~numpy.isnan(y)
    seen = numpy.hstack([numpy.where(there, (y - centre) / spread, 0), there])
    nu = numpy.maximum(seen @ w0.T + b0.ravel(), 0) @ w1.T + b1.ravel()
    factor = numpy.zeros((len(y), 2, 2))
    factor[:, 0, 0], factor[:, 1, 0], factor[:, 1, 1] = numpy.exp(nu[:, 2]), nu[:, 3], numpy.exp(nu[:, 4])
    cov = factor @ factor.transpose(0, 2, 1)
    mean, got_cov, elbo, likelihood, got_p, error = read(files[0], *names)
    close("codes of a network that sees the mask", mean, nu[:, :2], 1e-10)
    close("its covariances", got_cov, cov, 1e-10)
    rest = numpy.where(there, y - nu[:, :2] @ w.T - mu, 0)
    of_z = numpy.where(there, numpy.einsum("ij,njk,ik->ni", w, cov, w), 0).sum(1)
    want = -0.5 * (there.sum(1) * (LOG_2PI + 2 * numpy.log(s)) + ((rest**2).sum(1) + of_z) / s**2)
    want_kl = 0.5 * (numpy.einsum("nii->n", cov) + (nu[:, :2]**2).sum(1) - 2 - numpy.linalg.slogdet(cov)[1])
    close("log likelihood of what is there", likelihood, want, 1e-9)
    close("ELBO", elbo, want - want_kl, 1e-9)
    some = error > 0
    within_errors("log p(x) by importance weighting", got_p[some], log_p(y, w, mu, s)[0][some], error[some])
    return "posterior, ELBO, log p(x) and reconstructions given what is there; the same bits at 1, 2 and 3 ranks"


def network(x, parameters):
    for i, (weight, bias) in enumerate(parameters):
        x = x @ weight.T + bias.ravel()
        x = numpy.maximum(x, 0) if i + 1 < len(parameters) else x
    return x


def vae(scratch):
    generator = numpy.random.default_rng(5)
    x, y = data_of(scratch, generator, columns=4)
    run = fit(scratch / "fit", "model.name=vae", "model.likelihood=gaussian", "model.noise=learned", "model.hidden=6", "inference.hidden=7", f"data.path={scratch / 'd.h5'}", "data.standardise=yes",
              "optim.batch=40", "optim.epochs=10", "optim.learning_rate=0.01", *COMMON, ini=empty_ini(scratch))
    elbo, error, mean, log_sd, kl = read(use(run, "evaluate", scratch / "scores", "data.dataset=y", "rows.draws=400"), "elbo", "elbo_error", "mean", "log_sd", "kl")
    layers = [(f"inference/encoder.{i}.weight", f"inference/encoder.{i}.bias") for i in range(2)]
    decoder = [read(run / "run.h5", f"global/decoder.{i}.weight/mean", f"global/decoder.{i}.bias/mean") for i in range(2)]
    log_s = float(read(run / "run.h5", "global/log_noise_sd/mean")[0][0])
    if log_s == 0:
        raise Failure("the noise was not learned")
    centre, spread, there = numpy.nanmean(x, 0), numpy.nanstd(x, 0), ~numpy.isnan(y)
    seen = numpy.where(there, (y - centre) / spread, 0)
    nu = network(numpy.hstack([seen, there]), [read(run / "run.h5", *layer) for layer in layers])
    close("codes", numpy.hstack([mean, log_sd]), nu, 1e-9)
    close("KL", kl, (0.5 * (mean**2 + numpy.exp(2 * log_sd) - 1) - log_sd).sum(1), 1e-9)
    eps = generator.normal(size=(2000, *mean.shape))
    z = mean + numpy.exp(log_sd) * eps
    out = network(z.reshape(-1, 2), decoder).reshape(2000, *y.shape)
    likelihood = numpy.where(there, -0.5 * LOG_2PI - log_s - 0.5 * (seen - out) ** 2 * numpy.exp(-2 * log_s), 0).sum(2)
    weight = likelihood - 0.5 * (z**2).sum(2) + (0.5 * eps**2 + log_sd).sum(2)
    within_errors("ELBO", elbo[1:], weight.mean(0)[1:], numpy.hypot(error, weight.std(0) / numpy.sqrt(2000))[1:])
    back = read(use(run, "reconstruct", scratch / "back", "data.dataset=y", "rows.draws=400"), "reconstruction")[0]
    sd = out.std(0) * numpy.sqrt(1 / 400 + 1 / 2000) * spread
    within_errors("reconstructions, missing columns too", back, out.mean(0) * spread + centre, sd)
    return "codes, KL, ELBO and reconstructions of a masked network with a learned noise equal numpy's"


if __name__ == "__main__":
    main(ppca, vae)
