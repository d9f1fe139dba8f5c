"""When a fit is evaluated and what that takes: the default's share of the work, the memory of the last evaluation, quadrature of too few points, second starts."""
import re

import h5py
import numpy

from runs import Failure, empty_ini, fit, main, measured, read, start

LOG_2PI = numpy.log(2 * numpy.pi)
MODEL = ["data.source=model", "run.precision=double", "run.reproducible=yes", "log.every=1000000", "model.global=gaussian"]


def steps_of(folder):
    return read(folder, "/eval/step").astype(int).tolist()


def expected(epoch, total, each, last, of_a_step):
    """The documented rule: as many as 5 % of the work of the steps pay for beside the last one, three at least, after the first epoch and then evenly; and the last."""
    most = min(max(int((0.05 * total * of_a_step - last) / each), 3), 100)
    every = max(epoch, -(-total // most))
    return sorted({epoch, *range(every, total, every), total})


def default(scratch):
    """Work in passes of a row forward. Linear model, polynomial: a step's row takes 3 (1 + S), an evaluation's 1 + 2 * 4 by the 4 points of its closed form."""
    rows, told = 300, []
    linear = [*MODEL, "model.name=linear", "inference.function=polynomial", f"data.rows={rows}", "optim.batch=30", "optim.tile=3"]
    for draws, epochs, np in ((1, 12, None), (1, 400, 3), (20, 30, 2)):
        run = fit(scratch / f"{draws}-{epochs}", *linear, f"objective.draws={draws}", f"optim.epochs={epochs}", np=np, ini=empty_ini(scratch))
        want = expected(10, 10 * epochs, rows * 9, rows * 9, 30 * 3 * (1 + draws))
        if steps_of(run) != want:
            raise Failure(f"draws = {draws}, {epochs} epochs: evaluated after {steps_of(run)}, {want} expected")
        told.append(len(want))
    for asked, want in (("log.eval_every=7", [*range(7, 40, 7), 40]), ("log.eval_every=-1", [40]), ("stop.mse=1e-9", [10, 20, 30, 40])):
        run = fit(scratch / "asked", *linear, asked, "optim.epochs=4", "--fresh", ini=empty_ini(scratch))
        if steps_of(run) != want:
            raise Failure(f"{asked}: evaluated after {steps_of(run)}, {want} expected")
    text = start(None, ["--dry-run", empty_ini(scratch), *linear, "optim.epochs=400", f"run.output={scratch / 'dry'}"])
    if not re.search(r"evaluations +after step 10, then every \d+ steps on 300 rows; at the end on 300 rows; closed form of 4 points; about [45]\.\d % of the work", text):
        raise Failure(f"the plan is not printed by --dry-run: {text}")
    return f"{', '.join(map(str, told))} evaluations"


def peak(arguments):
    """Largest resident memory of a run of one process, MB."""
    return measured(arguments)[1] / 2**20


def memory(scratch):
    """The last evaluation on all rows, and the factors that are written, take no more than steps do: a window of 65 rows, a few rows at a step."""
    shape = [empty_ini(scratch), "-q", f"run.output={scratch / 'run'}", "data.source=model", "model.name=hmm", "data.rows=20000", "inference.function=polynomial", "inference.degree=1",
             "inference.domain=window:32", "optim.batch=64", "optim.tile=16", "objective.draws=0", "optim.steps=3", "log.eval_every=-1", "log.mse_at=means", "--fresh"]
    small, all_rows = peak([*shape, "log.last_rows=16"]), peak(shape)
    if all_rows > small + 6:
        raise Failure(f"the evaluation of all rows takes {all_rows - small:.1f} MB more than that of one tile")
    return f"{all_rows - small:.1f} MB more for 20000 rows than for 16"


def rule(points):
    node, weight = numpy.polynomial.hermite_e.hermegauss(points)
    return node, weight / numpy.sqrt(2 * numpy.pi)


def wave(x, t, k, m, s, points):
    """ELBO of each row of the nonlinear model without KL(theta), by quadrature."""
    node, weight = rule(points)
    z = m[..., None] + s[..., None] * node
    apart = (x[..., None] - t - z * numpy.sin(z) - z) ** 2 + k**2
    return (-0.5 * LOG_2PI - numpy.cos(z) - 0.5 * apart * numpy.exp(-2 * numpy.cos(z))) @ weight - 0.5 * (m**2 + s**2 - 1) + numpy.log(s)


def nonlinear(scratch, name, x, *arguments, np=None):
    with h5py.File(scratch / "x.h5", "w") as file:
        file["x"] = x
    text = start(np, [empty_ini(scratch), f"run.output={scratch / name}", *MODEL[1:], "data.source=hdf5", f"data.path={scratch / 'x.h5'}", "data.dataset=x", "model.name=nonlinear",
                      "inference.function=factorized", "optim.batch=0", "optim.tile=10", "optim.learning_rate=0.05", "log.eval_every=-1", "log.progress=none", "--fresh", *arguments])
    with h5py.File(scratch / name / "run.h5") as file:
        q = file["global/theta/mean"][0], file["global/theta/sd"][0], file["local/mean"][:, 0], numpy.exp(file["local/log_sd"][:, 0])
        return text, q, dict(file["eval"].attrs)


def waves(rows, sd, seed):
    random = numpy.random.default_rng(seed)
    z = random.normal(0, sd, rows)
    return z * numpy.sin(z) + z + numpy.exp(numpy.cos(z)) * random.normal(size=rows)


def points(scratch):
    """Too few points are found, with the difference to twice as many; enough points are passed in silence."""
    x = waves(200, 1, 3)
    text, q, _ = nonlinear(scratch, "few", x, "objective.draws=0", "objective.points=5", "optim.steps=400")
    found = re.search(r"objective.points = 5 are too few.*ELBO is (\S+) nats per row, (\S+) nats in all; use objective.points = 10", text)
    want = numpy.mean(wave(x, *q, 10) - wave(x, *q, 5))
    if not found or not numpy.allclose([float(v) for v in found.groups()], [want, 200 * want], rtol=6e-3):
        raise Failure(f"{want:.5f} nats per row by numpy: {text}")
    if "too few" in nonlinear(scratch, "enough", x, "objective.draws=0", "objective.points=64", "optim.steps=400")[0]:
        raise Failure("64 points are said to be too few")
    return f"{want:+.4f} nats per row at 5 points"


def second_start(scratch):
    """Rows far out have a better optimum elsewhere: what is said to be gained is not more than numpy finds on a grid, and not nothing; the same on 1 and 3 ranks."""
    x, long = waves(100, 10, 1), ["objective.draws=0", "objective.points=64", "optim.steps=2500"]
    text, q, told = nonlinear(scratch, "one", x, *long)
    grid, best = numpy.linspace(-16, 16, 321), wave(x, *q, 64)
    fitted = best.copy()
    for log_sd in numpy.linspace(-3, 0.3, 23):
        best = numpy.maximum(best, wave(x[:, None], q[0], q[1], numpy.broadcast_to(grid, (len(x), len(grid))), numpy.full((len(x), len(grid)), numpy.exp(log_sd)), 64).max(axis=1))
    possible = best - fitted
    if not 0.1 * possible.mean() < told["second_start_gain"] < possible.mean() + 0.01 or not 1 < told["second_start_better"] <= (possible > 1e-3).sum() + 1:
        raise Failure(f"{told}; at most {possible.mean():.3f} nats per row on {(possible > 1e-3).sum()} rows by numpy")
    if told["second_start_rows"] != 100 or ("a second start gained" in text) != (told["second_start_gain"] > told["second_start_error"]):
        raise Failure(f"{told}: {text}")
    if nonlinear(scratch, "three", x, *long, np=3)[2] != told:
        raise Failure(f"not the same on three ranks: {told}")
    off = nonlinear(scratch, "off", x, *long, "log.second_start=no")[2]
    run = fit(scratch / "one_mode", *MODEL, "model.name=hier_logistic", "model.global=point", "inference.function=factorized", "data.rows=60", "objective.draws=0", "optim.batch=0",
              "optim.steps=800", "optim.learning_rate=0.05", "log.eval_every=-1", ini=empty_ini(scratch))
    with h5py.File(run / "run.h5") as file:
        concave = dict(file["eval"].attrs)
    if any(name.startswith("second_start") for name in off) or concave.get("second_start_rows", 0) < 16 or concave["second_start_better"] != 0:
        raise Failure(f"log.second_start = no: {off}; one mode: {concave}")
    return f"{told['second_start_gain']:.3f} nats per row on {told['second_start_better']} rows, {possible.mean():.3f} on {(possible > 1e-3).sum()} are there"


if __name__ == "__main__":
    main(default, memory, points, second_start)
