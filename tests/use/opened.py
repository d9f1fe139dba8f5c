"""What is written opens elsewhere with the user's names: covariances of q(z_n) against the closed form and against the factor's Cholesky in numpy."""
import pathlib
import sys

import h5py
import numpy

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from runs import Failure, empty_ini, fit, main, start  # noqa: E402

PPCA = ["model.name=ppca", "model.latent=3", "data.source=hdf5", "data.dataset=x", "inference.family=gaussian_full", "optim.batch=40", "optim.learning_rate=0.02", "run.precision=double"]


def write(path, **arrays):
    with h5py.File(path, "a") as file:
        for name, values in arrays.items():
            file[name] = values
    return path


def read(path, *names):
    with h5py.File(path) as file:
        return [file[name][()] for name in names]


def close(what, got, want, tolerance):
    worst = float(numpy.max(numpy.abs(numpy.asarray(got) - want)))
    if not worst <= tolerance:
        raise Failure(f"{what}: off by {worst:.3g}, at most {tolerance:g} expected")


def of_factor(nu, latent):
    """C C' of rows nu = (mean, rows of the lower triangle C, its diagonal as logarithm)."""
    factor = numpy.zeros((len(nu), latent, latent))
    factor[(slice(None), *numpy.tril_indices(latent))] = nu[:, latent:]
    at = numpy.arange(latent)
    factor[:, at, at] = numpy.exp(factor[:, at, at])
    return factor @ factor.transpose(0, 2, 1)


def covariance(scratch):
    """Own factors at their optimum are the posterior N(S W' (x - mu) / s^2, S), S = (I + W' W / s^2)^-1; those of a network are C C' of what the network gives."""
    generator = numpy.random.default_rng(1)
    x = generator.normal(size=(90, 3)) @ generator.normal(size=(3, 6)) + 3 + 0.5 * generator.normal(size=(90, 6))
    data = write(scratch / "d.h5", x=x)
    first = fit(scratch / "first", *PPCA, f"data.path={data}", "inference.hidden=8", "optim.epochs=10", "output.local=yes", ini=empty_ini(scratch))
    weights = [f"inference/encoder.{i}.{part}" for i in range(2) for part in ("weight", "bias")]
    w0, b0, w1, b1, centre, spread, mean, log_sd, got = read(first / "run.h5", *weights, "inference/feature_mean", "inference/feature_sd", "local/mean", "local/log_sd", "local/covariance")
    nu = numpy.maximum((x - centre) / spread @ w0.T + b0.ravel(), 0) @ w1.T + b1.ravel()
    want = of_factor(nu, 3)
    close("means of a network's factors", mean, nu[:, :3], 1e-10)
    close("covariances of a network's factors", got, want, 1e-10)
    close("sds and covariances", numpy.exp(2 * log_sd), numpy.einsum("nii->ni", got), 1e-10)
    own = fit(scratch / "own", *PPCA, f"data.path={data}", "inference.function=factorized", f"model.theta_from={first}", "model.theta_fixed=yes", "objective.draws=0", "optim.method=lbfgs",
              "optim.batch=0", "optim.steps=60", np=2, ini=empty_ini(scratch))
    w, bias, log_s = read(own / "run.h5", "global/decoder.weight/mean", "global/decoder.bias/mean", "global/log_noise_sd/mean")
    precision = float(numpy.exp(-2 * log_s.ravel()[0]))
    s = numpy.linalg.inv(numpy.eye(3) + precision * w.T @ w)
    mean, got = read(own / "run.h5", "local/mean", "local/covariance")
    close("means of own factors", mean, precision * (x - bias.ravel()) @ w @ s, 1e-8)
    close("covariances of own factors", got, s[None], 1e-8)
    start(None, [own, "run.task=encode", "rows.tolerance=1e-12", "-q", f"run.output={scratch / 'codes'}"])
    close("covariances of encoded rows", read(scratch / "codes/rows.h5", "covariance")[0], s[None], 1e-5)
    return f"covariances equal C C' of the network, and the posterior's to {numpy.max(numpy.abs(got - s)):.1g}"


if __name__ == "__main__":
    main(covariance)
