"""Test rows of factorized runs: their factors are fitted with the model's parameters fixed, to the optimum that the linear model has in closed form; stop.patience stands on that."""
import h5py
import numpy

from small import SIGMA, TAU, data, kl_global, kl_local, likelihood, linear, parameters, write
from runs import Failure, empty_ini, expect_same_bits, fit, main, read, start

N, TESTS = 90, 37
RANKS = (None, 2, 3)
BASE = ["run.reproducible=yes", "inference.function=factorized", "model.global=gaussian", "objective.draws=0", "optim.batch=30", "optim.tile=5", "optim.learning_rate=0.05"]


def best_elbo(test, t, k):
    """Per row at the best factors given q(theta) = N(t, exp(k)^2)."""
    spread = SIGMA**2 + TAU**2
    nu = numpy.column_stack([TAU * (test - t) / spread, numpy.full_like(test, 0.5 * numpy.log(SIGMA**2 / spread))])
    return float(numpy.mean(likelihood(test, t, k, nu) - kl_local(nu)) - kl_global(t, k) / N)


def closed(scratch):
    """The last evaluation, on 1, 2 and 3 ranks; run.task = evaluate finds the same; log.last_rows takes some of them."""
    x, test = data(N), data(TESTS, seed=5)
    runs = [linear(scratch, f"run-{np}", x, *BASE, "optim.steps=90", "log.test_factors=yes", test=test, np=np) for np in RANKS]
    t, k, _ = parameters(runs[0])
    wanted = best_elbo(test, t, k)
    for run in runs:
        expect_same_bits(run, runs[0], f"{run.name} against one rank")
        values = read(run, "/eval/elbo_test")
        if not wanted - 1e-3 < values[-1] < wanted + 1e-10 or numpy.isfinite(values[:-1]).any():
            raise Failure(f"{run.name}: {values}; the last one should be {wanted}")
        with h5py.File(run / "run.h5") as file:
            found = file["/eval"].attrs["test_factors"], file["/eval"].attrs["test_factors_converged"]
        if found != (TESTS, TESTS):
            raise Failure(f"{run.name}: factors of {found[0]} rows, {found[1]} of them at their optimum")
    some = linear(scratch, "some", x, *BASE, "optim.steps=90", "log.test_factors=yes", "log.last_rows=17", test=test, np=2)
    if not numpy.isclose(read(some, "/eval/elbo_test")[-1], best_elbo(test[:17], t, k), rtol=0, atol=1e-3):
        raise Failure(f"17 rows: {read(some, '/eval/elbo_test')[-1]}, {best_elbo(test[:17], t, k)} expected")
    return f"{wanted:.6f} nats per row, {wanted - read(runs[0], '/eval/elbo_test')[-1]:.1e} below the optimum"


def chosen(scratch):
    """auto: where that is at most half of the work of the steps, and the screen says where there are none; no: never. --dry-run counts it."""
    x, test, said = data(N), data(400, seed=5), []
    for steps, mode, there in ((6, "auto", False), (3000, "auto", True), (6, "yes", True), (3000, "no", False)):
        run = scratch / f"{steps}-{mode}"
        linear(scratch, run.name, x, *BASE, f"optim.steps={steps}", f"log.test_factors={mode}", "log.every=100", test=test)
        if numpy.isfinite(read(run, "/eval/elbo_test")[-1]) != there:
            raise Failure(f"{mode} after {steps} steps: {read(run, '/eval/elbo_test')[-1]}")
    given = [empty_ini(scratch), f"run.output={scratch / 'screen'}", "data.rows=64", "data.test_rows=8", "optim.batch=32", "inference.function=factorized", "optim.epochs=3"]
    for more, words in (([], "use log.test_factors = yes"), (["log.test_factors=yes", "--fresh"], "factors that were fitted to them")):
        text = start(None, [*given, *more])
        if text.count(words) != 1:
            raise Failure(f"{words}: {text}")
        said.append(words)
    if "factors of test rows" not in start(2, [*given, "log.test_factors=yes", "--dry-run"]):
        raise Failure("--dry-run does not foresee the factors of test rows")
    return "; ".join(said)


def patient_factors(scratch):
    """stop.patience of F-VI: theta and the local factors of the best evaluation are the results, with the same bits on any number of ranks and in parts."""
    draw = numpy.random.default_rng(4)
    loading = draw.normal(size=(2, 8))
    rows = [draw.normal(size=(n, 2)) @ loading * 0.4 + draw.normal(size=(n, 8)) for n in (40, 40)]
    arguments = ["run.reproducible=yes", "model.name=vae", "model.latent=2", "model.hidden=48", "model.likelihood=gaussian", "model.noise_sd=0.3", "inference.function=factorized",
                 "data.source=hdf5", "data.dataset=x", "data.test_dataset=x", f"data.path={write(scratch / 'x.h5', rows[0].astype('f4'))}",
                 f"data.test_path={write(scratch / 'test.h5', rows[1].astype('f4'))}", "optim.batch=20", "optim.tile=5", "optim.learning_rate=0.01", "log.eval_every=8", "log.every=8"]
    ini, limit = empty_ini(scratch), "optim.steps=160"
    runs = [fit(scratch / f"run-{np}", *arguments, limit, "stop.patience=3", np=np, ini=ini) for np in RANKS]
    steps, values = read(runs[0], "/eval/step"), read(runs[0], "/eval/elbo_test")
    best = int(steps[numpy.argmax(values[:-1])])
    if not 8 < best < 160 - 3 * 8 or steps[-1] != best or steps.max() != best + 24:
        raise Failure(f"steps {steps}, ELBOs {values}")
    by_hand = fit(scratch / "by_hand", *arguments, f"optim.steps={best}", "log.test_factors=no", ini=ini)
    with h5py.File(runs[0] / "run.h5") as file, h5py.File(by_hand / "run.h5") as other:
        for name in ("/local/mean", "/local/log_sd", "/global/decoder.0.weight/mean", "/global/decoder.1.bias/mean"):
            if file[name][()].tobytes() != other[name][()].tobytes():
                raise Failure(f"{name} is not that of a run that ends at step {best}")
    parts = fit(scratch / "parts", *arguments, f"optim.steps={best + 8}", "stop.patience=3", np=2, ini=ini)
    fit(parts, *arguments, limit, "stop.patience=3", np=3, ini=ini)
    for run in (*runs[1:], parts):
        expect_same_bits(run, runs[0], f"{run.name} against one rank")
    return f"best step {best} of {int(steps.max())}"


if __name__ == "__main__":
    main(closed, chosen, patient_factors)
