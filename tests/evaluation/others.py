"""Reported ELBOs by draws against numpy for what error.py leaves out: correlated, heavy-tailed and bent factors, chains with memory, the importance-weighted bound, likelihoods of counts and
levels, correlated q(theta), functions with steps behind them. Fits of a constant factor, whose parameters are all in run.h5.

(reported - own) / reported error has mean 0 and sd 1, as in error.py."""
import h5py
import numpy
try:
    from scipy import special, stats
except ImportError:
    print("skipped: the Python module scipy is missing (python3-scipy)")
    raise SystemExit(77)

from error import LOG_2PI, expect_scores, normal
from runs import Failure, empty_ini, main, start

ROWS, SEEDS, LEVELS = 100, 8, 5
NODE, WEIGHT = numpy.polynomial.hermite_e.hermegauss(48)
WEIGHT = WEIGHT / numpy.sqrt(2 * numpy.pi)
PLANE = numpy.stack(numpy.meshgrid(NODE, NODE, indexing="ij"), -1).reshape(-1, 2)  # nodes of two standard normals
PLANE_WEIGHT = numpy.outer(WEIGHT, WEIGHT).ravel()


def values(run):
    with h5py.File(run / "run.h5") as f:
        found = {}
        f.visititems(lambda name, item: found.__setitem__(name, item[()]) if isinstance(item, h5py.Dataset) and name.split("/")[0] in ("global", "inference", "local", "theta", "eval") else None)
        found["rows"] = int(f.attrs["rows"])
    return found


def of_theta(q, name):
    return q[f"global/{name}/mean"]


# ---- z and log q(z) of factors of two dimensions at nodes of their standard normals: nu as the families' files lay it out ----


def full(nu, eps):
    low = numpy.array([[numpy.exp(nu[2]), 0], [nu[3], numpy.exp(nu[4])]])
    return nu[:2] + eps @ low.T, -0.5 * numpy.sum(eps**2, 1) - LOG_2PI - nu[2] - nu[4]


def lowrank(nu, eps):
    """Covariance D (I + v v') D with v = v~ + e_1, D = diag(sd) and 1 / sqrt(2) of it in the first dimension."""
    d, v = numpy.exp(nu[2:4]) * [numpy.sqrt(0.5), 1], nu[4:] + [1, 0]
    covariance = numpy.outer(d, d) * (numpy.eye(2) + numpy.outer(v, v))
    return nu[:2] + eps @ numpy.linalg.cholesky(covariance).T, -0.5 * numpy.sum(eps**2, 1) - LOG_2PI - 0.5 * numpy.linalg.slogdet(covariance)[1]


def flow(nu, eps, layers=2):
    z, log_q = nu[:2] + numpy.exp(nu[2:4]) * eps, -0.5 * numpy.sum(eps**2, 1) - LOG_2PI - nu[2] - nu[3]
    for k in range(layers):
        raw = nu[4 + 5 * k:9 + 5 * k]
        w, u, b = raw[:2] + numpy.eye(2)[k % 2], raw[2:4], raw[4] + 2 * k / (layers - 1) - 1
        g = numpy.logaddexp(0, w @ u + numpy.log(numpy.e - 1)) - 1
        u = u + (g - w @ u) * w / (w @ w + 1e-6)
        h = numpy.tanh(z @ w + b)
        z, log_q = z + h[:, None] * u, log_q - numpy.log(1 + (1 - h**2) * (w @ u))
    return z, log_q


def of_ppca(x, q, family):
    """E log p(x, z) - log q(z), by quadrature of the standard normals behind z."""
    z, log_q = family(q["inference/constant"].ravel(), PLANE)
    mean, log_sd = z @ of_theta(q, "decoder.weight").T + of_theta(q, "decoder.bias").ravel(), of_theta(q, "log_noise_sd").item()
    squares = numpy.sum((x[:, None, :] - mean) ** 2, 2) @ PLANE_WEIGHT
    rest = PLANE_WEIGHT @ (-0.5 * numpy.sum(z**2, 1) - LOG_2PI - log_q)
    return numpy.sum(-x.shape[1] * (0.5 * LOG_2PI + log_sd) - 0.5 * squares * numpy.exp(-2 * log_sd)) + len(x) * rest


def of_student(x, q, degrees=5):
    nu, w, log_sd = q["inference/constant"].ravel(), of_theta(q, "decoder.weight"), of_theta(q, "log_noise_sd").item()
    variance = numpy.exp(2 * nu[2:]) * degrees / (degrees - 2)
    squares = numpy.sum((x - w @ nu[:2] - of_theta(q, "decoder.bias").ravel()) ** 2, 1) + numpy.sum(w**2 @ variance)
    entropy = 2 * stats.t.entropy(degrees) + numpy.sum(nu[2:])
    prior = -LOG_2PI - 0.5 * numpy.sum(nu[:2] ** 2 + variance)
    return numpy.sum(-x.shape[1] * (0.5 * LOG_2PI + log_sd) - 0.5 * squares * numpy.exp(-2 * log_sd)) + len(x) * (prior + entropy)


def of_chain(x, q):
    """z_n = m + M eps_n + P eps_{n-1}: random walk of variance 1 from N(0, 1), noise of variance 1."""
    m, log_m, p = q["inference/constant"].ravel()
    big, p, n = numpy.exp(log_m), numpy.r_[0, numpy.full(len(x) - 1, p)], len(x)
    likelihood = normal(x[:, 0], m, 1) - 0.5 * (big**2 + p**2)
    before = numpy.r_[0, p[1:-1]]  # what z_{n-1} shares with the row before it
    steps = big**2 + (p[1:] - big) ** 2 + before**2
    prior = normal(m, 0, 1) - 0.5 * big**2 + numpy.sum(-0.5 * LOG_2PI - 0.5 * steps)
    return numpy.sum(likelihood) + prior + n * (0.5 * LOG_2PI + 0.5 + log_m)


def of_bound(x, q, count=4):
    """The importance-weighted bound of the linear model, by draws: its error is far below the reported one."""
    nu, theta, g = q["inference/constant"].ravel(), of_theta(q, "theta").item(), numpy.random.default_rng(int(1e6 * abs(q["inference/constant"].ravel()[0])))
    eps = g.normal(size=(40000, count, 1))
    z = nu[0] + numpy.exp(nu[1]) * eps
    weight = normal(x[:, 0], theta + 1.155 * z, 2.43) + normal(z, 0, 1) - normal(eps, 0, 1) + nu[1]
    return numpy.sum(special.logsumexp(weight, axis=1).mean(0) - numpy.log(count)) + normal(theta, 0, 2)


def log_mass(kind, x, out, q):
    """log p(x | z) of each value: x (N, 1, D), out (S, ..) -> (N, S, D)."""
    if kind == "poisson":
        return stats.poisson.logpmf(x, numpy.exp(out))
    if kind == "negative_binomial":
        r = numpy.exp(of_theta(q, "log_dispersion").ravel())
        return stats.nbinom.logpmf(x, r, r / (r + numpy.exp(out)))
    if kind == "categorical":
        of = special.log_softmax(out.reshape(len(out), LEVELS, -1), axis=1).swapaxes(0, 1)
        return numpy.take_along_axis(of[None], x[:, None].astype(int), 1)[:, 0]
    edges = stats.logistic.cdf((numpy.arange(LEVELS - 1) + 0.5)[:, None, None] / (LEVELS - 1), out, numpy.exp(of_theta(q, "log_scale").ravel()))
    of = numpy.log(numpy.diff(numpy.concatenate([0 * edges[:1], edges, 0 * edges[:1] + 1]), axis=0))
    return numpy.take_along_axis(of[None], x[:, None].astype(int), 1)[:, 0]


def of_likelihood(kind):
    def own(x, q):
        nu = q["inference/constant"].ravel()
        z = (nu[0] + numpy.exp(nu[1]) * NODE)[:, None]
        out = z @ of_theta(q, "decoder.0.weight").T + of_theta(q, "decoder.0.bias").ravel()
        kl = 0.5 * (nu[0] ** 2 + numpy.exp(2 * nu[1]) - 1) - nu[1]
        return numpy.sum(log_mass(kind, x[:, None, :], out, q).sum(2) @ WEIGHT) - len(x) * kl
    return own


def of_regression(x, q, tau=0.7, prior_sd=10):
    names = ["alpha", "beta_1", "beta_2"]
    mean, covariance, (m, log_s) = numpy.array([of_theta(q, name).item() for name in names]), q["theta/covariance"], q["inference/constant"].ravel()
    design = numpy.column_stack([numpy.ones(len(x)), x[:, 1:]])
    squares = (x[:, 0] - design @ mean - tau * m) ** 2 + (tau * numpy.exp(log_s)) ** 2 + numpy.sum((design @ covariance) * design, 1)
    kl_z = 0.5 * (m**2 + numpy.exp(2 * log_s) - 1) - log_s
    kl = 0.5 * ((mean @ mean + numpy.trace(covariance)) / prior_sd**2 - 3 + 6 * numpy.log(prior_sd) - numpy.linalg.slogdet(covariance)[1])
    return numpy.sum(-0.5 * LOG_2PI - 0.5 * squares - kl_z) - kl


def of_semi(x, q):
    m, s, theta = q["local/mean"][:, 0], numpy.exp(q["local/log_sd"][:, 0]), of_theta(q, "theta").item()
    squares = (x[:, 0] - theta - 1.155 * m) ** 2 + (1.155 * s) ** 2
    return numpy.sum(-0.5 * LOG_2PI - numpy.log(2.43) - 0.5 * squares / 2.43**2 - 0.5 * (m**2 + s**2 - 1) + numpy.log(s)) + normal(theta, 0, 2)


def table(g):
    """Rows of three values with two components, and of three counts or levels."""
    z = g.normal(size=(ROWS, 2))
    return {"real": z @ g.normal(size=(2, 3)) + 0.5 * g.normal(size=(ROWS, 3)), "one": g.normal(0.5, 2.7, size=(ROWS, 1)), "walk": numpy.cumsum(g.normal(size=(ROWS, 1)), 0) + g.normal(size=(ROWS, 1)),
            "counts": g.poisson(numpy.exp(0.7 + 0.5 * z[:, :1] * g.normal(size=3))).astype(float),
            "levels": numpy.clip(numpy.rint(2 + z[:, :1] + 0.7 * g.normal(size=(ROWS, 3))), 0, LEVELS - 1)}


PPCA = ["real", "model.name=ppca", "model.latent=2"]
LINEAR = ["one", "model.name=linear", "model.prior_sd=2"]
VAE = ["model.name=vae", "model.hidden=", "model.latent=1", f"model.levels={LEVELS}"]
KINDS = {
    "gaussian_full": (PPCA + ["inference.family=gaussian_full"], lambda x, q: of_ppca(x, q, full)),
    "gaussian_lowrank": (PPCA + ["inference.family=gaussian_lowrank"], lambda x, q: of_ppca(x, q, lowrank)),
    "flow": (PPCA + ["inference.family=flow", "inference.flow_layers=2"], lambda x, q: of_ppca(x, q, flow)),
    "student_t": (PPCA + ["inference.family=student_t"], of_student),
    "tridiagonal": (["walk", "model.name=hmm", "inference.family=tridiagonal", "optim.tile=20"], of_chain),
    "iwae": (LINEAR + ["objective.name=iwae", "objective.draws=4"], of_bound),
    "dreg": (LINEAR + ["objective.name=iwae", "objective.draws=4", "objective.estimator=dreg"], of_bound),
    "poisson": (["counts", *VAE, "model.likelihood=poisson"], of_likelihood("poisson")),
    "negative_binomial": (["counts", *VAE, "model.likelihood=negative_binomial"], of_likelihood("negative_binomial")),
    "categorical": (["levels", *VAE, "model.likelihood=categorical"], of_likelihood("categorical")),
    "discretised_logistic": (["levels", *VAE, "model.likelihood=discretised_logistic"], of_likelihood("discretised_logistic")),
    "q(theta) full": (["real", "model.name=regression", "model.tau=0.7", "model.global=gaussian_full"], of_regression),
    "q(theta) low rank": (["real", "model.name=regression", "model.tau=0.7", "model.global=gaussian_lowrank"], of_regression),
    "semi": (LINEAR + ["inference.function=semi", "inference.base=mlp", "inference.hidden=3", "output.local=yes"], of_semi),
}


def fits(scratch, name):
    (dataset, *keys), _ = KINDS[name]
    path, folder = scratch / "x.h5", scratch / name.replace(" ", "_")
    if not path.exists():
        with h5py.File(path, "w") as f:
            for of, x in table(numpy.random.default_rng(7)).items():
                f[of] = x
    first = 1 + SEEDS * list(KINDS).index(name)  # other draws for every kind
    start(None, ["--sweep", f"run.seed={first}..{first + SEEDS - 1}", empty_ini(scratch), "-q", "data.source=hdf5", f"data.path={path}", f"data.dataset={dataset}", "inference.function=constant",
                 "run.precision=double", "optim.batch=0", "optim.steps=15", "optim.learning_rate=0.05", "log.eval_every=-1", "log.every=1000000", "log.eval_draws=240",
                 f"run.output={folder}", "checkpoint.minutes=0",
                 *keys])
    with h5py.File(path) as f:
        return f[dataset][()], [p for p in sorted(folder.iterdir()) if (p / "run.h5").exists()]


def scored(scratch):
    scores, told = [], []
    for name, (_, own) in KINDS.items():
        x, runs = fits(scratch, name)
        of = []
        for run in runs:
            q = values(run)
            elbo, error = q["eval/elbo_train"][-1], q["eval/elbo_train_error"][-1]
            if not error > 0:
                raise Failure(f"{name}: error {error}")
            of.append((elbo - own(x, q) / q["rows"]) / error)
        if len(of) != SEEDS or not abs(numpy.mean(of)) < 4 / numpy.sqrt(SEEDS):
            raise Failure(f"{name}: {len(of)} fits whose reported values are {numpy.mean(of):.2f} errors from numpy's in the mean: {numpy.round(of, 1)}")
        scores += of
        told.append(f"{name} {numpy.mean(of):+.1f}")
    return expect_scores("ELBO", scores) + "; means " + ", ".join(told)


if __name__ == "__main__":
    main(scored)
