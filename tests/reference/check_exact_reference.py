#!/usr/bin/env python3
"""Holds the closed forms of exact_reference.py against brute force (dense Gaussian algebra over all unknowns) and against the
numbers published with the saw data: check_exact_reference.py [saw.h5 ...], the first that exists. Exit 1 on a mistake."""
import math
import os
import random
import sys

import exact_data
from exact_reference import (LOG_2PI, add, cholesky, dense_answer, dot, gp, gp_kernel, hmm, hmm_precision, identity, inverse, linear, log_det,
                             log_normal, matmul, ppca, saw, transpose)


def dense_linear(x, tau, sigma, s0):
    n, w = len(x), 1 / sigma ** 2
    p = identity(n + 1)
    p[0][0] = n * w + (1 / s0 ** 2 if s0 else 0.0)
    for i in range(n):
        p[0][i + 1] = p[i + 1][0] = tau * w
        p[i + 1][i + 1] = 1 + tau * tau * w
    c = -0.5 * n * LOG_2PI - 0.5 * w * dot(x, x) - 0.5 * n * math.log(2 * math.pi * sigma ** 2) - (0.5 * math.log(2 * math.pi * s0 ** 2) if s0 else 0.0)
    return dense_answer(p, [w * math.fsum(x)] + [tau * w * e for e in x], c)


def dense_saw(x, a):
    n = len(x) - 1
    p = identity(n + 1)
    p[0][0] = n * a * a
    for i in range(n):
        p[0][i + 1] = p[i + 1][0] = a * a
        p[i + 1][i + 1] = 1 + a * a
    c = -n * LOG_2PI - 0.5 * dot(x[:n], x[:n]) - 0.5 * dot(x[1:], x[1:])
    return dense_answer(p, [a * math.fsum(x[1:])] + [x[i] + a * x[i + 1] for i in range(n)], c)


def dense_hmm(x, a, c, q, r, p0):
    n, l = len(x), len(a)
    blocks, off = hmm_precision(n, a, c, q, r, p0)
    p = identity(n * l, 0.0)
    for b in range(n):
        for i in range(l):
            for j in range(l):
                p[b * l + i][b * l + j] = blocks[b][i][j]
                if b + 1 < n:
                    p[(b + 1) * l + i][b * l + j] = p[b * l + j][(b + 1) * l + i] = off[i][j]
    ri = inverse(r)
    h = [e for row in x for e in [dot(w, row) for w in matmul(transpose(c), ri)]]
    constant = sum(log_normal(row, r) for row in x) - 0.5 * ((n - 1) * log_det(cholesky(q)) + log_det(cholesky(p0)) + n * l * LOG_2PI)
    return dense_answer(p, h, constant)


def check(saw_file):
    bad = []

    def close(what, got, want, tolerance):
        fine = abs(got - want) <= tolerance
        print("%-52s %18.10f %18.10f %s" % (what, got, want, "" if fine else "WRONG"))
        if not fine:
            bad.append(what)

    def same(what, got, want):
        close(what, max(abs(g - w) / max(1.0, abs(w)) for g, w in zip(got, want)), 0.0, 1e-9)

    for s0 in (0.0, 0.7):
        x = exact_data.draw("linear", 40, 1, {})
        got, want = linear(x, s0=s0), dense_linear(x, 1.155, 2.43, s0)
        for key in ("log_p", "elbo"):
            close("linear s0=%g %s" % (s0, key), got[key], want[key], 1e-9)
        same("linear means", [got["theta_mean"]] + got["z_mean"], want["mean"])
        same("linear variances", [got["theta_variance"]] + [got["z_variance"]] * 40, want["variance"])
    x = exact_data.draw("saw", 40, 2, {})
    got, want = saw(x), dense_saw(x, 0.75)
    for key in ("log_p", "elbo"):
        close("saw " + key, got[key], want[key], 1e-9)
    same("saw means", [got["theta_mean"]] + got["z_mean"], want["mean"])
    close("saw affine in (x_n, x_{n+1}) closes the gap", got["loss_affine_self_next"], got["loss"], 1e-9)
    a, c, q, r, p0 = [[0.9, 0.2], [-0.1, 0.7]], [[1, 0.5], [0, 1], [0.3, -1]], [[0.8, 0.1], [0.1, 0.5]], [[1, 0.2, 0], [0.2, 0.9, 0], [0, 0, 1.5]], [[2, 0.3], [0.3, 1]]
    g = random.Random(4).gauss
    x = [[g(0, 2) for _ in range(3)] for _ in range(20)]
    got, want = hmm(x, a, c, q, r, p0), dense_hmm(x, a, c, q, r, p0)
    for key in ("log_p", "elbo"):
        close("hmm 2-d " + key, got[key], want[key], 1e-9)
    same("hmm 2-d means", [e for m in got["z_mean"] for e in m], want["mean"])
    x = exact_data.draw("hmm", 350, 5, {})
    got, f = hmm(x), [0, 1]
    while len(f) < 702:
        f.append(f[-1] + f[-2])
    close("hmm log det = log of a Fibonacci number", got["log_det_precision"], math.log(f[701]), 1e-9)
    gaps = list(got["amortization_gap_affine_window"].values())
    close("hmm gap falls with the window", sum(1 for s, t in zip(gaps, gaps[1:]) if not s > t > 0), 0, 0)
    x = exact_data.draw("gp", 30, 6, {})
    got, k = gp(x), gp_kernel(30, 1.0, 1.0, 2.0, 1e-6)
    ki = inverse(k)
    want = dense_answer(add(ki, identity(30, 4.0)), [4 * e for e in x], -2 * dot(x, x) - 30 * LOG_2PI - 15 * math.log(0.25) - 0.5 * log_det(cholesky(k)))
    for key in ("log_p", "elbo"):
        close("gp " + key, got[key], want[key], 1e-6)
    x = exact_data.draw("ppca", 60, 7, {})
    check_ppca(x, close)
    if saw_file:
        got = saw(exact_data.read(saw_file, "x"))
        for key, want, tolerance in (("loss", 553.0139, 5e-5), ("loss_constant", 2933.567, 5e-4), ("loss_affine_next", 892.634, 5e-4),
                                     ("elbo", -1471.0335, 5e-5), ("log_p", -1470.8104, 5e-5)):
            close("saw, shipped data: " + key, got[key], want, tolerance)
    else:
        print("saw, shipped data: not checked (no file given)")
    print("%d wrong" % len(bad))
    return 1 if bad else 0


def check_ppca(x, close):
    """The likelihood at a model built from the eigenvalues alone, and lower to both sides of its noise."""
    got, n, d = ppca(x, 2), len(x), len(x[0])
    values, top = got["eigenvalues"], got["eigenvalues"][-2:]
    close("ppca trace", sum(values), sum((row[j] - got["mean"][j]) ** 2 for row in x for j in range(d)) / n, 1e-9)

    def log_p(noise):
        model = [max(v, noise) if v in top else noise for v in values]
        return -0.5 * n * sum(LOG_2PI + math.log(m) + v / m for m, v in zip(model, values))

    centred = [[e - m for e, m in zip(row, got["mean"])] for row in x]
    covariance = [[sum(row[i] * row[j] for row in centred) / n for j in range(d)] for i in range(d)]
    full = ppca(x, d - 1)  # all directions kept: the model is the sample covariance itself
    close("ppca log_p, all but one direction", full["log_p"], sum(log_normal(row, covariance) for row in centred), 1e-9)
    close("ppca log_p", got["log_p"], log_p(got["noise_variance"]), 1e-9)
    close("ppca noise is the best", float(max(log_p(got["noise_variance"] * f) for f in (0.97, 1.03)) < got["log_p"]), 1.0, 0)


if __name__ == "__main__":
    sys.exit(check(next((path for path in sys.argv[1:] if os.path.exists(path)), None)))
