#!/usr/bin/env python3
"""Training and test rows of data.source = model come from one theta: their means and covariances agree within sampling error, for every model whose rows are independent, and so do the
log densities under the maximum likelihood of the training rows for ppca, which draws its W."""
import h5py
import numpy

from runs import Failure, empty_ini, main, models, small_data, start

ROWS = 20000


def drawn(scratch, model, *arguments):
    """Training and test rows."""
    out = scratch / model
    start(None, [empty_ini(scratch), "-q", "run.task=simulate", f"run.output={out}", f"data.rows={ROWS}", f"data.test_rows={ROWS}", "data.source=model",
                 *[a for a in small_data(model) if not a.startswith("data.source") and a.split("=")[0] not in [b.split("=")[0] for b in arguments]], *arguments])
    with h5py.File(out / "data.h5") as file:
        return file["x"][:], file["x_test"][:]


def apart(train, test):
    """The largest difference of means and of covariances, in standard errors."""
    worst = 0.0
    centre = train.mean(0)
    for of in (lambda x: x, lambda x: numpy.einsum("ni,nj->nij", x - centre, x - centre).reshape(len(x), -1)):
        a, b = of(train), of(test)
        error = numpy.sqrt(a.var(0) / len(a) + b.var(0) / len(b))
        worst = max(worst, float(numpy.max(numpy.abs(a.mean(0) - b.mean(0)) / numpy.maximum(error, 1e-12))))
    return worst


def moments(scratch):
    told = {}
    for model, table in models().items():
        # The rows of a series are not independent, so their means are no means of many.
        if not table["simulates"] or table["coupling"] != "independent" or table["lookahead"]:
            continue
        rows = drawn(scratch, model)
        if numpy.array_equal(*rows):
            raise Failure(f"{model}: the test rows are the training rows")
        told[model] = apart(*rows)
        if not told[model] < 5.5:
            raise Failure(f"{model}: a mean or a covariance of training and test rows differs by {told[model]:.1f} standard errors")
    if len(told) < 4:
        raise Failure(f"only {', '.join(told)} can draw data")
    return "largest difference in standard errors: " + ", ".join(f"{name} {value:.1f}" for name, value in told.items())


def densities(scratch):
    """ppca: mean log p(x) under the maximum likelihood of the training rows (Tipping & Bishop 1999)."""
    latent, told = 3, []
    for seed in (1, 2):
        train, test = drawn(scratch, "ppca", f"run.seed={seed}", f"model.latent={latent}", "model.simulate_width=8", "model.noise_sd=0.5")
        centre, covariance = train.mean(0), numpy.cov(train.T, bias=True)
        values, vectors = numpy.linalg.eigh(covariance)
        values[: len(values) - latent] = values[: len(values) - latent].mean()
        scaled = (vectors.T / numpy.sqrt(values)[:, None])
        log_p = [-0.5 * ((x - centre) @ scaled.T) ** 2 @ numpy.ones(len(values)) - 0.5 * numpy.log(2 * numpy.pi * values).sum() for x in (train, test)]
        error = numpy.sqrt(log_p[0].var() / ROWS + log_p[1].var() / ROWS)
        off = (log_p[1].mean() - log_p[0].mean()) / error
        if not abs(off) < 5:
            raise Failure(f"ppca, seed {seed}: {log_p[0].mean():.3f} nats per training row, {log_p[1].mean():.3f} per test row, {off:.0f} standard errors apart")
        told.append(f"{log_p[0].mean():.3f} and {log_p[1].mean():.3f}")
    return "nats per training and per test row: " + "; ".join(told)


if __name__ == "__main__":
    main(moments, densities)
