#!/usr/bin/env python3
"""Fits of the models against closed forms (Margossian & Blei 2024; Tipping & Bishop 1999), computed here with numpy from the same data.

    closed_forms.py [NAME ...]     all, or those named: inputs linear saw hmm hmm_general ppca
Needs AVI_MPI (the program) and AVI_SOURCE_DIR. Expectations are exact in these runs (objective.draws = 0), so what is left is the optimizer's distance.
"""
import math
import os
import pathlib
import subprocess
import sys
import tempfile

import h5py
import numpy as np

PROGRAM = os.environ["AVI_MPI"]
SOURCE = pathlib.Path(os.environ.get("AVI_SOURCE_DIR", pathlib.Path(__file__).resolve().parents[2]))
PAPER = SOURCE / "inputs" / "paper"
LOG_2PI = math.log(2 * math.pi)
EXACT = ["objective.draws=0", "run.precision=double", "optim.batch=0", "optim.method=adam", "optim.schedule=cosine", "log.every=1000000", "log.eval_every=-1",
         "log.progress=none", "-q", "--fresh"]


class Failure(Exception):
    pass


def run(ini, *settings):
    done = subprocess.run([PROGRAM, str(PAPER / ini), *settings], capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise Failure(f"{ini} {' '.join(settings)} ended with {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def simulate(ini, folder, *settings):
    """Draws data of the model; returns them, and the settings that read them back."""
    run(ini, "run.task=simulate", "data.source=model", f"run.output={folder}", "-q", *settings)
    with h5py.File(folder / "data.h5") as f:
        x = f["x"][:]
    return x, [*settings, "data.source=hdf5", f"data.path={folder}/data.h5", "data.dataset=x"]


def elbo(ini, folder, rate, steps, *settings):
    """Of the whole data set, at the end of a fit."""
    run(ini, f"run.output={folder}", *EXACT, f"optim.learning_rate={rate}", f"optim.steps={steps}", *settings)
    with h5py.File(folder / "run.h5") as f:
        return float(f["eval/elbo_train"][-1])


def close(what, got, want, tolerance):
    if not abs(got - want) <= tolerance:
        raise Failure(f"{what} is {got:.6f}, not {want:.6f} (within {tolerance:g})")
    return f"{what} {got:.5f} ({want:.5f})"


def inputs(folder):
    """Every input of the paper's models is accepted, data included."""
    mnist = os.environ.get("AVI_MNIST_DIR", str(SOURCE.parent / "shared" / "data" / "mnist"))
    os.environ["AVI_MNIST_DIR"] = mnist
    names = sorted(p.name for p in PAPER.glob("*.ini"))
    if not pathlib.Path(mnist, "train-images-idx3-ubyte.gz").exists():
        names.remove("vae.ini")
    for name in names:
        if "Nothing was written" not in run(name, "--dry-run"):
            raise Failure(f"{name}: no plan")
    return ", ".join(names)


def linear(folder):
    n, tau, sigma = 1000, 1.155, 2.43
    x, data = simulate("linear.ini", folder, "data.rows=1000", "model.simulate_theta=2")
    x = x.ravel()
    v, squares = sigma ** 2 + tau ** 2, ((x - x.mean()) ** 2).sum()
    theta = 0.5 * math.log(2 * math.pi * sigma ** 2 / n)
    best = -0.5 * squares / v - 0.5 * n * math.log(2 * math.pi * v) + theta
    constant = -0.5 * squares / sigma ** 2 - 0.5 * n * math.log(2 * math.pi * v) + theta
    return [close("degree 1", n * elbo("linear.ini", folder / "1", 0.03, 3000, *data), best, 0.01),
            close("constant", n * elbo("linear.ini", folder / "0", 0.03, 3000, *data, "inference.function=constant"), constant, 0.01),
            close("F-VI", n * elbo("linear.ini", folder / "f", 0.03, 3000, *data, "inference.function=factorized"), best, 0.01)]


def saw(folder):
    """Losses in the unit of the paper's code: math.md, section 3. The best affine f(x_{n+1}) by least squares on nu*."""
    n = 1000
    with h5py.File(PAPER / "saw.h5") as f:
        x, a = f["x"][:].ravel(), 0.75
    r = x[1:] - a * x[:-1]
    v, base = 1 + a * a, 0.5 * math.log(n * a * a)
    theta = r.mean() / a
    best = 0.5 * ((r - r.mean()) ** 2).sum() / v + 0.5 * n * math.log(v) + base
    optimum = x[:-1] + a * (r - a * theta) / v
    ahead = np.stack([np.ones(n), x[1:]], 1)

    def loss(*settings, rate=0.05, steps=12000):
        return -n * elbo("saw.ini", folder / "run", rate, steps, *settings) - 0.5 * (n - 1) * LOG_2PI

    def joint(design):
        """f = design @ w and theta's mean together minimise a quadratic: 1/2 |m - x|^2 + 1/2 |x' - a m - a theta|^2."""
        rows = np.block([[design, np.zeros((n, 1))], [a * design, np.full((n, 1), a)]])
        target = np.concatenate([x[:-1], x[1:]])
        w, *_ = np.linalg.lstsq(rows, target, rcond=None)
        rest = target - rows @ w
        return 0.5 * rest @ rest + 0.5 * n * math.log(v) + base

    assert abs(joint(optimum[:, None]) - best) < 1e-6
    return [close("F-VI, closed form", best, 553.0139, 1e-4),
            close("F-VI", loss("inference.function=factorized"), best, 0.02),
            close("constant", loss("inference.function=constant"), joint(np.ones((n, 1))), 0.02),
            close("constant, as known", joint(np.ones((n, 1))), 2933.567, 1e-3),
            close("affine f(x_n, x_{n+1})", loss("inference.function=polynomial", "inference.domain=next"), best, 0.02),
            close("affine f(x_{n+1})", loss("inference.function=polynomial", "inference.domain=ahead"), joint(ahead), 0.02),
            close("affine f(x_{n+1}), as known", joint(ahead), 892.634, 1e-3)]


def chain(x, a, c, q, r, initial):
    """log p(x), and the best ELBO over factors with independent dimensions: log p - 1/2 (sum log L_ii - log det L), L the posterior precision."""
    n, l = len(x), len(a)
    prior = np.zeros((n * l, n * l))
    for k in range(n):
        here, before = slice(k * l, (k + 1) * l), slice((k - 1) * l, k * l)
        prior[here, here] += np.diag(1 / q) if k else np.eye(l) / initial ** 2
        if k:
            prior[before, before] += a.T @ np.diag(1 / q) @ a
            prior[here, before] -= np.diag(1 / q) @ a
            prior[before, here] -= a.T @ np.diag(1 / q)
    emission = np.kron(np.eye(n), c)
    precision = prior + emission.T @ np.kron(np.eye(n), np.diag(1 / r)) @ emission
    covariance = emission @ np.linalg.inv(prior) @ emission.T + np.kron(np.eye(n), np.diag(r))
    flat = x.ravel()
    evidence = -0.5 * flat @ np.linalg.solve(covariance, flat) - 0.5 * np.linalg.slogdet(covariance)[1] - 0.5 * len(flat) * LOG_2PI
    return evidence, evidence - 0.5 * (np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1])


def hmm(folder):
    n, one = 200, np.eye(1)
    x, data = simulate("hmm.ini", folder, "data.rows=200")
    evidence, best = chain(x, one, one, np.ones(1), np.ones(1), 1)
    told = [close("F-VI", n * elbo("hmm.ini", folder / "f", 0.03, 4000, *data, "inference.function=factorized"), best, 1e-3)]
    before = -math.inf
    for domain in ("self", "next", "window:1", "window:2", "window:4"):
        value = n * elbo("hmm.ini", folder / "w", 0.01, 4000, *data, "inference.function=polynomial", f"inference.domain={domain}")
        if not before < value < best:
            raise Failure(f"domain {domain}: ELBO {value:.5f} is not between that of the domain before, {before:.5f}, and F-VI's, {best:.5f}")
        told.append(f"{domain} gap {best - value:.4f}")
        before = value
    return told + [f"log p(x) {evidence:.4f}"]


def hmm_general(folder):
    a, c = np.array([[0.9, 0.2], [-0.1, 0.7]]), np.array([[1, 0.5], [0, 2], [-0.3, 0.4]])
    q, r = np.array([0.5, 2]), np.array([0.3, 1.5, 0.7])
    keys = ["data.rows=60", "model.latent=2", "model.A=0.9, 0.2; -0.1, 0.7", "model.C=1, 0.5; 0, 2; -0.3, 0.4", "model.Q=0.5, 2", "model.R=0.3, 1.5, 0.7",
            "model.initial_sd=1.3"]
    x, data = simulate("hmm.ini", folder, *keys)
    evidence, best = chain(x, a, c, q, r, 1.3)
    return [close("F-VI", 60 * elbo("hmm.ini", folder / "f", 0.03, 4000, *data, "inference.function=factorized"), best, 1e-3), f"log p(x) {evidence:.4f}"]


def ppca(folder):
    """The maximum of the likelihood; at it W' W can be diagonal, so independent dimensions lose nothing."""
    n, d, latent = 500, 8, 3
    x, data = simulate("ppca.ini", folder, f"data.rows={n}", f"model.simulate_width={d}", f"model.latent={latent}", "model.noise_sd=0.5")
    values = np.linalg.eigvalsh(np.cov(x.T, bias=True))[::-1]
    noise = values[latent:].mean()
    best = -0.5 * (d * LOG_2PI + np.log(values[:latent]).sum() + (d - latent) * math.log(noise) + d)
    return [close("ELBO a row", elbo("ppca.ini", folder / "fit", 0.02, 4000, *data), best, 0.01)]


def main():
    wrong = 0
    for name in sys.argv[1:] or ["inputs", "linear", "saw", "hmm", "hmm_general", "ppca"]:
        with tempfile.TemporaryDirectory(prefix="avi_closed_") as scratch:
            try:
                told = globals()[name](pathlib.Path(scratch))
                print(f"ok    {name}: {told if isinstance(told, str) else '; '.join(told)}", flush=True)
            except Failure as failure:
                wrong = 1
                print(f"FAIL  {name}: {failure}", flush=True)
    return wrong


if __name__ == "__main__":
    sys.exit(main())
