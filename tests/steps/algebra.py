"""Steps of the program against the same steps in numpy: full batches and epochs, both kinds of parameters, 1 and 3 ranks, fast and reproducible sums.

The rows do not fill the last tile, nor the tiles the ranks, so that whatever is dropped, counted twice or divided by another number shows."""
import re

import numpy

from small import MODEL, SIGMA, TAU, data, elbo, gradient, kl_global, likelihood, linear, parameters, write
from runs import Failure, empty_ini, fit, main, metrics, read, refusal, relative, start

SGD = ["optim.method=sgd", "optim.momentum=0"]
FULL = ["optim.batch=0", "optim.tile=4", "objective.draws=0"]
WAYS = [(None, "no"), (3, "no"), (3, "yes")]


def near(what, found, wanted, bound=1e-9):
    found, wanted = numpy.asarray(found, dtype=float), numpy.asarray(wanted, dtype=float)
    if found.shape != wanted.shape:
        raise Failure(f"{what}: shape {found.shape}, {wanted.shape} expected")
    worst = float(numpy.max(numpy.abs(found - wanted) / (1e-3 + numpy.abs(wanted))))
    if not worst <= bound:
        raise Failure(f"{what}: {found.ravel()[:4]}, expected {wanted.ravel()[:4]}: relative error {worst:.1e}")


def compare_trace(what, folder, wanted):
    for name, values in wanted.items():
        near(f"{what}: /trace/{name}", read(folder, f"/trace/{name}"), values)


def constant(scratch):
    """One factor for all rows, q(theta) Gaussian and point: trace, parameters, evaluation."""
    x, test, rate, steps = data(59), data(10, 2), 0.1, 4
    for gaussian in (True, False):
        t, k, nu, wanted = 0.0, -1.0 if gaussian else None, numpy.zeros(2), {"elbo": [], "kl_global": [], "log_likelihood": [], "grad_norm": []}
        for _ in range(steps):
            of_t, of_k, rows = gradient(x, t, k, nu)
            wanted["elbo"].append(elbo(x, t, k, nu))
            wanted["kl_global"].append(kl_global(t, k))
            wanted["log_likelihood"].append(float(numpy.sum(likelihood(x, t, k, nu))))
            wanted["grad_norm"].append(numpy.linalg.norm([of_t, of_k or 0, *rows.sum(0)]) / len(x))
            t, k, nu = t + rate * of_t / len(x), k + rate * of_k / len(x) if gaussian else None, nu + rate * rows.sum(0) / len(x)
        for np, exact in WAYS:
            what = f"{np or 1} ranks, reproducible = {exact}, global {'gaussian' if gaussian else 'point'}"
            run = linear(scratch, "run", x, *FULL, *SGD, "inference.function=constant", f"optim.learning_rate={rate}", f"optim.steps={steps}", "model.global_log_sd=-1",
                         f"model.global={'gaussian' if gaussian else 'point'}", f"run.reproducible={exact}", "--fresh", np=np, test=test)
            compare_trace(what, run, wanted)
            found = parameters(run)
            near(f"{what}: theta", found[0], t)
            near(f"{what}: nu", found[2], nu)
            near(f"{what}: elbo_train", read(run, "/eval/elbo_train")[-1], elbo(x, t, k, nu) / len(x))
            near(f"{what}: elbo_test", read(run, "/eval/elbo_test")[-1], (elbo(test, t, k, nu) + kl_global(t, k)) / len(test) - kl_global(t, k) / len(x))
    return f"{steps} steps of gradient descent, {len(x)} rows in tiles of 4"


def local(scratch):
    """Every row its own factor, in the order of the data as given, and its own step, or several at a visit, of which the last one goes with theta's."""
    x, rate, steps = data(59), 0.1, 4
    for visit, own, more in ((1, rate, []), (3, 0.04, ["optim.local_steps=3", "optim.local_learning_rate=0.04"])):
        t, nu, wanted = 0.0, numpy.zeros((len(x), 2)), {"elbo": [], "grad_norm": []}
        for _ in range(steps):
            for _ in range(visit - 1):
                nu = nu + own * gradient(x, t, None, nu)[2]
            of_t, _, rows = gradient(x, t, None, nu)
            wanted["elbo"].append(elbo(x, t, None, nu))
            wanted["grad_norm"].append(numpy.sqrt(of_t**2 + numpy.sum(rows**2)) / len(x))
            t, nu = t + rate * of_t / len(x), nu + own * rows
        for np, exact in WAYS:
            what = f"{np or 1} ranks, reproducible = {exact}, {visit} steps at a visit"
            run = linear(scratch, "run", x, *FULL, *SGD, "inference.function=factorized", f"optim.learning_rate={rate}", f"optim.steps={steps}", f"run.reproducible={exact}", *more,
                         "--fresh", np=np)
            compare_trace(what, run, wanted)
            near(f"{what}: theta", parameters(run)[0], t)
            near(f"{what}: /local", parameters(run)[2], nu)
            near(f"{what}: elbo_train", read(run, "/eval/elbo_train")[-1], elbo(x, t, None, nu) / len(x))
    return f"{steps} steps, {len(x)} rows"


def starts(scratch):
    """inference.start_*: every row's factor starts as a draw of its own, the same on any number of ranks and wherever a shuffle puts the row."""
    x, kept = data(5003), []
    for np, shuffle in ((None, "yes"), (3, "yes"), (2, "no")):
        run = linear(scratch, "run", x, "inference.function=factorized", "inference.start_mean_sd=2", "inference.start_log_sd=-1", "inference.start_log_sd_sd=0.5", *SGD,
                     "optim.learning_rate=1e-30", "optim.steps=1", "optim.batch=0", "optim.tile=4", f"data.shuffle={shuffle}", "--fresh", np=np)
        kept.append(parameters(run)[2])
    for other in kept[1:]:
        if not numpy.array_equal(kept[0], other):
            raise Failure("several ranks, or rows that are not shuffled, start from other factors")
    nu, n = kept[0], len(x)
    for what, values, mean, sd in (("means", nu[:, 0], 0, 2), ("log sds", nu[:, 1], -1, 0.5)):
        away, spread = (values.mean() - mean) / (sd / n**0.5), (values.std() / sd - 1) * (2 * n) ** 0.5
        if abs(away) > 4 or abs(spread) > 4:
            raise Failure(f"{what}: mean {away:.1f} and sd {spread:.1f} standard errors off")
    if abs(numpy.corrcoef(nu.T)[0, 1]) > 4 / n**0.5 or abs(numpy.corrcoef(nu[1:, 0], nu[:-1, 0])[0, 1]) > 4 / n**0.5:
        raise Failure("starts are correlated")
    return f"{n} rows"


def notebook_excess(log_sd):
    """Entropy of a Gaussian minus E[-log q] of the published VAE notebook, whose log q is log N(z; m, variance = s): log s / 2 + s eps^2 / 2 + log(2 pi) / 2 in expectation."""
    s = numpy.exp(log_sd)
    return (0.5 * numpy.log(2 * numpy.pi) + log_sd + 0.5) - (0.5 * log_sd + 0.5 * s + 0.5 * numpy.log(2 * numpy.pi))


def notebook(scratch):
    """objective.entropy = notebook: steps and /trace have its objective, KL in closed form and by the draws, of q(z) and q(theta); /eval has the ELBO."""
    x, rate, steps = data(59), 0.1, 4
    pull = lambda log_sd: 0.5 * (1 + numpy.exp(log_sd)) - 1  # noqa: E731: what the notebook adds to the gradient of a log sd
    for local, kl in ((False, "analytic"), (False, "sampled"), (True, "analytic")):
        t, k, nu, wanted = 0.0, -1.0, numpy.zeros((len(x), 2) if local else 2), {"elbo": [], "kl_global": []}
        for _ in range(steps):
            of_t, of_k, rows = gradient(x, t, k, nu)
            excess = float(numpy.sum(notebook_excess(nu[..., 1] + 0 * x)))
            wanted["elbo"].append(elbo(x, t, k, nu) - excess - notebook_excess(k))
            wanted["kl_global"].append(kl_global(t, k) + notebook_excess(k))
            rows[:, 1] += pull(nu[..., 1])
            t, k, nu = t + rate * of_t / len(x), k + rate * (of_k + pull(k)) / len(x), nu + rate * (rows if local else rows.sum(0) / len(x))
        for np, exact in WAYS:
            what = f"{np or 1} ranks, reproducible = {exact}, {'local' if local else 'constant'}, kl = {kl}"
            run = linear(scratch, "run", x, *FULL, *SGD, f"inference.function={'factorized' if local else 'constant'}", f"optim.learning_rate={rate}", f"optim.steps={steps}",
                         "model.global_log_sd=-1", "model.global=gaussian", f"objective.kl={kl}", "objective.entropy=notebook", f"run.reproducible={exact}", "--fresh", np=np)
            compare_trace(what, run, wanted)
            found = parameters(run)
            near(f"{what}: theta", found[:2], [t, k])
            near(f"{what}: nu", found[2], nu)
            near(f"{what}: elbo_train", read(run, "/eval/elbo_train")[-1], elbo(x, t, k, nu) / len(x))
    done = start(None, [empty_ini(scratch), *MODEL, f"data.path={scratch / 'x.h5'}", "data.dataset=x", "objective.entropy=notebook", "inference.family=gaussian_full",
                        f"run.output={scratch / 'no'}"], expect=(78,))
    if "use inference.family = gaussian" not in done:
        raise Failure(f"refusal: {done}")
    return f"{steps} steps with the notebook's entropy, KL in closed form and by quadrature points"


def saw(scratch):
    """A model whose prior depends on the data, and which looks at the next row: z_n ~ N(x_n, 1), x_{n+1} ~ N(a (z_n + theta), 1), theta ~ N(0, p^2), one factor for all rows."""
    x, rate, steps, a, p = numpy.cumsum(data(59, 3)) / 3, 0.05, 4, 0.75, 2.0
    here, after = x[:-1], x[1:]
    t, m, l, wanted = 0.0, 0.0, 0.0, {"elbo": [], "grad_norm": []}
    for _ in range(steps):
        rest, s2, n = after - a * m - a * t, numpy.exp(2 * l), len(here)
        of_rows = numpy.sum((here - m) ** 2 + s2 + rest**2 + a**2 * s2)
        wanted["elbo"].append(-0.5 * of_rows - 0.5 * n * numpy.log(2 * numpy.pi) + n * (0.5 + l) - 0.5 * (t / p) ** 2 - numpy.log(p) - 0.5 * numpy.log(2 * numpy.pi))
        g = numpy.array([a * rest.sum() - t / p**2, numpy.sum(here - m + a * rest), n * (1 - s2 * (1 + a**2))]) / n
        wanted["grad_norm"].append(numpy.linalg.norm(g))
        t, m, l = numpy.array([t, m, l]) + rate * g
    given = ["model.name=saw", f"model.a={a}", f"model.prior_sd={p}", "data.source=hdf5", "data.dataset=x", f"data.path={write(scratch / 'saw.h5', x)}", "run.precision=double"]
    for np, exact in WAYS:
        run = fit(scratch / "run", *given, "log.every=1", *FULL, *SGD, "inference.function=constant", f"optim.learning_rate={rate}", f"optim.steps={steps}",
                  f"run.reproducible={exact}", "--fresh", np=np, ini=empty_ini(scratch))
        compare_trace(f"{np or 1} ranks, reproducible = {exact}", run, wanted)
        near("theta and nu", [parameters(run)[0], *parameters(run)[2]], [t, m, l])
    return f"{steps} steps, {len(here)} rows and the one after"


def clipping(scratch):
    """The norm of the whole gradient, local rows of all ranks included, is cut to clip_norm, for global and local parameters alike."""
    x, rate, clip = data(59), 0.1, 0.05
    of_t, _, rows = gradient(x, 0.0, None, numpy.zeros((len(x), 2)))
    factor = clip / (numpy.sqrt(of_t**2 + numpy.sum(rows**2)) / len(x))
    for np, exact in WAYS:
        run = linear(scratch, "run", x, *FULL, *SGD, "inference.function=factorized", f"optim.learning_rate={rate}", "optim.steps=1", f"optim.clip_norm={clip}",
                     f"run.reproducible={exact}", "--fresh", np=np)
        near(f"{np or 1} ranks: theta", parameters(run)[0], rate * factor * of_t / len(x))
        near(f"{np or 1} ranks: /local", parameters(run)[2], rate * factor * rows)
    return f"the gradient times {factor:.3f}"


def epoch(scratch):
    """With steps too small to matter, the batches of two epochs add up to twice the whole data set: every row once an epoch, at the weight of E steps, KL(theta) at its own."""
    x, rate, steps = data(60), 1e-9, 6
    t, k, nu = 0.0, -1.0, numpy.zeros(2)
    of_t, of_k, rows = gradient(x, t, k, nu)
    for np, exact in WAYS:
        what = f"{np or 1} ranks, reproducible = {exact}"
        run = linear(scratch, "run", x, *SGD, "objective.draws=0", "optim.batch=20", "optim.tile=4", f"optim.steps={steps}", f"optim.learning_rate={rate}",
                     "inference.function=constant", "model.global=gaussian", "model.global_log_sd=-1", f"run.reproducible={exact}", "--fresh", np=np)
        each = read(run, "/trace/elbo")
        near(f"{what}: the mean of the steps' ELBO", each.mean(), elbo(x, t, k, nu), 1e-7)
        if numpy.ptp(each) < 1e-3:
            raise Failure(f"{what}: every step has the same rows")
        found = parameters(run)
        for name, moved, wanted in (("theta", found[0], of_t), ("log sd of theta", found[1] - k, of_k), ("nu", found[2], rows.sum(0))):
            near(f"{what}: displacement of {name}", numpy.asarray(moved) / (rate * steps / len(x)), wanted, 1e-5)
    return "3 batches of 20 rows are the 60 rows, twice"


def adam(scratch):
    """Adam's steps in numpy; of a local row, whose visits count; the schedule."""
    x, rate, steps = data(59), 0.05, 3
    value, m, v = numpy.zeros(3), numpy.zeros(3), numpy.zeros(3)
    for step in range(1, steps + 1):
        of_t, _, rows = gradient(x, value[0], None, value[1:])
        g = -numpy.array([of_t, *rows.sum(0)]) / len(x)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        value = value - rate * 0.5 * (1 + numpy.cos(numpy.pi * (step - 1) / steps)) * (m / (1 - 0.9**step)) / (numpy.sqrt(v / (1 - 0.999**step)) + 1e-8)
    for np in (None, 3):
        run = linear(scratch, "run", x, *FULL, "inference.function=constant", f"optim.learning_rate={rate}", "optim.schedule=cosine", f"optim.steps={steps}", "--fresh", np=np)
        found = parameters(run)
        near(f"{np or 1} ranks: parameters", [found[0], *found[2]], value, 1e-8)
        # One epoch of batches: the first visit of every row moves each of its values by the learning rate.
        run = linear(scratch, "local", x, "objective.draws=0", "optim.batch=20", "optim.tile=4", "optim.steps=3", f"optim.learning_rate={rate}", "inference.function=factorized",
                     f"optim.local_learning_rate={rate}", "--fresh", np=np)
        near(f"{np or 1} ranks: first step of each row", numpy.abs(parameters(run)[2]), numpy.full((len(x), 2), rate), 1e-3)
    return f"{steps} steps with a cosine, and the first visit of {len(x)} rows"


def draws(scratch):
    """Estimates of standing parameters differ from step to step, and their mean is the ELBO."""
    x, steps = data(59), 400
    want = elbo(x, 0.0, -1.0, numpy.zeros(2))
    arguments = ["optim.batch=0", "optim.tile=4", "optim.learning_rate=1e-13", f"optim.steps={steps}", "inference.function=constant", "model.global=gaussian",
                 "model.global_log_sd=-1", *SGD, "--fresh"]
    told = []
    for number, extra in (("1", []), ("3", ["objective.kl=sampled"]), ("2", ["objective.estimator=stl"])):
        each = read(linear(scratch, "run", x, *arguments, f"objective.draws={number}", *extra), "/trace/elbo")
        error, of_one = abs(each.mean() - want), each.std() / numpy.sqrt(steps)
        if len(numpy.unique(each)) != steps:
            raise Failure(f"draws = {number} {extra}: {len(numpy.unique(each))} values in {steps} steps")
        if error > 5 * of_one:
            raise Failure(f"draws = {number} {extra}: mean {each.mean():.3f}, ELBO {want:.3f}, standard error {of_one:.3f}")
        told.append(f"{error / of_one:.1f}")
    return f"means of {steps} steps within {', '.join(told)} standard errors of the ELBO"


def stl(scratch):
    """Sticking the landing: the estimate is that of the sampled KL, the gradient another, and that without noise where q is the posterior."""
    x, arguments = data(59), ["optim.batch=0", "optim.tile=4", "inference.function=factorized", "objective.draws=1", "objective.kl=sampled", "--fresh"]
    both = [linear(scratch, name, x, *arguments, *SGD, f"objective.estimator={name}", "optim.steps=1") for name in ("pathwise", "stl")]
    near("the first estimate", *[read(run, "/trace/elbo") for run in both])
    if numpy.allclose(parameters(both[0])[2], parameters(both[1])[2], rtol=1e-3):
        raise Failure("the gradient with sticking the landing is the pathwise one")
    run = linear(scratch, "long", x, *arguments, "objective.estimator=stl", "optim.steps=1500", "optim.learning_rate=0.02", "optim.schedule=cosine")
    t, _, nu = parameters(run)
    near("log sd at the optimum", nu[:, 1], numpy.full(len(x), -0.5 * numpy.log(1 + (TAU / SIGMA)**2)), 1e-2)
    return "the gradient of the path alone; its optimum is the posterior"


def tiles(scratch):
    """Chains: tiles are a matter of work alone. Every factor of a row reaches its gradient whatever the tile's edges are."""
    x = write(scratch / "x.h5", numpy.cumsum(data(40)))
    told = 0.0
    for function in (["factorized"], ["mlp", "inference.hidden=4", "inference.domain=window:1"]):
        first = None
        for np, tile in ((None, 40), (None, 3), (3, 7)):
            run = fit(scratch / "-".join(["run", function[0], str(tile)]), "model.name=hmm", "data.source=hdf5", f"data.path={x}", "data.dataset=x", "run.precision=double",
                      f"inference.function={function[0]}", *function[1:], "objective.draws=0", "optim.batch=0", f"optim.tile={tile}", "optim.steps=12", "optim.learning_rate=0.1",
                      "log.every=1", np=np, ini=empty_ini(scratch))
            first = first or run
            told = max(told, relative(run, first, ("elbo", "grad_norm")))
            if told > 1e-10:
                raise Failure(f"{function}, tile {tile}, {np or 1} ranks: trace differs by {told:.1e} from one tile")
    return f"traces within {told:.1e}"


def means(scratch):
    """The reconstruction error at the means of q, of local factors and of a function, on training and test rows."""
    x, test = data(59), data(10, 2)
    for function, np, exact in [(f, *way) for f in ("factorized", "constant") for way in WAYS]:
        run = linear(scratch, "run", x, "optim.batch=21", "optim.tile=3", "optim.steps=9", "optim.learning_rate=0.05", f"inference.function={function}", "model.global=gaussian",
                     f"run.reproducible={exact}", "log.mse_at=means", "--fresh", np=np, test=test)
        t, _, nu = parameters(run)
        what = f"{function}, {np or 1} ranks, reproducible = {exact}"
        near(f"{what}: mse_train", read(run, "/eval/mse_train")[-1], numpy.mean((x - t - TAU * nu[..., 0]) ** 2))
        if function == "constant":
            near(f"{what}: mse_test", read(run, "/eval/mse_test")[-1], numpy.mean((test - t - TAU * nu[0]) ** 2))
    return "error at the means of local factors and of a constant one"


def skip(scratch):
    """A row whose density is beyond single precision: its steps are skipped on all ranks, nothing else is touched; a run of nothing else has diverged."""
    x = data(60)
    x[41] = 1e30
    arguments = [*MODEL[:-1], "run.precision=single", f"data.path={write(scratch / 'x.h5', x)}", "data.dataset=x", "inference.function=constant",
                 "optim.tile=4", "log.eval_every=-1", "run.reproducible=yes"]
    runs = {}
    for np in (None, 3):
        runs[np] = fit(scratch / f"run{np}", *arguments, "optim.batch=20", "optim.steps=10", "--fresh", np=np, ini=empty_ini(scratch), expect=(4,))
        skipped, steps = read(runs[np], "/trace/skipped"), read(runs[np], "/trace/step")
        if skipped[-1] != 3 or not 6 <= len(steps) <= 7:
            raise Failure(f"{np or 1} ranks: {skipped[-1]:.0f} steps skipped, {len(steps)} logged of 10; 3 and 7 expected")
        t, _, nu = parameters(runs[np])
        if not numpy.all(numpy.isfinite([t, *nu])) or t == 0:
            raise Failure(f"{np or 1} ranks: parameters {t}, {nu}")
    if parameters(runs[None])[0] != parameters(runs[3])[0]:
        raise Failure("1 and 3 ranks differ")
    for np, own in ((None, ["optim.local_learning_rate=0.05"]), (3, [])):  # in the first epoch, Adam moves each row of two batches by the learning rate, and those of the bad batch not at all
        run = fit(scratch / "rows", *[a for a in arguments if not a.startswith("inference")], "inference.function=factorized", "objective.draws=0", "optim.batch=20", "optim.steps=3",
                  "optim.learning_rate=0.05", *own, "--fresh", np=np, ini=empty_ini(scratch), expect=(4,))
        moved = numpy.abs(parameters(run)[2])
        still = numpy.all(moved == 0, axis=1)
        if still.sum() != 20 or not still[41]:
            raise Failure(f"{np or 1} ranks: {still.sum()} rows stay where they were, {'with' if still[41] else 'without'} row 41; its batch of 20 expected")
        if own:
            near(f"{np or 1} ranks: the other rows", moved[~still], numpy.full((40, 2), 0.05), 1e-3)
    for np in (None, 3):
        text = start(np, [empty_ini(scratch), "-q", f"run.output={scratch / 'bad'}", *arguments, "optim.batch=0", "optim.steps=50", "nan.max_skips=3", "--fresh"], expect=(4,))
        if "41" not in (refusal(text) or "") or text.count("avi_mpi: error") != 1:
            raise Failure(f"row 41 is not named, or not once: {text}")
        ends = int(re.search(r"step (\d+)", refusal(text)).group(1))
        if ends != 3:
            raise Failure(f"nan.max_skips=3: the run ends at step {ends}: {text}")
    return "3 of 10 steps skipped; three in a row end the run with status 4"


def rollback(scratch):
    """A learning rate far too large, with nan.policy = rollback: back to the last checkpoint with half of it until it serves; every step stands once in trace and metrics.csv."""
    x, steps = data(60), 240
    arguments = [*MODEL[:-1], "run.precision=single", f"data.path={write(scratch / 'x.h5', x)}", "data.dataset=x", "inference.function=constant", "objective.draws=0", "optim.batch=0",
                 "optim.tile=4", "log.eval_every=-1", *SGD, "optim.learning_rate=3", "nan.policy=rollback", "nan.max_skips=1", "checkpoint.every=10", f"optim.steps={steps}"]
    for np in (None, 3):
        run = fit(scratch / f"run{np}", *arguments, np=np, ini=empty_ini(scratch))
        lines, trace, rates = [int(line["step"]) for line in metrics(run)], read(run, "/trace/step").tolist(), read(run, "/trace/learning_rate")
        if trace != lines or sorted(set(trace)) != trace or trace[-1] != steps:
            raise Failure(f"{np or 1} ranks: /trace has steps {trace[:30]}..., metrics.csv {lines[:30]}...")
        cuts = numpy.log2(3 / rates)
        if len(set(cuts)) < 2 or not numpy.allclose(cuts, numpy.round(cuts)) or numpy.any(numpy.diff(cuts) < 0):
            raise Failure(f"{np or 1} ranks: learning rates {sorted(set(rates.tolist()))}")
        near(f"{np or 1} ranks: log sd", parameters(run)[2][1], -0.5 * numpy.log(1 + (TAU / SIGMA) ** 2), 1e-3)
    return f"learning rate halved {cuts[-1]:.0f} times, {len(trace)} steps in the trace"


if __name__ == "__main__":
    main(constant, local, starts, notebook, saw, clipping, epoch, adam, draws, stl, tiles, means, skip, rollback)
