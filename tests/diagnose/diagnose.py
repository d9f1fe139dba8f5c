"""The task diagnose: floors against generalised least squares in numpy, the rows that a verdict names, equal inputs with different factors, the same bits on 1, 2 and 3 ranks."""

import h5py
import numpy

from runs import Failure, empty_ini, expect_same_bits, fit, main, refusal, small_data, start

NOISELESS = ["data.source=hdf5", "data.dataset=x", "run.precision=double", "objective.draws=0", "optim.method=lbfgs", "optim.batch=0", "optim.steps=60"]
A = 0.75  # of the saw


def write(path, x):
    with h5py.File(path, "w") as file:
        file["x"] = x
    return f"data.path={path}"


def diagnosis(folder):
    with h5py.File(folder / "run.h5") as file:
        group = file["diagnose"]
        found = {name: group[name][()] for name in group}
        return {**found, **dict(group.attrs), "verdict": found["verdict"].decode(), "theta": file["global/theta/mean"][()].item() if "global/theta" in file else None}


def near(what, got, want, share, more=0.0):
    if not abs(got - want) <= share * abs(want) + more:
        raise Failure(f"{what}: {got}, expected {want} within {100 * share:g} %")


def window(x, before, after):
    """Constant and rows n - before .. n + after, the edge row beyond the ends."""
    n = numpy.arange(len(x))
    return numpy.column_stack([numpy.ones(len(x))] + [x[numpy.clip(n + k, 0, len(x) - 1)] for k in range(-before, after + 1)])


def least(features, target, weight):
    """min over b of (F b - t)' W (F b - t) / 2."""
    b = numpy.linalg.solve(features.T @ weight @ features, features.T @ weight @ target)
    rest = features @ b - target
    return rest @ weight @ rest / 2


def hmm(scratch):
    """z_n ~ N(z_{n-1}, 1), x_n ~ N(z_n, 1): the means of the optimum are L^-1 x, what means m lose is (m - L^-1 x)' L (m - L^-1 x) / 2, and the best function of a window is affine."""
    generator, rows = numpy.random.default_rng(4), 400
    x = numpy.cumsum(generator.normal(size=rows)) + generator.normal(size=rows)
    precision = 3 * numpy.eye(rows) - numpy.eye(rows, k=1) - numpy.eye(rows, k=-1)
    precision[-1, -1] = 2
    best = numpy.linalg.solve(precision, x)
    d = diagnosis(fit(scratch / "hmm", "model.name=hmm", *NOISELESS, write(scratch / "x.h5", x), "inference.function=factorized", "run.after=diagnose", ini=empty_ini(scratch)))
    floors = []
    for name, before, after in (("self", 0, 0), ("next", 0, 1), ("window:1", 1, 1), ("window:2", 2, 2), ("window:4", 4, 4), ("window:8", 8, 8)):
        scale = numpy.diag(precision) * rows / numpy.trace(precision)
        exact = least(window(x, before, after), best, precision) + numpy.sum(scale - 1 - numpy.log(scale)) / 2
        near(f"hmm, floor of {name}", d[f"floor_{name}"], exact, 0.06)
        floors.append(d[f"floor_{name}"])
    if not all(a > b > 0 for a, b in zip(floors, floors[1:])):
        raise Failure(f"floors of wider domains do not fall: {floors}")
    i, j = d["witness"][0]
    if not d["verdict"].startswith(f"not closable with domain self: rows {i} and {j} have nearly the same input") or "no domain is exact" not in d["verdict"]:
        raise Failure(d["verdict"])
    near("the distance of the two rows", d["witness_distance"][0], abs(x[i] - x[j]) / x.std(), 1e-6)
    near("the difference of their factors", d["witness_difference"][0], abs(best[i] - best[j]) * 3**0.5, 0.3)
    if d["witness_distance"][0] > 0.02 or abs(best[i] - best[j]) < 0.3:
        raise Failure(f"rows {i} and {j} are no witnesses: inputs {x[i]}, {x[j]}, means {best[i]}, {best[j]}")
    return "not closable; floors of six domains equal generalised least squares and fall"


def linear(scratch):
    x = numpy.random.default_rng(3).normal(2, 1.5, 200)
    for function in (["inference.function=factorized"], ["inference.function=constant"]):
        d = diagnosis(fit(scratch / function[0], "model.name=linear", "model.tau=1.3", "model.sigma=0.8", *NOISELESS, write(scratch / "x.h5", x), *function, "run.after=diagnose",
                          ini=empty_ini(scratch)))
        if not d["verdict"].startswith("closable with domain self") or d["floor_self"] > 1e-4:
            raise Failure(f"{d['verdict']}; floor {d['floor_self']}")
    v = 0.8**2 + 1.3**2
    gap = v / (2 * 0.8**2) * numpy.sum((1.3 * (x - x.mean()) / v) ** 2)
    near("the gap of the constant", d["amortization_gap"], gap, 1e-4)
    near("what a correction gains", d["correction_gains"], gap, 1e-3)
    return "closable; what the constant function loses can be recovered"


def saw_data(generator, rows):
    x = numpy.zeros(rows + 1)
    for n in range(rows):
        x[n + 1] = A * (x[n] + generator.normal() + 1.5) + generator.normal()
    return x


def saw_means(x, theta):
    return x[:-1] + A * (x[1:] - A * x[:-1] - A * theta) / (1 + A**2)


def saw(scratch):
    """The optimal factor has mean x_n + a (x_{n+1} - a x_n - a theta) / (1 + a^2) and variance 1 / (1 + a^2): affine in (x_n, x_{n+1}), and of one of them the best function is affine too,
    since the series is Gaussian."""
    x = saw_data(numpy.random.default_rng(8), 320)
    ini = empty_ini(scratch)
    common = ["model.name=saw", f"model.a={A}", "model.global=gaussian", *NOISELESS, write(scratch / "x.h5", x), "inference.function=factorized", "run.after=diagnose"]
    for name, inputs in (("self", x[:-1]), ("ahead", x[1:])):
        d = diagnosis(fit(scratch / name, *common, f"inference.domain={name}", ini=ini))
        best = saw_means(x, d["theta"])
        exact = least(numpy.column_stack([numpy.ones(len(best)), inputs]), best, (1 + A**2) * numpy.eye(len(best)))
        near(f"saw, floor of {name}", d[f"floor_{name}"], exact, 0.05)
        if not d["verdict"].startswith(f"closable with domain next, not with {name}: rows ") or d["floor_next"] > 1e-6:
            raise Failure(d["verdict"])
    d = diagnosis(fit(scratch / "next", *common, "inference.domain=next", ini=ini))
    if not d["verdict"].startswith("closable with domain next: "):
        raise Failure(d["verdict"])
    return "closable with next, not with self or ahead alone, whose floors equal least squares"


def equal_inputs(scratch):
    """Inputs that repeat, each in several groups with other factors: rows of a saw with few values. What they lose is the scatter of the factors within rows that look alike."""
    x = numpy.random.default_rng(2).integers(0, 4, 241).astype(float)
    d = diagnosis(fit(scratch / "equal", "model.name=saw", f"model.a={A}", "model.global=gaussian", *NOISELESS, write(scratch / "x.h5", x), "inference.function=factorized", "run.after=diagnose",
                      ini=empty_ini(scratch)))
    best, cells = saw_means(x, d["theta"]), x[:-1]
    scatter = sum(numpy.sum((best[cells == value] - best[cells == value].mean()) ** 2) for value in range(4)) * (1 + A**2) / 2
    near("what equal inputs lose", d["equal_inputs_lose"], scatter, 1e-4)
    near("the floor", d["floor_self"], scatter, 0.05)
    i, j = d["witness"][0]
    if x[i] != x[j] or abs(best[i] - best[j]) < 0.5 or f"rows {i} and {j} have the same input" not in d["verdict"] or "not with self" not in d["verdict"]:
        raise Failure(d["verdict"])
    if d["rows_with_equal_inputs"] != 240 or not f"at least {scatter / 240:.3g}"[:-1] in d["verdict"]:
        raise Failure(f"{d['rows_with_equal_inputs']} rows with equal inputs, scatter {scatter / 240} per row; {d['verdict']}")
    return "rows with the same input are named, and what they lose is the scatter of their factors"


def posterior_modes(scratch):
    """The nonlinear model with the best of several modes: nu* jumps as x moves. The function that takes the factor of the nearest row loses of rows left out what quadrature in numpy says, half of
    which is the floor, and far less than a smooth one."""
    x = numpy.random.default_rng(11).normal(0, 5, 500)
    x = x * numpy.sin(x) + x + numpy.exp(numpy.cos(x)) * numpy.random.default_rng(12).normal(size=500)
    folder = fit(scratch / "modes", "model.name=nonlinear", "model.global=gaussian", "model.start=mean", *NOISELESS, write(scratch / "x.h5", x), "inference.function=factorized",
                 "inference.starts=8", "run.after=diagnose", ini=empty_ini(scratch))
    d = diagnosis(folder)
    with h5py.File(folder / "run.h5") as file:
        mean, log_sd, theta = file["local/mean"][()].ravel(), file["local/log_sd"][()].ravel(), [file[f"global/theta/{name}"][()].item() for name in ("mean", "sd")]
    order = numpy.argsort(x)
    left, right = numpy.diff(x[order], prepend=-numpy.inf), numpy.diff(x[order], append=numpy.inf)
    nearest = numpy.empty(500, int)
    nearest[order] = order[numpy.clip(numpy.arange(500) + numpy.where(left < right, -1, 1), 0, 499)]
    node, weight = numpy.polynomial.hermite_e.hermegauss(120)

    def elbo(mean, log_sd):
        z = mean[:, None] + numpy.exp(log_sd)[:, None] * node
        noise = numpy.cos(z)
        energy = ((x[:, None] - theta[0] - z * numpy.sin(z) - z) ** 2 + theta[1] ** 2) / (2 * numpy.exp(2 * noise)) + noise + z * z / 2
        return -energy @ weight / weight.sum() + log_sd

    lost = numpy.sum(elbo(mean, log_sd) - elbo(mean[nearest], log_sd[nearest]))
    near("what rows lose by the factor of the nearest row", d["left_out_self"], lost, 0.01)
    near("the floor", d["floor_self"], lost / 2, 0.05, 2e-3 * 500)
    if "one that jumps where optimal factors do" not in d["verdict"]:
        raise Failure(d["verdict"])
    return f"the nearest row's factor leaves {lost / 1000:.3g} nats per row"


def well_trained(scratch):
    """What is predicted before any network is trained, from a factorized run, against networks that are: ppca loses nothing, hier_logistic between what a network loses of the rows that it was
    fitted to and of others."""
    generator = numpy.random.default_rng(1)
    x = generator.normal(size=(200, 3)) @ generator.normal(size=(3, 8)) + 0.5 * generator.normal(size=(200, 8))
    ppca = ["model.name=ppca", "model.latent=3", *NOISELESS, write(scratch / "ppca.h5", x)]
    group = ["model.name=hier_logistic", "model.trials=10", "model.covariates=2", "model.prior_sd=2.5", "model.global=gaussian", "data.source=model", "data.rows=300", "data.test_rows=300",
             *NOISELESS[2:]]
    said = []
    for name, settings, network in (("ppca", ppca, ["inference.hidden="]), ("hier_logistic", group, ["inference.hidden=32,32", "inference.activation=tanh"])):
        ini = empty_ini(scratch)
        before = diagnosis(fit(scratch / f"{name}_f", *settings, "optim.steps=150", "inference.function=factorized", "run.after=diagnose", "log.test_factors=no", ini=ini))
        folder = fit(scratch / name, *settings, "optim.steps=150", "inference.function=mlp", *network, "run.after=gap", "gap.draws=25", "gap.tolerance=1e-7", ini=ini)
        with h5py.File(folder / "run.h5") as file:
            gaps = [file[f"gap/{one}"].attrs["total_amortization_gap"] for one in ("train", "test") if f"gap/{one}" in file]
        rows = 200 if name == "ppca" else 300
        floor = before["floor_self"]
        if not min(gaps) - 1e-4 * rows <= floor <= 1.05 * max(gaps) + 1e-4 * rows:
            raise Failure(f"{name}: a floor of {floor / rows} nats per row is predicted, networks lose {[g / rows for g in gaps]}")
        said.append(f"{name} {floor / rows:.2g} predicted, {', '.join(f'{g / rows:.2g}' for g in gaps)}")
    return "; ".join(said)


def bits(scratch):
    ini = empty_ini(scratch)
    for model in ("vae", "hmm", "saw"):
        common = [*small_data(model), "data.rows=57", "data.test_rows=10", "inference.function=mlp", "inference.hidden=6", "optim.batch=20", "optim.tile=4", "optim.steps=5", "run.reproducible=yes",
                  "run.after=diagnose", "diagnose.draws=8", "gap.passes=12"]
        one = fit(scratch / f"{model}1", *common, ini=ini)
        for np in (2, 3):
            expect_same_bits(fit(scratch / f"{model}{np}", *common, ini=ini, np=np), one, f"{model}, {np} ranks")
        few = fit(scratch / f"{model}few", *common, "diagnose.rows=30", ini=ini)
        rows = diagnosis(few)["row"]
        if len(set(rows)) != len(rows) or not 24 <= len(rows) <= 30:
            raise Failure(f"{model}: a sample of {len(rows)} rows where 30 were asked for")
    fit(scratch / "later", *[a for a in common if not a.startswith("run.after")], ini=ini)
    start(None, [ini, *common, "run.task=diagnose", f"run.output={scratch / 'later'}"])
    expect_same_bits(scratch / "later", one, "run.task = diagnose after the fit against run.after = diagnose")
    return "the same bits at 1, 2 and 3 ranks, 57 rows in tiles of 4, and by itself after the fit"


def words(scratch):
    """The lines at the end of a fit: the gap, who carries half of it, and whether a larger function or domain would help."""
    ini = empty_ini(scratch)
    said = start(2, [ini, *small_data("vae"), "data.rows=120", "data.test_rows=40", "inference.function=mlp", "inference.hidden=8", "optim.batch=40", "optim.tile=10", "optim.steps=40",
                     "run.after=gap, diagnose", "gap.draws=64", f"run.output={scratch / 'words'}"])
    for line in ("nats per row on training data", "nats per row on held-out data", "of the rows carry half of it", "  diagnose     closable with domain self: ", "a larger inference function",
                 "a larger domain would not help", f"{scratch / 'words'}/run.h5", f"report       analysis/report.py {scratch / 'words'}"):
        if line not in said:
            raise Failure(f"'{line}' is missing from\n{said}")
    d = diagnosis(scratch / "words")
    with h5py.File(scratch / "words" / "run.h5") as file:
        of_gap = dict(file["gap/train"].attrs)
    near("the gap of the diagnosis, which has all rows,", d["amortization_gap"], of_gap["total_amortization_gap"], 0, 3 * of_gap["error_amortization_gap"])
    near("its error", d["error_amortization_gap"], of_gap["error_amortization_gap"], 0.3)
    said = refusal(start(None, [ini, *small_data("gp"), "data.rows=40", "optim.batch=0", "run.after=diagnose", f"run.output={scratch / 'no'}"], expect=(78,))) or ""
    if "use run.task = exact" not in said:
        raise Failure(said)
    return "the lines at the end of a fit; dense models are refused"


if __name__ == "__main__":
    main(hmm, linear, saw, equal_inputs, posterior_modes, well_trained, bits, words)
