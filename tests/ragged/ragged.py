"""Groups of any number of entries: fits of hier_logistic against its padded form, bit for bit, and against an ELBO that numpy takes by quadrature of its own."""
import h5py
import numpy

from runs import Failure, empty_ini, expect_same_bits, fit, main, numbers, read, start

BASE = ["model.name=hier_logistic", "data.source=hdf5", "data.dataset=x", "model.covariates=2", "inference.function=factorized", "log.every=1"]
SIZES = [3, 0, 1, 700, 5, 0, 12, 1, 2, 40, 7, 4, 0, 9, 6, 3, 3, 8, 1, 0]  # empty groups, and one that is most of the data
LOG_2PI = numpy.log(2 * numpy.pi)


def draw(sizes, seed=3):
    """Outcomes and covariates of each group."""
    generator = numpy.random.default_rng(seed)
    groups = []
    for n in sizes:
        x = generator.normal(size=(n, 2))
        logit = 0.3 + 1.2 * generator.normal() + x @ [1.0, -0.5]
        groups.append(numpy.column_stack([(generator.random(n) < 1 / (1 + numpy.exp(-logit))).astype(float), x]))
    return groups


def write_groups(path, groups, name="x"):
    with h5py.File(path, "a") as file:
        file[f"{name}/data"] = numpy.concatenate(groups)
        file[f"{name}/indptr"] = numpy.concatenate([[0], numpy.cumsum([len(g) for g in groups])])
    return path


def write_padded(path, groups, trials):
    """Rows of one width: outcomes below 0 are absent."""
    rows = numpy.zeros((len(groups), trials * 3))
    rows[:, :trials] = -1
    for row, group in zip(rows, groups):
        row[: len(group)] = group[:, 0]
        row[trials:trials + 2 * len(group)] = group[:, 1:].ravel()
    with h5py.File(path, "w") as file:
        file["x"] = rows
    return path


def padded(scratch):
    """The same bits as the padded form, where groups have one size and where they have not, by minibatches and all at once, by a network without data too."""
    count = 0
    for name, sizes, trials in (("equal", [6] * 50, 6), ("uneven", SIZES * 3, 700)):
        groups = draw(sizes)
        ragged, dense = write_groups(scratch / f"{name}.h5", groups), write_padded(scratch / f"{name}_dense.h5", groups, trials)
        for how in (["optim.batch=20", "optim.steps=30", "objective.draws=3", "model.global=gaussian"], ["optim.batch=0", "optim.steps=4", "run.precision=double", "optim.tile=7"],
                    ["optim.batch=20", "optim.steps=6", "inference.function=constant", "objective.draws=0", "run.reproducible=yes", "objective.points=8", "model.global=gaussian"]):
            a = fit(scratch / f"r{count}", *BASE, f"data.path={ragged}", *how, ini=empty_ini(scratch))
            b = fit(scratch / f"p{count}", *BASE, f"data.path={dense}", f"model.trials={trials}", *how, ini=empty_ini(scratch))
            evaluations = ["/eval/elbo_train"] if name == "equal" else []  # else wide rows are evaluated by draws, and few entries by quadrature
            for what in ("/trace/elbo", "/trace/log_likelihood", "/global/alpha/mean", "/global/beta/mean", *evaluations):
                if read(a, what).tobytes() != read(b, what).tobytes():
                    raise Failure(f"{name} groups, {how}: other bits of {what} than padded rows: {read(a, what).ravel()[:3]}, {read(b, what).ravel()[:3]}")
            count += 1
    return f"{count} fits with the bits of padded rows"


def expected_log_likelihood(groups, theta, factors, nodes=80):
    """Of each group under q(z) = N(m, s^2) and a factorized Gaussian q(theta): the logit of a trial is Gaussian given log tau, whose quadrature has nodes of its own."""
    point, weight = numpy.polynomial.hermite_e.hermegauss(nodes)
    weight = weight / weight.sum()
    (a, sa), (t, st), (b, sb) = theta
    total = []
    for group, (m, s) in zip(groups, factors):
        y, x = group[:, 0], group[:, 1:]
        value = 0.0
        for u, w in zip(point, weight) if st else [(0, 1)]:
            tau = numpy.exp(t + st * u)
            mean, sd = a + tau * m + x @ b, numpy.sqrt(sa**2 + tau**2 * s**2 + x**2 @ sb**2)
            logit = mean[:, None] + sd[:, None] * point
            value += w * numpy.sum(y * mean - numpy.logaddexp(0, logit) @ weight)
        total.append(value)
    return numpy.array(total)


def elbo(groups, run, gaussian, prior_sd=2.5):
    names, sds = ("alpha", "log_tau", "beta"), ("alpha", "log_tau", "beta")
    means = [read(run, f"/global/{n}/mean").ravel() for n in names]
    spread = [read(run, f"/global/{n}/sd").ravel() if gaussian else numpy.zeros(len(m)) for n, m in zip(sds, means)]
    m, log_s = read(run, "/local/mean").ravel(), read(run, "/local/log_sd").ravel()
    theta = [(means[0][0], spread[0][0]), (means[1][0], spread[1][0]), (means[2], spread[2])]
    local = expected_log_likelihood(groups, theta, zip(m, numpy.exp(log_s))) - 0.5 * (m**2 + numpy.exp(2 * log_s) - 1) + log_s
    value, sd = numpy.concatenate(means), numpy.concatenate(spread)
    prior = -0.5 * (value**2 + sd**2) / prior_sd**2 - numpy.log(prior_sd) - 0.5 * LOG_2PI
    entropy = numpy.log(sd) + 0.5 * LOG_2PI + 0.5 if gaussian else 0
    return (local.sum() + numpy.sum(prior + entropy)) / len(groups)


def quadrature(scratch):
    """The ELBO of the last evaluation is that of the stored parameters, of uneven groups with empty ones and a huge one; L-BFGS ends where its derivatives vanish; gradients are right."""
    groups = draw(SIZES)
    path, told = write_groups(scratch / "d.h5", groups), []
    for gaussian in (False, True):
        how = [*BASE, f"data.path={path}", "run.precision=double", "objective.draws=0", "objective.points=64", "optim.method=lbfgs", "optim.batch=0", "optim.steps=40",
               f"model.global={'gaussian' if gaussian else 'point'}"]
        run = fit(scratch / f"q{gaussian}", *how, ini=empty_ini(scratch))
        told.append(abs(read(run, "/eval/elbo_train")[-1] - elbo(groups, run, gaussian)))
        if not told[-1] < 2e-7:  # nine points for log tau in the program, 80 here
            raise Failure(f"ELBO {read(run, '/eval/elbo_train')[-1]:.12g}, by quadrature {elbo(groups, run, gaussian):.12g}")
        empty = numpy.array(SIZES) == 0
        if not numpy.max(numpy.abs([read(run, "/local/mean").ravel()[empty], read(run, "/local/log_sd").ravel()[empty]])) < 1e-4:
            raise Failure("the factor of a group without entries is not its prior")
        start(None, [empty_ini(scratch), *how, "--check-gradient", f"run.output={scratch / 'c'}"])
    start(3, [empty_ini(scratch), *BASE, f"data.path={path}", "--check-gradient", "run.precision=double", "inference.function=mlp", "inference.hidden=5", f"run.output={scratch / 'c'}"])
    return f"ELBO within {max(told):.1e} of quadrature in numpy"


def ranks(scratch):
    """1, 2 and 3 ranks with the same bits: fit, test groups of which some ranks have none, holdout, gap ledger; F-VI and a network."""
    groups = draw(SIZES * 3)
    path = write_groups(write_groups(scratch / "d.h5", groups), draw([4, 0], 9), "x_test")
    for function in (["inference.function=factorized", "run.after=gap"], ["inference.function=mlp", "inference.hidden=6", "model.global=gaussian"]):
        for test in (["data.test_dataset=x_test"], ["data.holdout=0.2"]):
            runs = [fit(scratch / f"{function[0]}{test[0]}{np}", *BASE, f"data.path={path}", *function, *test, "run.reproducible=yes", "optim.batch=24", "optim.tile=4", "optim.steps=12",
                        np=np, ini=empty_ini(scratch)) for np in (None, 2, 3)]
            for other in runs[1:]:
                expect_same_bits(runs[0], other, f"{function}, {test}")
    held = read(runs[0], "/data/held_out")
    kept = [g for n, g in enumerate(groups) if n not in set(held)]
    split = write_groups(write_groups(scratch / "split.h5", kept), [groups[n] for n in held], "x_test")
    files = fit(scratch / "files", *BASE, f"data.path={split}", "data.test_dataset=x_test", *function, "run.reproducible=yes", "optim.batch=24", "optim.tile=4", "optim.steps=12",
                ini=empty_ini(scratch))
    for what in ("/trace/elbo", "/eval/elbo_test"):
        if read(files, what).tobytes() != read(runs[0], what).tobytes():
            raise Failure(f"groups that are held out and groups in two datasets: other bits of {what}")
    return f"the same bits on 1 to 3 ranks, {len(held)} groups held out as in a file of their own"


def resumed(scratch):
    """A run that was stopped resumes to the bits of one that was not, on another number of ranks; a file with other groups is refused."""
    groups = draw(SIZES * 3)
    path = write_groups(scratch / "d.h5", groups)
    how = [*BASE, f"data.path={path}", "run.reproducible=yes", "optim.batch=24", "optim.tile=4", "optim.schedule=constant", "log.eval_every=-1"]
    whole = fit(scratch / "whole", *how, "optim.steps=25", ini=empty_ini(scratch))
    fit(scratch / "half", *how, "optim.steps=10", np=2, ini=empty_ini(scratch))
    half = fit(scratch / "half", *how, "optim.steps=25", "--resume", np=3, ini=empty_ini(scratch))
    a, b = numbers(whole), numbers(half)
    for what in ("/trace/elbo", "/global/alpha/mean", "/local/mean", "/state/global/value"):
        if a[what].tobytes() != b[what].tobytes():
            raise Failure(f"resumed: other bits of {what}")
    moved = [numpy.concatenate([groups[0], groups[2][:1]]), groups[1], groups[2][1:], *groups[3:]]  # the same entries in other groups
    write_groups(scratch / "moved.h5", moved)
    text = start(None, [empty_ini(scratch), *how, f"data.path={scratch / 'moved.h5'}", "optim.steps=30", "--resume", f"run.output={scratch / 'half'}"], expect=(65,))
    if "data" not in text:
        raise Failure(f"refusal: {text}")
    return "25 steps in two parts with the bits of 25 in one"


def rows(scratch):
    """encode and evaluate of other groups, on 1 and 3 ranks and in blocks of any size: the same bits, the codes of the fit's own rows, ELBOs of numpy; dense rows are refused."""
    groups = draw(SIZES * 4, seed=5)
    path = write_groups(scratch / "d.h5", groups)
    own = fit(scratch / "fit", *BASE, f"data.path={path}", "run.precision=double", "inference.function=mlp", "inference.hidden=6", "optim.batch=20", "optim.steps=20", "run.reproducible=yes",
              "output.local=yes", ini=empty_ini(scratch))
    codes = {}
    for np, block in ((None, 0), (3, 64)):
        out = scratch / f"codes{np}"
        start(np, [own, "-q", "run.task=evaluate", f"rows.block={block}", f"run.output={out}"])
        with h5py.File(out / "rows.h5") as file:
            codes[np] = {name: file[name][()] for name in ("mean", "log_sd", "elbo", "log_p")}
    for name, values in codes[None].items():
        if values.tobytes() != codes[3][name].tobytes():
            raise Failure(f"evaluate: other bits of {name} on 3 ranks, in other blocks")
    if not numpy.max(numpy.abs(codes[None]["mean"].ravel() - read(own, "/local/mean").ravel())) < 1e-12:
        raise Failure("encode: other codes than those of the fit")
    theta = [(read(own, f"/global/{n}/mean").ravel(), 0 * read(own, f"/global/{n}/mean").ravel()) for n in ("alpha", "log_tau", "beta")]
    theta = [(theta[0][0][0], 0.0), (theta[1][0][0], 0.0), theta[2]]
    m, log_s = codes[None]["mean"].ravel(), codes[None]["log_sd"].ravel()
    want = expected_log_likelihood(groups, theta, zip(m, numpy.exp(log_s))) - 0.5 * (m**2 + numpy.exp(2 * log_s) - 1) + log_s
    worst = numpy.max(numpy.abs(codes[None]["elbo"] - want))
    if not worst < 1e-6:
        raise Failure(f"evaluate: an ELBO is {worst:.1e} from that of numpy")
    dense = write_padded(scratch / "dense.h5", groups[:3], 700)
    text = start(None, [own, "run.task=encode", f"data.path={dense}", f"run.output={scratch / 'no'}"], expect=(65,))
    if "has rows of one width, and the fit" not in text:
        raise Failure(f"refusal: {text}")
    return f"ELBOs of rows within {worst:.1e} of numpy's"


def layers(run, name, x, last=lambda v: v):
    """A network of tanh layers with the weights of a run."""
    with h5py.File(run / "run.h5") as file:
        weights = [(file[f"/inference/{name}.{i}.weight"][()], file[f"/inference/{name}.{i}.bias"][()].ravel()) for i in range(9) if f"/inference/{name}.{i}.weight" in file]
    for w, b in weights[:-1]:
        x = numpy.tanh(x @ w.T + b)
    w, b = weights[-1]
    return last(x @ w.T + b)


def amortized(scratch):
    """What inference functions see of groups: means of the columns and log(1 + entries), or, `set`, the mean of what a network makes of each entry; standardised and not; in numpy."""
    groups = draw([0 if n == 700 else n for n in SIZES] * 2, seed=8)
    path, worst = write_groups(scratch / "d.h5", groups), 0
    size = numpy.log1p([len(g) for g in groups])
    for function in (["inference.function=mlp", "inference.hidden=6"], ["inference.function=set", "inference.entry_hidden=7,4", "inference.hidden=6"]):
        for standardise in ("yes", "no"):
            run = fit(scratch / f"{function[0]}{standardise}", *BASE, f"data.path={path}", "run.precision=double", *function, "inference.activation=tanh", f"inference.standardise={standardise}",
                      "optim.batch=10", "optim.steps=8", "output.local=yes", ini=empty_ini(scratch), np=2)
            seen = groups
            if standardise == "yes":
                centre, spread = read(run, "/inference/feature_mean").ravel(), read(run, "/inference/feature_sd").ravel()
                entries = numpy.concatenate(groups)
                if not numpy.max(numpy.abs([centre - entries.mean(0), spread - entries.std(0)])) < 1e-8:
                    raise Failure("means and sds of the inputs are not those of the entries")
                seen = [(g - centre) / spread for g in groups]
            each = (lambda g: layers(run, "entry", g, numpy.tanh)) if "set" in function[0] else (lambda g: g)
            pooled = [each(g).mean(0) if len(g) else numpy.zeros(4 if "set" in function[0] else 3) for g in seen]
            nu = layers(run, "encoder", numpy.column_stack([pooled, size]))
            worst = max(worst, numpy.max(numpy.abs(nu - numpy.column_stack([read(run, "/local/mean"), read(run, "/local/log_sd")]))))
            if not worst < 1e-10:
                raise Failure(f"{function}, standardise = {standardise}: factors are {worst:.1e} from numpy's")
    text = start(None, [empty_ini(scratch), "model.name=linear", "data.source=model", "inference.function=set", f"run.output={scratch / 'no'}"], expect=(78,))
    if "set pools the entries of groups" not in text or "use mlp" not in text:
        raise Failure(f"refusal: {text}")
    return f"factors of four functions within {worst:.1e} of numpy's"


def streamed(scratch):
    """Groups that are drawn anew at each step: the bits of groups that are held, with held-out groups, on 1 and 3 ranks; less memory."""
    how = ["model.name=hier_logistic", "data.source=model", "data.rows=300", "data.holdout=0.2", "model.trials=30", "model.group_sizes=geometric", "inference.function=set",
           "inference.entry_hidden=6", "inference.hidden=5", "inference.standardise=yes", "optim.steps=8", "optim.batch=64", "optim.tile=4", "run.reproducible=yes", "log.every=1"]
    # The moments of streamed rows are of a sample: here of all of them.
    runs = [fit(scratch / f"{storage}{np}", *how, f"data.storage={storage}", np=np, ini=empty_ini(scratch)) for storage, np in (("memory", None), ("stream", None), ("stream", 3))]
    for other in runs[1:]:
        for what in ("/trace/elbo", "/eval/elbo_train", "/eval/elbo_test", "/inference/encoder.0.weight", "/global/beta/mean"):
            if read(runs[0], what).tobytes() != read(other, what).tobytes():
                raise Failure(f"streamed groups: other bits of {what}")
    more = fit(scratch / "stream3", *how, "data.storage=memory", "optim.steps=12", "--resume", ini=empty_ini(scratch))
    if len(read(more, "/trace/elbo")) != 12:
        raise Failure("a streamed run does not resume with rows in memory")
    return "the bits of groups in memory"


def drawn(scratch):
    """simulate writes groups that a fit reads back as those that it draws itself, of the sizes that were asked for."""
    how = ["model.name=hier_logistic", "data.source=model", "data.rows=400", "data.test_rows=30", "model.trials=6", "inference.function=factorized", "optim.steps=5", "optim.batch=100"]
    for sizes in ("equal", "uniform", "geometric"):
        start(2, [empty_ini(scratch), *how, "-q", f"model.group_sizes={sizes}", "run.task=simulate", f"run.output={scratch / sizes}"])
        with h5py.File(scratch / sizes / "data.h5") as file:
            n = numpy.diff(file["x/indptr"][()])
            entries, outcomes = file["x/data"].shape, set(numpy.unique(file["x/data"][:, 0]))
        mean, spread = n.mean(), n.var()
        want = {"equal": 0, "uniform": (13**2 - 1) / 12, "geometric": 6 * 7}[sizes]
        if entries != (n.sum(), 3) or len(n) != 400 or outcomes != {0, 1} or abs(mean - 6) > 5 * (want / 400) ** 0.5 or abs(spread - want) > 0.5 * want:
            raise Failure(f"{sizes}: {len(n)} groups of {entries} entries, mean {mean}, variance {spread}, expected {want}; outcomes {outcomes}")
        a = fit(scratch / f"{sizes}_drawn", *how, f"model.group_sizes={sizes}", ini=empty_ini(scratch))
        b = fit(scratch / f"{sizes}_read", *how[:1], "data.source=hdf5", f"data.path={scratch / sizes / 'data.h5'}", "data.dataset=x", "data.test_dataset=x_test", *how[4:], np=3,
                ini=empty_ini(scratch))
        if not numpy.max(numpy.abs(read(a, "/trace/elbo") / read(b, "/trace/elbo") - 1)) < 1e-6:
            raise Failure(f"{sizes}: a fit of what was written is another than one of what is drawn")
    return "three kinds of sizes"


if __name__ == "__main__":
    main(padded, quadrature, ranks, resumed, rows, amortized, streamed, drawn)
