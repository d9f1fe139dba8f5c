#!/usr/bin/env python3
"""Exact answers of the Gaussian models, independent of the program: plain Python, no numpy, no LAPACK.

    exact_reference.py saw --data saw.h5            JSON: F-VI optimum, ELBO*, log p(x), losses in the paper's unit
    exact_reference.py hmm --rows 200 --seed 3 --a 0.9 --q 0.5 --with-data
    check_exact_reference.py [saw.h5]               holds the closed forms against dense Gaussian algebra

Models: linear, saw, hmm, ppca, gp. Data: --data FILE (text, numbers by blanks, a row a line; or HDF5 with --dataset), or drawn here
with --rows and --seed. Formulas: Margossian & Blei 2024 (arXiv 2307.11018); Tipping & Bishop 1999 for ppca. Every model
is log p(x, u) = -u'Pu/2 + h'u + c in its unknowns u; then the F-VI optimum has mean P^-1 h, variances 1/P_ii and
log p(x) - ELBO* = (sum log P_ii - log det P) / 2. ELBO, log p in nats with all constants.
"""
import argparse
import json
import math
import sys

import exact_data

LOG_2PI = math.log(2 * math.pi)


# ---- small dense algebra -------------------------------------------------------------------------------------------------
def dot(a, b):
    return math.fsum(x * y for x, y in zip(a, b))


def matmul(a, b):
    columns = list(zip(*b))
    return [[dot(row, column) for column in columns] for row in a]


def transpose(a):
    return [list(row) for row in zip(*a)]


def add(a, b, scale=1.0):
    return [[x + scale * y for x, y in zip(r, s)] for r, s in zip(a, b)]


def identity(n, value=1.0):
    return [[value if i == j else 0.0 for j in range(n)] for i in range(n)]


def cholesky(a):
    n, low = len(a), []
    for i in range(n):
        row = []
        for j in range(i + 1):
            s = a[i][j] - sum(x * y for x, y in zip(row, low[j] if j < i else row))
            if j < i:
                row.append(s / low[j][j])
            elif s <= 0:
                raise ValueError("not positive definite: pivot %d" % i)
            else:
                row.append(math.sqrt(s))
        low.append(row)
    return low


def log_det(low):
    return 2 * math.fsum(math.log(low[i][i]) for i in range(len(low)))


def solve(low, b):
    n, x = len(low), list(b)
    for i in range(n):
        x[i] = (x[i] - sum(l * v for l, v in zip(low[i], x[:i]))) / low[i][i]
    for i in reversed(range(n)):
        x[i] /= low[i][i]
        for j in range(i):
            x[j] -= low[i][j] * x[i]
    return x


def inverse(a):
    low, n = cholesky(a), len(a)
    return [solve(low, [1.0 if i == j else 0.0 for i in range(n)]) for j in range(n)]


def eigenvalues(a):
    """Cyclic Jacobi, ascending."""
    a, n = [row[:] for row in a], len(a)
    for _ in range(60):
        if math.fsum(a[i][j] ** 2 for i in range(n) for j in range(i)) < 1e-30 * math.fsum(a[i][i] ** 2 for i in range(n)):
            break
        for p in range(n):
            for q in range(p + 1, n):
                if a[p][q] == 0:
                    continue
                angle = 0.5 * math.atan2(2 * a[p][q], a[q][q] - a[p][p])
                c, s = math.cos(angle), math.sin(angle)
                for row in a:
                    row[p], row[q] = c * row[p] - s * row[q], s * row[p] + c * row[q]
                a[p], a[q] = [c * x - s * y for x, y in zip(a[p], a[q])], [s * x + c * y for x, y in zip(a[p], a[q])]
    return sorted(a[i][i] for i in range(n))


def log_normal(x, covariance):
    low = cholesky(covariance)
    return -0.5 * (dot(x, solve(low, x)) + log_det(low) + len(x) * LOG_2PI)


def dense_answer(precision, h, c):
    """Of log p(x, u) = -u'Pu/2 + h'u + c, by brute force."""
    low = cholesky(precision)
    mean = solve(low, h)
    top = c + 0.5 * dot(h, mean) + 0.5 * len(h) * LOG_2PI
    return {"mean": mean, "variance": [1 / precision[i][i] for i in range(len(h))], "log_p": top - 0.5 * log_det(low),
            "elbo": top - 0.5 * math.fsum(math.log(precision[i][i]) for i in range(len(h)))}


# ---- models --------------------------------------------------------------------------------------------------------------
def linear(x, tau=1.155, sigma=2.43, s0=0.0):
    """theta flat (s0 = 0) or N(0, s0^2); z_n ~ N(0,1); x_n ~ N(theta + tau z_n, sigma^2)."""
    n, v = len(x), sigma ** 2 + tau ** 2
    prior = 1 / s0 ** 2 if s0 > 0 else 0.0
    theta = math.fsum(x) / v / (n / v + prior)
    squares = math.fsum((e - theta) ** 2 for e in x)
    log_p = -0.5 * squares / v - 0.5 * n * math.log(2 * math.pi * v) - 0.5 * math.log(n / v + prior) + 0.5 * LOG_2PI
    if prior:
        log_p += -0.5 * prior * theta ** 2 + 0.5 * math.log(prior) - 0.5 * LOG_2PI
    gap = 0.5 * math.log((n / sigma ** 2 + prior) / (n / v + prior))
    variable = 0.5 * n * math.log(v / sigma ** 2) - 0.5 * math.log(1 / (n / sigma ** 2 + prior))
    constant = 0.5 * math.fsum((e - math.fsum(x) / n) ** 2 for e in x) / sigma ** 2
    out = {"theta_mean": theta, "theta_variance": 1 / (n / sigma ** 2 + prior), "z_mean": [tau * (e - theta) / v for e in x],
           "z_variance": sigma ** 2 / v, "log_p": log_p, "elbo": log_p - gap}
    if not prior:
        out.update(loss=0.5 * squares / v + variable, loss_constant=constant + variable,
                   elbo_constant=log_p - gap + 0.5 * squares / v - constant)
    return out


def least_squares(features, weights_and_targets):
    """min over w of sum_k weight_k |target_k - F_k w|^2 / 2 through the normal equations; returns w and the minimum."""
    k = len(features[0][0])
    normal, right = [[0.0] * k for _ in range(k)], [0.0] * k
    for rows, (weight, target) in zip(features, weights_and_targets):
        columns = list(zip(*rows))
        for i in range(k):
            right[i] += weight * dot(columns[i], target)
            for j in range(k):
                normal[i][j] += weight * dot(columns[i], columns[j])
    w = solve(cholesky(normal), right)
    value = 0.5 * math.fsum(weight * (t - dot(row, w)) ** 2 for rows, (weight, target) in zip(features, weights_and_targets)
                            for row, t in zip(rows, target))
    return w, value


def saw(x, a=0.75):
    """theta flat; x_0 given; z_n ~ N(x_n, 1); x_{n+1} ~ N(a (z_n + theta), 1), n = 0..N-1."""
    n, v = len(x) - 1, 1 + a * a
    r = [x[i + 1] - a * x[i] for i in range(n)]
    theta = math.fsum(r) / n / a
    variable = 0.5 * n * math.log(v) + 0.5 * math.log(n * a * a)
    constants = n * LOG_2PI - 0.5 * (n + 1) * LOG_2PI
    loss = 0.5 * math.fsum((e - a * theta) ** 2 for e in r) / v + variable

    def best(f):
        """Mean of z_n = w . f(n): least squares over (w, theta) of both factors, each of variance one."""
        prior = [f(i) + [0.0] for i in range(n)]
        likelihood = [[a * e for e in f(i)] + [a] for i in range(n)]
        centre = x[0] if len(prior[0]) < 3 else 0.0
        w, value = least_squares([prior, likelihood], [(1.0, [e - centre for e in x[:n]]), (1.0, [e - a * centre for e in x[1:]])])
        return w, value + variable

    affine_next, loss_next = best(lambda i: [1.0, x[i + 1]])
    _, loss_both = best(lambda i: [1.0, x[i], x[i + 1]])
    _, loss_constant = best(lambda i: [1.0])
    return {"theta_mean": theta, "theta_variance": 1 / (n * a * a), "z_mean": [x[i] + a * (r[i] - a * theta) / v for i in range(n)],
            "z_variance": 1 / v, "elbo": -loss - constants, "log_p": -loss - constants + 0.5 * math.log(v), "loss": loss,
            "loss_constant": loss_constant, "loss_affine_next": loss_next, "loss_affine_self_next": loss_both,
            "affine_next": affine_next, "elbo_minus_loss": -constants}


def hmm_kalman(x, a, c, q, r, p0):
    """log p(x) and smoothed means (Rauch, Tung & Striebel 1965): no precision matrix of the chain."""
    l, mean, cov = len(a), [0.0] * len(a), p0
    total, filtered = 0.0, []
    for n, row in enumerate(x):
        if n > 0:
            mean = [dot(e, mean) for e in a]
            cov = add(matmul(matmul(a, cov), transpose(a)), q)
        predicted = (mean, cov)
        s = add(matmul(matmul(c, cov), transpose(c)), r)
        innovation = [e - dot(w, mean) for e, w in zip(row, c)]
        total += log_normal(innovation, s)
        gain = transpose(matmul(inverse(s), matmul(c, cov)))
        mean = [m + dot(g, innovation) for m, g in zip(mean, gain)]
        shrink = add(identity(l), matmul(gain, c), -1.0)
        cov = add(matmul(matmul(shrink, cov), transpose(shrink)), matmul(matmul(gain, r), transpose(gain)))
        filtered.append((mean, cov, predicted))
    means = [filtered[-1][0]]
    for n in reversed(range(len(x) - 1)):
        m, p, _ = filtered[n]
        next_mean, next_cov = filtered[n + 1][2]
        g = matmul(matmul(p, transpose(a)), inverse(next_cov))
        means.append([e + dot(w, [s - t for s, t in zip(means[-1], next_mean)]) for e, w in zip(m, g)])
    return total, means[::-1]


def hmm_precision(n, a, c, q, r, p0):
    """Blocks of the posterior precision: (first, inner, last) diagonal and the one at (i + 1, i)."""
    qi = inverse(q)
    data, forward = matmul(matmul(transpose(c), inverse(r)), c), matmul(matmul(transpose(a), qi), a)
    first, inner, last = add(inverse(p0), data), add(qi, data), add(qi, data)
    if n > 1:
        first, inner = add(first, forward), add(inner, forward)
    return [first if i == 0 else last if i == n - 1 else inner for i in range(n)], [[-e for e in row] for row in matmul(qi, a)]


def hmm(x, a=1.0, c=1.0, q=1.0, r=1.0, p0=None, windows=(0, 1, 2, 4, 8)):
    """z_1 ~ N(0, P0) (Q when not given), z_n ~ N(A z_{n-1}, Q), x_n ~ N(C z_n, R); matrices as lists of rows, or numbers."""
    a, c, q, r = ([[float(m)]] if not isinstance(m, list) else m for m in (a, c, q, r))
    p0 = q if p0 is None else [[float(p0)]] if not isinstance(p0, list) else p0
    x = [e if isinstance(e, list) else [e] for e in x]
    n, l = len(x), len(a)
    log_p, means = hmm_kalman(x, a, c, q, r, p0)
    diagonal, off = hmm_precision(n, a, c, q, r, p0)
    pivot, det = diagonal[0], 0.0
    for i in range(n):
        if i > 0:
            pivot = add(diagonal[i], matmul(matmul(off, inverse(pivot)), transpose(off)), -1.0)
        det += log_det(cholesky(pivot))
    gap = 0.5 * (math.fsum(math.log(b[i][i]) for b in diagonal for i in range(l)) - det)
    gap_full = 0.5 * (math.fsum(log_det(cholesky(b)) for b in diagonal) - det)
    out = {"z_mean": means, "z_variance": [[1 / b[i][i] for i in range(l)] for b in diagonal], "log_p": log_p, "elbo": log_p - gap,
           "elbo_full_covariance": log_p - gap_full, "log_det_precision": det}
    if l == 1 and len(c) == 1 and n > 1:
        out["amortization_gap_affine_window"] = {
            str(w): hmm_window_gap([e[0] for e in x], [m[0] for m in means], [b[0][0] for b in diagonal], off[0][0], w)
            for w in windows if 2 * w + 2 < n}
    return out


def hmm_window_gap(x, mean, diagonal, off, w):
    """min over affine f of (m - mean)' P (m - mean) / 2 with m_n = f(x_{n-w}, ..., x_{n+w}), the ends padded by the edge row."""
    n = len(x)
    features = [[1.0] + [x[min(max(i + d, 0), n - 1)] for d in range(-w, w + 1)] for i in range(n)]
    # P = R'R, R upper bidiagonal: the metric becomes a plain sum of squares.
    pivots = [diagonal[0]]
    for i in range(1, n):
        pivots.append(diagonal[i] - off * off / pivots[-1])

    def whiten(get):
        return [math.sqrt(p) * (get(i) + (off / p * get(i + 1) if i + 1 < n else 0.0)) for i, p in enumerate(pivots)]

    white = transpose([whiten(lambda i, k=k: features[i][k]) for k in range(2 * w + 2)])
    return least_squares([white], [(1.0, whiten(lambda i: mean[i]))])[1]


def ppca(x, latent=2):
    """Maximum likelihood of x_n ~ N(mu, W W' + s^2 I), W (D, latent)."""
    n, d = len(x), len(x[0])
    mean = [math.fsum(row[j] for row in x) / n for j in range(d)]
    columns = [[row[j] - mean[j] for row in x] for j in range(d)]
    values = eigenvalues([[dot(p, q) / n for q in columns] for p in columns])
    noise = math.fsum(values[:d - latent]) / (d - latent)
    log_p = -0.5 * n * (d * LOG_2PI + math.fsum(math.log(v) for v in values[d - latent:]) + (d - latent) * math.log(noise) + d)
    # The posterior of z_n has precision W'W/s^2 + I, diagonal in the principal axes: F-VI is exact there, ELBO* = log p(x).
    return {"mean": mean, "eigenvalues": values, "noise_variance": noise, "log_p": log_p, "elbo": log_p, "log_p_per_row": log_p / n,
            "z_variance": [noise / v for v in values[:d - latent - 1:-1]]}


def gp_kernel(n, step, variance, length, jitter):
    return [[variance * math.exp(-0.5 * ((i - j) * step / length) ** 2) + (jitter if i == j else 0.0) for j in range(n)] for i in range(n)]


def gp(x, step=1.0, variance=1.0, length=2.0, jitter=1e-6, noise=0.5):
    """z ~ N(0, K), K squared-exponential on t = 0, step, 2 step, ...; x_n ~ N(z_n, noise^2)."""
    n, s2 = len(x), noise ** 2
    k = gp_kernel(n, step, variance, length, jitter)
    low, marginal = cholesky(k), cholesky(add(k, identity(n, s2)))
    weights = solve(marginal, x)
    mean = [dot(row, weights) for row in k]
    diagonal = [solve(low, [1.0 if i == j else 0.0 for i in range(n)])[j] + 1 / s2 for j in range(n)]
    det = log_det(marginal) - log_det(low) - n * math.log(s2)
    log_p = -0.5 * (dot(x, weights) + log_det(marginal) + n * LOG_2PI)
    return {"z_mean": mean, "z_variance": [1 / e for e in diagonal], "log_p": log_p, "log_det_prior": log_det(low),
            "elbo": log_p - 0.5 * (math.fsum(math.log(e) for e in diagonal) - det)}


def main():
    parser = argparse.ArgumentParser(description="Exact answers of the Gaussian models")
    parser.add_argument("model", choices=["linear", "saw", "hmm", "ppca", "gp"])
    parser.add_argument("--data")
    parser.add_argument("--dataset", default="x")
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--with-data", action="store_true", help="print the data too")
    names = ["tau", "sigma", "s0", "a", "c", "q", "r", "p0", "latent", "step", "variance", "length", "jitter", "noise"]
    for name in names:
        parser.add_argument("--" + name, type=json.loads, help="a number, or rows of a matrix as JSON for hmm")
    options = parser.parse_args()
    given = {k: getattr(options, k) for k in names if getattr(options, k) is not None}
    x = exact_data.read(options.data, options.dataset) if options.data else exact_data.draw(options.model, options.rows, options.seed, given)
    answer = {"model": options.model, "rows": len(x), "parameters": given}
    answer.update(globals()[options.model](x, **given))
    if options.with_data:
        answer["x"] = x
    json.dump(answer, sys.stdout, indent=1)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
