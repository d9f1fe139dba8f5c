#!/usr/bin/env python3
"""The posterior of a small hierarchical logistic regression by Hamiltonian Monte Carlo: numpy alone, none of the program's code.

A trial in many centres: centre n has a random intercept z_n, half of its patients get a treatment (x = 1/2), half do not (x = -1/2).
    alpha, log tau, beta ~ N(0, 2.5^2), z_n ~ N(0, 1), y_nj ~ Bernoulli(logit = alpha + tau z_n + x_nj beta)
Many chains side by side, leapfrog steps with a diagonal mass from the warm-up, trajectories of random length (Neal 2011, MCMC using Hamiltonian dynamics). Per centre and
treatment only the number of successes counts, so a gradient is cheap and draws are many.

    hier_logistic_hmc.py --data          writes hier_logistic.h5 beside this file (the data, from a seed)
    hier_logistic_hmc.py                 samples (about four minutes of one core) and writes hier_logistic.json beside it
    hier_logistic_hmc.py --check         samples briefly and holds the result against the stored one: within 5 standard errors
R-hat is that of split chains (Gelman et al. 2013); the effective sample size comes from the variance of chain means, which needs many chains.
"""
import argparse
import json
import pathlib
import sys
import time

import h5py
import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
DATA, STORED = HERE / "hier_logistic.h5", HERE / "hier_logistic.json"
CENTRES, PATIENTS, TRUTH, PRIOR_SD = 200, 60, {"alpha": -0.5, "tau": 0.8, "beta": 0.7}, 2.5
NAMES = ("alpha", "log_tau", "beta")


def draw_data(seed=20240717):
    """A row: the outcomes of a centre's patients, then the covariate of each."""
    rng = np.random.default_rng(seed)
    x = np.tile(np.repeat([0.5, -0.5], PATIENTS // 2), (CENTRES, 1))
    logit = TRUTH["alpha"] + TRUTH["tau"] * rng.standard_normal((CENTRES, 1)) + TRUTH["beta"] * x
    y = (rng.random(x.shape) < 1 / (1 + np.exp(-logit))).astype(float)
    with h5py.File(DATA, "w") as f:
        d = f.create_dataset("x", data=np.hstack([y, x]).astype("<f4"), compression="gzip", shuffle=True)
        d.attrs["description"] = f"a row a centre: {PATIENTS} outcomes (0 or 1), then the covariate of each (treatment: 1/2, none: -1/2)"
        d.attrs["seed"] = seed
        for name, value in TRUTH.items():
            d.attrs["simulated_" + name] = value
    print(DATA)


class Posterior:
    """-log density and its gradient at u = (alpha, log tau, beta, z_1 .. z_N), one chain a row."""

    def __init__(self):
        with h5py.File(DATA) as f:
            rows = f["x"][:].astype(float)
        y, x = np.split(rows, 2, axis=1)
        self.arm = np.array([0.5, -0.5])
        self.trials = np.stack([(x == a).sum(1) for a in self.arm])[:, None]  # (arm, 1, centre)
        self.wins = np.stack([(y * (x == a)).sum(1) for a in self.arm])[:, None]
        self.centres = len(rows)
        if not np.isin(x, self.arm).all():
            raise SystemExit(f"{DATA}: covariates other than 1/2 and -1/2")

    def __call__(self, u):
        alpha, log_tau, beta, z = u[:, 0:1], u[:, 1:2], u[:, 2:3], u[:, 3:]
        tau = np.exp(log_tau)
        base, value, slope, lift = alpha + tau * z, 0.5 * (u[:, :3] ** 2).sum(1) / PRIOR_SD ** 2 + 0.5 * (z ** 2).sum(1), 0.0, 0.0
        for arm, trials, wins in zip(self.arm, self.trials, self.wins):
            eta = base + arm * beta
            tail = np.exp(-np.abs(eta))
            value = value + (trials * (np.maximum(eta, 0) + np.log1p(tail)) - wins * eta).sum(1)
            residual = trials * np.where(eta > 0, 1.0, tail) / (1 + tail) - wins
            slope, lift = slope + residual, lift + arm * residual.sum(1)
        g = np.empty_like(u)
        g[:, :3] = u[:, :3] / PRIOR_SD ** 2
        g[:, 0] += slope.sum(1)
        g[:, 1] += (slope * tau * z).sum(1)
        g[:, 2] += lift
        g[:, 3:] = z + tau * slope
        return value, g


def transition(posterior, rng, u, value, g, scale, step, longest):
    """One trajectory of all chains, then Metropolis. Returns the state and the acceptance probabilities."""
    p = rng.standard_normal(u.shape)
    start = value + 0.5 * (p ** 2).sum(1)
    v, grad = u.copy(), g
    size = step * rng.uniform(0.8, 1.2)
    p = p - 0.5 * size * scale * grad
    steps = int(rng.integers(longest // 2, longest + 1))
    for k in range(steps):
        v = v + size * scale * p
        new, grad = posterior(v)
        p = p - (size if k + 1 < steps else 0.5 * size) * scale * grad
    accept = np.nan_to_num(np.exp(np.minimum(0, start - new - 0.5 * (p ** 2).sum(1))))  # a trajectory that flew off is refused
    taken = rng.random(len(u)) < accept
    return np.where(taken[:, None], v, u), np.where(taken, new, value), np.where(taken[:, None], grad, g), accept


def sample(chains, warmup, draws, seed, step=0.5, longest=24):
    """Draws of theta (draws, chains, 3), and of log tau's partners the mean and variance of every z_n; acceptance."""
    posterior, rng = Posterior(), np.random.default_rng(seed)
    size = 3 + posterior.centres
    u = rng.standard_normal((chains, size)) * 0.5
    np.seterr(over="ignore", invalid="ignore")
    value, g = posterior(u)
    scale, total, squares, count = np.full(size, 0.05), 0.0, 0.0, 0
    kept, accepted = np.empty((draws, chains, 3)), 0.0
    for k in range(warmup + draws):
        u, value, g, accept = transition(posterior, rng, u, value, g, scale, step, longest)
        if k < warmup:
            step *= np.exp(0.1 * (accept.mean() - 0.85))
            if k in (warmup // 4, warmup // 2, 3 * warmup // 4):  # all chains tell the scale of every unknown
                scale, step = u.std(0), 0.3
        else:
            kept[k - warmup] = u[:, :3]
            total, squares, count = total + u[:, 3:].sum(0), squares + (u[:, 3:] ** 2).sum(0), count + chains
            accepted += accept.mean() / draws
    mean = total / count
    return kept, mean, squares / count - mean ** 2, accepted, step


def split_r_hat(x):
    half = len(x) // 2
    parts = np.concatenate([x[:half], x[half:2 * half]], axis=1)
    within, between = parts.var(0, ddof=1).mean(), half * parts.mean(0).var(ddof=1)
    return float(np.sqrt(((half - 1) / half * within + between / half) / within))


def summary(kept):
    out = {}
    for i, name in enumerate(NAMES):
        x = kept[:, :, i]
        error = x.mean(0).std(ddof=1) / np.sqrt(x.shape[1])
        out[name] = {"mean": float(x.mean()), "sd": float(x.std()), "standard_error": float(error), "effective_draws": float((x.std() / error) ** 2),
                     "r_hat": split_r_hat(x)}
    return out


def check(found, stored):
    bad = []
    for name in NAMES:
        difference = abs(found[name]["mean"] - stored[name]["mean"])
        bound = 5 * np.hypot(found[name]["standard_error"], stored[name]["standard_error"])
        print(f"{name}: {found[name]['mean']:.5f}, stored {stored[name]['mean']:.5f}, bound {bound:.5f}, sd {found[name]['sd']:.5f} ({stored[name]['sd']:.5f})")
        if not difference <= bound or not abs(found[name]["sd"] / stored[name]["sd"] - 1) < 0.05 or not stored[name]["r_hat"] < 1.005:
            bad.append(name)
    return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--chains", type=int, default=128)
    parser.add_argument("--warmup", type=int, default=400)
    parser.add_argument("--draws", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    a = parser.parse_args()
    if a.data:
        return draw_data()
    if a.check:
        a.chains, a.warmup, a.draws, a.seed = 48, 200, 150, 99
    started = time.process_time()
    kept, z_mean, z_var, accepted, step = sample(a.chains, a.warmup, a.draws, a.seed)
    found = summary(kept)
    if a.check:
        bad = check(found, json.loads(STORED.read_text())["theta"])
        return print("differs from what is stored: " + ", ".join(bad)) or 1 if bad else 0
    settings = {"chains": a.chains, "warmup": a.warmup, "draws": a.draws, "seed": a.seed, "step": round(step, 4), "acceptance": round(accepted, 4),
                "prior_sd": PRIOR_SD, "cpu_seconds": round(time.process_time() - started, 1), "numpy": np.__version__}
    covariance = np.cov(kept.reshape(-1, 3).T)
    STORED.write_text(json.dumps({"settings": settings, "theta": found, "theta_covariance": covariance.tolist(), "z_mean": np.round(z_mean, 5).tolist(),
                                  "z_sd": np.round(np.sqrt(z_var), 5).tolist()}, indent=1) + "\n")
    print(json.dumps({"settings": settings, "theta": found}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
