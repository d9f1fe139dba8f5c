"""MNIST, as people know it: 784-400-20-400-784, Bernoulli, batch 1024, Adam at 1e-3 (inputs/vae.ini with data.source = idx).

Short form: 2 epochs. --long: 20 epochs at three seeds, test ELBO of at least -109.5 nats an image (PyTorch 1.13 at the same settings: -108.8)."""
import os
import pathlib
import sys

from runs import SOURCE, Failure, Skip, fit, main, read

LONG = "--long" in sys.argv
FILES = {"data.path": "train-images-idx3-ubyte.gz", "data.test_path": "t10k-images-idx3-ubyte.gz"}
SHORT_BOUND, LONG_BOUND = -172.0, -109.5


def digits():
    """Overrides that name the files of MNIST."""
    folder = pathlib.Path(os.environ.get("AVI_MNIST_DIR") or SOURCE.parent / "shared" / "data" / "mnist")
    missing = [name for name in FILES.values() if not (folder / name).exists()]
    if missing:
        raise Skip(f"{folder / missing[0]} is not there; AVI_MNIST_DIR names the folder with MNIST's files")
    return ["data.source=idx", "data.rows=0", "data.test_rows=0", *[f"{key}={folder / name}" for key, name in FILES.items()]]


def train(scratch, epochs, seed):
    run = fit(scratch / f"seed{seed}", *digits(), f"optim.epochs={epochs}", f"run.seed={seed}", "log.images=10", "output.local=no", "log.eval_every=-1", np=2, limit=1800)
    return float(read(run, "/eval/elbo_test")[-1]), float(read(run, "/eval/mse_test")[-1])


def two_epochs(scratch):
    elbo, error = train(scratch, 2, 1)
    if elbo < SHORT_BOUND:
        raise Failure(f"test ELBO {elbo:.2f} nats an image after 2 epochs, at least {SHORT_BOUND} expected")
    return f"test ELBO {elbo:.2f} nats an image after 2 epochs (at least {SHORT_BOUND}), squared error {error:.4f}"


def twenty_epochs(scratch):
    found = [train(scratch, 20, seed) for seed in (1, 2, 3)]
    text = ", ".join(f"{elbo:.2f} (squared error {error:.4f})" for elbo, error in found)
    if min(elbo for elbo, _ in found) < LONG_BOUND:
        raise Failure(f"test ELBO at seeds 1, 2, 3: {text}; at least {LONG_BOUND} expected")
    if max(error for _, error in found) > 0.02:  # the mean image alone: 0.067
        raise Failure(f"reconstructions do not look like the digits: {text}")
    return f"test ELBO at seeds 1, 2, 3: {text}"


if __name__ == "__main__":
    sys.argv = [a for a in sys.argv if a != "--long"]
    main(twenty_epochs if LONG else two_epochs)
