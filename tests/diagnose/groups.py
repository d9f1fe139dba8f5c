"""The task diagnose on groups of any number of entries: what groups with equal means lose, against Newton's method and quadrature in numpy; equal multisets; the same bits on 1, 2 and 3 ranks."""
import h5py
import numpy

from runs import Failure, empty_ini, expect_same_bits, fit, main, read, start

BASE = ["model.name=hier_logistic", "run.precision=double", "objective.draws=0"]
MLP, SET = ["inference.function=mlp", "inference.hidden=4"], ["inference.function=set", "inference.entry_hidden=4", "inference.hidden=4"]
NODE, WEIGHT = numpy.polynomial.hermite_e.hermegauss(80)
WEIGHT = WEIGHT / WEIGHT.sum()


def write(path, groups):
    with h5py.File(path, "w") as file:
        file["x/data"] = numpy.concatenate(groups)
        file["x/indptr"] = numpy.concatenate([[0], numpy.cumsum([len(g) for g in groups])])
    return [f"data.path={path}", "data.source=hdf5", "data.dataset=x", f"model.covariates={groups[0].shape[1] - 1}"]


def diagnosis(folder):
    with h5py.File(folder / "run.h5") as file:
        group = file["diagnose"]
        found = {name: group[name][()] for name in group}
        return {**found, **dict(group.attrs), "verdict": found["verdict"].decode()}


def parameters(scratch):
    """Of a fit to drawn groups: slopes that are not 0."""
    return fit(scratch / "theta", *BASE[:2], "data.source=model", "data.rows=200", "model.group_sizes=equal", "model.trials=20", "model.covariates=1", "model.simulate_beta=2", "optim.batch=50",
               "inference.function=factorized", "optim.learning_rate=3e-2", "optim.steps=150", ini=empty_ini(scratch))


class Group:
    """ELBO of one group as a function of mean and log sd of q(z), its optimum, and the curvatures by which factors are weighed."""

    def __init__(self, entries, theta):
        alpha, log_tau, beta = theta
        self.y, self.offset, self.tau = entries[:, 0], alpha + entries[:, 1:] @ beta, numpy.exp(log_tau)
        self.best = numpy.zeros(2)
        for _ in range(60):
            here, step = self.gradient(self.best), 1e-5
            hessian = numpy.column_stack([(self.gradient(self.best + d) - self.gradient(self.best - d)) / (2 * step) for d in step * numpy.eye(2)])
            self.best = self.best - numpy.linalg.solve(hessian, here)
        self.metric = numpy.array([numpy.exp(-2 * self.best[1]), 2.0])

    def logits(self, nu):
        return self.offset[:, None] + self.tau * (nu[0] + numpy.exp(nu[1]) * NODE)

    def elbo(self, nu):
        a = self.logits(nu)
        return numpy.sum((self.y[:, None] * a - numpy.logaddexp(0, a)) @ WEIGHT) - 0.5 * (nu[0] ** 2 + numpy.exp(2 * nu[1]) - 1) + nu[1]

    def gradient(self, nu):
        slope = self.tau * numpy.sum(self.y[:, None] - 1 / (1 + numpy.exp(-self.logits(nu))), 0)
        return numpy.array([slope @ WEIGHT - nu[0], numpy.exp(nu[1]) * ((slope * NODE) @ WEIGHT) - numpy.exp(2 * nu[1]) + 1])


def shared_loss(groups, theta):
    """What all lose that share one factor, the mean of theirs by curvature."""
    one = [Group(g, theta) for g in groups]
    shared = sum(g.metric * g.best for g in one) / sum(g.metric for g in one)
    return sum(g.elbo(g.best) - g.elbo(shared) for g in one)


def equal_means(scratch):
    """Two kinds of groups with equal means and numbers of entries: what a function of means must lose is what numpy says, groups of the two kinds are named, and a function of the entries need
    not lose it. Kinds that differ in their covariances are told apart by the floor of self; kinds that differ in third moments alone are not, and are not taken for equal all the same."""
    shuffled, kept = numpy.random.default_rng(3).permutation, parameters(scratch)
    theta = [read(kept, f"/global/{name}/mean").ravel() for name in ("alpha", "log_tau", "beta")]
    flat = numpy.array([[1, 0], [1, 0], [1, 0], [0, 0], [0, 0], [0, 0]], float)
    wide = numpy.array([[1, 3], [1, -3], [1, 0], [0, 3], [0, -3], [0, 0]], float)
    left, right = numpy.array([[1, -1], [1, -1], [1, 2]], float), numpy.array([[1, 1], [1, 1], [1, -2]], float)
    fixed = [f"model.theta_from={kept}", "model.trials=20", "model.group_sizes=equal", "model.simulate_beta=2", "model.theta_fixed=yes", "optim.steps=1", "run.after=diagnose",
             "diagnose.tolerance=1e-5", "gap.tolerance=1e-7", "gap.passes=2000"]
    for name, kinds in (("covariances", (flat, wide)), ("skewness", (left, right))):
        groups = [shuffled(kinds[n % 2]) for n in range(80)]
        data, want = write(scratch / f"{name}.h5", groups), shared_loss(groups, theta)
        d = diagnosis(fit(scratch / f"{name}_mlp", *BASE, *data, *fixed, *MLP, ini=empty_ini(scratch), np=2))
        if not abs(d["equal_inputs_lose"] - want) < 1e-6 * want or d["rows_with_equal_inputs"] != 80:
            raise Failure(f"{name}: {d['rows_with_equal_inputs']} groups with equal means lose {d['equal_inputs_lose']:.9g}, in numpy {want:.9g}")
        if not abs(d["floor_means"] - want) < 0.1 * want:
            raise Failure(f"{name}: floor of means {d['floor_means']:.6g}, a constant leaves {want:.6g}")
        i, j = d["witness"][0]
        if (i - j) % 2 != 1 or f"closable with domain self, not with means: groups {i} and {j} have the same input" not in d["verdict"] or "set or attention" not in d["verdict"]:
            raise Failure(f"{name}: {d['verdict']}")
        told = d["floor_self"] / want
        if not (told < 1e-3 if name == "covariances" else told > 0.9):
            raise Failure(f"{name}: the floor of self is {told:.3g} of that of means")
        for function in (SET, ["inference.function=factorized"]):
            d = diagnosis(fit(scratch / f"{name}_{function[0][19:]}", *BASE, *data, *fixed, *function, ini=empty_ini(scratch)))
            if not d["verdict"].startswith("closable with domain self: an optimal factor depends on the entries of its group alone"):
                raise Failure(f"{name}, {function}: {d['verdict']}")
            if d["rows_with_equal_inputs"] != 80 or not d["equal_inputs_lose"] < 1e-9 * want:
                raise Failure(f"{name}, {function}: {d['rows_with_equal_inputs']} equal groups lose {d['equal_inputs_lose']:.3g}")
    return f"equal means lose {want:.6g} nats as in numpy, equal groups nothing"


def sufficient_means(scratch):
    """Without covariates the factor of a group follows from the mean of its outcomes and their number: a function of means closes the gap."""
    generator = numpy.random.default_rng(6)
    groups = [(generator.random((n, 1)) < 1 / (1 + numpy.exp(-generator.normal()))).astype(float) for n in generator.integers(0, 9, 300)]
    d = diagnosis(fit(scratch / "means", *BASE, *write(scratch / "y.h5", groups), *MLP, "optim.steps=5", "run.after=diagnose", ini=empty_ini(scratch)))
    if not d["verdict"].startswith("closable with domain means: ") or not d["floor_means"] < 1e-3 * 300 or d["equal_inputs_lose"] > 1e-7:
        raise Failure(f"{d['verdict']}; equal means lose {d['equal_inputs_lose']:.3g}")
    return f"means leave {d['floor_means'] / 300:.1e} nats per group"


def bits(scratch):
    """The same bits on 1, 2 and 3 ranks, of groups without entries too, and of streamed groups; by itself after a fit."""
    how = [*BASE[:1], "data.source=model", "data.rows=90", "model.group_sizes=uniform", "model.trials=4", "run.reproducible=yes", "optim.batch=24", "optim.tile=4", "optim.steps=6", "diagnose.rows=60"]
    for function in (MLP, SET):
        name, ini = function[0][19:], empty_ini(scratch)
        one = fit(scratch / name, *how, *function, "run.after=diagnose", ini=ini)
        for np, storage in ((2, "memory"), (3, "stream")):
            other = fit(scratch / f"{name}{np}", *how, *function, "run.after=diagnose", f"data.storage={storage}", ini=ini, np=np)
            a, b = diagnosis(one), diagnosis(other)
            for what, value in a.items():
                if numpy.asarray(value).tobytes() != numpy.asarray(b[what]).tobytes():
                    raise Failure(f"{name}, {np} ranks, {storage}: other bits of /diagnose/{what}")
    fit(scratch / "later", *how, *function, ini=ini)
    start(None, [ini, *how, *function, "run.task=diagnose", f"run.output={scratch / 'later'}"])
    expect_same_bits(scratch / "later", one, "run.task = diagnose after the fit against run.after = diagnose")
    said = start(None, [ini, *how, *function, "run.after=diagnose", "--dry-run", f"run.output={scratch / 'no'}"])
    if "diagnose" not in said:
        raise Failure(said)
    return "the same bits"


if __name__ == "__main__":
    main(equal_means, sufficient_means, bits)
