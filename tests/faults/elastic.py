"""run(2n) = run(n at np = a) + resume(the rest at np = b), bit for bit."""
import time

from place import STEPS

# Open MPI's ways to add up over ranks; exact sums must not notice which one is taken.
ALGORITHMS = range(0, 7)


def with_algorithm(number):
    return {"OMPI_MCA_coll_tuned_use_dynamic_rules": "1", "OMPI_MCA_coll_tuned_allreduce_algorithm": str(number)} if number else {}


def parts(rng):
    """Two or three lengths that end with the whole."""
    cuts = sorted({rng.randrange(1, STEPS) for _ in range(rng.choice((1, 1, 2)))})
    return [*cuts, STEPS]


def elastic(bench, rng, variant, most):
    folder, began = bench.new(), time.monotonic()
    lengths, words = parts(rng), []
    for turn, length in enumerate(lengths):
        np = rng.choice([n for n in (1, 2, 3, 4, 5, 7, 8) if n <= most])
        words.append(f"{length}@{np}")
        job = bench.job(variant, np, folder, f"optim.steps={length}", *(["--resume"] if turn else []), environment=with_algorithm(rng.choice(ALGORITHMS)),
                        log=bench.folder / f"{folder.name}.part{turn}")
        try:
            job.expect(job.wait(180), [0], most_messages=0)
        finally:
            job.end()
    bench.check_end(variant, folder, job, lengths)
    bench.drop(folder)
    return "exit 0", time.monotonic() - began, None
