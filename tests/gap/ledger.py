"""The gap ledger: rows and totals against closed forms in numpy, k-hat against an implementation of its own, the same bits on 1, 2 and 3 ranks, and what is refused."""
import re
import subprocess
import sys

import h5py
import numpy

from arrays import close
from runs import Failure, empty_ini, expect_same_bits, fit, main, refusal, small_data, start

PSIS = sys.argv[sys.argv.index("--psis") + 1] if "--psis" in sys.argv else None
TAU, SIGMA = 1.3, 0.8
LINEAR = ["model.name=linear", f"model.tau={TAU}", f"model.sigma={SIGMA}", "data.source=hdf5", "data.dataset=x", "run.precision=double", "optim.method=lbfgs", "optim.batch=0",
          "objective.draws=0", "optim.steps=60", "run.after=gap"]


def write(path, **arrays):
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values
    return path


def ledger(folder, name="train"):
    with h5py.File(folder / "run.h5") as file:
        group = file[f"gap/{name}"]
        return {key: group[key][()] for key in group}, dict(group.attrs), {key: file[key][()] for key in ("global/theta/mean",) if key in file}


def linear(scratch):
    """x ~ N(theta, v), v = sigma^2 + tau^2; the posterior of z is N(tau (x - theta) / v, sigma^2 / v): with a constant function row n loses v / (2 sigma^2) (m - m_n)^2, plus what
    the common sd loses, which is nothing here. Degree 1 loses nothing. Both on data far from 0, in an order that is not sorted, with rows that are equal."""
    ini, generator = empty_ini(scratch), numpy.random.default_rng(3)
    x, test = generator.normal(40, 1.5, 257), generator.normal(40, 1.5, 31)
    x[100] = x[7]
    data = [f"data.path={write(scratch / 'x.h5', x=x, y=test)}", f"data.test_path={scratch / 'x.h5'}", "data.test_dataset=y"]
    v = SIGMA**2 + TAU**2
    for function, settings in (("constant", []), ("polynomial", ["inference.degree=1"])):
        folder = fit(scratch / function, *LINEAR, *data, f"inference.function={function}", *settings, ini=ini)
        for name, rows in (("train", x), ("test", test)):
            got, total, more = ledger(folder, name)
            theta = float(more["global/theta/mean"].ravel()[0])
            exact = -0.5 * numpy.log(2 * numpy.pi * v) - (rows - theta) ** 2 / (2 * v)
            means = TAU * (rows - theta) / v
            centre = TAU * (x.mean() - theta) / v
            gap = v / (2 * SIGMA**2) * (means - centre) ** 2 if function == "constant" else numpy.zeros(len(rows))
            close(f"{function}, {name}: elbo_fvi", got["elbo_fvi"], exact, 2e-3)
            close(f"{function}, {name}: amortization gap", got["amortization_gap"], gap, 3e-3)
            close(f"{function}, {name}: approximation gap", got["approximation_gap"], 0, 2e-3 + 5 * numpy.max(got["log_p_error"]))
            close(f"{function}, {name}: total", total["total_amortization_gap"], numpy.sum(got["amortization_gap"]), 1e-9 * len(rows))
            if numpy.any(got["log_p"] > exact + 5 * got["log_p_error"] + 1e-9):
                raise Failure(f"{function}, {name}: log p(x) above the exact one")
            if total["rows_converged"] != len(rows) or numpy.any(got["rung"] != 0) and function == "polynomial":
                raise Failure(f"{function}, {name}: {total['rows_converged']} of {len(rows)} rows converged, rungs {set(got['rung'])}")
            if name == "train" and got["amortization_gap"][7] != got["amortization_gap"][100]:
                raise Failure("equal rows have gaps that differ")
    return "rows and totals of linear equal the closed forms"


def saw(scratch):
    """Given theta the posterior of z_n is that of a Gaussian z ~ N(x_n, 1) seen by x_{n+1} ~ N(a (z + theta), 1): its gap is the KL of two Gaussians, and log p(x_{n+1} | x_n) has a closed form."""
    a, x, generator = 0.7, [3.0], numpy.random.default_rng(4)
    for _ in range(80):
        x.append(a * (x[-1] + generator.normal() + 0.5) + generator.normal())
    folder = fit(scratch / "saw", "model.name=saw", f"model.a={a}", "data.source=hdf5", "data.dataset=x", f"data.path={write(scratch / 's.h5', x=numpy.array(x))}", "run.precision=double",
                 "inference.function=polynomial", "inference.degree=1", "inference.domain=self", "optim.method=lbfgs", "optim.batch=0", "objective.draws=0", "optim.steps=60", "run.after=gap",
                 "gap.tolerance=1e-9", "output.local=yes", ini=empty_ini(scratch), np=2)
    got, total, more = ledger(folder)
    with h5py.File(folder / "run.h5") as file:
        mean, log_sd = file["local/mean"][()].ravel(), file["local/log_sd"][()].ravel()
    theta, before, after, precision = float(more["global/theta/mean"].ravel()[0]), numpy.array(x[:-1]), numpy.array(x[1:]), 1 + a * a
    best, ratio = (before + a * (after - a * theta)) / precision, numpy.exp(2 * log_sd) * precision
    close("saw: amortization gap", got["amortization_gap"], precision / 2 * (mean - best) ** 2 + (ratio - 1 - numpy.log(ratio)) / 2, 1e-9)
    close("saw: elbo_fvi", got["elbo_fvi"], -0.5 * numpy.log(2 * numpy.pi * precision) - (after - a * (before + theta)) ** 2 / (2 * precision), 1e-9)
    if total["rows_converged"] != 80 or total["total_amortization_gap"] < 1:
        raise Failure(f"saw: {total}")
    return f"rows of saw equal the closed form; {total['total_amortization_gap'] / 80:.3f} nats per row by f(x_n)"


def ppca(scratch):
    """With full covariance q(z_n) can be the posterior: no approximation gap, and log p(x_n) is that of N(mu, W W' + s^2 I), by Monte Carlo within its own error."""
    ini, generator = empty_ini(scratch), numpy.random.default_rng(5)
    x = generator.normal(size=(120, 2)) @ generator.normal(size=(2, 6)) + 3 + 0.5 * generator.normal(size=(120, 6))
    folder = fit(scratch / "ppca", "model.name=ppca", "model.latent=2", "data.source=hdf5", "data.dataset=x", f"data.path={write(scratch / 'p.h5', x=x)}", "run.precision=double",
                 "inference.function=mlp", "inference.hidden=8", "inference.family=gaussian_full", "optim.batch=40", "optim.steps=150", "optim.learning_rate=0.02", "run.after=gap",
                 "gap.tolerance=1e-6", "gap.passes=300", ini=ini)
    got, total, _ = ledger(folder)
    with h5py.File(folder / "run.h5") as file:
        names = {name.split("/")[-1]: file[f"global/{name}/mean"][()] if isinstance(file[f"global/{name}"], h5py.Group) else file[f"global/{name}"][()] for name in file["global"]}
    w = next(value for key, value in names.items() if numpy.ndim(value) == 2 and value.shape == (6, 2))
    mu = next(value for key, value in names.items() if numpy.size(value) == 6 and value is not w).ravel()
    log_s = next(value for key, value in names.items() if numpy.size(value) == 1).ravel()[0]
    best = None
    for s in (numpy.exp(log_s), log_s):  # whichever way the scale is kept, one of them is the model's
        c = w @ w.T + s**2 * numpy.eye(6)
        d = x - mu
        exact = -0.5 * (6 * numpy.log(2 * numpy.pi) + numpy.linalg.slogdet(c)[1] + numpy.einsum("ni,ij,nj->n", d, numpy.linalg.inv(c), d))
        worst = numpy.max(numpy.abs(got["elbo_fvi"] - exact))
        best = worst if best is None else min(best, worst)
        if worst == best:
            reference = exact
    if not best < 1e-4:
        raise Failure(f"elbo_fvi differs from log p(x) by {best}")
    if numpy.any(numpy.abs(got["log_p"] - reference) > 6 * got["log_p_error"] + 1e-4):
        raise Failure("log p(x) by importance weighting is off by more than six errors")
    if total["rows_converged"] != 120 or numpy.mean(got["amortization_gap"]) < 0:
        raise Failure(f"{total}")
    return f"ppca with full covariance: no approximation gap (largest {best:.1e}); amortization gap {numpy.mean(got['amortization_gap']):.3f} nats per row"


def ladder(scratch):
    """Rows of a posterior whose dimensions are correlated, with a family whose dimensions are not: with a full covariance q is the posterior, so that log p(x_n) is exact. A row on a rung
    has the k-hat that puts it there, one start more never makes a factor worse, and all ranks do the same."""
    ini, generator = empty_ini(scratch), numpy.random.default_rng(6)
    w = numpy.array([[3, 2.9, 3.1, 2.8], [2.9, 3, 2.8, 3.1], [3.1, 2.8, 3, 3]])
    x = generator.normal(size=(90, 3)) @ w + 0.3 * generator.normal(size=(90, 4))
    common = ["model.name=ppca", "model.latent=3", "data.source=hdf5", "data.dataset=x", f"data.path={write(scratch / 'l.h5', x=x)}", "run.precision=double", "inference.function=mlp",
              "inference.hidden=", "optim.batch=0", "optim.tile=10", "optim.steps=2", "model.noise_sd=0.03", "run.after=gap", "gap.passes=400", "run.reproducible=yes"]
    one = fit(scratch / "one", *common, "gap.starts=1", ini=ini)
    got, total, _ = ledger(one)
    with h5py.File(one / "run.h5") as file:
        blocks = [file[f"global/{name}/mean"][()] for name in file["global"]]
    load, mu = next(b for b in blocks if b.shape == (4, 3)), next(b for b in blocks if b.size == 4).ravel()
    noise = float(next(b for b in blocks if b.size == 1).ravel()[0])
    full = got["rung"] == 2
    if numpy.sum(full) < 10:
        raise Failure(f"{numpy.sum(full)} of 90 rows need a full covariance; their k-hat without: {numpy.sort(got['khat'])}")
    exact = []
    for s in (numpy.exp(noise), noise):  # whichever way the scale is kept, one of them is the model's
        c, d = load @ load.T + s**2 * numpy.eye(4), x - mu
        exact.append(-0.5 * (4 * numpy.log(2 * numpy.pi) + numpy.linalg.slogdet(c)[1] + numpy.einsum("ni,ij,nj->n", d, numpy.linalg.inv(c), d)))
    # The mean of a factor that is 1e-3 nats from its optimum, by gap.tolerance, is off by some hundredths of a posterior sd.
    if not min(numpy.max(numpy.abs(got["log_p"] - e)[full] - 6 * got["log_p_error"][full]) for e in exact) < 2e-3:
        raise Failure(f"log p(x) with a full covariance is off by {[numpy.max(numpy.abs(got['log_p'] - e)[full]) for e in exact]}")
    if numpy.any(got["khat_served"][got["rung"] < 5] > 0.7) or numpy.any(got["khat"][got["rung"] > 1] <= 0.7) or numpy.any(got["khat_avi"][got["rung"] == 0] > 0.7):
        raise Failure("a row is on a rung that its k-hat does not put it on")
    if total["rows_unserved"] != numpy.sum(got["rung"] == 5):
        raise Failure(f"{total['rows_unserved']} rows are said to be served by none")
    three = fit(scratch / "three", *common, "gap.starts=3", ini=ini, np=3)
    expect_same_bits(fit(scratch / "alone", *common, "gap.starts=3", ini=ini), three, "the ladder on 1 and 3 ranks")
    more = ledger(three)[0]
    if numpy.any(more["elbo_fvi"] < got["elbo_fvi"] - 1e-9) or numpy.any(more["rung"] > got["rung"]):
        raise Failure("a start more made a row worse")
    return f"{numpy.sum(full)} of 90 rows need a full covariance, which is exact there; {numpy.sum(got['rung'] == 4)} are resampled from wider factors"


def bits(scratch):
    ini = empty_ini(scratch)
    for model in ("vae", "nonlinear"):
        common = [*small_data(model), "data.rows=57", "data.test_rows=10", "inference.function=mlp", "inference.hidden=6", "optim.batch=20", "optim.tile=4", "optim.steps=5",
                  "run.reproducible=yes", "run.after=gap", "gap.draws=30", "gap.passes=12"]
        one = fit(scratch / f"{model}1", *common, ini=ini)
        for np in (2, 3):
            expect_same_bits(fit(scratch / f"{model}{np}", *common, ini=ini, np=np), one, f"{model}, {np} ranks")
        got, total, _ = ledger(one)
        if len(got["rung"]) != 57 or not numpy.all(numpy.isfinite(got["amortization_gap"])) or numpy.any(got["amortization_gap"] < -6 * got["amortization_gap_error"] - 1e-3):
            raise Failure(f"{model}: gaps {got['amortization_gap']}")
    return "the same bits at 1, 2 and 3 ranks, 57 rows in tiles of 4"


def unserved(scratch):
    """Rows that no rung serves are counted, and the first twelve are named, whichever rank has them. Few weights of many dimensions leave some."""
    ini = empty_ini(scratch)
    common = ["model.name=vae", "data.source=strokes", "model.latent=20", "data.rows=57", "data.test_rows=10", "inference.function=mlp", "inference.hidden=6", "optim.batch=20", "optim.steps=5",
              "run.after=gap", "gap.draws=30", "gap.passes=12", f"run.output={scratch / 'unserved'}"]
    said = start(3, [ini, *common])
    rows = numpy.flatnonzero(ledger(scratch / "unserved")[0]["rung"] == 5)
    named = re.search(r"; (\d+) rows? stays? above 0.7 by all of these:([ 0-9.]*)", said)
    if not len(rows) or not named or int(named[1]) != len(rows) or named[2].split() != [str(row) for row in rows[:12]] + ["..."] * (len(rows) > 12):
        raise Failure(f"rows {rows} are served by nothing, named are {named and named[0]}")
    return f"{len(rows)} of 57 rows that nothing serves are named"


def later(scratch):
    """run.task = gap on a finished fit gives what run.after = gap gives, and the rest of run.h5 stays."""
    ini = empty_ini(scratch)
    common = [*small_data("nonlinear"), "data.rows=40", "inference.function=mlp", "inference.hidden=6", "optim.batch=20", "optim.steps=5", "gap.draws=30"]
    both = fit(scratch / "both", *common, "run.after=gap", ini=ini)
    fit(scratch / "two", *common, ini=ini)
    start(None, [ini, *common, "run.task=gap", f"run.output={scratch / 'two'}"])
    expect_same_bits(scratch / "two", both, "run.task = gap after the fit against run.after = gap")
    return "run.task = gap equals run.after = gap"


def refused(scratch):
    ini = empty_ini(scratch)
    # A row of hmm has no gap of its own: its neighbours' factors are in it.
    said = refusal(start(None, [ini, *small_data("hmm"), "data.rows=40", "optim.batch=20", "run.after=gap", f"run.output={scratch / 'no'}"], expect=(78,))) or ""
    if "use run.task = exact" not in said:
        raise Failure(said)
    said = refusal(start(None, [ini, *small_data("linear"), "data.rows=40", "optim.batch=20", "run.task=gap", f"run.output={scratch / 'none'}"], expect=(78,))) or ""
    if "use run.task = fit first" not in said:
        raise Failure(said)
    return "coupled models and folders without a fit are refused"


def reference_khat(log_weights):
    """Pareto smoothed importance sampling's k-hat as Vehtari et al. (2024) define it, from the paper alone."""
    w = numpy.sort(log_weights - numpy.max(log_weights))
    tail = int(min(numpy.ceil(0.2 * len(w)), numpy.ceil(3 * numpy.sqrt(len(w)))))
    x = numpy.exp(w[-tail:]) - numpy.exp(w[-tail - 1])
    x = x[x > 0]
    n = len(x)
    m = 30 + int(numpy.sqrt(n))
    quartile = x[int(n / 4 + 0.5) - 1]
    b = 1 / x[-1] + (1 - numpy.sqrt(m / (numpy.arange(1, m + 1) - 0.5))) / 3 / quartile
    k = numpy.array([numpy.mean(numpy.log1p(-one * x)) for one in b])
    length = n * (numpy.log(-b / k) - k - 1)
    weights = numpy.array([1 / numpy.sum(numpy.exp(length - one)) for one in length])
    mean = numpy.sum(b * weights) / numpy.sum(weights)
    k = numpy.mean(numpy.log1p(-mean * x))
    return (n * k + 10 * 0.5) / (n + 10)


def psis(scratch):
    generator = numpy.random.default_rng(11)
    sets = [scale * generator.standard_normal(draws) ** power + 700 for scale in (0.1, 1, 4) for power in (1, 2) for draws in (30, 200, 5000)]
    sets += [-numpy.log(generator.random(400)) * k for k in (0.3, 0.7, 1.5)]
    nearly = [1e-6 * generator.standard_normal(200) - 2 for _ in range(3)]
    text = "".join(f"{len(one)} " + " ".join(repr(float(v)) for v in one) + "\n" for one in [*nearly, *sets, numpy.full(100, 3.0)])
    lines = subprocess.run([PSIS], input=text, capture_output=True, text=True, check=True).stdout.splitlines()
    for one, line in zip(nearly, lines):
        got, want = float(line.split()[3]), (one - one.mean()).std(ddof=1) / numpy.sqrt(len(one))
        close("the error of nearly equal weights, relatively", got / want, 1, 1e-4)
    for one, line in zip(sets, lines[len(nearly):]):
        khat, ess, log_p, error = map(float, line.split())
        w = numpy.exp(one - one.max())
        close("k-hat", khat, reference_khat(one), 1e-6)
        close("ess", ess, w.sum() ** 2 / (w**2).sum(), 1e-6 * len(one))
        close("log p", log_p, one.max() + numpy.log(w.mean()), 1e-10 * (1 + abs(log_p)))
        close("its error", error, w.std(ddof=1) / w.mean() / numpy.sqrt(len(one)), 1e-9)
    khat, ess, log_p, error = map(float, lines[-1].split())
    if (khat, ess, error) != (0, 100, 0) or abs(log_p - 3) > 1e-12:
        raise Failure(f"equal weights: {lines[-1]}")
    return f"{len(sets)} sets of weights; equal weights are exact"


if __name__ == "__main__":
    sys.argv = [a for i, a in enumerate(sys.argv) if a != "--psis" and sys.argv[i - 1] != "--psis"]
    main(psis, linear, saw, ppca, ladder, bits, unserved, later, refused)
