#!/usr/bin/env python3
"""The benchmark's workloads in PyTorch: what a good PyTorch user would write for the same model, batch and optimizer.

One workload and one setting a call, one line of JSON out. `run.sh` calls this; it can be called by hand:

    torch_workloads.py --workload vae_1024 --threads 1 --steps 60
    torch_workloads.py --workload vae_1024 --processes 2 --steps 60      (DistributedDataParallel over gloo)

What is done for PyTorch's sake: data are float tensors in memory, a batch is one index_select, losses are the fused ones
(mse_loss, binary_cross_entropy_with_logits), KL terms are analytic, affine draws are one addcmul, all weights of the
Bayesian decoder are drawn as one flat vector, gradients are set to None, and F-VI steps only the rows of its batch.
With several processes F-VI's local factors stay on the process that owns the rows; only shared parameters are reduced.

ELBO and loss are sums over all N rows (local terms times N/batch), in nats, with all normalising constants.
"""
import argparse
import gzip
import json
import math
import os
import socket
import statistics
import sys
import time

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))


# ---- data ------------------------------------------------------------------------------------------------------------

def mnist_path():
    """The training images, or None: AVI_MNIST_DIR first, then the folder beside the repository."""
    folders = [os.environ.get("AVI_MNIST_DIR", ""), os.path.join(HERE, "..", "..", "..", "shared", "data", "mnist")]
    for folder in folders:
        for name in ("train-images-idx3-ubyte.gz", "train-images-idx3-ubyte"):
            path = os.path.join(folder, name)
            if folder and os.path.isfile(path):
                return os.path.abspath(path)
    return None


def images(rows):
    """(rows, 784) float32 in [0, 1] and the name of their source."""
    path = mnist_path()
    if path is None:
        rng = np.random.default_rng(1)
        centres = (rng.random((10, 784)) < 0.19).astype(np.float32)
        noise = rng.random((rows, 784), dtype=np.float32)
        return centres[rng.integers(0, 10, rows)] * noise, "synthetic"
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rb") as f:
        magic, count, height, width = np.frombuffer(f.read(16), ">u4")
        if magic != 2051 or height * width != 784:
            raise SystemExit(f"{path}: not an IDX file of 28x28 images")
        count = min(int(count), rows)
        pixels = np.frombuffer(f.read(count * 784), np.uint8).reshape(count, 784)
    return pixels.astype(np.float32) / 255.0, "mnist"


def series(model, n):
    """The paper's simulated data (math: Margossian & Blei 2024, section 5)."""
    rng = np.random.default_rng(7)
    z = rng.standard_normal(n)
    if model == "linear":
        return (1.0 + 1.155 * z + 2.43 * rng.standard_normal(n)).astype(np.float32)[:, None]
    if model == "nonlinear":
        z *= 5.0
        return (z * np.sin(z) + z + np.exp(np.cos(z)) * rng.standard_normal(n)).astype(np.float32)[:, None]
    x = np.zeros(n + 1)
    for i in range(n):
        x[i + 1] = 0.75 * (x[i] + rng.standard_normal() + 1.0) + rng.standard_normal()
    return np.stack([x[:-1], x[1:]], axis=1).astype(np.float32)      # row n: (x_n, x_{n+1})


# ---- models: (x, mean, log_sd of q(z)) -> loss, in the unit of all N rows ---------------------------------------------
# `weight` is what one row of this process counts: N / batch, times the number of processes, since DDP averages.

def build(args, torch, device_rows):
    """Returns the module (shared parameters), the local table or None, the data, and the constant that loss leaves out."""
    nn, F = torch.nn, torch.nn.functional
    name, n = args.workload, args.rows
    draws = args.draws

    def kl_normal(mean, log_sd, prior_mean=0.0, prior_var=1.0):
        var = torch.exp(2.0 * log_sd)
        inner = var + (mean - prior_mean).square()
        return 0.5 / prior_var * inner.sum() - log_sd.sum() + (0.5 * math.log(prior_var) - 0.5) * mean.numel()

    class Pair(nn.Module):
        """Two separate networks, one for the mean and one for the log sd (the paper's inference function)."""
        def __init__(self, inputs, width):
            super().__init__()

            def net():
                return nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))
            self.mean, self.log_sd = net(), net()

        def forward(self, x):
            return self.mean(x), self.log_sd(x)

    class Degree1(nn.Module):
        """Polynomial of degree 1: affine mean and log sd."""
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(1, 2)
            nn.init.zeros_(self.layer.weight)
            nn.init.zeros_(self.layer.bias)

        def forward(self, x):
            return self.layer(x).split(1, dim=1)

    class Encoder(nn.Module):
        def __init__(self, widths, latent, slope):
            super().__init__()
            act = (lambda: nn.LeakyReLU(slope)) if slope else nn.ReLU
            layers = []
            for a, b in zip(widths[:-1], widths[1:]):
                layers += [nn.Linear(a, b), act()]
            self.net = nn.Sequential(*layers, nn.Linear(widths[-1], 2 * latent))

        def forward(self, x):
            return self.net(x).chunk(2, dim=1)

    class Vae(nn.Module):
        """784-400-20-400-784, Bernoulli likelihood, point decoder."""
        constant = 0.0

        def __init__(self):
            super().__init__()
            self.encoder = Encoder([784, 400], 20, 0.0)
            self.decoder = nn.Sequential(nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784))

        def forward(self, x, local, weight):
            mean, log_sd = self.encoder(x)
            z = torch.addcmul(mean, torch.exp(log_sd), torch.randn_like(mean))
            nll = F.binary_cross_entropy_with_logits(self.decoder(z), x, reduction="sum")
            return weight * (nll + kl_normal(mean, log_sd))

    class ConvVae(nn.Module):
        """Images: convolutions of 32 and 64 channels (4 x 4, stride 2) and a layer of 256 to z (20), and the way back; Bernoulli likelihood, point decoder."""
        constant = 0.0

        def __init__(self):
            super().__init__()
            self.encoder = nn.Sequential(nn.Conv2d(1, 32, 4, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 4, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(3136, 256), nn.ReLU(), nn.Linear(256, 40))
            self.decoder = nn.Sequential(nn.Linear(20, 256), nn.ReLU(), nn.Linear(256, 3136), nn.ReLU(), nn.Unflatten(1, (64, 7, 7)), nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ReLU(),
                                         nn.ConvTranspose2d(32, 1, 4, 2, 1))

        def forward(self, x, local, weight):
            image = x.view(-1, 1, 28, 28)
            mean, log_sd = self.encoder(image).chunk(2, dim=1)
            z = torch.addcmul(mean, torch.exp(log_sd), torch.randn_like(mean))
            nll = F.binary_cross_entropy_with_logits(self.decoder(z), image, reduction="sum")
            return weight * (nll + kl_normal(mean, log_sd))

    class BayesianVae(nn.Module):
        """Decoder 64-256-256-784, leaky ReLU 0.2; q(theta) factorized over all weights, prior and noise variance 1/2."""
        constant = n * 784 * 0.5 * math.log(2.0 * math.pi * 0.5)

        def __init__(self, amortized):
            super().__init__()
            self.encoder = Encoder([784, 256, 256], 64, 0.2) if amortized else None
            self.shapes = [(256, 64), (256,), (256, 256), (256,), (784, 256), (784,)]
            self.sizes = [math.prod(s) for s in self.shapes]
            self.theta_mean = nn.Parameter(torch.zeros(sum(self.sizes)))
            self.theta_log_sd = nn.Parameter(torch.full((sum(self.sizes),), -2.0))

        def forward(self, x, local, weight):
            mean, log_sd = self.encoder(x) if self.encoder is not None else local.chunk(2, dim=1)
            eps = torch.randn(self.theta_mean.shape, generator=args.shared_generator)
            theta = torch.addcmul(self.theta_mean, torch.exp(self.theta_log_sd), eps)
            w = [t.view(s) for t, s in zip(theta.split(self.sizes), self.shapes)]
            h = torch.addcmul(mean, torch.exp(log_sd), torch.randn_like(mean))
            h = F.leaky_relu(F.linear(h, w[0], w[1]), 0.2, inplace=True)
            h = F.leaky_relu(F.linear(h, w[2], w[3]), 0.2, inplace=True)
            nll = F.mse_loss(F.linear(h, w[4], w[5]), x, reduction="sum")
            return weight * (nll + kl_normal(mean, log_sd)) + kl_normal(self.theta_mean, self.theta_log_sd, 0.0, 0.5)

    class Scalar(nn.Module):
        """The paper's models: one flat theta, scalar z_n, `draws` draws of both."""
        def __init__(self, model, function):
            super().__init__()
            self.model, self.function = model, function
            self.theta = nn.Parameter(torch.tensor([0.0, 0.0]))          # mean, log sd
            # Constants: the likelihood's, and the entropy of q(theta) (theta has a flat prior).
            per_row = 0.5 * math.log(2.0 * math.pi) + (math.log(2.43) if model == "linear" else 0.0)
            self.constant = n * per_row - 0.5 * math.log(2.0 * math.pi * math.e)

        def forward(self, x, local, weight):
            mean, log_sd = self.function(x) if self.function is not None else local.chunk(2, dim=1)
            mean, log_sd = mean.view(1, -1), log_sd.view(1, -1)
            eps = torch.randn(draws, mean.shape[1])
            eps_theta = torch.randn(draws, 1, generator=args.shared_generator)
            theta = torch.addcmul(self.theta[0], torch.exp(self.theta[1]), eps_theta)
            first, second = x[:, :1].view(1, -1), x[:, -1:].view(1, -1)
            if self.model == "linear":
                # theta + tau z against x: the draw and the mean of x in one addcmul.
                pred = torch.addcmul(theta + 1.155 * mean, 1.155 * torch.exp(log_sd), eps)
                nll = 0.5 / 2.43 ** 2 / draws * F.mse_loss(pred, second.expand_as(pred), reduction="sum")
                kl = kl_normal(mean, log_sd)
            elif self.model == "saw":
                pred = torch.addcmul(0.75 * (theta + mean), 0.75 * torch.exp(log_sd), eps)
                nll = 0.5 / draws * F.mse_loss(pred, second.expand_as(pred), reduction="sum")
                kl = kl_normal(mean, log_sd, first)
            else:
                z = torch.addcmul(mean, torch.exp(log_sd), eps)
                cos = torch.cos(z)
                r = (second - theta - torch.addcmul(z, z, torch.sin(z))) * torch.exp(-cos)
                nll = (0.5 * torch.dot(r.view(-1), r.view(-1)) + cos.sum()) / draws
                kl = kl_normal(mean, log_sd)
            return weight * (nll + kl) - self.theta[1]

    amortized = not name.endswith("_fvi")
    if name.startswith("conv"):
        module, (x, source) = ConvVae(), images(n)
    elif name.startswith("vae"):
        module, (x, source) = Vae(), images(n)
    elif name.startswith("bayes"):
        module, (x, source) = BayesianVae(amortized), images(n)
    else:
        model = name.split("_")[0]
        function = {"linear": lambda: Degree1(), "nonlinear": lambda: Pair(1, 16), "saw": lambda: Pair(2, 4)}[model]
        module, (x, source) = Scalar(model, function() if amortized else None), (series(model, n), "simulated")
    args.rows = x.shape[0]
    latent = 64 if name.startswith("bayes") else 1
    x = torch.from_numpy(np.ascontiguousarray(x[device_rows(args.rows)]))
    table = None if amortized else torch.zeros(x.shape[0], 2 * latent)
    return module, table, x, source


class RowAdam:
    """Adam over a table of which a step touches only some rows: their parameters and moments are gathered, stepped, put back."""

    def __init__(self, torch, table, lr):
        self.torch, self.table, self.lr, self.count = torch, table, lr, 0
        self.m, self.v = torch.zeros_like(table), torch.zeros_like(table)

    def step(self, rows, values, grad):
        full = rows is None
        self.count += 1
        m = self.m if full else self.m.index_select(0, rows)
        v = self.v if full else self.v.index_select(0, rows)
        m.lerp_(grad, 0.1)
        v.mul_(0.999).addcmul_(grad, grad, value=0.001)
        scale = self.lr / (1.0 - 0.9 ** self.count)
        denom = v.sqrt().mul_(1.0 / math.sqrt(1.0 - 0.999 ** self.count)).add_(1e-8)
        values.addcdiv_(m, denom, value=-scale)
        if not full:
            for target, source in ((self.m, m), (self.v, v), (self.table, values)):
                target.index_copy_(0, rows, source)


# ---- the step loop ---------------------------------------------------------------------------------------------------

#            rows, batch (0: all), draws, learning rate
WORKLOADS = {
    "vae_1024": (60000, 1024, 1, 1e-3),
    "vae_128": (60000, 128, 1, 1e-3),
    "conv_vae": (60000, 256, 1, 1e-3),
    "bayes_vae_avi": (10000, 1000, 1, 1e-3),
    "bayes_vae_fvi": (10000, 1000, 1, 1e-3),
    "linear_fvi": (10000, 0, 100, 1e-2),
    "linear_avi": (10000, 0, 100, 1e-2),
    "nonlinear_fvi": (10000, 0, 100, 1e-2),
    "nonlinear_avi": (10000, 0, 100, 1e-2),
    "saw_fvi": (1000, 0, 100, 1e-3),
    "saw_avi": (1000, 0, 100, 1e-3),
}


def train(rank, args, out):
    """One process's share of the run; rank 0 puts the result into `out`."""
    import torch
    torch.set_num_threads(args.threads)
    torch.set_num_interop_threads(1)
    if args.processes > 1:
        import torch.distributed as dist
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(args.port), GLOO_SOCKET_IFNAME="lo")
        dist.init_process_group("gloo", rank=rank, world_size=args.processes)
    torch.manual_seed(args.seed)                       # same start on all processes ...
    args.shared_generator = torch.Generator().manual_seed(args.seed)
    module, table, x, source = build(args, torch, lambda n: slice(rank * n // args.processes, (rank + 1) * n // args.processes))
    torch.manual_seed(args.seed + 1000 * (rank + 1))   # ... other draws of z on each
    constant = module.constant
    call = torch.nn.parallel.DistributedDataParallel(module, gradient_as_bucket_view=True) if args.processes > 1 else module
    shared = torch.optim.Adam(module.parameters(), lr=args.lr)
    local = None if table is None else RowAdam(torch, table, args.lr)

    own = x.shape[0]
    full = args.batch == 0 or args.batch >= args.rows
    share = own if full else args.batch // args.processes
    weight = float(args.processes) * (own / share) * (args.rows / own / args.processes)
    order, at = torch.arange(own) if full else torch.randperm(own), 0
    times, losses = [], []
    for step in range(args.warmup + args.steps):
        start = time.perf_counter()
        if full:
            rows, batch = None, x
            values = table
        else:
            if at + share > own:
                order, at = torch.randperm(own), 0
            rows, at = order[at:at + share], at + share
            batch = x.index_select(0, rows)
            values = None if table is None else table.index_select(0, rows)
        if values is not None:
            values = values.detach().requires_grad_()
        shared.zero_grad(set_to_none=True)
        loss = call(batch, values, weight)
        loss.backward()
        shared.step()
        if local is not None:
            with torch.no_grad():
                # DDP averages the shared gradient; local factors take their process's own sum.
                local.step(rows, values, values.grad if args.processes == 1 else values.grad / args.processes)
        times.append(time.perf_counter() - start)
        losses.append(loss.detach())
    # Mean over the last steps: one minibatch's value would be noise.
    last = torch.stack(losses[-max(1, min(20, args.steps)):]).double().mean()
    if args.processes > 1:
        dist.all_reduce(last)
        last /= args.processes
        dist.destroy_process_group()
    if rank == 0:
        seconds = times[args.warmup:]
        out.update(workload=args.workload, torch=torch.__version__, threads=args.threads, processes=args.processes,
                   seconds_per_step=statistics.median(seconds), seconds_mean=statistics.fmean(seconds), steps=args.steps,
                   rows=args.rows, batch=args.batch or args.rows, source=source,
                   elbo_per_row=-(float(last) + constant) / args.rows)


def spawned(rank, args, path):
    out = {}
    train(rank, args, out)
    if rank == 0:
        with open(path, "w") as f:
            json.dump(out, f)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--workload", choices=sorted(WORKLOADS), required=True)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--processes", type=int, default=1)
    p.add_argument("--steps", type=int, default=50)
    p.add_argument("--warmup", type=int, default=5)
    p.add_argument("--rows", type=int, help="rows of data instead of the workload's")
    p.add_argument("--seed", type=int, default=1)
    args = p.parse_args()
    rows, args.batch, args.draws, args.lr = WORKLOADS[args.workload]
    args.rows = args.rows or rows
    # Debian's PyTorch calls OpenBLAS, whose own threads torch.set_num_threads does not reach. glibc's malloc gives large blocks
    # back to the system after each use, and page faults then cost PyTorch up to a sixth of a step: let it keep them.
    wanted = {"OPENBLAS_NUM_THREADS": str(args.threads), "OMP_NUM_THREADS": str(args.threads), "MALLOC_TOP_PAD_": "67108864",
              "MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_TRIM_THRESHOLD_": "1073741824"}
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        os.environ.update(wanted)
        os.execv(sys.executable, [sys.executable] + sys.argv)     # these are read when the libraries are loaded
    out = {}
    if args.processes == 1:
        train(0, args, out)
    else:
        import tempfile
        import torch.multiprocessing as mp
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            args.port = s.getsockname()[1]
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "out.json")
            mp.spawn(spawned, args=(args, path), nprocs=args.processes)
            with open(path) as f:
                out = json.load(f)
    print(json.dumps(out))


if __name__ == "__main__":
    main()
