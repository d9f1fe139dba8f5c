"""run.reproducible = yes on 1, 2 and 3 ranks, in runs of a second each: one check for each thing that a rank might have of its own. registry.py has the full product."""
import numpy

from small import data, write
from runs import Failure, empty_ini, expect_same_bits, fit, main, models, relative, small_data

SMALL = ["run.reproducible=yes", "log.every=1", "log.eval_every=2", "log.images=0", "output.local=yes", "run.seed=7", "--fresh"]
RANKS = (2, 3)


def compare(scratch, what, *arguments):
    first = fit(scratch / "one", *SMALL, *arguments, ini=empty_ini(scratch))
    for np in RANKS:
        expect_same_bits(fit(scratch / "many", *SMALL, *arguments, np=np, ini=empty_ini(scratch)), first, f"{what}, {np} ranks")
    return f"{what}: 1, {' and '.join(map(str, RANKS))} ranks"


def numbers(scratch, x, *arguments):
    return [f"data.path={write(scratch / 'x.h5', x)}", "data.source=hdf5", "data.dataset=x", *arguments]


def network(scratch):
    """Initial values, shuffle, order of tiles, draws of z; the last tile is short and the lanes do not divide among the ranks."""
    return compare(scratch, "vae", "log.mse_at=means", "model.name=vae", "data.source=strokes", "data.rows=116", "data.test_rows=20", "model.latent=3", "model.hidden=8", "inference.function=mlp",
                   "inference.hidden=6", "optim.batch=35", "optim.tile=5", "optim.steps=8")


def global_draws(scratch):
    """Draws of theta; sums in double precision, where every bit of their scale counts."""
    return compare(scratch, "linear, Gaussian theta", "model.name=linear", *numbers(scratch, data(58)), "model.global=gaussian", "inference.function=polynomial", "objective.draws=2",
                   "run.precision=double", "optim.batch=21", "optim.tile=3", "optim.steps=8", "optim.learning_rate=0.05")


def clipped_rows(scratch):
    """Local factors with their optimizer's slots; the norm of the whole gradient."""
    return compare(scratch, "linear, factorized, clipped", "model.name=linear", *numbers(scratch, data(58)), "inference.function=factorized", "optim.batch=21", "optim.tile=3",
                   "optim.steps=8", "optim.clip_norm=0.02", "optim.method=sgd", "optim.learning_rate=0.1")


def chain(scratch):
    """Factors of neighbours on other ranks, in steps and in evaluations."""
    return compare(scratch, "hmm, factorized", "model.name=hmm", *numbers(scratch, numpy.cumsum(data(58))), "inference.function=factorized", "optim.batch=21", "optim.tile=3",
                   "optim.steps=8", "optim.learning_rate=0.05")


def window(scratch):
    """Data of neighbours on other ranks."""
    return compare(scratch, "hmm, mlp over a window", "model.name=hmm", *numbers(scratch, numpy.cumsum(data(58))), "inference.function=mlp", "inference.hidden=5",
                   "inference.domain=window:2", "optim.batch=21", "optim.tile=3", "optim.steps=8")


def plain(scratch):
    """Reproducible sums are those of run.reproducible = no to rounding, for every model: the same bits on all ranks could all be wrong."""
    worst = 0.0
    for model in models():
        runs = [fit(scratch / f"{model}_{how}", *small_data(model), "data.rows=58", "data.test_rows=0", "inference.function=mlp", "inference.hidden=5", "optim.batch=0", "optim.tile=7",
                    "optim.steps=3", "log.every=1", "log.eval_every=-1", "log.images=0", "run.precision=double", f"run.reproducible={how}", ini=empty_ini(scratch)) for how in ("yes", "no")]
        apart = relative(*runs, names=("elbo", "grad_norm"))
        worst = max(worst, apart)
        if not apart < 1e-9:
            raise Failure(f"{model}: steps with and without reproducible sums differ by {apart:.1e}")
    return f"{len(models())} models, largest relative difference {worst:.1e}"


if __name__ == "__main__":
    main(network, global_draws, clipped_rows, chain, window, plain)
