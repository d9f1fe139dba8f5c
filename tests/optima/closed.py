"""The program's ELBO against closed forms that numpy works out from the weights and factors in run.h5."""
import math

import h5py
import numpy

from runs import Failure, empty_ini, fit, main, read, registered

NOISE, ROWS, WIDTH, LATENT = 0.7, 3, 5, 2


def write_rows(path, values):
    with h5py.File(path, "w") as file:
        file["x"] = values
    return values


def linear_elbo(run, x, bayesian):
    """ELBO a row of x_n ~ N(W z_n + b, NOISE^2), z_n ~ N(0, 1), q(z_n) = N(mean, sd^2), W and b points or independent Gaussians."""
    weight, bias = read(run, "/global/decoder.0.weight/mean").astype(float), read(run, "/global/decoder.0.bias/mean").astype(float).reshape(-1)
    mean, log_sd = read(run, "/local/mean").astype(float), read(run, "/local/log_sd").astype(float)
    variance = numpy.exp(2 * log_sd)
    square = ((x - mean @ weight.T - bias) ** 2).sum(1) + (variance @ (weight**2).T).sum(1)
    kl_global = 0.0
    if bayesian:
        sds = [read(run, f"/global/decoder.0.{name}/sd").astype(float) for name in ("weight", "bias")]
        square += ((mean**2 + variance) @ (sds[0] ** 2).T).sum(1) + (sds[1] ** 2).sum()
        for m, s in ((weight, sds[0]), (bias, sds[1])):  # to N(0, 1), the prior of theta where none is set
            kl_global += float((0.5 * (m.reshape(-1) ** 2 + s.reshape(-1) ** 2 - 1) - numpy.log(s.reshape(-1))).sum())
    kl = 0.5 * (mean**2 + variance - 1).sum(1) - log_sd.sum(1)
    rows = -0.5 * WIDTH * math.log(2 * math.pi * NOISE**2) - square / (2 * NOISE**2) - kl
    return float(rows.mean()) - kl_global / len(x)


def trained(scratch, name, *arguments):
    """A few steps, so that nothing is at its initial value; what the program says of the ELBO at the end, and the run."""
    run = fit(scratch / name, "model.name=vae", "model.latent=2", "model.hidden=", "model.likelihood=gaussian", f"model.noise_sd={NOISE}", "data.source=hdf5",
              f"data.path={scratch / 'x.h5'}", "inference.function=factorized", "optim.batch=0", "optim.steps=40", "optim.learning_rate=0.02", "run.precision=double",
              *arguments, ini=empty_ini(scratch))
    return float(read(run, "/eval/elbo_train")[-1]), run


def linear_decoder(scratch):
    """Without draws the program is exact; with many it is close, whatever the estimator and the form of the KL."""
    x = write_rows(scratch / "x.h5", numpy.random.default_rng(5).normal(size=(ROWS, WIDTH)))
    said, run = trained(scratch, "exact", "objective.draws=0", "objective.points=3")
    exact = linear_elbo(run, x, False)
    if abs(said - exact) > 1e-10 * abs(exact):
        raise Failure(f"objective.draws = 0: {said:.12f} nats per row, closed form {exact:.12f}")
    told = [f"draws = 0: {said:.9f}, off by {abs(said - exact):.0e}"]
    for kl in ("analytic", "sampled"):
        said, run = trained(scratch, kl, "log.eval_draws=60000", f"objective.kl={kl}")
        exact = linear_elbo(run, x, False)
        # Of one row and draw the ELBO's standard deviation is about 3 nats here; five standard errors.
        bound = 5 * 3 / math.sqrt(60000 * ROWS)
        if abs(said - exact) > bound:
            raise Failure(f"60000 draws, kl {kl}: {said:.5f} nats per row, closed form {exact:.5f}, bound {bound:.5f}")
        told.append(f"60000 draws, kl {kl}: off by {abs(said - exact):.0e} (bound {bound:.0e})")
    return "; ".join(told)


def bayesian_decoder(scratch):
    x = write_rows(scratch / "x.h5", numpy.random.default_rng(6).normal(size=(ROWS, WIDTH)))
    draws = 4000
    said, run = trained(scratch, "gaussian", "model.global=gaussian", f"log.eval_draws={draws}")
    exact, bound = linear_elbo(run, x, True), 5 * float(read(run, "/eval/elbo_train_error")[-1])  # of a group of rows two draws of theta, whatever those of z
    if abs(said - exact) > bound:
        raise Failure(f"Bayesian decoder: {said:.5f} nats per row, closed form {exact:.5f}, bound {bound:.5f}")
    return f"theta Gaussian, {draws} draws: {said:.4f} nats per row, closed form {exact:.4f} (bound {bound:.2f})"


def principal_components(scratch):
    """Probabilistic PCA has a known maximum of log p(x) (Tipping & Bishop 1999), which F-VI and an affine A-VI both reach and no constant factor does."""
    generator = numpy.random.default_rng(7)
    width, latent, rows = 6, 2, 300
    x = write_rows(scratch / "x.h5", generator.normal(size=(rows, latent)) @ generator.normal(size=(latent, width)) * 1.5 + 0.5 * generator.normal(size=(rows, width)))
    eigenvalues = numpy.sort(numpy.linalg.eigvalsh(numpy.cov(x.T, bias=True)))[::-1]
    noise = eigenvalues[latent:].mean()
    best = -0.5 * (width * math.log(2 * math.pi) + numpy.log(eigenvalues[:latent]).sum() + (width - latent) * math.log(noise) + width)
    if "ppca" not in registered("models"):
        raise Failure("model ppca is gone")
    found = {}
    for function in ("factorized", "polynomial", "constant"):
        run = fit(scratch / function, "model.name=ppca", f"model.latent={latent}", "data.source=hdf5", f"data.path={scratch / 'x.h5'}", f"inference.function={function}",
                  "objective.draws=0", "optim.batch=0", "optim.steps=2500", "optim.learning_rate=0.03", "optim.schedule=cosine", "run.precision=double", "log.every=500",
                  "log.eval_every=-1", ini=empty_ini(scratch))
        found[function] = float(read(run, "/eval/elbo_train")[-1])
    for function in ("factorized", "polynomial"):
        if not -5e-3 < found[function] - best < 1e-9:
            raise Failure(f"{function}: {found[function]:.6f} nats per row, maximum of log p(x) {best:.6f}")
    if found["constant"] > best - 0.1:
        raise Failure(f"constant: {found['constant']:.6f} nats per row, too close to {best:.6f}")
    return f"log p(x) at most {best:.6f} nats per row; " + ", ".join(f"{name} {value:.6f}" for name, value in found.items())


if __name__ == "__main__":
    main(linear_decoder, bayesian_decoder, principal_components)
