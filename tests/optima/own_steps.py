"""F-VI by minibatches beside A-VI, where only inference.function changes: a row's factor has steps of its own, so that factors of their own do not end below those of a function."""
from runs import Failure, fit, main, read

SHAPE = ["data.rows=3000", "data.test_rows=0", "model.latent=5", "model.hidden=64", "inference.hidden=64", "optim.batch=300", "optim.epochs=40", "optim.learning_rate=3e-3", "log.eval_every=-1",
         "run.seed=2"]


def comparison(scratch):
    """By Cremer, Li & Duvenaud (2018) no function has a better ELBO than factors of their own with the same decoder; with decoders that follow it does not either, here by its error."""
    amortized, factorized = (fit(scratch / function, *SHAPE, f"inference.function={function}", limit=200) for function in ("mlp", "factorized"))
    a, f = (float(read(run, "/eval/elbo_train")[-1]) for run in (amortized, factorized))
    error = float(read(factorized, "/eval/elbo_train_error")[-1]) + float(read(amortized, "/eval/elbo_train_error")[-1])
    if f < a - 3 * error:
        raise Failure(f"F-VI ends at {f:.2f}, A-VI at {a:.2f} nats per row")
    return f"F-VI {f:.2f}, A-VI {a:.2f} nats per row"


if __name__ == "__main__":
    main(comparison)
