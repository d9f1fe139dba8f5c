"""Reported ELBOs and squared errors against numpy: exact where the model allows, and by draws with an error that is right. Ten fits of each of five models.

Every fit is taken as it is in run.h5: q(theta), q(z_n). Its ELBO is then computed by closed forms, or by quadrature of many more points than the program takes. (reported - own) /
reported error must have mean 0 and sd 1, as far as 50 values of 32 degrees of freedom tell; so must differences of two fits that share their draws."""
import re
import subprocess
import sys

import h5py
import numpy

from runs import SOURCE, Failure, empty_ini, main, start

LOG_2PI = numpy.log(2 * numpy.pi)
SEEDS, STEPS, ROWS = 10, (12, 24), 150
HERMITE = [(x, w / numpy.sqrt(2 * numpy.pi)) for x, w in (numpy.polynomial.hermite_e.hermegauss(n) for n in (160, 24))]
LINEAR, SAW_A, PPCA_L = dict(tau=1.155, sigma=2.43), 0.75, 2


def kl_normal(mean, sd, prior_sd=1.0):
    return numpy.sum(numpy.log(prior_sd / sd) + (mean**2 + sd**2) / (2 * prior_sd**2) - 0.5)


def normal(x, mean, sd):
    return -0.5 * LOG_2PI - numpy.log(sd) - 0.5 * ((x - mean) / sd) ** 2


def of_linear(x, q):
    (t, k), m, s = q["theta"], q["mean"][:, 0], q["sd"][:, 0]
    squares = (x[:, 0] - t - LINEAR["tau"] * m) ** 2 + (LINEAR["tau"] * s) ** 2 + k**2
    value = numpy.sum(-0.5 * LOG_2PI - numpy.log(LINEAR["sigma"]) - 0.5 * squares / LINEAR["sigma"] ** 2)
    return value - kl_normal(m, s) - kl_normal(t, k, 2.0), squares.mean()


def of_nonlinear(x, q):
    (t, k), m, s = q["theta"], q["mean"], q["sd"]
    (node, weight), x = HERMITE[0], x[:, :1]
    z = m + s * node
    apart = (x - t - z * numpy.sin(z) - z) ** 2 + k**2  # the expectation over theta
    value = numpy.sum((-0.5 * LOG_2PI - numpy.cos(z) - 0.5 * apart * numpy.exp(-2 * numpy.cos(z))) @ weight)
    return value - kl_normal(m, s) - kl_normal(t, k, 2.0), (apart @ weight).mean()


def of_saw(x, q):
    (t, k), m, s, x0, x1 = q["theta"], q["mean"][:, 0], q["sd"][:, 0], x[:-1, 0], x[1:, 0]
    value = numpy.sum(-0.5 * LOG_2PI - 0.5 * ((x1 - SAW_A * (m + t)) ** 2 + SAW_A**2 * (s**2 + k**2)))
    value += numpy.sum(-0.5 * LOG_2PI - 0.5 * ((m - x0) ** 2 + s**2)) + numpy.sum(0.5 * LOG_2PI + 0.5 + numpy.log(s))
    return value - kl_normal(t, k, 2.0), numpy.nan


def of_ppca(x, q):
    (w, v), (b, c), (u, e), m, s = q["decoder.weight"], q["decoder.bias"], q["log_noise_sd"], q["mean"], q["sd"]
    squares = numpy.sum((x - m @ w.T - b) ** 2) + numpy.sum((s**2) @ (w**2).T) + numpy.sum((m**2 + s**2) @ (v**2).T) + len(x) * numpy.sum(c**2)
    value = -x.size * (0.5 * LOG_2PI + u) - 0.5 * squares * numpy.exp(-2 * u + 2 * e**2)
    prior = sum(kl_normal(*q[name]) for name in ("decoder.weight", "decoder.bias", "log_noise_sd"))
    return float(numpy.squeeze(value)) - kl_normal(m, s) - prior, squares / x.size


def of_hier_logistic(x, q):
    """logit = alpha + x'beta + exp(log tau) z: the first two are one Gaussian, log tau and z two more dimensions."""
    trials, (z, wz), (node, weight) = 4, HERMITE[1], HERMITE[1]
    (a, sa), (l, sl), (beta, sb), m, s = q["alpha"], q["log_tau"], q["beta"], q["mean"][:, 0], q["sd"][:, 0]
    y, value = x[:, :trials], 0.0
    for j in range(trials):
        c = x[:, trials + 2 * j:trials + 2 * j + 2]
        center, spread = a + c @ beta.ravel(), numpy.sqrt(sa**2 + (c**2) @ (sb.ravel() ** 2))
        logit = (center[:, None, None, None] + spread[:, None, None, None] * node[:, None, None]
                 + numpy.exp(l + sl * node)[None, None, :, None] * (m[:, None] + s[:, None] * z)[:, None, None, :])
        terms = y[:, j, None, None, None] * logit - numpy.logaddexp(0, logit)
        value += numpy.sum(numpy.einsum("nabc,a,b,c->n", terms, weight, weight, wz))
    prior = sum(kl_normal(*q[name], 2.5) for name in ("alpha", "log_tau", "beta"))
    return float(value) - kl_normal(m, s) - prior, numpy.nan


def walk(rng, rows):
    x = numpy.zeros(rows + 1)
    for n in range(rows):
        x[n + 1] = SAW_A * (x[n] + rng.normal() + 0.3) + rng.normal()
    return x[:, None]


def groups(rng, rows):
    c, z = rng.normal(size=(rows, 4, 2)), rng.normal(size=(rows, 1))
    return numpy.hstack([(rng.random((rows, 4)) < 1 / (1 + numpy.exp(-(0.4 + z + c[..., 0])))).astype(float), c.reshape(rows, 8)])


# Data, settings, own values, and whether the program has the expectations without draws.
MODELS = {
    "linear": (lambda rng: rng.normal(0.5, 2.7, size=(ROWS, 1)), ["model.prior_sd=2"], of_linear, True),
    "nonlinear": (lambda rng: rng.normal(0.5, 2.0, size=(ROWS, 1)), ["model.prior_sd=2", "objective.points=64"], of_nonlinear, True),
    "saw": (lambda rng: walk(rng, ROWS), ["model.prior_sd=2"], of_saw, True),
    "ppca": (lambda rng: rng.normal(size=(ROWS, 2)) @ rng.normal(size=(2, 5)) + 0.5 * rng.normal(size=(ROWS, 5)), [f"model.latent={PPCA_L}"], of_ppca, False),
    "hier_logistic": (lambda rng: groups(rng, 60), ["model.trials=4", "model.covariates=2"], of_hier_logistic, None),
}


def factors(run):
    with h5py.File(run / "run.h5") as f:
        q = {name: (f[f"/global/{name}/mean"][()], f[f"/global/{name}/sd"][()]) for name in f["/global"]}
        q = {name: tuple(v.item() if v.size == 1 else v for v in pair) for name, pair in q.items()}
        q["mean"], q["sd"] = f["/local/mean"][()], numpy.exp(f["/local/log_sd"][()])
        last = {name: f[f"/eval/{name}"][-1] for name in ("elbo_train", "elbo_train_error", "mse_train", "mse_train_error")}
        half = f["/eval/elbo_train_half"][()]
        rows = int(f.attrs["rows"])
    return q, last, half, rows


def sweep(scratch, name, keys, *arguments):
    """Runs of one model; {label values: folder}."""
    make, settings, _, _ = MODELS[name]
    data = scratch / f"{name}.h5"
    if not data.exists():
        with h5py.File(data, "w") as f:
            f["x"] = make(numpy.random.default_rng(7))
    folder = scratch / f"{name}-{len(list(scratch.iterdir()))}"
    start(None, ["--sweep", keys, empty_ini(scratch), "-q", f"model.name={name}", "model.global=gaussian", "model.global_log_sd=-1.5", "data.source=hdf5", f"data.path={data}",
                 "data.dataset=x", "inference.function=factorized", "run.precision=double", "optim.batch=0", "optim.learning_rate=0.05", "log.eval_every=-1", "log.every=1000000",
                 f"run.output={folder}", "checkpoint.minutes=0", *settings, *arguments])
    with h5py.File(data) as f:
        return f["x"][()], sorted(folder.glob("run_*")) or sorted(p for p in folder.iterdir() if (p / "run.h5").exists())


def expect_scores(what, scores):
    """Mean 0 and sd 1 within three standard errors of what t with 32 degrees of freedom gives."""
    scores = numpy.asarray(scores)
    n, mean, square = len(scores), scores.mean(), numpy.mean(scores**2)
    if not abs(mean) < 3 * numpy.sqrt(1.07 / n) or not abs(square - 1.07) < 3 * numpy.sqrt(2.6 / n):
        raise Failure(f"{what}: mean {mean:.2f}, mean square {square:.2f} of {n} scores; 0 and 1 expected")
    return f"{what} mean {mean:.2f}, sd {numpy.sqrt(square):.2f}"


def expect_compared(first, run, a, b):
    """analysis/compare_runs.py prints the difference and its error. (a, b: ELBO less its own value, error, halves.)"""
    text = subprocess.run([sys.executable, str(SOURCE / "analysis" / "compare_runs.py"), str(first), str(run)], capture_output=True, text=True).stdout
    found = re.search(r": ([-+.e0-9]+) \+- ([-+.e0-9]+) nats per row on training data", text)
    elbo = [factors(folder)[1]["elbo_train"] for folder in (first, run)]
    want = elbo[1] - elbo[0], numpy.sqrt(numpy.sum((b[2] - a[2]) ** 2))
    if not found or not numpy.allclose([float(v) for v in found.groups()], want, rtol=[1e-5, 0.05]):
        raise Failure(f"compare_runs.py: {text!r}, {want} expected")


def errors(scratch):
    """By draws: the error of the ELBO, of the squared error, and of the difference of two fits on the same draws."""
    elbo, mse, paired, shrunk = [], [], [], []
    for name, (_, _, own, _) in MODELS.items():
        x, runs = sweep(scratch, name, f"optim.steps={'|'.join(map(str, STEPS))}; run.seed=1..{SEEDS}", "log.eval_draws=10")
        if len(runs) != SEEDS * len(STEPS):
            raise Failure(f"{name}: {len(runs)} runs")
        of_run = []
        for run in runs:
            q, last, half, rows = factors(run)
            value, squares = own(x, q)
            if not last["elbo_train_error"] > 0 or not numpy.isclose(numpy.sqrt(numpy.sum(half**2)), last["elbo_train_error"], rtol=1e-12):
                raise Failure(f"{name}: error {last['elbo_train_error']}, halves {half}")
            of_run.append((last["elbo_train"] - value / rows, last["elbo_train_error"], half))
            if numpy.isfinite(squares):
                mse.append((last["mse_train"] - squares) / last["mse_train_error"])
        elbo += [apart / error for apart, error, _ in of_run[:SEEDS]]
        for a, b in zip(of_run[:SEEDS], of_run[SEEDS:]):
            error = numpy.sqrt(numpy.sum((a[2] - b[2]) ** 2))
            paired.append((a[0] - b[0]) / error)
            shrunk.append(error / numpy.hypot(a[1], b[1]))
        expect_compared(runs[0], runs[SEEDS], of_run[0], of_run[SEEDS])
    if numpy.median(shrunk) > 0.8:
        raise Failure(f"two fits do not share their draws: the error of their difference is {numpy.median(shrunk):.2f} of that of independent ones")
    return "; ".join([expect_scores("ELBO", elbo), expect_scores("squared error", mse), expect_scores("differences", paired)]) + f", their error {numpy.median(shrunk):.2f} of independent ones"


def without_draws(scratch):
    """log.eval_draws = auto: no draws and no error where they are not needed, whatever objective.draws; else an error."""
    told = []
    for name, (_, _, own, exact) in MODELS.items():
        x, runs = sweep(scratch, name, "objective.draws=1|3", "optim.steps=10")
        for run in runs:
            q, last, _, rows = factors(run)
            value, squares = own(x, q)
            apart, error = abs(last["elbo_train"] - value / rows), last["elbo_train_error"]
            if exact is not None and exact != (error == 0):
                raise Failure(f"{name}: error {error}, {'none' if exact else 'one'} expected")
            if apart > max(1e-6 * abs(value / rows), 5 * error):
                raise Failure(f"{name}: ELBO {last['elbo_train']:.9f} +- {error:.2g} per row, {value / rows:.9f} by numpy")
            if numpy.isfinite(squares) and abs(last["mse_train"] - squares) > max(1e-6 * squares, 5 * last["mse_train_error"]):
                raise Failure(f"{name}: squared error {last['mse_train']:.9f}, {squares:.9f} by numpy")
            told.append(apart)
    return f"{len(told)} fits within {max(told):.1e} nats per row"


if __name__ == "__main__":
    main(errors, without_draws)
