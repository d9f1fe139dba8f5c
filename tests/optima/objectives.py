"""Objectives and flows: the importance-weighted bound with one draw is the ELBO to the bit, rises with the draws to the exact log p(x), and is refused where it is no bound;
a flow has the same bits at 1, 2 and 3 ranks, and fits bent posteriors."""
import math
import re

import h5py
import numpy

from runs import Failure, empty_ini, expect_same_bits, fit, main, read, refusal, small_data, start

TAU, SIGMA, ROWS = 1.3, 0.8, 60
LINEAR = ["model.name=linear", "model.start=zero", f"model.tau={TAU}", f"model.sigma={SIGMA}", "data.source=model", f"data.rows={ROWS}", "run.precision=double", "inference.function=mlp",
          "inference.hidden=6", "log.every=1"]


def one_draw(scratch):
    """S = 1: log w is the ELBO's own sum."""
    ini = empty_ini(scratch)
    for name, settings in {"linear": [*LINEAR, "optim.batch=20"], "vae": [*small_data("vae"), "data.rows=40", "optim.batch=20", "inference.hidden=6"]}.items():
        common = [*settings, "optim.steps=6", "optim.tile=5", "objective.kl=sampled", "log.eval_draws=2", "run.reproducible=yes"]
        fit(scratch / f"{name}_elbo", *common, ini=ini)
        fit(scratch / f"{name}_iwae", *common, "objective.name=iwae", ini=ini, np=2)
        expect_same_bits(scratch / f"{name}_elbo", scratch / f"{name}_iwae", f"{name}: iwae with one draw against the ELBO")
    return "iwae with one draw is the ELBO to the bit"


def many_draws(scratch):
    """At rate 0 every step is another estimate of the same bound. Exact: x ~ N(theta, tau^2 + sigma^2) with theta = 0, its start."""
    ini, bounds = empty_ini(scratch), []
    for draws in (1, 8, 64, 512):
        folder = fit(scratch / f"k{draws}", *LINEAR, "objective.name=iwae", f"objective.draws={draws}", "optim.batch=0", "optim.learning_rate=0", "optim.steps=25", ini=ini)
        elbo = read(folder, "/trace/elbo")
        bounds.append((float(elbo.mean()), float(elbo.std(ddof=1) / numpy.sqrt(len(elbo)))))
    start(None, [ini, *LINEAR, "run.task=simulate", f"run.output={scratch / 'data'}", "-q"])
    import h5py
    with h5py.File(scratch / "data" / "data.h5") as file:
        x = file["x"][()].ravel()
    variance = TAU**2 + SIGMA**2
    exact = float(numpy.sum(-0.5 * x**2 / variance - 0.5 * numpy.log(2 * numpy.pi * variance)))
    for (low, _), (high, error) in zip(bounds, bounds[1:]):
        if not high > low - 3 * error:
            raise Failure(f"the bound falls with more draws: {bounds}")
    value, error = bounds[-1]
    if not (exact - 0.02 * ROWS - 4 * error < value < exact + 4 * error and bounds[0][0] < exact - 5):
        raise Failure(f"{bounds} with 1, 8, 64, 512 draws; exact {exact}")
    return f"bounds {[round(b, 2) for b, _ in bounds]} rise to log p(x) = {exact:.2f}"


def refused(scratch):
    ini = empty_ini(scratch)
    for settings, words in (([*small_data("hmm")], "depend on each other"), (["model.global=gaussian"], "for a point theta"), (["objective.draws=0"], "needs draws"),
                            (["objective.beta=2"], "has no KL to weigh"), (["objective.name=elbo", "objective.kl_warmup=1"], "below 1"),
                            (["objective.name=elbo", "inference.family=flow", "objective.estimator=stl"], "use pathwise"),
                            (["objective.name=elbo", "inference.family=flow", "objective.draws=0"], "use 1 or more")):
        given = {text.split("=")[0]: text for text in [*LINEAR, "objective.name=iwae", "optim.batch=20", *settings]}  # the last of two wins
        said = refusal(start(None, [ini, *given.values(), f"run.output={scratch / 'no'}"], expect=(78,))) or ""
        if not re.search(words, said):
            raise Failure(f"{settings}: {said}")
    return "refused where it is no bound"


def beta(scratch):
    """The weight of the KL rises to beta; what is reported is the ELBO with weight 1: the same as without, where nothing has moved."""
    ini = empty_ini(scratch)
    common = [*LINEAR, "optim.batch=0", "optim.steps=4", "optim.learning_rate=0", "objective.draws=0"]
    plain, warm = fit(scratch / "plain", *common, ini=ini), fit(scratch / "warm", *common, "objective.beta=3", "objective.kl_warmup=0.5", ini=ini)
    if not numpy.allclose(read(plain, "/trace/elbo"), read(warm, "/trace/elbo"), rtol=1e-13):
        raise Failure(f"reported with beta: {read(warm, '/trace/elbo')}, without {read(plain, '/trace/elbo')}")
    # The gradient is that of E log p - w KL: with (w of step s) = 3 (s + 1) / (2 + 1) for s < 2, then 3, and at rate 0 linear in w.
    norms = read(warm, "/trace/grad_norm")
    if not (len(set(norms[:3])) == 3 and norms[2] == norms[3]):
        raise Failure(f"gradient norms under warm-up: {norms}")
    return "beta and warm-up weigh the gradient and leave the reported ELBO"


def flow(scratch):
    ini = empty_ini(scratch)
    for parameters in ("row", "shared"):
        common = [*small_data("nonlinear"), "data.rows=50", "inference.function=factorized", "inference.family=flow", f"inference.flow_parameters={parameters}", "objective.draws=5",
                  "optim.batch=20", "optim.tile=4", "optim.steps=8", "run.reproducible=yes"]
        one = fit(scratch / f"{parameters}1", *common, ini=ini)
        for np in (2, 3):
            expect_same_bits(fit(scratch / f"{parameters}{np}", *common, ini=ini, np=np), one, f"flow, {parameters}, {np} ranks")
    return "flows have the same bits at 1, 2 and 3 ranks"


def bent(scratch):
    """Posteriors of nonlinear are bent: a flow leaves less than half of what an independent Gaussian leaves of log p(x_n | theta), which numpy's sum over a fine grid of z says."""
    ini, told = empty_ini(scratch), []
    generator = numpy.random.default_rng(3)
    z = generator.normal(size=60)
    x = z * numpy.sin(z) + z + numpy.exp(numpy.cos(z)) * generator.normal(size=60)
    with h5py.File(scratch / "x.h5", "w") as f:
        f["x"] = x[:, None]
    common = ["model.name=nonlinear", "data.source=hdf5", f"data.path={scratch / 'x.h5'}", "data.dataset=x", "run.precision=double", "inference.function=factorized", "optim.batch=0",
              "optim.method=adam", "optim.learning_rate=0.03", "optim.schedule=cosine", "log.second_start=no", "log.eval_draws=4000"]
    start_of = fit(scratch / "theta", *common, "objective.draws=0", "optim.steps=300", ini=ini)
    theta = read(start_of, "/global/theta/mean").item()
    grid = numpy.linspace(-9, 9, 20001)
    log_joint = -0.5 * ((x[:, None] - theta - grid * numpy.sin(grid) - grid) * numpy.exp(-numpy.cos(grid))) ** 2 - numpy.cos(grid) - 0.5 * grid**2 - math.log(2 * math.pi)
    log_p = numpy.mean(numpy.log(numpy.sum(numpy.exp(log_joint), 1) * (grid[1] - grid[0])))
    gap = {}
    for family, more in (("gaussian", ["objective.draws=0", "optim.steps=1000", "inference.starts=4"]), ("flow", ["inference.flow_layers=8", "objective.draws=40", "optim.steps=3000"])):
        run = fit(scratch / family, *common, f"model.theta_from={start_of}", "model.theta_fixed=yes", f"inference.family={family}", *more, ini=ini)
        error = read(run, "/eval/elbo_train_error")[-1]
        gap[family] = log_p - read(run, "/eval/elbo_train")[-1]
        if gap[family] < -5 * error - 1e-6:
            raise Failure(f"{family}: the ELBO is {-gap[family]} nats per row above log p(x | theta)")
        told.append(f"{family} {gap[family]:.4f} +- {error:.4f}")
    if not (gap["gaussian"] > 0.02 and gap["flow"] < 0.5 * gap["gaussian"]):
        raise Failure(f"nats per row below log p(x | theta): {', '.join(told)}")
    return f"nats per row of nonlinear below log p(x | theta): {', '.join(told)}"


PPCA = ["model.name=ppca", "data.source=model", "data.rows=60", "data.test_rows=0", "run.precision=double", "inference.function=factorized", "objective.draws=0", "optim.method=lbfgs", "optim.batch=0",
        "optim.steps=400", "log.second_start=no"]


def between(scratch):
    """Posteriors of ppca have a full covariance. In two dimensions one direction is enough for it, in three it is not; no family is above the exact log p(x)."""
    ini, told = empty_ini(scratch), []
    for latent in (2, 3):
        shape = [*PPCA, f"model.latent={latent}", "model.simulate_width=5"]
        start_of = fit(scratch / f"theta{latent}", *shape, "optim.steps=2", "optim.method=adam", ini=ini)  # its W is not along principal axes
        shape += [f"model.theta_from={start_of}", "model.theta_fixed=yes"]
        elbo = {}
        for family, more in (("gaussian", []), ("gaussian_lowrank", []), ("gaussian_lowrank", ["inference.rank=3"]), ("gaussian_full", [])):
            folder = fit(scratch / f"{family}{latent}{len(more)}", *shape, f"inference.family={family}", *more, ini=ini)
            elbo[family + "".join(more)] = read(folder, "/eval/elbo_train")[-1]
        full, rank_1, rank_3, least = elbo["gaussian_full"], elbo["gaussian_lowrank"], elbo["gaussian_lowrankinference.rank=3"], elbo["gaussian"]
        if not (least + 1e-3 < rank_1 <= full + 1e-6 and abs(rank_3 - full) < 1e-5 and (abs(rank_1 - full) < 1e-6 or latent > 2)):
            raise Failure(f"{latent} dimensions: {elbo}")
        told.append(f"{latent} dimensions: {full - least:.1e}, {full - rank_1:.1e}, {full - rank_3:.1e} nats per row below the full covariance")
    said = refusal(start(None, [ini, *PPCA, "inference.family=gaussian_lowrank", "run.task=exact", f"run.output={scratch / 'x'}"], expect=(78,)))
    if "use gaussian or gaussian_full" not in said:
        raise Failure(said)
    return "; ".join(told)


def closed_kl(scratch):
    """KL(q(z_n) || N(0, I)) of correlated Gaussians against numpy's formula, from the means and covariances that a run writes, and the mean over the draws (kl = sampled) against it. A rate near 0
    keeps the parameters where they start; each step is then another estimate, and with the closed form all are alike. Rows outside a batch can then move by their KL."""
    ini, told = empty_ini(scratch), []
    common = [*small_data("ppca"), "model.latent=3", "data.rows=12", "data.test_rows=0", "run.precision=double", "inference.function=mlp", "inference.hidden=6", "optim.batch=0", "optim.steps=40",
              "optim.learning_rate=1e-12", "objective.draws=8", "log.every=1", "log.second_start=no", "output.local=yes"]
    for family, more in (("gaussian_full", []), ("gaussian_lowrank", []), ("gaussian_lowrank", ["inference.rank=2"])):
        runs = [fit(scratch / f"{family}{len(more)}_{kl}", *common, f"inference.family={family}", *more, f"objective.kl={kl}", ini=ini) for kl in ("analytic", "sampled")]
        mean, covariance = (read(runs[0], f"/local/{name}") for name in ("mean", "covariance"))
        expected = 0.5 * float(numpy.sum(mean**2) + numpy.sum(numpy.trace(covariance, axis1=1, axis2=2) - 3 - numpy.linalg.slogdet(covariance)[1]))
        if not numpy.abs(covariance - covariance * numpy.eye(3)).max() > 1e-3:
            raise Failure(f"{family}: no correlation to test with")
        closed, sampled = (read(run, "/trace/kl_local").ravel() for run in runs)
        if not numpy.abs(closed / expected - 1).max() < 1e-8:
            raise Failure(f"{family}: KL {closed.min()} .. {closed.max()}, by numpy {expected}")
        error = sampled.std(ddof=1) / math.sqrt(len(sampled))
        if not (abs(sampled.mean() - expected) < 4.5 * error and error > 1e-4 * expected):
            raise Failure(f"{family}: mean KL over the draws {sampled.mean()} +- {error}, by numpy {expected}")
        fit(scratch / f"{family}{len(more)}_all", *common, f"inference.family={family}", *more, "inference.function=factorized", "optim.batch=4", "optim.local_rows=all", "optim.steps=2", ini=ini)
        told.append(f"{family} {expected:.4f} nats, over the draws {sampled.mean():.4f} +- {error:.4f}")
    return "; ".join(told)


def heavy(scratch):
    """Student's distribution with many degrees of freedom is a Gaussian; with 4 its optimum is further from the Gaussian posterior of the linear model by the KL that numpy integrates."""
    ini = empty_ini(scratch)
    common = [*LINEAR, "inference.function=constant", "model.tau=1e-3", "optim.batch=0", "optim.steps=1500", "optim.learning_rate=0.02", "optim.schedule=cosine", "objective.draws=64",
              "objective.kl=sampled", "log.eval_draws=1024", "log.second_start=no"]
    elbo, error = {}, {}
    for name, family, more in (("gaussian", "gaussian", []), ("many", "student_t", ["inference.degrees=1e6"]), ("four", "student_t", ["inference.degrees=4"])):
        folder = fit(scratch / name, *common, f"inference.family={family}", *more, ini=ini)
        elbo[name], error[name] = read(folder, "/eval/elbo_train")[-1], read(folder, "/eval/elbo_train_error")[-1]
    # With tau near 0 the posterior is the prior. The least KL(t_4(0, s) || N(0, 1)): the entropy of t_4, log s, and E z^2 = 2 s^2 give s^2 = 1 / 2.
    t = numpy.linspace(-4000, 4000, 8000001)
    density = 0.375 * (1 + t * t / 4) ** -2.5
    entropy = -float(numpy.sum(density * numpy.log(density)) * (t[1] - t[0]))
    expected = -(entropy + 0.5 * math.log(0.5)) + 0.5 + 0.5 * math.log(2 * math.pi)
    found, allowed = elbo["gaussian"] - elbo["four"], 4 * math.hypot(error["gaussian"], error["four"]) + 0.003
    if abs(elbo["many"] - elbo["gaussian"]) > allowed or abs(found - expected) > allowed:
        raise Failure(f"{elbo} +- {error}; {found} below the Gaussian, {expected} expected")
    if "use 1 or more" not in refusal(start(None, [ini, *common, "inference.family=student_t", "objective.draws=0", f"run.output={scratch / 'x'}"], expect=(78,))):
        raise Failure("points of a quadrature are no draws of Student's distribution")
    return f"4 degrees of freedom are {found:.4f} +- {error['four']:.4f} nats per row below a Gaussian, {expected:.4f} by quadrature; 1e6 are one"


if __name__ == "__main__":
    main(one_draw, many_draws, refused, beta, flow, bent, between, closed_kl, heavy)
