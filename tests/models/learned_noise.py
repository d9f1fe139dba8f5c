"""vae with model.noise = learned. With a linear decoder it is ppca: at the optimum the noise is the mean of the eigenvalues that are left out, the ELBO the maximum of the likelihood, and draws
have the covariance W W' + s^2 I. Finite differences with and without missing values, by a point and by q(theta); the same bits on 1 and 3 ranks."""
import h5py
import numpy

from arrays import read
from runs import Failure, empty_ini, expect_same_bits, fit, main, start

VAE = ["model.name=vae", "model.likelihood=gaussian", "model.noise=learned", "data.source=hdf5", "data.dataset=x"]


def write(scratch, missing=False):
    generator = numpy.random.default_rng(2)
    x = generator.normal(size=(80, 1)) @ generator.normal(size=(1, 4)) + 2 + 0.6 * generator.normal(size=(80, 4))
    if missing:
        x[generator.uniform(size=x.shape) < 0.3] = numpy.nan
    path = scratch / f"d{missing}.h5"
    with h5py.File(path, "w") as file:
        file["x"] = x
    return path, x


def close(what, got, want, tolerance):
    worst = float(numpy.max(numpy.abs(numpy.asarray(got) - want)))
    if not worst <= tolerance:
        raise Failure(f"{what}: {got}, {want} expected")


def closed_form(scratch):
    path, x = write(scratch)
    run = fit(scratch / "fit", *VAE, f"data.path={path}", "model.latent=1", "model.hidden=", "inference.function=factorized", "optim.method=lbfgs", "optim.batch=0", "objective.draws=0",
              "optim.steps=400", "run.precision=double", ini=empty_ini(scratch))
    value, _ = numpy.linalg.eigh(numpy.cov(x.T, bias=True))
    noise = value[:-1].mean()
    log_noise, w, elbo = read(run / "run.h5", "global/log_noise_sd/mean", "global/decoder.0.weight/mean", "trace/elbo_per_row")
    close("log sd of the noise", log_noise[0], 0.5 * numpy.log(noise), 1e-6)
    close("squared length of W", float(numpy.sum(w**2)), value[-1] - noise, 1e-5)
    close("ELBO", elbo[-1], -0.5 * (4 * numpy.log(2 * numpy.pi) + 3 * numpy.log(noise) + numpy.log(value[-1]) + 4), 1e-8)
    start(None, [run, "run.task=sample", "sample.count=4000", "-q", f"run.output={scratch / 'drawn'}"])
    drawn = read(scratch / "drawn/samples.h5", "prior/x")[0]
    c = w @ w.T + noise * numpy.eye(4)
    close("covariance of the draws, in errors", (numpy.cov(drawn.T) - c) / numpy.sqrt((c**2 + numpy.outer(numpy.diag(c), numpy.diag(c))) / 4000), 0, 5)
    return f"the noise of ppca, to {abs(log_noise[0] - 0.5 * numpy.log(noise)):.1g}"


def gradients(scratch):
    paths = {missing: write(scratch, missing)[0] for missing in (False, True)}
    for missing, path in paths.items():
        for q in ("point", "gaussian"):
            said = start(None, [empty_ini(scratch), *VAE, f"data.path={path}", f"data.missing={'mask' if missing else 'refuse'}", f"model.global={q}", "model.latent=2", "model.hidden=3",
                                "model.activation=tanh", "inference.hidden=3", "inference.activation=tanh", "run.precision=double", "optim.batch=0", "--check-gradient"])
            if "log_noise_sd" not in said:
                raise Failure(f"the gradient of the noise was not looked at: {said}")
    common = [*VAE, f"data.path={paths[True]}", "data.missing=mask", "model.latent=2", "model.hidden=3", "inference.hidden=3", "optim.batch=40", "optim.tile=10", "optim.epochs=3",
              "run.reproducible=yes"]
    runs = [fit(scratch / f"n{np}", *common, np=np, ini=empty_ini(scratch)) for np in (None, 3)]
    expect_same_bits(*runs, "1 and 3 ranks")
    before, after = numpy.log(1.0), read(runs[0] / "run.h5", "global/log_noise_sd/mean")[0][0]
    if before == after:
        raise Failure("the noise did not move")
    said = start(None, [empty_ini(scratch), *[k for k in VAE if "likelihood" not in k], f"data.path={paths[False]}", f"run.output={scratch / 'no'}"], expect=(78,))
    if "model.likelihood = gaussian" not in said:
        raise Failure(f"bits with a noise: {said}")
    return "finite differences hold with and without missing values, by a point and by q(theta)"


if __name__ == "__main__":
    main(closed_form, gradients)
