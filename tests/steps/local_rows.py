"""optim.local_rows: what one step of plain gradient descent does to the factors, against the gradient that numpy works out from weights and data."""
import h5py
import numpy

from runs import Failure, differing, empty_ini, expect_same_bits, fit, main, read, refusal, start

NOISE, ROWS, BATCH, WIDTH, LATENT, RATE = 0.7, 12, 4, 5, 2, 0.01


def settings(scratch, rows):
    x = numpy.random.default_rng(11).normal(size=(ROWS, WIDTH))
    with h5py.File(scratch / "x.h5", "w") as file:
        file["x"] = x
    return x, ["model.name=vae", f"model.latent={LATENT}", "model.hidden=", "model.likelihood=gaussian", f"model.noise_sd={NOISE}", "data.source=hdf5",
               f"data.path={scratch / 'x.h5'}", "inference.function=factorized", f"optim.batch={BATCH}", "optim.tile=2", "objective.draws=0", "objective.points=3",
               "optim.method=sgd", "optim.momentum=0", f"optim.learning_rate={RATE}", f"optim.local_rows={rows}", "run.precision=double", "log.eval_every=-1"]


def after(scratch, arguments, steps):
    run = fit(scratch / str(steps), *arguments, f"optim.steps={steps}", ini=empty_ini(scratch))
    names = ("/global/decoder.0.weight/mean", "/global/decoder.0.bias/mean", "/local/mean", "/local/log_sd")
    return [read(run, name).astype(float) for name in names]


def gradients(x, weight, bias, mean, log_sd):
    """Of -E log p(x | z) and of KL(q(z) || N(0, I)), for each row with respect to (mean, log_sd)."""
    variance = numpy.exp(2 * log_sd)
    likelihood = numpy.hstack([-(x - mean @ weight.T - bias.reshape(-1)) @ weight, variance * (weight**2).sum(0)]) / NOISE**2
    return likelihood, numpy.hstack([mean, variance - 1])


def one_step(scratch, rows, in_batch, outside):
    """From step 5 to step 6 every row moves by `in_batch` or by `outside`, functions of both gradients: which rows the batch has is left open, but their number is not."""
    x, arguments = settings(scratch, rows)
    weight, bias, mean, log_sd = after(scratch, arguments, 5)
    _, _, mean_after, log_sd_after = after(scratch, arguments, 6)
    moved = numpy.hstack([mean_after - mean, log_sd_after - log_sd])
    likelihood, kl = gradients(x, weight, bias, mean, log_sd)
    off = [numpy.abs(moved + RATE * how(likelihood, kl)).max(1) for how in (in_batch, outside)]
    inside = int((off[0] < 1e-12).sum())
    if inside != BATCH or int((off[1] < 1e-12).sum()) != ROWS - BATCH:
        raise Failure(f"local_rows = {rows}: {inside} rows of {BATCH} moved as the batch's, "
                      f"the worst of them is off by {sorted(off[0])[BATCH - 1]:.1e}, of the others by {sorted(off[1])[ROWS - BATCH - 1]:.1e}")
    return f"{BATCH} rows of the batch and {ROWS - BATCH} others moved as they should to 1e-12"


def rows_of_the_batch(scratch):
    return one_step(scratch, "batch", lambda likelihood, kl: likelihood + kl, lambda likelihood, kl: 0 * kl)


def all_rows(scratch):
    return one_step(scratch, "all", lambda likelihood, kl: ROWS / BATCH * likelihood + kl, lambda likelihood, kl: kl)


def any_ranks(scratch):
    """The same bits on 1, 2 and 3 ranks (100 rows in 4 lanes: unevenly), and with the rest of the steps on another number."""
    common = ["model.name=vae", "data.source=strokes", "data.rows=100", "model.latent=3", "model.hidden=8", "inference.function=factorized", "optim.batch=12", "optim.tile=3",
              "optim.local_rows=all", "run.reproducible=yes", "log.every=1", "log.eval_every=-1"]
    one = fit(scratch / "one", *common, "optim.steps=30", np=1, ini=empty_ini(scratch))
    for np in (2, 3):
        expect_same_bits(one, fit(scratch / str(np), *common, "optim.steps=30", np=np, ini=empty_ini(scratch)), f"1 and {np} ranks")
    for np, steps in ((2, 11), (3, 30)):
        fit(scratch / "more", *common, f"optim.steps={steps}", np=np, ini=empty_ini(scratch))
    wrong = [name for name in differing(one, scratch / "more") if not name.startswith("/eval/")]  # the first part was evaluated at its end
    if wrong:
        raise Failure(f"30 steps, and 11 on 2 ranks with the rest on 3: not the same bits in {', '.join(wrong)}")
    return "1, 2, 3 ranks and a resumed run have the same bits"


def refused(scratch):
    _, arguments = settings(scratch, "all")
    said = refusal(start(1, [empty_ini(scratch), f"run.output={scratch / 'no'}", *arguments, "objective.kl=sampled"], expect=(78,)))
    if not said or "local_rows" not in said or "analytic" not in said:
        raise Failure(f"a KL by draws with local_rows = all: {said}")
    return said


if __name__ == "__main__":
    main(rows_of_the_batch, all_rows, any_ranks, refused)
