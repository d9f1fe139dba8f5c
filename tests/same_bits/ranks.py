"""The number of ranks does not show: to rounding in the fast mode, not at all with run.reproducible = yes."""
import h5py
import numpy

from runs import VAE, Failure, empty_ini, expect_same_bits, fit, main, read, relative, status, with_algorithm

SMALL = ["data.rows=1500", "data.test_rows=150", "optim.batch=256", "log.every=1", "model.hidden=64", "inference.hidden=64", "log.images=4"]


def rounding(scratch, precision, bound):
    first, worst = None, 0
    for np in (1, 2, 3, 5, 8):
        run = fit(scratch / str(np), *SMALL, "optim.epochs=3", f"run.precision={precision}", np=np)
        first = first or run
        worst = max(worst, relative(run, first))
        if worst > bound:
            raise Failure(f"{precision}: the ELBO trace at {np} ranks differs by {worst:.1e} relative, more than {bound:.0e}")
    return f"largest relative difference of the ELBO trace {worst:.1e} (bound {bound:.0e})"


def single_precision(scratch):
    return rounding(scratch, "single", 1e-5)


def double_precision(scratch):
    return rounding(scratch, "double", 1e-11)


def sixty_four_ranks(scratch):
    """The shipped file, 20 steps."""
    short = ["optim.steps=20", "log.every=1", "data.rows=4096", "data.test_rows=128", "log.eval_every=-1", "log.images=4"]
    one, many = (fit(scratch / str(np), *short, np=np) for np in (1, 64))
    if status(many) != "done":
        raise Failure(f"status {status(many)} at 64 ranks")
    difference = relative(many, one)
    if difference > 1e-5:
        raise Failure(f"the ELBO trace at 64 ranks differs by {difference:.1e} relative")
    return f"{VAE.name}: relative difference {difference:.1e}"


def algorithms(scratch):
    """Reproducible sums, whatever way the MPI library adds up, and from run to run."""
    small = [*SMALL, "optim.epochs=1", "run.reproducible=yes"]
    first = fit(scratch / "first", *small, np=3)
    expect_same_bits(fit(scratch / "again", *small, np=3), first, "the same command again")
    for number in range(1, 7):
        expect_same_bits(fit(scratch / str(number), *small, np=3, environment=with_algorithm(number)), first, f"allreduce algorithm {number}")
    return "6 allreduce algorithms and a repetition, all bits equal"


def overflow(scratch):
    """A row a thousand times as large as the others: at its step the gradient leaves the range that the step before has set, and the step is done again."""
    values = numpy.random.default_rng(1).normal(size=60)
    values[31] = 1e4
    with h5py.File(scratch / "x.h5", "w") as file:
        file["x"] = values
    arguments = ["model.name=linear", "data.source=hdf5", f"data.path={scratch / 'x.h5'}", "inference.function=polynomial", "inference.standardise=no", "model.start=zero", "optim.batch=20",
                 "optim.tile=2",
                 "optim.steps=9", "optim.learning_rate=1e-4", "log.every=1", "run.reproducible=yes"]
    told = []
    for precision in ("single", "double"):
        first = fit(scratch / precision, *arguments, f"run.precision={precision}", ini=empty_ini(scratch))
        norms = read(first, "/trace/grad_norm")
        jump = float(numpy.max(norms[1:] / norms[:-1]))
        if jump < 2**16 or len(norms) != 9 or read(first, "/trace/skipped")[-1]:
            raise Failure(f"the gradient jumps by {jump:.1e} only, {len(norms)} steps: nothing is tested")
        told.append(f"{precision}: the gradient jumps by {jump:.1e}")
        for np in (2, 3, 5):
            run = fit(scratch / f"{precision}{np}", *arguments, f"run.precision={precision}", np=np, ini=empty_ini(scratch))
            expect_same_bits(run, first, f"{precision} with an overflow, {np} ranks")
    return f"{', '.join(told)}; 1, 2, 3, 5 ranks: all bits equal"


if __name__ == "__main__":
    main(single_precision, double_precision, sixty_four_ranks, algorithms, overflow)
