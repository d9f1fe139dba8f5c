#!/usr/bin/env python3
"""Dense coupling: the latent Gaussian process against dense algebra in numpy, at several numbers of ranks.

    gp.py [CHECK ...]     all, or those named
Needs AVI_MPI (the program) and AVI_SOURCE_DIR."""
import re

import h5py
import numpy as np

from runs import SOURCE, Failure, expect_same_bits, fit, main, read, relative, start

INI = SOURCE / "inputs" / "paper" / "gp.ini"
KERNELS = {"rbf": lambda d: np.exp(-0.5 * d * d), "matern32": lambda d: (1 + np.sqrt(3) * d) * np.exp(-np.sqrt(3) * d), "exponential": lambda d: np.exp(-d)}
LOG_2PI = np.log(2 * np.pi)
QUIET = ["log.every=100000", "log.eval_every=-1", "log.progress=none", "--fresh"]


class Reference:
    """F-VI optimum, ELBO* and log p(x) of (t, x) by dense algebra."""

    def __init__(self, t, x, kernel="matern32", lengthscale=10.0, amplitude=1.0, jitter=1e-6, noise_sd=0.5):
        n, self.s2 = len(x), noise_sd ** 2
        self.x, self.k = x, amplitude ** 2 * (KERNELS[kernel](np.abs(t[:, None] - t[None]) / lengthscale) + jitter * np.eye(n))
        self.low = np.linalg.cholesky(self.k)
        marginal = self.k + self.s2 * np.eye(n)
        alpha = np.linalg.solve(marginal, x)
        half = np.linalg.solve(self.low, np.eye(n))
        self.precision = (half ** 2).sum(0) + 1 / self.s2
        self.mean, self.log_sd = self.k @ alpha, -0.5 * np.log(self.precision)
        self.evidence = -0.5 * (x @ alpha + np.linalg.slogdet(marginal)[1] + n * LOG_2PI)
        self.best = self.elbo(self.mean, self.log_sd)

    def elbo(self, mean, log_sd):
        white, v, n = np.linalg.solve(self.low, mean), np.exp(2 * log_sd), len(mean)
        prior = -0.5 * (white @ white + v @ (self.precision - 1 / self.s2)) - np.log(np.diag(self.low)).sum() - 0.5 * n * LOG_2PI
        likelihood = -0.5 * (((self.x - mean) ** 2 + v) / self.s2 + np.log(self.s2) + LOG_2PI).sum()
        return prior + likelihood + (log_sd + 0.5 * (1 + LOG_2PI)).sum()

    def best_affine(self, window):
        """The best f(x_{n-w} .. x_{n+w}) affine in mean and log sd, edges repeated: least squares for the means, Newton for the log sds."""
        n = len(self.x)
        at = np.clip(np.arange(n)[:, None] + np.arange(-window, window + 1), 0, n - 1)
        f = np.column_stack([np.ones(n), self.x[at]])
        whiten = np.vstack([np.linalg.solve(self.low, np.eye(n)), np.eye(n) / np.sqrt(self.s2)])
        w = np.linalg.lstsq(whiten @ f, whiten @ self.mean, rcond=None)[0]
        u = np.zeros(f.shape[1])
        u[0] = self.log_sd.mean()
        for _ in range(200):
            a = self.precision * np.exp(2 * f @ u)
            step = np.linalg.solve(f.T @ (2 * a[:, None] * f), f.T @ (1 - a))
            u = u + min(1, 1 / np.abs(f @ step).max()) * step
        return self.elbo(f @ w, f @ u)


def simulate(folder, rows, *settings):
    """Rows drawn from the model, and the settings that read them back."""
    start(None, [INI, "-q", "run.task=simulate", f"run.output={folder}", f"data.rows={rows}", *settings])
    with h5py.File(folder / "data.h5") as file:
        x = file["x"][:]
    return x, ["data.source=hdf5", f"data.path={folder / 'data.h5'}", "data.dataset=x", "data.rows=0", *settings]


def close(what, got, want, bound):
    apart = float(np.max(np.abs(np.asarray(got) - want) / (1 + np.abs(want))))
    if not apart <= bound:
        raise Failure(f"{what}: differs by {apart:.1e}, more than {bound:.0e}")
    return f"{what} {apart:.0e}"


def against(folder, reference, what, bound):
    """A factorized fit's factors, and its ELBO."""
    n = len(reference.x)
    return ", ".join([close(f"{what}: means", read(folder, "local/mean").ravel(), reference.mean, bound),
                      close("log sds", read(folder, "local/log_sd").ravel(), reference.log_sd, bound),
                      close("ELBO", read(folder, "eval/elbo_train")[-1], reference.best / n, bound)])


def newton(folder, *settings, np=None, **how):
    return fit(folder, "inference.function=factorized", "optim.method=lbfgs", "optim.steps=50", *QUIET, *settings, np=np, ini=INI, **how)


def gradients(scratch):
    """Against finite differences: functions, draws, kernels, times."""
    worst, cases = 0, [("factorized", 0, "rbf", "index"), ("factorized", 3, "matern32", "column"), ("polynomial", 0, "exponential", "column"), ("mlp", 2, "matern32", "index"),
                       ("constant", 0, "rbf", "index")]
    for function, draws, kernel, times in cases:
        for ranks in (None, 3):
            text = start(ranks, [INI, "--check-gradient", "data.rows=37", "optim.tile=4", f"inference.function={function}", f"objective.draws={draws}", f"model.kernel={kernel}",
                                 "model.jitter=1e-3", "model.lengthscale=3", f"model.times={times}", "inference.hidden=5"])
            worst = max(worst, float(re.search(r"largest relative error (\S+)", text).group(1)))
    return f"{2 * len(cases)} runs, largest relative error {worst:.0e} (the program's bound 1e-5)"


def kernels(scratch):
    """F-VI by Newton's method at 1 and 3 ranks, for each kernel; tiles that do not end where slabs do."""
    said = []
    for kernel, jitter in (("rbf", 1e-3), ("matern32", 1e-6), ("exponential", 0)):
        x, data = simulate(scratch / kernel, 150, f"model.kernel={kernel}", f"model.jitter={jitter}", "model.amplitude=1.5", "model.lengthscale=4", "model.spacing=0.5")
        reference = Reference(0.5 * np.arange(150), x.ravel(), kernel, 4, 1.5, jitter)
        for ranks in (None, 3):
            said.append(against(newton(scratch / f"{kernel}-{ranks}", *data, "optim.tile=13", np=ranks), reference, f"{kernel}, {ranks or 1} ranks", 1e-9))
    return "; ".join(said)


def irregular_times(scratch):
    """Rows (t, x), t in no order and at unequal distances."""
    draw = np.random.default_rng(5)
    t, x = draw.uniform(0, 40, 120), draw.normal(size=120)
    with h5py.File(scratch / "rows.h5", "w") as file:
        file["x"] = np.column_stack([t, x])
    data = ["data.source=hdf5", f"data.path={scratch / 'rows.h5'}", "data.dataset=x", "data.rows=0", "model.times=column", "model.kernel=exponential"]
    return against(newton(scratch / "fit", *data, np=2), Reference(t, x, "exponential"), "2 ranks", 1e-9)


def adam(scratch):
    """F-VI without Newton's method, and the best affine f of a window by Adam's and L-BFGS's way."""
    x, data = simulate(scratch / "data", 100, "model.lengthscale=3")
    reference = Reference(np.arange(100.0), x.ravel(), lengthscale=3)
    steps = ["optim.steps=4000", "optim.learning_rate=0.03", "optim.schedule=cosine", *QUIET, *data]
    said = [against(fit(scratch / "f", "inference.function=factorized", *steps, ini=INI, np=2), reference, "Adam, F-VI", 1e-6)]
    best = reference.best_affine(4) / 100
    method = ["optim.method=lbfgs", "optim.steps=500", *QUIET, *data]
    said.append(close("L-BFGS, affine f of window:4: ELBO", read(fit(scratch / "p", *method, ini=INI, np=2), "eval/elbo_train")[-1], best, 1e-8))
    if not reference.best / 100 - best > 1e-4:
        raise Failure("no amortization gap is left to be seen")
    start(None, [INI, "-q", "run.task=exact", f"run.output={scratch / 'e'}", *data])
    said.append(close("exact: ELBO of degree 1", read(scratch / "e", "exact/elbo_degree_1") / 100, best, 1e-9))
    return "; ".join(said)


def ranks(scratch):
    """Any number of ranks: to rounding, and to the bit with run.reproducible = yes."""
    settings = ["data.rows=90", "optim.steps=30", "log.every=1", "log.eval_every=10", "optim.tile=5", "output.local=yes", "--fresh"]
    worst = 0
    for function in ("factorized", "polynomial"):
        runs = [fit(scratch / f"{function}-{n}", f"inference.function={function}", *settings, ini=INI, np=n) for n in (1, 3, 5)]
        worst = max(worst, *(relative(run, runs[0]) for run in runs[1:]))
        for precision, method in (("double", "adam"), ("single", "adam"), ("double", "lbfgs")):
            same = [fit(scratch / f"same-{n}", f"inference.function={function}", "run.reproducible=yes", f"run.precision={precision}", f"optim.method={method}", *settings, ini=INI, np=n)
                    for n in (1, 3)]
            for run in same[1:]:
                expect_same_bits(run, same[0], f"{function} {precision} {method}")
    if not worst <= 1e-9:
        raise Failure(f"the ELBO trace depends on the ranks by {worst:.1e} relative")
    return f"largest relative difference of the ELBO trace {worst:.0e}; reproducible: the same bits"


def two_thousand(scratch):
    """N = 2000 on 4 ranks: the exact task, a Newton fit, and the gap between them."""
    x, data = simulate(scratch / "data", 2000)
    reference = Reference(np.arange(2000.0), x.ravel())
    said = [against(newton(scratch / "fit", *data, np=4, limit=200), reference, "fit", 1e-9)]
    start(4, [INI, "-q", "run.task=exact", f"run.output={scratch / 'exact'}", *data], limit=200)
    for name, want in (("mean", reference.mean), ("log_sd", reference.log_sd), ("elbo", reference.best), ("log_evidence", reference.evidence)):
        got = read(scratch / "exact", f"exact/{name}")
        said.append(close(f"exact {name}", got.ravel() if name in ("mean", "log_sd") else got, want, 1e-9))
    return ", ".join(said)


def exact_beside_a_fit(scratch):
    """A fit's own gap: zero at the optimum, and that of numpy away from it."""
    x, data = simulate(scratch / "data", 80)
    reference = Reference(np.arange(80.0), x.ravel())
    folder = newton(scratch / "fit", *data, "run.after=exact", np=2)
    said = [close("gap of F-VI", read(folder, "exact/gap_fit"), 0, 1e-9)]
    folder = fit(scratch / "part", "inference.function=factorized", "optim.steps=5", "run.after=exact", *QUIET, *data, ini=INI, np=2)
    away = reference.elbo(read(folder, "local/mean").ravel(), read(folder, "local/log_sd").ravel())
    return ", ".join([*said, close("ELBO after 5 steps", read(folder, "exact/elbo_fit"), away, 1e-9), close("by the estimator", 80 * read(folder, "eval/elbo_train")[-1], away, 1e-9)])


def refusals(scratch):
    cases = [(78, "use 0", ["optim.batch=64"]), (78, "use auto or no", ["data.shuffle=yes"]), (78, ("at most 65536 rows", "Use a smaller data.rows"), ["data.rows=65537"]),
             # the second where memory is less
             (65, "not positive definite", ["model.kernel=rbf", "model.jitter=0", "model.spacing=1e-9", "data.source=hdf5", f"data.path={scratch / 'one.h5'}", "data.dataset=x", "data.rows=0"]),
             (65, "model.times = column", ["data.source=hdf5", f"data.path={scratch / 'two.h5'}", "data.dataset=x", "data.rows=0"])]
    with h5py.File(scratch / "one.h5", "w") as file:
        file["x"] = np.ones((20, 1))
    with h5py.File(scratch / "two.h5", "w") as file:
        file["x"] = np.ones((20, 2))
    for code, words, settings in cases:
        for n in (None, 2)[:1 if code == 78 else 2]:
            text = start(n, [INI, "-q", "--fresh", f"run.output={scratch / 'out'}", *settings], expect=(code,))
            if not any(one in text for one in ([words] if isinstance(words, str) else words)):
                raise Failure(f"{settings}: does not say '{words}': {text[-400:]}")
    return f"{len(cases)} refused"


if __name__ == "__main__":
    main(gradients, kernels, irregular_times, adam, ranks, exact_beside_a_fit, refusals, two_thousand)
