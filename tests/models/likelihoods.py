"""The likelihoods of vae in whole runs. Finite differences by mlp and conv decoders, with and without missing values; ELBO, codes and reconstructions of other rows against numpy and scipy's
distributions; draws of the prior and of given rows against the probabilities that scipy gives; the same bits on 1, 2 and 3 ranks; data that a likelihood cannot have."""
import h5py
import numpy
try:
    from scipy import special, stats
except ImportError:
    print("skipped: the Python module scipy is missing (python3-scipy)")
    raise SystemExit(77)

from arrays import close, read, within_errors
from runs import Failure, empty_ini, expect_same_bits, fit, main, start

COLUMNS, LEVELS = 4, 6
KINDS = ("poisson", "negative_binomial", "categorical", "discretised_logistic")
COMMON = ["model.name=vae", "data.source=hdf5", "model.latent=2", "run.precision=double", "run.reproducible=yes", "optim.tile=20"]


def write(scratch, rows=120):
    """counts, levels, images of levels, images of three channels, bytes; the same with gaps."""
    g = numpy.random.default_rng(3)
    z = g.normal(size=(rows, 1))
    counts = g.poisson(g.gamma(2, 1 / 2, size=(rows, COLUMNS)) * numpy.exp(1 + z * g.normal(size=COLUMNS))).astype(float)
    levels = numpy.clip(numpy.rint(2.5 + 1.5 * z + g.normal(size=(rows, COLUMNS))), 0, LEVELS - 1)
    images = numpy.clip(numpy.rint(2.5 + 1.5 * z[:, :, None] + g.normal(size=(rows, 6, 6))), 0, LEVELS - 1)
    path = scratch / "d.h5"
    with h5py.File(path, "w") as file:
        for name, x in (("counts", counts), ("levels", levels), ("images", images), ("colours", numpy.repeat(images[..., None], 3, 3))):
            there = g.uniform(size=x.shape) > 0.3
            x = numpy.where((x == 0) & (g.uniform(size=x.shape) > 0.5), -0.0, x)  # zeros of both signs, as rint makes them
            file[name], file[name + "_gaps"] = x, numpy.where(there, x, numpy.nan)
        file["bytes"] = (images * 40 + g.integers(0, 40, images.shape)).astype(numpy.uint8)
    return path


def keys_of(kind):
    return [f"model.likelihood={kind}", f"data.dataset={'counts' if kind in KINDS[:2] else 'levels'}", f"model.levels={LEVELS}"]


def gradients(scratch):
    path = write(scratch)
    small = [empty_ini(scratch), *COMMON, f"data.path={path}", "model.hidden=3", "model.activation=tanh", "inference.hidden=3", "inference.activation=tanh", "optim.batch=0", "data.rows=20",
             "--check-gradient"]
    conv = ["model.decoder=conv", "model.channels=2", "inference.function=conv", "inference.channels=2", "model.levels=6", "data.rows=4"]
    runs = [[*keys_of(kind), f"model.global={q}"] for kind, q in zip(KINDS, ("point", "gaussian", "point", "gaussian"))]
    runs += [[*keys_of(kind), f"data.dataset={'counts' if kind in KINDS[:2] else 'levels'}_gaps", "data.missing=mask"] for kind in KINDS]
    runs += [["model.likelihood=poisson", "data.dataset=counts", "model.exposure=total"],
             ["model.likelihood=negative_binomial", "data.dataset=counts_gaps", "data.missing=mask", "model.exposure=total"],
             ["model.likelihood=categorical", "data.dataset=images", *conv], ["model.likelihood=categorical", "data.dataset=colours_gaps", "data.missing=mask", *conv, "data.rows=40"],
             ["model.likelihood=discretised_logistic", "data.dataset=images", *conv], ["model.likelihood=negative_binomial", "data.dataset=images", *conv]]
    for keys in runs:
        start(None, [*small, *keys])
    return f"finite differences hold for {len(runs)} combinations of likelihood, decoder and missing values"


def distribution(kind, out, run):
    """scipy's distribution of each value, and its mean: of counts as it is; of levels as probabilities (.., D, K)."""
    if kind == "poisson":
        return stats.poisson(numpy.exp(out)), numpy.exp(out)
    if kind == "negative_binomial":
        r = numpy.exp(read(run / "run.h5", "global/log_dispersion/mean")[0].ravel())
        return stats.nbinom(r, r / (r + numpy.exp(out))), numpy.exp(out)
    if kind == "categorical":
        p = special.softmax(out.reshape(*out.shape[:-1], LEVELS, COLUMNS), axis=-2).swapaxes(-1, -2)
    else:
        scale = numpy.exp(read(run / "run.h5", "global/log_scale/mean")[0].ravel())
        edges = stats.logistic.cdf((numpy.arange(LEVELS - 1) + 0.5)[:, None] / (LEVELS - 1), out[..., None, :], scale)
        zero = numpy.zeros_like(edges[..., :1, :])
        p = numpy.diff(numpy.concatenate([zero, edges, zero + 1], -2), axis=-2).swapaxes(-1, -2)
    return p, p @ numpy.arange(LEVELS)


def log_mass(of, x):
    return of.logpmf(x) if hasattr(of, "logpmf") else numpy.log(numpy.take_along_axis(of, numpy.broadcast_to(x, of.shape[:-1])[..., None].astype(int), -1)[..., 0])


def network(x, run, name):
    with h5py.File(run / "run.h5") as file:
        part = file["inference" if name == "encoder" else "global"]
        blocks = [part[f"{name}.{i}.{what}"] for i in range(2) for what in ("weight", "bias")]
        w0, b0, w1, b1 = [(b["mean"] if name == "decoder" else b)[()] for b in blocks]
    return numpy.maximum(x @ w0.T + b0.ravel(), 0) @ w1.T + b1.ravel()


def check_draws(kind, run, scratch):
    start(None, [run, "run.task=sample", "sample.count=3000", "-q", f"run.output={scratch / (kind + '_drawn')}"])
    z, mean, x = read(scratch / f"{kind}_drawn/samples.h5", "prior/z", "prior/mean", "prior/x")
    of, expected = distribution(kind, network(z, run, "decoder"), run)
    close(f"{kind}: means of the draws", mean / (1 + expected), expected / (1 + expected), 1e-10)
    if hasattr(of, "cdf"):
        low, high, variance = of.cdf(x - 1), of.cdf(x), of.var()
    else:
        below = numpy.cumsum(of, -1)
        high = numpy.take_along_axis(below, x[..., None].astype(int), -1)[..., 0]
        low = high - numpy.exp(log_mass(of, x))
        variance = of @ numpy.arange(LEVELS) ** 2 - expected**2
    # The place of a draw between the distribution function before and at it, at random, is uniform.
    place = low + (high - low) * numpy.random.default_rng(1).uniform(size=x.shape)
    for d in range(COLUMNS):
        p = stats.kstest(place[:, d], "uniform").pvalue
        if p < 1e-4:
            raise Failure(f"{kind}: draws of column {d} are not of the distribution: p = {p:.2g}")
    close(f"{kind}: sums of the draws, in standard deviations", (x - expected).sum(0) / numpy.sqrt(variance.sum(0)), 0, 5)


def against_numpy(scratch):
    path = write(scratch)
    for kind in KINDS:
        common = [*COMMON, *keys_of(kind), f"data.path={path}", "model.hidden=5", "inference.hidden=6", "inference.standardise=no", "optim.batch=40", "optim.epochs=10", "optim.learning_rate=0.01"]
        run = fit(scratch / kind, *common, ini=empty_ini(scratch))
        if kind in KINDS[:2] or kind == KINDS[3]:
            name = {"negative_binomial": "log_dispersion", "discretised_logistic": "log_scale"}.get(kind)
            if name and numpy.ptp(read(run / "run.h5", f"global/{name}/mean")[0]) == 0:
                raise Failure(f"{kind}: {name} was not learned")
        for task in ("evaluate", "reconstruct"):
            start(None, [run, f"run.task={task}", "rows.draws=400", "-q", f"run.output={scratch / (kind + task)}"])
        elbo, error, mean, log_sd = read(scratch / f"{kind}evaluate/rows.h5", "elbo", "elbo_error", "mean", "log_sd")
        back = read(scratch / f"{kind}reconstruct/rows.h5", "reconstruction")[0]
        x = read(path, "counts" if kind in KINDS[:2] else "levels")[0]
        nu = network(x, run, "encoder")
        close(f"{kind}: codes", numpy.hstack([mean, log_sd]), nu, 1e-9)
        eps = numpy.random.default_rng(7).normal(size=(1500, *mean.shape))
        z = mean + numpy.exp(log_sd) * eps
        of, expected = distribution(kind, network(z.reshape(-1, 2), run, "decoder").reshape(1500, len(x), -1), run)
        weight = log_mass(of, x).sum(2) - 0.5 * (z**2).sum(2) + (0.5 * eps**2 + log_sd).sum(2)
        within_errors(f"{kind}: ELBO", elbo, weight.mean(0), numpy.hypot(error, weight.std(0) / numpy.sqrt(1500)))
        within_errors(f"{kind}: reconstructions", back, expected.mean(0), expected.std(0) * numpy.sqrt(1 / 400 + 1 / 1500))
        check_draws(kind, run, scratch)
    return "ELBO, codes, reconstructions and draws of four likelihoods equal scipy's"


def bits(scratch):
    path = write(scratch)
    for kind in KINDS:
        common = [*COMMON, *keys_of(kind), f"data.path={path}", "model.hidden=5", "inference.hidden=6", "optim.batch=60", "optim.epochs=3", "run.precision=single"]
        runs = [fit(scratch / f"{kind}{np}", *common, np=np, ini=empty_ini(scratch)) for np in ((None, 2) if kind == "poisson" else (None, 3))]
        expect_same_bits(*runs, kind)
    # Bytes are 256 grey levels; the likelihood knows them without a key.
    run = fit(scratch / "bytes", *COMMON, "model.likelihood=discretised_logistic", f"data.path={path}", "data.dataset=bytes", "optim.epochs=4", "optim.batch=40", ini=empty_ini(scratch))
    start(None, [run, "run.task=sample", "sample.count=50", "-q", f"run.output={scratch / 'grey'}"])
    x = read(scratch / "grey/samples.h5", "prior/x")[0]
    if numpy.any(x != numpy.rint(x)) or x.min() < 0 or not 100 < x.max() <= 255:
        raise Failure(f"draws of grey levels from {x.min()} to {x.max()}, not whole numbers from 0 to 255")
    return "the same bits on several ranks; bytes as 256 grey levels"


def refusals(scratch):
    path = write(scratch)
    with h5py.File(path, "a") as file:
        half, below = file["counts"][()], file["counts"][()]
        half[7, 2], below[3, 1] = 2.5, -1
        file["half"], file["below"] = half, below
    begin = [empty_ini(scratch), *COMMON, f"data.path={path}", f"run.output={scratch / 'no'}", "optim.epochs=1"]
    cases = [
        (65, ["model.likelihood=poisson", "data.dataset=half"], ["row 7, column 2", "2.5", "a count (0, 1, 2, ...)", "model.likelihood = gaussian"]),
        (65, ["model.likelihood=negative_binomial", "data.dataset=below"], ["row 3, column 1", "-1", "a count", "use counts as they were taken"]),
        (65, ["model.likelihood=categorical", "data.dataset=levels", "model.levels=5"], ["is 5,", "a level", "use model.levels = the largest value + 1"]),
        (65, ["model.likelihood=bernoulli", "data.dataset=counts"], ["negative_binomial for counts"]),
        (78, ["model.likelihood=categorical", "data.dataset=bytes", "model.levels=17"], ["256 levels", "use 256"]),
        (78, ["model.likelihood=poisson", "data.dataset=counts", "data.standardise=yes"], ["use no, or use counts as they were taken"]),
        (78, ["model.likelihood=gaussian", "data.dataset=counts", "model.exposure=total"], ["model.exposure = none"]),
        (78, ["model.likelihood=poisson", "data.dataset=counts", "model.noise=learned"], ["model.noise = fixed"]),
    ]
    for code, keys, words in cases:
        said = start(None, [*begin, *keys], expect=(code,))
        for word in words:
            if word not in said:
                raise Failure(f"{keys}: {said.strip()}, without {word!r}")
    counts = ["model.likelihood=negative_binomial", "data.dataset=counts", "model.exposure=total"]
    run = fit(scratch / "exposed", *begin[1:-2], *counts, "optim.epochs=60", "optim.learning_rate=0.03", "optim.batch=40", ini=empty_ini(scratch))
    said = start(None, [run, "run.task=sample", f"run.output={scratch / 'no'}"], expect=(78,))
    if "use sample.of = posterior" not in said:
        raise Failure(f"draws of rows without a total: {said}")
    start(None, [run, "run.task=sample", "sample.of=posterior", "rows.draws=30", "-q", f"run.output={scratch / 'rows'}"])
    x, drawn = read(path, "counts")[0], read(scratch / "rows/samples.h5", "posterior/x")[0]
    ratio = drawn.sum((1, 2)).sum() / 30 / x.sum()
    if not 0.8 < ratio < 1.25:
        raise Failure(f"draws given the totals of the rows add up to {ratio:.3f} of them")
    return "values beyond a likelihood, keys of others, and draws without the rows they need are refused with what to use"


if __name__ == "__main__":
    main(gradients, against_numpy, bits, refusals)
