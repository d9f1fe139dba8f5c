#!/usr/bin/env python3
"""A linear VAE on MNIST: the ELBO that a fit converges to is the maximum of the log-likelihood (Tipping & Bishop 1999, Lucas et al. 2019), in nats a datapoint.

All 60000 images, 10 latent dimensions. The maximum comes from task = exact (ScaLAPACK) and from numpy's eigenvalues; the ELBO of what the fit ends with from numpy, in closed form.
The encoder is an affine function that starts at zero; small batches, because the last part of the way is the turn of W into the principal axes, which takes steps and not rows."""
import gzip
import os
import pathlib

import numpy as np

from paper import SOURCE, Run, Skip, between, fit, main, near

LATENT, ROWS = 10, 60000
RECIPE = ["inference.function=polynomial", "objective.estimator=stl", "optim.batch=200", "optim.tile=20", "optim.learning_rate=3e-3", "optim.schedule=cosine", "optim.epochs=1000"]
LOG_2PI = np.log(2 * np.pi)


def file_of_images():
    path = pathlib.Path(os.environ.get("AVI_MNIST_DIR") or SOURCE.parent / "shared" / "data" / "mnist") / "train-images-idx3-ubyte.gz"
    if not path.exists():
        raise Skip(f"{path} is not there; AVI_MNIST_DIR names the folder with MNIST's files")
    return path


def images(path):
    """(N, D), from 0 to 1."""
    with gzip.open(path) as f:
        return np.frombuffer(f.read(), np.uint8, offset=16).reshape(ROWS, -1) / 255


def maximum(x):
    """Of log p(x | W, mu, s) a row: L eigenvalues of the covariance (divisor N) are kept, the others share one variance."""
    d, centred = x.shape[1], x - x.mean(0)
    value = np.linalg.eigvalsh(centred.T @ centred / len(x))[::-1]
    noise = value[LATENT:].mean()
    return -0.5 * (d * (LOG_2PI + 1) + np.log(value[:LATENT]).sum() + (d - LATENT) * np.log(noise))


def elbo(run, x):
    """A row: expectations under the fitted factors in closed form."""
    theta = {name: run.global_[name]["mean"].astype(float) for name in ("decoder.weight", "decoder.bias", "log_noise_sd")}
    weight, log_sd = theta["decoder.weight"], float(theta["log_noise_sd"].ravel()[0])
    mean, variance = run.local["mean"].astype(float), np.exp(2 * run.local["log_sd"].astype(float))
    squares = ((x - theta["decoder.bias"].ravel() - mean @ weight.T) ** 2).sum(1) + variance @ (weight ** 2).sum(0)
    likelihood = -x.shape[1] * (0.5 * LOG_2PI + log_sd) - squares / (2 * np.exp(2 * log_sd))
    return float((likelihood - 0.5 * (mean ** 2 + variance - 1 - np.log(variance)).sum(1)).mean())


def ppca(scratch):
    path = file_of_images()
    x = images(path)
    best = maximum(x)
    where = ["data.source=idx", f"data.path={path}", "data.rows=0", f"model.latent={LATENT}", "log.images=0"]
    folder = fit("ppca.ini", scratch / "exact", *where, "run.task=exact")
    with Run(str(folder)) as run:
        found = [near("maximum of the log-likelihood, task = exact against numpy", float(run.group("/exact")["log_likelihood_per_row"]), best, 1e-6)]
    folder = fit("ppca.ini", scratch / "fit", *where, *RECIPE, "log.every=100", limit=3400)
    with Run(str(folder)) as run:
        reached, told = elbo(run, x), float(run.eval["elbo_train"].ravel()[-1])
    found.append(between(f"ELBO of the fit {reached:.6f}, below the maximum {best:.6f} by", best - reached, -1e-6, 0.01))
    return found + [near("the program's own evaluation, with a draw a row", told, reached, 0.05)]


if __name__ == "__main__":
    main(ppca)
