#!/usr/bin/env python3
"""PyTorch's side of jobs/compare_conv.sh, and the table of both.

    conv_torch.py train --folder MNIST --rows 60000 --test-rows 10000 --batch 250 --epochs 20 --seed 1 --out torch_1.json
    conv_torch.py table runs/compare_conv [--record analysis/paper_results]      -> compare_conv.md there

The network is that of tests/bench (conv_vae): convolutions of 32 and 64 channels (4 x 4, stride 2), a layer of 256, 20 dimensions, and the way back; Bernoulli likelihood of grey values in [0, 1],
Adam at 1e-3, ReLU. Weights and biases of both sides begin uniform within 1 / sqrt(fan in) as PyTorch counts it, which for ConvTranspose2d is output channels x kernel (tests/nn/networks.py holds
avi_mpi to that). After 8 steps the ELBOs of different seeds still spread by 40 to 50 nats on either side. The ELBO has its KL in closed form and the mean of 20 draws of z per row."""

import argparse
import gzip
import json
import os
import pathlib
import shutil
import sys

import numpy as np


def images(path, rows):
    with gzip.open(path, "rb") as file:
        magic, count, height, width = np.frombuffer(file.read(16), ">u4")
        if magic != 2051 or height * width != 784:
            raise SystemExit(f"{path}: not an IDX file of 28 x 28 images")
        count = min(int(count), rows)
        return np.frombuffer(file.read(count * 784), np.uint8).reshape(count, 1, 28, 28).astype(np.float32) / 255


def train(arguments):
    import torch

    nn, functional = torch.nn, torch.nn.functional
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)
    encoder = nn.Sequential(nn.Conv2d(1, 32, 4, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 4, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(3136, 256), nn.ReLU(), nn.Linear(256, 40))
    decoder = nn.Sequential(nn.Linear(20, 256), nn.ReLU(), nn.Linear(256, 3136), nn.ReLU(), nn.Unflatten(1, (64, 7, 7)), nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ReLU(),
                            nn.ConvTranspose2d(32, 1, 4, 2, 1))
    x, test = (torch.from_numpy(images(os.path.join(arguments.folder, f"{name}-images-idx3-ubyte.gz"), rows)) for name, rows in (("train", arguments.rows), ("t10k", arguments.test_rows)))

    def minus_elbo(rows, draws=1):
        """Sum over the rows."""
        mean, log_sd = encoder(rows).chunk(2, dim=1)
        kl = (0.5 * (mean.square() + (2 * log_sd).exp() - 1) - log_sd).sum()
        nll = 0
        for _ in range(draws):
            logits = decoder(torch.addcmul(mean, log_sd.exp(), torch.randn_like(mean)))
            nll = nll + functional.binary_cross_entropy_with_logits(logits, rows, reduction="sum") / draws
        return nll + kl

    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3)
    for _ in range(arguments.epochs):
        for rows in torch.randperm(len(x)).split(arguments.batch):
            optimizer.zero_grad(set_to_none=True)
            (minus_elbo(x[rows]) / len(rows)).backward()
            optimizer.step()
    with torch.no_grad():
        elbo = {name: -sum(float(minus_elbo(rows, 20)) for rows in data.split(1000)) / len(data) for name, data in (("train", x[:10000]), ("test", test))}
    with open(arguments.out, "w") as file:
        json.dump({"seed": arguments.seed, "elbo_train": elbo["train"], "elbo_test": elbo["test"], "torch": torch.__version__, "threads": arguments.threads}, file)


def table(arguments):
    import h5py

    ours, theirs, revisions = {}, {}, {}
    for path in sorted(arguments.output.glob("avi_*/run.h5")):
        with h5py.File(path, "r") as file:
            origin = {name: value.decode() if isinstance(value, bytes) else value for name, value in file["provenance"].attrs.items()}
            ours[int(origin["seed"])] = [file[f"eval/elbo_{rows}"][()].ravel()[-1] for rows in ("train", "test")]
            rows, steps, ranks, day = int(file.attrs["rows"]), int(file.attrs["steps"]), int(origin["ranks"]), origin["started_at"][:10]
            revisions[int(origin["seed"])] = origin["git_revision"]
    for path in arguments.output.glob("torch_*.json"):
        one = json.loads(path.read_text())
        theirs[one["seed"]] = [one["elbo_train"], one["elbo_test"]]
    both = sorted(set(ours) & set(theirs))
    if not both:
        raise SystemExit(f"conv_torch.py: {arguments.output} has no seed of both; use jobs/compare_conv.sh")
    values = np.array([[*ours[seed], *theirs[seed]] for seed in both])
    lines = ["# A VAE of convolutions on MNIST, here and in PyTorch", "", "| seed | avi_mpi, training | avi_mpi, test | PyTorch, training | PyTorch, test |", "| --- | ---: | ---: | ---: | ---: |"]
    lines += [f"| {seed} | " + " | ".join(f"{v:.2f}" for v in row) + " |" for seed, row in zip(both, values)]
    if len(both) > 1:
        sd = values.std(axis=0, ddof=1)
        lines.append("| mean (sd) | " + " | ".join(f"{m:.2f} ({s:.2f})" for m, s in zip(values.mean(axis=0), sd)) + " |")
        difference, error = values[:, 1].mean() - values[:, 3].mean(), np.hypot(sd[1], sd[3]) / np.sqrt(len(both))
        lines += ["", f"Test rows, avi_mpi less PyTorch: {difference:+.2f} nats per row with a standard error of {error:.2f}."]
    lines += ["", "ELBO in nats per row; PyTorch's on its first 10000 training rows. Both have 250 rows a step and Adam at 1e-3. How fast both are is in tests/bench/README.md.",
              f"{rows} rows, {steps} steps, avi_mpi on {ranks} ranks, revisions {', '.join(sorted({revisions[seed] for seed in both}))}, {day}; PyTorch {one['torch']}, {one['threads']} threads."]
    (arguments.output / "compare_conv.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))
    if arguments.record:
        arguments.record.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(arguments.output / "compare_conv.md", arguments.record / "compare_conv.md")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tasks = parser.add_subparsers(dest="task", required=True)
    one = tasks.add_parser("train")
    for name in ("rows", "test-rows", "batch", "epochs", "seed"):
        one.add_argument(f"--{name}", type=int, required=True)
    one.add_argument("--threads", type=int, default=1)
    one.add_argument("--folder", required=True)
    one.add_argument("--out", required=True)
    all_ = tasks.add_parser("table")
    all_.add_argument("output", type=pathlib.Path)
    all_.add_argument("--record", type=pathlib.Path)
    arguments = parser.parse_args()
    (train if arguments.task == "train" else table)(arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
