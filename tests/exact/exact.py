"""Task exact against closed forms worked out by others: tests/reference/exact_reference.py (plain Python), and dense algebra in numpy.

    exact.py [--long] [NAME ...]    all, or those named: saw linear hmm hmm_general ppca priors edges sizes; --long: linear up to a million rows
Needs AVI_MPI (the program), AVI_MPIRUN and AVI_SOURCE_DIR. Every model runs on 1, 2, 3 and 4 ranks."""
import math
import sys

import numpy as np

from program import Failure, PAPER, check, close, exact, main, reference, refused, run, write_rows

LOG_2PI = math.log(2 * math.pi)
LONG = ((100000, 2), (1000000, 2)) if "--long" in sys.argv else ()


def polynomial(x, degree):
    """Monomials of the columns of x up to a degree, constant first."""
    features = [np.ones(len(x))]
    layer = [(np.ones(len(x)), 0)]
    for _ in range(degree):
        layer = [(value * x[:, v], v) for value, last in layer for v in range(last, x.shape[1])]
        features += [value for value, _ in layer]
    return np.stack(features, 1)


def window(x, before, after):
    """Rows n - before .. n + after side by side; the edge row beyond the ends."""
    n = len(x)
    return np.concatenate([x[np.clip(np.arange(n) + d, 0, n - 1)] for d in range(-before, after + 1)], 1)


def metric_gap(precision, optimum, design):
    """min over w of (D w - u*)' P (D w - u*) / 2."""
    root = np.linalg.cholesky(precision).T
    w, *_ = np.linalg.lstsq(root @ design, root @ optimum, rcond=None)
    rest = root @ (design @ w - optimum)
    return 0.5 * rest @ rest


def variance_gap(features, precisions):
    """min over w of sum (a - 1 - log a) / 2, a = p exp(2 F w): Newton's method with halved steps."""
    def value(weights):
        a = precisions * np.exp(2 * features @ weights)
        return 0.5 * (a - 1 - np.log(a)).sum(), a

    w = np.zeros(features.shape[1])
    w[0] = -0.5 * math.log(precisions.mean())
    now, a = value(w)
    for _ in range(100):
        step = np.linalg.lstsq(features.T @ (2 * a[:, None] * features), features.T @ (1 - a), rcond=None)[0]
        while value(w + step)[0] > now and np.abs(step).max() > 1e-12:
            step *= 0.5
        if value(w + step)[0] >= now:
            break
        w += step
        now, a = value(w)
    return now


def saw(folder):
    """The numbers of the paper's data, and every domain on some number of ranks."""
    want = reference("saw", PAPER / "saw.h5")
    told = []
    for np_, domain in ((1, "next"), (2, "ahead"), (3, "self"), (4, "next")):
        got = exact(folder, np_, PAPER / "saw.ini", f"inference.domain={domain}")
        told = [close("loss", got["loss"], 553.0139, 1e-4), close("loss constant", got["loss_constant"], 2933.567, 1e-3),
                close("ELBO*", got["elbo"], -1471.0335, 1e-4), close("log p(x)", got["log_evidence"], -1470.8104, 1e-4)]
        close("ELBO*", got["elbo"], want["elbo"], 1e-8)
        close("log p(x)", got["log_evidence"], want["log_p"], 1e-8)
        close("constant", got["loss_constant"], want["loss_constant"], 1e-7)
        close("theta", got["theta_mean"], want["theta_mean"], 1e-11)
        close("sd of theta", got["theta_sd"], math.sqrt(want["theta_variance"]), 1e-12)
        check("means", got["mean"].ravel(), want["z_mean"], 1e-11)
        check("log sds", got["log_sd"].ravel(), 0.5 * math.log(want["z_variance"]), 1e-12)
        if domain == "next":
            close("gap of degree 1", got["gap_degree_1"], 0, 1e-9)
        if domain == "ahead":
            close("affine f(x_{n+1})", got["loss_degree_1"], 892.634, 1e-3)
            told.append(close("affine f(x_{n+1})", got["loss_degree_1"], want["loss_affine_next"], 1e-6))
    return told


def linear(folder):
    """Finite samples: degree 1 closes the gap at any N, a constant never does."""
    told = []
    for n, np_ in ((10, 1), (10, 4), (100, 2), (1000, 3), (10000, 1)) + LONG:
        got = exact(folder, np_, PAPER / "linear.ini", f"data.rows={n}", want_data=n <= 10000)
        if n <= 1000:
            want = reference("linear", folder / "x.txt")
            close(f"N = {n}: ELBO*", got["elbo"], want["elbo"], 1e-9 * n)
            close(f"N = {n}: log p(x)", got["log_evidence"], want["log_p"], 1e-9 * n)
            check(f"N = {n}: means", got["mean"].ravel(), want["z_mean"], 1e-12)
            close(f"N = {n}: constant", got["elbo_constant"], want["elbo_constant"], 1e-9 * n)
        if n <= 10000:
            x, sigma, tau = got["x"].ravel(), 2.43, 1.155
            gap = 0.5 * ((x - x.mean()) ** 2).sum() * (1 / sigma ** 2 - 1 / (sigma ** 2 + tau ** 2))
            told.append(close(f"N = {n}: gap of the constant", got["gap_constant"], gap, 1e-10 * gap))
        # 2.43 and 1.155 by chi-square: the gap of a constant is N times 0.113, give or take.
        close(f"N = {n}: gap of the constant a row", got["gap_constant"] / n, 0.5 * (1.155 / 2.43) ** 2, 0.6 / math.sqrt(n))
        for degree in (1, 2):
            close(f"N = {n}: gap of degree {degree}", got[f"gap_degree_{degree}"], 0, 1e-9)
        close(f"N = {n}: approximation gap", got["approximation_gap"], 0.5 * math.log(1 + (1.155 / 2.43) ** 2), 1e-9 * n)
    return told


def hmm(folder):
    """The counterexample: a gap for every window, smaller for the wider."""
    told, before = [], math.inf
    want = None
    for np_, w in ((1, 0), (2, 1), (3, 2), (4, 4), (2, 8)):
        got = exact(folder, np_, PAPER / "hmm.ini", f"inference.domain=window:{w}", "run.exact_degree=1")
        want = want or reference("hmm", folder / "x.txt")
        close("ELBO*", got["elbo"], want["elbo"], 1e-7)
        close("log p(x)", got["log_evidence"], want["log_p"], 1e-7)
        check("means", got["mean"], want["z_mean"], 1e-9)
        check("log sds", got["log_sd"], 0.5 * np.log(want["z_variance"]), 1e-12)
        gap = want["amortization_gap_affine_window"][str(w)]
        close(f"window {w}: gap of the means", got["gap_means_degree_1"], gap, 1e-6 * gap)
        features = polynomial(window(got["x"], w, w), 1)
        rest = variance_gap(features, 1 / np.array(want["z_variance"]).ravel())
        close(f"window {w}: gap", got["gap_degree_1"], gap + rest, 1e-6 * (gap + rest))
        if not 0 < got["gap_degree_1"] < before:
            raise Failure(f"window {w}: gap {got['gap_degree_1']:.6f} after {before:.6f}: it must be positive and shrink")
        before = got["gap_degree_1"]
        told.append(f"window {w}: {before:.4f}")
        low, high = {0: (100, 10000), 1: (5, 500), 2: (0.7, 70), 4: (0.02, 5), 8: (0.01, 5)}[w]
        if not low < before < high:
            raise Failure(f"window {w}: gap {before:.4f} nats, far from the {math.sqrt(low * high):.2g} known of a random walk")
    return told


A, C = np.array([[0.9, 0.2], [-0.1, 0.7]]), np.array([[1, 0.5], [0, 2], [-0.3, 0.4]])
Q, R = np.array([0.5, 2]), np.array([0.3, 1.5, 0.7])
GENERAL = ["model.latent=2", "model.A=0.9, 0.2; -0.1, 0.7", "model.C=1, 0.5; 0, 2; -0.3, 0.4", "model.Q=0.5, 2", "model.R=0.3, 1.5, 0.7", "model.initial_sd=1.3"]


def chain_precision(n):
    p = np.zeros((2 * n, 2 * n))
    for k in range(n):
        here, last = slice(2 * k, 2 * k + 2), slice(2 * k - 2, 2 * k)
        p[here, here] += C.T @ np.diag(1 / R) @ C + (np.diag(1 / Q) if k else np.eye(2) / 1.3 ** 2)
        if k:
            p[last, last] += A.T @ np.diag(1 / Q) @ A
            p[here, last] -= np.diag(1 / Q) @ A
            p[last, here] -= A.T @ np.diag(1 / Q)
    return p


def hmm_general(folder):
    """Two dimensions, three values a row; independent dimensions and full covariances."""
    told = []
    n = 90
    p = chain_precision(n)
    for np_, domain, w, degree, family in ((1, "window:1", (1, 1), 2, "gaussian"), (2, "self", (0, 0), 2, "gaussian"), (3, "next", (0, 1), 2, "gaussian"),
                                           (4, "window:2", (2, 2), 1, "gaussian_full")):
        got = exact(folder, np_, PAPER / "hmm.ini", *GENERAL, f"data.rows={n}", f"inference.domain={domain}", f"inference.family={family}")
        want = reference("hmm", folder / "x.txt", a=A, c=C, q=np.diag(Q), r=np.diag(R), p0=1.69 * np.eye(2))
        mean = np.linalg.solve(p, (got["x"] / R @ C).ravel())
        check("means", got["mean"].ravel(), mean, 1e-10)
        check("means", got["mean"], want["z_mean"], 1e-10)
        close("log p(x)", got["log_evidence"], want["log_p"], 1e-8)
        close("ELBO*", got["elbo"], want["elbo" if family == "gaussian" else "elbo_full_covariance"], 1e-8)
        features = polynomial(window(got["x"], *w), degree)
        gap = metric_gap(p, mean, np.kron(features, np.eye(2)))
        if family == "gaussian":
            check("log sds", got["log_sd"], -0.5 * np.log(np.diag(p)).reshape(n, 2), 1e-12)
            close(f"{domain}: gap of the means", got[f"gap_means_degree_{degree}"], gap, 1e-7 * (1 + gap))
            inside = (window(got["x"], *w) - got["domain_mean"]) / got["domain_sd"]
            f = np.stack([np.prod(inside ** e, 1) for e in got["monomials"]], 1) @ got[f"coefficients_degree_{degree}"]
            apart = f.ravel() - mean
            close(f"{domain}: gap of the function told", 0.5 * apart @ p @ apart, gap, 1e-7 * (1 + gap))
            gap += sum(variance_gap(features, np.diag(p)[d::2]) for d in range(2))
            told.append(close(f"{domain}: gap of degree {degree}", got[f"gap_degree_{degree}"], gap, 1e-7 * (1 + gap)))
        else:
            blocks = np.stack([p[2 * k:2 * k + 2, 2 * k:2 * k + 2] for k in range(n)])
            check("log sds", got["log_sd"], 0.5 * np.log(np.diagonal(np.linalg.inv(blocks), axis1=1, axis2=2)), 1e-12)
            close(f"{domain}: gap of the means", got[f"gap_means_degree_{degree}"], gap, 1e-7 * (1 + gap))
    return told


def ppca(folder):
    """Maximum likelihood against numpy's eigenvalues and against the density of the data."""
    told = []
    for np_ in (1, 2, 3, 4):
        got = exact(folder, np_, PAPER / "ppca.ini", "data.source=model", "data.rows=301", "optim.batch=0", "model.simulate_width=8", "model.latent=3", "model.noise_sd=0.5")
        x = got["x"]
        values, axes = np.linalg.eigh(np.cov(x.T, bias=True))
        noise = values[:-3].mean()
        check("eigenvalues", got["eigenvalues"], values, 1e-12)
        close("s", got["noise_sd"], math.sqrt(noise), 1e-12)
        check("W W'", got["weight"] @ got["weight"].T, (axes[:, -3:] * (values[-3:] - noise)) @ axes[:, -3:].T, 1e-11)
        check("mu", got["bias"], x.mean(0), 1e-12)
        covariance = got["weight"] @ got["weight"].T + noise * np.eye(8)
        e = x - x.mean(0)
        best = -0.5 * ((e @ np.linalg.inv(covariance) * e).sum() + 301 * (np.linalg.slogdet(covariance)[1] + 8 * LOG_2PI))
        told = [close("log-likelihood a row", got["log_likelihood_per_row"], best / 301, 1e-9), close("ELBO*", got["elbo"], best, 1e-7)]
        posterior = np.linalg.inv(got["weight"].T @ got["weight"] / noise + np.eye(3))
        check("means", got["mean"], e @ got["weight"] @ posterior / noise, 1e-10)
        check("log sds", got["log_sd"], 0.5 * np.log(np.diag(posterior)), 1e-10)
        one = x.var(0).mean()
        close("gap of the constant", got["gap_constant"], best + 0.5 * 301 * 8 * (1 + LOG_2PI + math.log(one)), 1e-6)
        close("gap of degree 1", got["gap_degree_1"], 0, 0)
    return told


def priors(folder):
    """theta ~ N(0, s0^2), and theta as a point."""
    got = exact(folder, 2, PAPER / "linear.ini", "data.rows=50", "model.prior_sd=0.2", "model.simulate_theta=1")
    want = reference("linear", folder / "x.txt", s0=0.2)
    close("linear, ELBO*", got["elbo"], want["elbo"], 1e-9)
    told = [close("linear, log p(x)", got["log_evidence"], want["log_p"], 1e-9)]
    x, tau, v = got["x"].ravel(), 1.155, 2.43 ** 2 + 1.155 ** 2
    # A constant, dense: unknowns z_1 .. z_N, theta.
    p = np.eye(51) * v / 2.43 ** 2
    p[:50, 50] = p[50, :50] = tau / 2.43 ** 2
    p[50, 50] = 50 / 2.43 ** 2 + 25
    design = np.zeros((51, 2))
    design[:50, 0] = design[50, 1] = 1
    optimum = np.append(want["z_mean"], want["theta_mean"])
    gap = metric_gap(p, optimum, design)
    told.append(close("linear, constant", got["gap_constant"], gap, 1e-9))
    got = exact(folder, 2, PAPER / "linear.ini", "data.rows=50", "model.global=point")
    x = got["x"].ravel()
    point = -0.5 * (((x - x.mean()) ** 2).sum() / v + 50 * (LOG_2PI + math.log(v)))
    close("linear, a point, log p(x)", got["log_evidence"], point, 1e-9)
    return told + [close("linear, a point, ELBO*", got["elbo"], point, 1e-9)]


def edges(folder):
    """Data that leave features without meaning: all rows alike, one row, fewer rows than ranks."""
    same = write_rows(folder / "same.h5", np.full((12, 1), 2.0))
    got = exact(folder, 3, PAPER / "hmm.ini", *same, "data.rows=0", "inference.domain=window:1")
    p = np.diag(np.append(np.full(11, 3.0), 2)) - np.eye(12, k=1) - np.eye(12, k=-1)
    mean = np.linalg.solve(p, np.full(12, 2.0))
    check("means where all x are equal", got["mean"].ravel(), mean, 1e-12)
    gap = metric_gap(p, mean, np.ones((12, 1))) + variance_gap(np.ones((12, 1)), np.diag(p))
    close("constant where all x are equal", got["gap_constant"], gap, 1e-10)
    close("degree 2 where all x are equal", got["gap_degree_2"], gap, 1e-10)
    if not gap > 0.01:
        raise Failure(f"all x equal: a gap of {gap}; the means differ along the chain")
    two = write_rows(folder / "two.h5", np.array([[0.5], [-1.0]]))
    got = exact(folder, 2, PAPER / "hmm.ini", *two, "data.rows=0")
    check("two rows", got["mean"].ravel(), np.linalg.solve([[3, -1], [-1, 2]], [0.5, -1]), 1e-14)
    one = write_rows(folder / "one.h5", np.array([[0.5]]))
    got = exact(folder, 1, PAPER / "hmm.ini", *one, "data.rows=0")
    close("one row: log p(x)", got["log_evidence"], -0.5 * (0.125 + math.log(2) + LOG_2PI), 1e-13)
    close("one row: gap", got["gap_constant"], 0, 1e-20)
    return f"all rows alike: gap {gap:.4f}"


def sizes(folder):
    """The same answers on any number of ranks."""
    worst = 0.0
    for np_, ini, settings in ((3, "saw.ini", ["inference.domain=ahead"]), (4, "hmm.ini", ["data.rows=203"]), (3, "hmm.ini", [*GENERAL, "data.rows=31"]),
                               (4, "linear.ini", ["data.rows=333", "run.exact_degree=4"])):
        first, got = (exact(folder, k, PAPER / ini, *settings, want_data=False) for k in (1, np_))
        for name in first:
            worst = max(worst, check(f"{ini} {' '.join(settings)} on {np_} ranks: {name}", np.ravel(got[name]), np.ravel(first[name]),
                                     1e-8 * (1 + np.abs(first[name]).max())))
    return f"largest difference {worst:.1e}"


def any_batch(folder):
    """optim.batch and optim.tile mean nothing without steps: the default of 1024 on 30 rows, a tile that does not divide it, a batch of rows that depend on all others, more ranks than
    lanes. A fit refuses them."""
    rows = write_rows(folder / "x.h5", np.random.default_rng(8).normal(size=(30, 1)))
    worst = 0.0
    for np_, ini, settings in ((1, "linear.ini", ["optim.batch=1024"]), (3, "linear.ini", ["optim.batch=1024"]), (2, "linear.ini", ["optim.batch=20", "optim.tile=7"]),
                               (3, "linear.ini", ["optim.batch=20", "optim.tile=20"]), (2, "gp.ini", ["optim.batch=1024"]), (2, "hmm.ini", ["optim.batch=1024"])):
        want, got = (exact(folder, k, PAPER / ini, *rows, "data.rows=0", *how) for k, how in ((1, ["optim.batch=0"]), (np_, settings)))
        worst = max(worst, abs(got["elbo"] - want["elbo"]), abs(got["log_evidence"] - want["log_evidence"]))
        if not worst <= 1e-9:
            raise Failure(f"{ini} {' '.join(settings)}, {np_} ranks: off by {worst:.1e}")
    refused(run(1, PAPER / "linear.ini", "-q", f"run.output={folder}/fit", *rows, "data.rows=0", "optim.batch=1024", expect=78), "batch", "30 rows")
    return f"largest difference {worst:.1e}"


if __name__ == "__main__":
    main(saw, linear, hmm, hmm_general, ppca, priors, edges, sizes, any_batch)
