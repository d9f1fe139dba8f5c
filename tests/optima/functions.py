"""F-VI, A-VI and a constant factor on the same network and images, each to convergence: their ELBOs are in one unit and come in this order."""
from runs import Failure, fit, main, read

# Few units in the encoder: with many it interpolates 500 images, and what is left is in which optimum the decoder ends.
SHAPE = ["data.rows=500", "data.test_rows=100", "model.hidden=32", "model.latent=4", "inference.hidden=16", "optim.batch=0", "optim.steps=3000", "optim.learning_rate=1e-2",
         "optim.schedule=cosine", "log.eval_every=-1", "log.every=100", "log.images=2"]


def order(scratch):
    found = {}
    for function in ("factorized", "mlp", "constant"):
        run = fit(scratch / function, *SHAPE, f"inference.function={function}")
        trace = read(run, "/trace/elbo_per_row")
        if abs(trace[-1] - trace[-4]) > 1:
            raise Failure(f"{function} has not converged: {trace[-4]:.2f}, 300 steps later {trace[-1]:.2f} nats per row")
        found[function] = float(read(run, "/eval/elbo_train")[-1])
        if abs(found[function] - trace[-1]) > 1:
            raise Failure(f"{function}: the trace ends at {trace[-1]:.2f} nats per row, the evaluation says {found[function]:.2f}")
    if not found["factorized"] >= found["mlp"] >= found["constant"]:
        raise Failure(f"nats per row on the training images, not in this order: {found}")
    return "nats per row on the training images: " + ", ".join(f"{name} {value:.2f}" for name, value in found.items())


if __name__ == "__main__":
    main(order)
