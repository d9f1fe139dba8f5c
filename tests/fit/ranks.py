"""The number of ranks does not show: to rounding in the fast mode, not at all with run.reproducible = yes."""
from runs import VAE, Failure, expect_same_bits, fit, relative, status

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
    """Exact sums, whatever way the MPI library adds up, and from run to run."""
    small = [*SMALL, "optim.epochs=1", "run.reproducible=yes"]
    first = fit(scratch / "first", *small, np=3)
    expect_same_bits(fit(scratch / "again", *small, np=3), first, "the same command again")
    for number in range(1, 7):
        mca = ["--mca", "coll_tuned_use_dynamic_rules", "1", "--mca", "coll_tuned_allreduce_algorithm", number]
        expect_same_bits(fit(scratch / str(number), *small, np=3, mca=list(map(str, mca))), first, f"allreduce algorithm {number}")
    return "6 allreduce algorithms and a repetition, all bits equal"


if __name__ == "__main__":
    from runs import main

    main(single_precision, double_precision, sixty_four_ranks, algorithms)
