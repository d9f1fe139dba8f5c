"""run.reproducible = yes over the registry: the same bits at any number of ranks, for every model, inference function and optimizer that combine.

Each combination runs once alone and then at other numbers of ranks, with another of the MPI library's ways to add up. Short form: each model with every
second function and one optimizer, at 2, 3, 5 or 7 ranks in turn; --long: with every optimizer, at one of these and at 8 and 16, and with one optimizer at 64 too."""
import sys

from runs import Failure, command, empty_ini, expect_same_bits, main, refusal, registered, small_data, small_function, start, with_algorithm, with_groups

LONG = "--long" in sys.argv
ROWS, BATCH = (580, 192) if LONG else (58, 42)  # 64 lanes, or 14
SHAPE = [f"data.rows={ROWS}", "data.test_rows=9", "optim.tile=3", "optim.steps=6", "log.every=1", "log.eval_every=3", "log.images=2", "output.local=yes",
         "run.reproducible=yes", "optim.learning_rate=0.01", "checkpoint.every=4", "run.seed=3"]
RANKS = (2, 3, 5, 7)
DIVERGED = "avi_mpi: error: diverged: "


def pick(values, number):
    return values[number % len(values)]


def combinations():
    """Every model x inference function x optimizer; what else there is to choose changes from one to the next."""
    functions, optimizers, families = registered("inference functions"), registered("optimizers"), registered("variational families")
    for m, model in enumerate(with_groups(registered("models"))):
        for f, function in enumerate(functions):
            for o, optimizer in enumerate(optimizers):
                if not LONG and (o != (m + f) % len(optimizers) or (m + f) % 2):
                    continue
                settings = [f"model.global={pick(('point', 'gaussian', 'gaussian_full', 'gaussian_lowrank'), m + f // 2 + o)}", f"objective.draws={pick((1, 3, 2), m + f)}",
                            f"inference.family={pick(families, f + o + m // 2)}", f"run.precision={pick(('single', 'double'), m // 2 + f)}",
                            f"objective.estimator={pick(('pathwise', 'stl'), m + o)}", f"objective.kl={pick(('analytic', 'sampled'), m // 2 + o)}",
                            f"run.reduction={pick(('auto', 'messages'), (m + f) // 2 + o)}",
                            f"inference.theta={pick(('no', 'draw', 'mean'), m // 2 + f)}"]
                ranks = (pick(RANKS, m + f + o),)
                if LONG:  # 64 ranks take ten seconds to start
                    ranks += (8, 16) + ((64,) if o == (m + f) % len(optimizers) else ())
                yield model, function, optimizer, settings, ranks


def compare(scratch, ini, model, function, optimizer, settings, ranks):
    """Whether they combine; a failure where bits differ."""
    arguments = [ini, "-q", *small_data(model), *small_function(function, model), *SHAPE, f"optim.method={optimizer}", *settings]
    if optimizer == "lbfgs":  # a full q(theta) of images has millions of values, and each of 16 ranks its pairs
        arguments.append("optim.memory=3")
    for batch in (BATCH, 0):  # some optimizers take all rows
        alone = [f"optim.batch={batch}", f"run.output={scratch / 'one'}", "--fresh"]
        text, others = start(None, [*arguments, *alone], expect=(0, 4, 78)), []
        if "are no chain" in text:  # a family of chains alone
            others.append("inference.family=gaussian")
        if "[inference] theta" in text:  # a model without theta, or a function that takes none
            others.append("inference.theta=no")
        if others:
            arguments += others
            text = start(None, [*arguments, *alone], expect=(0, 4, 78))
        if not refusal(text) or DIVERGED in text:
            break
    else:
        return f"{model} x {function} x {optimizer}: {refusal(text)}"
    arguments += [f"optim.batch={batch}"]
    for np in ranks:  # what diverges does so at the same step, and writes the same results
        start(np, [*arguments, f"run.output={scratch / 'many'}", "--fresh"], limit=600, environment=with_algorithm((np + len(model) + len(function)) % 7), expect=(4,) if DIVERGED in text else (0,))
        expect_same_bits(scratch / "many", scratch / "one", f"{np} ranks: {' '.join(command(np, arguments)[1:])}\n ")
    return None


def registry(scratch):
    ini, wrong, apart, count = empty_ini(scratch), [], [], 0
    for combination in combinations():
        count += 1
        try:
            reason = compare(scratch, ini, *combination)
        except Failure as failure:
            wrong.append(str(failure))
            continue
        if reason:
            apart.append(reason)
    if wrong:
        raise Failure(f"{len(wrong)} of {count} combinations\n" + "\n".join(wrong))
    if 4 * len(apart) > count:
        raise Failure(f"{len(apart)} of {count} combinations refused, more than can be meant\n" + "\n".join(apart))
    return "\n          ".join([f"{count - len(apart)} combinations of model, inference function and optimizer; refused: {len(apart)}", *apart])


def wide(scratch):
    """Weights that are large enough for products of their own (products/products.h), in blocks of one tile and of several, and for ranks that share memory to share out draws,
    gradient and update (reduce/shard.c)."""
    ini, count = empty_ini(scratch), 0
    for precision, draws, tile, theta, seen in (("single", 1, 3, "point", ""), ("double", 2, 3, "gaussian", ""), ("single", 2, 7, "gaussian", ""), ("single", 2, 7, "gaussian", "mean")):
        arguments = [ini, "-q", "model.name=vae", "data.source=strokes", "model.latent=60", "model.hidden=96", "inference.function=mlp", "inference.hidden=72",
                     *[a for a in SHAPE if not a.startswith("optim.tile")], "optim.batch=42", f"optim.tile={tile}", f"run.precision={precision}", f"objective.draws={draws}",
                     f"model.global={theta}", "optim.clip_norm=50"]
        ways = ("auto", "messages")
        if seen:
            arguments += ["model.name=ppca", "data.source=model", "model.simulate_width=40", "model.latent=5", "inference.hidden=600", f"inference.theta={seen}"]
        start(None, [*arguments, f"run.output={scratch / 'one'}", "--fresh"])
        for np in (2, 3, 4, 5, 6) if LONG else (3, 4, 6):
            start(np, [*arguments, f"run.output={scratch / 'many'}", f"run.reduction={pick(ways, np)}", "--fresh"], environment=with_algorithm(np))
            expect_same_bits(scratch / "many", scratch / "one", f"{np} ranks: {' '.join(command(np, arguments)[1:])}\n ")
            count += 1
    return f"wide networks: {count} runs on several ranks"


if __name__ == "__main__":
    sys.argv = [a for a in sys.argv if a != "--long"]
    main(registry, wide)
