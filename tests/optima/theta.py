"""q(theta) with correlated values: on a linear regression it is the posterior, which numpy has in closed form; draws, checkpoints, ranks and tasks; the stored HMC run of hier_logistic."""
import json
import pathlib

import h5py
import numpy

from runs import Failure, empty_ini, expect_same_bits, fit, main, read, refusal, small_data, start

REFERENCE = pathlib.Path(__file__).resolve().parents[1] / "reference"
ROWS, SIGMA, PRIOR_SD = 120, 0.7, 2.0
NAMES = ("alpha", "beta_1", "beta_2", "beta_3")
MODEL = ["model.name=regression", "model.covariates=3", f"model.sigma={SIGMA}", f"model.prior_sd={PRIOR_SD}", "inference.function=constant", "run.precision=double", "data.source=hdf5",
         "data.dataset=x"]
WITHOUT_NOISE = ["objective.draws=0", "optim.method=lbfgs", "optim.steps=300", "optim.tolerance=1e-10"]


def data(scratch):
    rng = numpy.random.default_rng(8)
    x = rng.normal(size=(ROWS, 3)) @ numpy.array([[1, 0.9, 0.5], [0, 0.4, -0.6], [0, 0, 0.3]]) + [0, 1, 0]  # covariates that are alike, and one with a mean
    y = 1.5 + x @ [1, -2, 0.5] + SIGMA * rng.normal(size=ROWS)
    with h5py.File(scratch / "x.h5", "w") as file:
        file["x"] = numpy.column_stack([y, x])
    return y, numpy.column_stack([numpy.ones(ROWS), x]), [*MODEL, f"data.path={scratch / 'x.h5'}"]


def posterior(y, x):
    """log p(y), mean and precision of theta."""
    precision = x.T @ x / SIGMA**2 + numpy.eye(x.shape[1]) / PRIOR_SD**2
    total = SIGMA**2 * numpy.eye(len(y)) + PRIOR_SD**2 * x @ x.T
    evidence = -0.5 * (len(y) * numpy.log(2 * numpy.pi) + numpy.linalg.slogdet(total)[1] + y @ numpy.linalg.solve(total, y))
    return evidence, numpy.linalg.solve(precision, x.T @ y / SIGMA**2), precision


def mean_of(run, what="mean"):
    return numpy.array([read(run, f"/global/{name}/{what}").ravel()[0] for name in NAMES])


def elbo(run):
    return float(read(run, "/eval/elbo_train")[-1]) * ROWS


def exact(scratch):
    """The ELBO of gaussian_full is log p(y), and q(theta) the posterior; independent values lose (sum log P_ii - log det P) / 2; one direction is between, as many as values are enough."""
    ini, (y, x, keys) = empty_ini(scratch), data(scratch)
    log_p, mean, precision = posterior(y, x)
    full = fit(scratch / "full", *keys, *WITHOUT_NOISE, "model.global=gaussian_full", np=2, ini=ini)
    covariance = numpy.linalg.inv(precision)
    off = abs(elbo(full) - log_p)
    if off > 1e-8:
        raise Failure(f"gaussian_full: ELBO {elbo(full):.12f}, log p(y) {log_p:.12f}")
    for what, found, expected in (("mean", mean_of(full), mean), ("sd", mean_of(full, "sd"), numpy.sqrt(numpy.diag(covariance))), ("covariance", read(full, "/theta/covariance"), covariance)):
        if not numpy.allclose(found, expected, rtol=1e-6, atol=1e-9):
            raise Failure(f"gaussian_full: {what} {found}, expected {expected}")
    apart = fit(scratch / "apart", *keys, *WITHOUT_NOISE, "model.global=gaussian", ini=ini)
    gap = 0.5 * (numpy.log(numpy.diag(precision)).sum() - numpy.linalg.slogdet(precision)[1])
    if abs(log_p - elbo(apart) - gap) > 1e-8 or not gap > 0.5:
        raise Failure(f"gaussian: {log_p - elbo(apart):.10f} nats below log p(y), closed form {gap:.10f}")
    lost = {}
    for rank in (1, 4):
        run = fit(scratch / f"rank{rank}", *keys, *WITHOUT_NOISE, "model.global=gaussian_lowrank", f"model.global_rank={rank}", ini=ini)
        lost[rank] = log_p - elbo(run)
        sds = numpy.sqrt(numpy.diag(read(run, "/theta/covariance")))
        if not numpy.allclose(mean_of(run), mean, atol=1e-6) or not numpy.allclose(mean_of(run, "sd"), sds, rtol=1e-12):
            raise Failure(f"rank {rank}: means {mean_of(run)}, expected {mean}; sds {mean_of(run, 'sd')} and {sds}")
    if not 1e-4 < lost[1] < gap or not -1e-9 < lost[4] < 1e-6:
        raise Failure(f"nats below log p(y) by rank {lost}, independent values {gap}")
    return f"full: off by {off:.0e} nats; independent values lose {gap:.4f}, one direction {lost[1]:.4f}, four {lost[4]:.0e}"


def draws(scratch):
    """Draws, minibatches and Adam: the same bits on 1 to 3 ranks, also when the run was stopped and went on; the mean and the covariance come near the posterior's."""
    ini, (y, x, keys) = empty_ini(scratch), data(scratch)
    log_p, mean, precision = posterior(y, x)
    told = []
    for form, more in (("gaussian_full", []), ("gaussian_lowrank", ["model.global_rank=4"])):
        how = [*keys, f"model.global={form}", *more, "objective.draws=4", "optim.batch=40", "optim.tile=5", "optim.learning_rate=0.05", "optim.schedule=cosine", "run.reproducible=yes"]
        one, many = (fit(scratch / f"{form}{np}", *how, "optim.steps=2000", np=np, ini=ini) for np in (1, 3))
        expect_same_bits(many, one, f"{form}: 3 ranks and 1")
        short = [*how, "optim.schedule=constant", "checkpoint.every=10"]
        whole = fit(scratch / f"{form}_whole", *short, "optim.steps=20", np=2, ini=ini)
        fit(scratch / f"{form}_part", *short, "optim.steps=10", np=1, ini=ini)
        part = fit(scratch / f"{form}_part", *short, "optim.steps=20", np=2, ini=ini)
        for path in ("/theta/covariance", "/trace/elbo", *(f"/global/{name}/{what}" for name in NAMES for what in ("mean", "sd"))):
            if read(part, path).tobytes() != read(whole, path).tobytes():
                raise Failure(f"{form}: 10 and 10 steps have other bits of {path} than 20")
        gap = log_p - elbo(one)
        if not -1e-9 < gap < 0.2:
            raise Failure(f"{form}: {gap} nats below log p(y)")
        told.append(f"{form}: {gap:.4f} nats below log p(y)")
    return "; ".join(told)


def tasks(scratch):
    """A fit whose q(theta) is gaussian_full through the tasks: the ELBO by draws of theta is that of the evaluation, samples spread as q(theta) says, another run takes q(theta) over."""
    ini, told = empty_ini(scratch), []
    common = [*small_data("ppca"), "data.rows=60", "model.global=gaussian_full", "inference.function=mlp", "inference.hidden=4", "optim.batch=20", "optim.steps=60",
              "optim.learning_rate=0.02", "run.precision=double"]
    run = fit(scratch / "ppca", *common, "log.eval_draws=400", "run.after=gap", "gap.draws=50", np=2, ini=ini)
    kl = float(read(run, "/trace/kl_global")[-1]) / 60
    still = fit(scratch / "still", *common, "optim.steps=1", "optim.learning_rate=1e-12", ini=ini)
    with h5py.File(still / "run.h5") as file:
        covariance, means = file["/theta/covariance"][()], numpy.concatenate([file[f"/global/{name}/mean"][()].ravel() for name in file["/global"]])
    closed = 0.5 * (numpy.trace(covariance) + means @ means - len(means) - numpy.linalg.slogdet(covariance)[1])  # to N(0, 1), the prior where none is set
    if abs(closed - read(still, "/trace/kl_global")[0]) > 1e-8 * closed:
        raise Failure(f"KL(q(theta)) {read(still, '/trace/kl_global')[0]}, closed form {closed}")
    start(2, [run, "run.task=evaluate", "rows.draws=400", f"run.output={scratch / 'scores'}"])
    start(2, [run, "run.task=encode", f"run.output={scratch / 'codes'}"])
    start(2, [run, "run.task=reconstruct", f"run.output={scratch / 'back'}"])
    start(2, [run, "run.task=sample", f"run.output={scratch / 'draws'}", "sample.count=64"])
    with h5py.File(scratch / "scores" / "rows.h5") as file:
        said, error = float(file["elbo"][()].mean()), float(numpy.sqrt((file["elbo_error"][()] ** 2).sum()) / 60)
    expected, of_it = float(read(run, "/eval/elbo_train")[-1]) + kl, float(read(run, "/eval/elbo_train_error")[-1])
    if not abs(said - expected) < 6 * numpy.hypot(8 * error, of_it):  # rows share the draws of theta
        raise Failure(f"evaluate: {said} +- {error} nats per row, the evaluation without KL(q(theta)) {expected} +- {of_it}")
    told.append(f"evaluate {said:.3f}, evaluation {expected:.3f}")
    y, x, keys = data(scratch)
    first = fit(scratch / "first", *keys, *WITHOUT_NOISE, "model.global=gaussian_full", ini=ini)
    second = fit(scratch / "second", *keys, *WITHOUT_NOISE, "model.global=gaussian_full", f"model.theta_from={first}", "model.theta_fixed=yes", "inference.function=factorized", ini=ini)
    if not numpy.array_equal(read(second, "/theta/covariance"), read(first, "/theta/covariance")):
        raise Failure("theta_from did not take q(theta) over")
    third = fit(scratch / "third", *keys, *WITHOUT_NOISE, "model.global=gaussian", "optim.steps=1", f"model.theta_from={first}", "model.theta_fixed=yes", ini=ini)
    if not numpy.array_equal(mean_of(third), mean_of(first)):
        raise Failure("theta_from did not take the means of another form of q(theta)")
    return "; ".join(told)


def against_hmc(scratch):
    """hier_logistic: means within a quarter of a posterior sd of a stored run of Hamiltonian Monte Carlo, sds between those of the best independent factors and those of the posterior, which z and
    theta share; the ELBO is not below that of independent values."""
    stored = json.loads((REFERENCE / "hier_logistic.json").read_text())
    given = ["model.name=hier_logistic", "data.source=hdf5", f"data.path={REFERENCE / 'hier_logistic.h5'}", "data.dataset=x", "model.trials=60", "model.covariates=1", "optim.batch=0",
             "run.precision=double", "inference.function=factorized", "objective.draws=8", "optim.steps=1200", "optim.learning_rate=0.05", "optim.schedule=cosine",
             "log.eval_draws=200", "log.eval_every=-1"]
    found = {form: fit(scratch / form, *given, f"model.global={form}", ini=empty_ini(scratch)) for form in ("gaussian", "gaussian_full")}
    full, told = found["gaussian_full"], []
    for name, posterior_of in stored["theta"].items():
        mean, sd = (float(read(full, f"/global/{name}/{what}").ravel()[0]) for what in ("mean", "sd"))
        apart, least = (mean - posterior_of["mean"]) / posterior_of["sd"], stored["mean_field"][name]["sd"]
        if not abs(apart) < 0.25 or not 0.9 * least < sd < 1.1 * posterior_of["sd"]:
            raise Failure(f"{name}: {mean:.4f} +- {sd:.4f}, HMC {posterior_of['mean']:.4f} +- {posterior_of['sd']:.4f}, independent factors +- {least:.4f}")
        told.append(f"{name} {apart:+.2f} sd, sd {sd / posterior_of['sd']:.2f}")
    values = {form: (float(read(run, "/eval/elbo_train")[-1]), float(read(run, "/eval/elbo_train_error")[-1])) for form, run in found.items()}
    gain = 200 * (values["gaussian_full"][0] - values["gaussian"][0])
    if not gain > -200 * 4 * numpy.hypot(values["gaussian_full"][1], values["gaussian"][1]) - 0.05:
        raise Failure(f"gaussian_full is {-gain} nats below gaussian")
    return ", ".join(told) + f"; {gain:+.3f} nats over independent values"


def refused(scratch):
    ini = empty_ini(scratch)
    wide = ["model.name=vae", "data.source=strokes", "data.rows=20", "data.test_rows=0", "optim.batch=10", "model.hidden=8", "model.latent=2", "inference.hidden=4"]
    for arguments, words in (([*wide, "model.global=gaussian_full"], "use gaussian_lowrank, or gaussian"),
                             ([*small_data("hier_logistic"), "objective.draws=0", "model.global=gaussian_full"], "use model.global = gaussian, or objective.draws > 0"),
                             ([*small_data("linear"), "model.global=gaussian_full", "objective.entropy=notebook"], "use model.global = gaussian"),
                             ([*small_data("linear"), "model.global=gaussian_full", "run.task=exact"], "use gaussian"),
                             ([*small_data("linear"), "model.global=gaussian_lowrank", "objective.name=iwae"], "use model.global = point, or elbo")):
        said = refusal(start(None, [ini, *arguments, f"run.output={scratch / 'x'}"], expect=(78,))) or ""
        if words not in said:
            raise Failure(f"{' '.join(map(str, arguments))}: {said}")
    taken = fit(scratch / "taken", *wide, "model.global=gaussian_lowrank", "model.global_rank=2", "optim.steps=2", ini=ini)
    if not numpy.isfinite(read(taken, "/trace/elbo")).all():
        raise Failure("the remedy does not run")
    return "with remedies that run"


if __name__ == "__main__":
    main(exact, draws, tasks, against_hmc, refused)
