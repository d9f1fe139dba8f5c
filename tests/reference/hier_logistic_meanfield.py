#!/usr/bin/env python3
"""The best factorized Gaussian of the posterior in hier_logistic_hmc.py, by quadrature: what mean-field VI can reach, without the program.

q = N(alpha) N(log tau) N(beta) prod N(z_n). With S_k^2 = sd(alpha)^2 + x_k^2 sd(beta)^2 an expectation of a trial takes three dimensions:
    eta = mean(alpha) + x_k mean(beta) + S_k u + exp(mean(log tau) + sd(log tau) v) (mu_n + sd_n w),    u, v, w ~ N(0, 1): Gauss-Hermite.
The z_n are independent given q(theta): Newton's method finds them, BFGS the six parameters of q(theta) around (the gradient is partial: the z_n are at their best).

    hier_logistic_meanfield.py            prints the optimum and writes it into hier_logistic.json beside it, under mean_field
    hier_logistic_meanfield.py --check    compares with what is stored there
"""
import json
import sys

import numpy as np

from hier_logistic_hmc import NAMES, PRIOR_SD, STORED, Posterior

NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(10)
WEIGHTS = WEIGHTS / WEIGHTS.sum()
U, V, W = (g.ravel() for g in np.meshgrid(NODES, NODES, NODES, indexing="ij"))
JOINT = np.einsum("i,j,k->ijk", WEIGHTS, WEIGHTS, WEIGHTS).ravel()


class MeanField:
    def __init__(self):
        p = Posterior()
        self.arm, self.trials, self.wins = p.arm, p.trials[:, 0], p.wins[:, 0]
        self.mu, self.log_sd = np.zeros(p.centres), np.full(p.centres, -1.0)

    def expectations(self, theta, mu, log_sd):
        """-ELBO of every row, its gradient and Hessian in (mu, log sd), and the sums for the gradient in theta = means and log sds."""
        (ma, mt, mb), (sa, st, sb) = theta[:3], np.exp(theta[3:])
        sd, tau = np.exp(log_sd), np.exp(mt + st * V)
        z = mu[:, None] + sd[:, None] * W
        value = 0.5 * (mu ** 2 + sd ** 2) - log_sd
        first, second, partial = np.stack([mu, sd ** 2 - 1]), np.stack([np.ones_like(mu), np.zeros_like(mu), 2 * sd ** 2]), np.zeros(6)
        for x, trials, wins in zip(self.arm, self.trials[:, :, None], self.wins[:, :, None]):
            spread = np.sqrt(sa ** 2 + x * x * sb ** 2)
            eta = ma + x * mb + spread * U + tau * z
            tail = np.exp(-np.abs(eta))
            p = np.where(eta > 0, 1.0, tail) / (1 + tail)
            d, c = (trials * p - wins) * JOINT, trials * p * (1 - p) * JOINT
            value = value + ((trials * (np.maximum(eta, 0) + np.log1p(tail)) - wins * eta) @ JOINT)
            move = sd[:, None] * W * tau
            first += np.stack([d @ tau, (d * move).sum(1)])
            second += np.stack([c @ tau ** 2, (c * tau * move).sum(1), (c * move ** 2 + d * move).sum(1)])
            slope = d * tau * z
            partial += [d.sum(), slope.sum(), x * d.sum(), (d @ U).sum() * sa * sa / spread, (slope @ V).sum() * st, (d @ U).sum() * x * x * sb * sb / spread]
        return value, first, second, partial

    def __call__(self, theta):
        """-ELBO and its gradient in theta, the z_n at their best."""
        mu, log_sd = self.mu, self.log_sd
        for _ in range(50):
            value, g, (a, b, c), partial = self.expectations(theta, mu, log_sd)
            if np.abs(g).max() < 1e-11:
                break
            det = a * c - b * b
            ok = (det > 0) & (a > 0)
            mu = mu - np.where(ok, (c * g[0] - b * g[1]) / np.where(ok, det, 1), 0.1 * g[0])
            log_sd = log_sd - np.clip(np.where(ok, (a * g[1] - b * g[0]) / np.where(ok, det, 1), 0.1 * g[1]), -1, 1)
        self.mu, self.log_sd = mu, log_sd
        mean, var = theta[:3], np.exp(2 * theta[3:])
        f = value.sum() + 0.5 * np.sum(mean ** 2 + var) / PRIOR_SD ** 2 - theta[3:].sum()
        return f, partial + np.concatenate([mean, var]) / PRIOR_SD ** 2 - np.repeat([0.0, 1.0], 3)


def bfgs(function, x, tolerance=1e-7):
    f, g = function(x)
    inverse = np.diag([1e-4, 1e-3, 1e-3, 0.5, 0.5, 0.5])
    for _ in range(200):
        if np.abs(g).max() < tolerance:
            return x
        step, size = -inverse @ g, 1.0
        while True:
            new, gradient = function(x + size * step)
            if new <= f + 1e-4 * size * (g @ step) or size < 1e-8:
                break
            size /= 2
        s, y = size * step, gradient - g
        if s @ y > 0:
            rho, i = 1 / (s @ y), np.eye(len(x))
            inverse = (i - rho * np.outer(s, y)) @ inverse @ (i - rho * np.outer(y, s)) + rho * np.outer(s, s)
        x, f, g = x + s, new, gradient
    raise SystemExit(f"did not converge: gradient {np.abs(g).max():.1e}")


def main():
    theta = bfgs(MeanField(), np.array([-0.5, 0.0, 0.7, -3.5, -3.5, -3.0]))
    found = {name: {"mean": float(theta[i]), "sd": float(np.exp(theta[3 + i]))} for i, name in enumerate(NAMES)}
    print(json.dumps(found, indent=1))
    stored = json.loads(STORED.read_text())
    if "--check" in sys.argv:
        worst = max(abs(found[n][k] - stored["mean_field"][n][k]) for n in NAMES for k in ("mean", "sd"))
        print(f"largest difference from what is stored: {worst:.1e}")
        return 0 if worst < 1e-6 else 1
    stored["mean_field"] = found
    STORED.write_text(json.dumps(stored, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
