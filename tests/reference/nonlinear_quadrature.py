#!/usr/bin/env python3
"""The best factorized Gaussian solution of the nonlinear model, by quadrature, without the program.

    z_n ~ N(0, 1), x_n ~ N(theta + h(z_n), exp(cos z_n)^2), h(z) = z sin z + z, theta flat; q(theta) = N(m, s^2), q(z_n) = N(mu_n, sd_n^2).

In the unit of Margossian & Blei's code (log sqrt(2 pi) left out, log sigma = cos z left out unless kept), with w(z) = exp(-2 cos z):
    loss = sum_n { 1/2 E[w ((x_n - m - h)^2 + s^2)] + 1/2 E[z^2] (+ E[cos z]) - log sd_n - 1/2 } - log s - 1/2.
Given the q(z_n): m = sum E[w (x - h)] / sum E[w], s^2 = 1 / sum E[w]. Given (m, s), rows are independent: the expectations of w, w h, w h^2 on a grid of
(mu, sd) give every row's global minimum, since the loss is quadratic in x; Newton's method refines it. The two steps alternate until neither moves.

    nonlinear_quadrature.py [--data inputs/paper/nonlinear.h5] [--local]
Best losses known before: 32221.00 (m = -0.2943, s = 0.0119) and, with log sigma kept, 40001.70. The s of the first is not the optimal one, 1 / sqrt(sum E[w]) = 0.0198: at
0.0119 the loss here is 32221.00 too, at the optimum 32220.81. Exit status 1 when the results are worse than those known, or do not meet that check.
--local also follows the gradient from mu = 0: the first mode, where gradient descent stays (the paper: 32398.86).
"""
import argparse
import pathlib
import sys

import h5py
import numpy as np

POINTS = 40
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(POINTS)
WEIGHTS = WEIGHTS / WEIGHTS.sum()


def integrands(z):
    """w, w h, w h^2, cos z and z^2 / 2."""
    s, c = np.sin(z), np.cos(z)
    w, h = np.exp(-2 * c), z * s + z
    return w, w * h, w * h * h, c, 0.5 * z * z


def expectations(mu, sd):
    return [g @ WEIGHTS for g in integrands(mu[:, None] + sd[:, None] * NODES)]


def row_loss(e, r, s2, sd, keep):
    """Loss of rows with residual r = x - m from the expectations e."""
    return 0.5 * (e[0] * (r * r + s2) - 2 * r * e[1] + e[2]) + e[4] + (e[3] if keep else 0) - np.log(sd) - 0.5


class Grid:
    """Expectations over the grid of (mu, sd), as the coefficients of a quadratic in r."""

    def __init__(self, keep):
        mu, log_sd = np.meshgrid(np.linspace(-26, 26, 1041), np.linspace(-4.5, 0.75, 36), indexing="ij")
        self.mu, self.sd, self.keep = mu.ravel(), np.exp(log_sd.ravel()), keep
        self.e = [np.concatenate(p) for p in zip(*(expectations(m, s) for m, s in zip(np.array_split(self.mu, 40), np.array_split(self.sd, 40))))]

    def best(self, r, s2):
        rest = row_loss(self.e, 0.0, s2, self.sd, self.keep)
        table = np.stack([0.5 * self.e[0], -self.e[1], rest])
        pick = np.empty(len(r), int)
        for rows in np.array_split(np.arange(len(r)), max(1, len(r) // 250)):
            pick[rows] = np.argmin(np.stack([r[rows] ** 2, r[rows], np.ones(len(rows))], 1) @ table, axis=1)
        return self.mu[pick], self.sd[pick]


def integrand_derivatives(z, r, s2, keep):
    """f = 1/2 w ((r - h)^2 + s2) + z^2 / 2 (+ cos z): f' and f''."""
    s, c = np.sin(z), np.cos(z)
    w, d, h1, h2 = np.exp(-2 * c), r - z * s - z, s + z * c + 1, 2 * c - z * s
    w1, w2 = 2 * s * w, (2 * c + 4 * s * s) * w
    q = d * d + s2
    f1 = 0.5 * w1 * q - w * d * h1 + z - (s if keep else 0)
    f2 = 0.5 * w2 * q - 2 * w1 * d * h1 + w * (h1 * h1 - d * h2) + 1 - (c if keep else 0)
    return f1, f2


def newton(mu, sd, r, s2, keep, steps=40):
    """Per row in (mu, log sd), halved until the loss falls; rows are independent."""
    loss = row_loss(expectations(mu, sd), r, s2, sd, keep)
    for _ in range(steps):
        f1, f2 = integrand_derivatives(mu[:, None] + sd[:, None] * NODES, r[:, None], s2, keep)
        we = WEIGHTS * NODES
        g = np.stack([f1 @ WEIGHTS, sd * (f1 @ we) - 1])
        a, b, c = f2 @ WEIGHTS, sd * (f2 @ we), sd * sd * (f2 @ (we * NODES)) + sd * (f1 @ we)
        lowest = 0.5 * (a + c) - np.sqrt(0.25 * (a - c) ** 2 + b * b)
        lift = np.where(lowest < 1e-3, 1e-3 - 2 * np.minimum(lowest, 0), 0)  # a step downhill where the loss is not convex
        a, c = a + lift, c + lift
        det = a * c - b * b
        step = np.stack([(c * g[0] - b * g[1]) / det, (a * g[1] - b * g[0]) / det])
        scale = np.ones_like(mu)
        for _ in range(30):
            mu2, sd2 = mu - scale * step[0], sd * np.exp(np.clip(-scale * step[1], -1, 1))
            new = row_loss(expectations(mu2, sd2), r, s2, sd2, keep)
            worse = ~(new <= loss)
            if not worse.any():
                break
            scale[worse] *= 0.5
        mu, sd = np.where(worse, mu, mu2), np.where(worse, sd, sd2)
        new = np.where(worse, loss, new)
        moved = np.max(loss - new)
        loss = new
        if moved < 1e-12:
            break
    return mu, sd, loss


def update_theta(mu, sd, x):
    e = expectations(mu, sd)
    total = e[0].sum()
    return (x @ e[0] - e[1].sum()) / total, 1 / total


def global_solution(x, keep, m=-0.3, s2=1e-4, rounds=60):
    grid = Grid(keep)
    before = np.inf
    for k in range(rounds):
        if k < 6:  # which mode a row is in settles soon; then only the place moves
            mu, sd = grid.best(x - m, s2)
        mu, sd, loss = newton(mu, sd, x - m, s2, keep)
        total = loss.sum() - 0.5 * np.log(s2) - 0.5
        m, s2 = update_theta(mu, sd, x)
        if k >= 6 and before - total < 1e-7:
            break
        before = total
    return total, m, np.sqrt(s2)


def local_solution(x, keep, steps=4000, rate=1e-2):
    """Adam on the exact objective from mu = 0, sd = exp(-2), as a fit starts."""
    p = np.stack([np.zeros_like(x), np.full_like(x, -2.0)])
    g1, g2 = np.zeros_like(p), np.zeros_like(p)
    m, s2 = 0.0, 1e-4
    for k in range(1, steps + 1):
        sd = np.exp(p[1])
        f1, _ = integrand_derivatives(p[0][:, None] + sd[:, None] * NODES, (x - m)[:, None], s2, keep)
        g = np.stack([f1 @ WEIGHTS, sd * (f1 @ (WEIGHTS * NODES)) - 1])
        g1, g2 = 0.9 * g1 + 0.1 * g, 0.999 * g2 + 0.001 * g * g
        p -= rate * (g1 / (1 - 0.9 ** k)) / (np.sqrt(g2 / (1 - 0.999 ** k)) + 1e-8)
        m, s2 = update_theta(p[0], np.exp(p[1]), x)
    mu, sd = p[0], np.exp(p[1])
    for _ in range(30):
        mu, sd, loss = newton(mu, sd, x - m, s2, keep)
        m, s2 = update_theta(mu, sd, x)
    return row_loss(expectations(mu, sd), x - m, s2, sd, keep).sum() - 0.5 * np.log(s2) - 0.5, m, np.sqrt(s2)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = pathlib.Path(__file__).resolve().parents[2]
    parser.add_argument("--data", default=root / "inputs/paper/nonlinear.h5")
    parser.add_argument("--local", action="store_true")
    args = parser.parse_args()
    with h5py.File(args.data) as f:
        x = f["x"][:].ravel()
    wrong = 0
    for keep, known in ((False, 32221.00), (True, 40001.70)):
        total, m, s = global_solution(x, keep)
        wrong |= not known - 0.3 < total < known + 0.005
        print(f"log sigma {'kept' if keep else 'dropped'}: loss {total:.3f} (known: {known:.2f}); q(theta) mean {m:.4f}, sd {s:.4f}", flush=True)
        if not keep:
            ratio = 0.0119 / s
            other = total + 0.5 * ratio * ratio - 0.5 - np.log(ratio)
            wrong |= not abs(other - known) < 0.02
            print(f"    with sd 0.0119: loss {other:.3f}", flush=True)
        if args.local:
            total, m, s = local_solution(x, keep)
            print(f"    first mode, from mu = 0: loss {total:.3f}; q(theta) mean {m:.4f}, sd {s:.4f}", flush=True)
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
