"""objective.estimator = dreg (Tucker et al. 2018): the mean of its gradient is that of the importance-weighted bound, where leaving out the score term alone is not; theta's gradient is that of
pathwise; with one draw it is sticking the landing to the bit; the same bits on several ranks; refused where it is no gradient. The bound rises to ppca's exact log p(x)."""
import h5py
import numpy

from arrays import close, read
from runs import Failure, empty_ini, expect_same_bits, fit, main, small_data, start

TAU, SIGMA, X, DRAWS, ROWS = 1.3, 0.5, 2.0, 5, 20000
COMMON = ["model.name=linear", f"model.tau={TAU}", f"model.sigma={SIGMA}", "model.start=zero", "data.source=hdf5", "run.precision=double", "inference.function=constant", "optim.method=sgd",
          "optim.batch=0", "optim.steps=1", "objective.name=iwae", f"objective.draws={DRAWS}", "log.second_start=no"]


def gradients(eps, nu):
    """numpy's own gradients of log (1/K) sum w by nu = (mean, log sd), for every row of eps: pathwise, without the score term, doubly reparameterized; and by theta."""
    mean, sd = nu[0], numpy.exp(nu[1])
    z = mean + sd * eps
    log_w = -0.5 * ((X - TAU * z) / SIGMA) ** 2 - 0.5 * z**2 + 0.5 * eps**2
    v = numpy.exp(log_w - log_w.max(1, keepdims=True))
    v /= v.sum(1, keepdims=True)
    of_p, of_q = TAU * (X - TAU * z) / SIGMA**2 - z, -(z - mean) / sd**2  # d log p / dz, d log q / dz
    moves = numpy.stack([numpy.ones_like(eps), sd * eps], -1)  # dz / dnu
    total = of_p[..., None] * moves + numpy.array([0.0, 1.0])  # log q(z(nu); nu) = -eps^2 / 2 - log sd: its total derivative is (0, -1)
    path = (of_p - of_q)[..., None] * moves
    return [(w[..., None] * g).sum(1) for w, g in ((v, total), (v, path), (v**2, path))], (v * (X - TAU * z) / SIGMA**2).sum(1)


def means(scratch):
    with h5py.File(scratch / "x.h5", "w") as file:
        file["x"] = numpy.full((ROWS, 1), X)
    ini, moved, common = empty_ini(scratch), {}, [*COMMON, f"data.path={scratch / 'x.h5'}"]
    names = ("inference/constant", "global/theta/mean")
    begin = read(fit(scratch / "start", *common, "optim.learning_rate=0", ini=ini) / "run.h5", *names)
    for estimator in ("pathwise", "dreg"):
        end = read(fit(scratch / estimator, *common, "optim.learning_rate=1", f"objective.estimator={estimator}", ini=ini) / "run.h5", *names)
        moved[estimator] = [b.ravel() - a.ravel() for a, b in zip(begin, end)]
    nu = begin[0].ravel()
    g = [gradients(numpy.random.default_rng(seed).normal(size=(50000, DRAWS)), nu) for seed in range(20)]
    pathwise, held, dreg = (numpy.concatenate([part[0][i] for part in g]) for i in range(3))
    want, error = pathwise.mean(0), pathwise.std(0) / numpy.sqrt(len(pathwise))
    for estimator, rows in (("pathwise", pathwise), ("dreg", dreg)):
        close(f"mean of {estimator}, in errors", (moved[estimator][0] - want) / numpy.hypot(error, rows.std(0) / numpy.sqrt(ROWS)), 0, 5)
    bias = numpy.max(numpy.abs(held.mean(0) - want) / (held.std(0) / numpy.sqrt(ROWS)))
    if bias < 20:
        raise Failure(f"without its score term alone the gradient is off by {bias:.1f} errors: this says nothing of the weights")
    close("gradient of theta, which has the weights once", moved["dreg"][1], moved["pathwise"][1], 1e-12)
    theta = numpy.concatenate([part[1] for part in g])
    close("gradient of theta, in errors", (moved["dreg"][1] - theta.mean()) / (theta.std() / numpy.sqrt(ROWS)), 0, 5)
    return f"means equal numpy's; without the score term alone they would be {bias:.0f} errors away"


def bits(scratch):
    ini = empty_ini(scratch)
    common = [*small_data("vae"), "data.rows=40", "optim.batch=20", "inference.hidden=6", "optim.steps=6", "optim.tile=5", "log.eval_draws=2", "run.reproducible=yes"]
    one = [*common, "objective.kl=sampled"]
    expect_same_bits(fit(scratch / "stl", *one, "objective.estimator=stl", ini=ini), fit(scratch / "one", *one, "objective.name=iwae", "objective.estimator=dreg", ini=ini, np=2),
                     "dreg with one draw against stl")
    several = [*common, "objective.name=iwae", "objective.estimator=dreg", "objective.draws=4"]
    expect_same_bits(fit(scratch / "n1", *several, ini=ini), fit(scratch / "n3", *several, ini=ini, np=3), "dreg on 1 and 3 ranks")
    start(None, [ini, *one, "objective.name=iwae", "objective.estimator=dreg", "run.precision=double", "--check-gradient"])
    return "with one draw sticking the landing; the same bits on 1 and 3 ranks"


def refusals(scratch):
    ini = empty_ini(scratch)
    for settings, words in ((["objective.estimator=dreg"], "use stl, or objective.name = iwae"), (["objective.name=iwae", "objective.draws=3", "objective.estimator=stl"], "use dreg, or pathwise"),
                            (["objective.name=iwae", "inference.family=flow", "objective.estimator=dreg"], "use pathwise"),
                            (["objective.name=iwae", "objective.draws=3", "objective.estimator=dreg", "--check-gradient"], "use pathwise, or objective.draws = 1")):
        said = start(None, [ini, *small_data("vae"), "data.rows=40", "optim.batch=20", "optim.steps=1", f"run.output={scratch / 'no'}", *settings], expect=(78,))
        if words not in said:
            raise Failure(f"{settings}: {said.strip()}")
    return "refused where it is no gradient, with what to use"


def ppca(scratch):
    """At rate 0 each step is another estimate of the bound at the same parameters; log p(x) = log N(x; mu, W W' + s^2 I)."""
    ini, bounds = empty_ini(scratch), []
    common = ["model.name=ppca", "model.latent=2", "model.simulate_width=4", "data.source=model", "data.rows=80", "run.precision=double", "inference.hidden=6", "optim.batch=0",
              "optim.learning_rate=0", "optim.steps=20", "objective.name=iwae", "log.every=1", "log.eval_draws=2"]
    for draws in (1, 10, 100, 1000):
        run = fit(scratch / f"k{draws}", *common, f"objective.draws={draws}", ini=ini)
        bound = read(run / "run.h5", "trace/elbo")[0]
        bounds.append((bound.mean(), bound.std(ddof=1) / numpy.sqrt(len(bound))))
    start(None, [ini, *common[:5], "run.task=simulate", f"run.output={scratch / 'data'}", "-q"])
    x = read(scratch / "data/data.h5", "x")[0]
    w, mu, log_s = read(run / "run.h5", "global/decoder.weight/mean", "global/decoder.bias/mean", "global/log_noise_sd/mean")
    c, d = w @ w.T + numpy.exp(2 * log_s.ravel()[0]) * numpy.eye(4), x - mu.ravel()
    exact = -0.5 * (len(x) * (4 * numpy.log(2 * numpy.pi) + numpy.linalg.slogdet(c)[1]) + numpy.einsum("ni,ni->", d, numpy.linalg.solve(c, d.T).T))
    gaps = [exact - b for b, _ in bounds]
    if not (gaps[0] > 10 * abs(gaps[-1]) and all(a > b - 4 * e for a, b, (_, e) in zip(gaps, gaps[1:], bounds[1:])) and -4 * bounds[-1][1] < gaps[-1] < 0.02 * len(x)):
        raise Failure(f"log p(x) = {exact}, bounds {bounds}")
    return f"{', '.join(f'{g:.3g}' for g in gaps)} nats below log p(x) of ppca with 1, 10, 100, 1000 draws"


if __name__ == "__main__":
    main(means, bits, refusals, ppca)
