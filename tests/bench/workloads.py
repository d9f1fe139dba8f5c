"""The benchmark's workloads: how to run each with avi_mpi, how much work a step is, and the goal.

`gemms`, `parameters` and `draws` are counted from the model's shapes, so that measured limits can be turned into seconds.
"""
import os

HERE = os.path.dirname(os.path.abspath(__file__))


class Workload:
    def __init__(self, name, title, ini, goal, steps, overrides=(), encoder=(), decoder=(), rows=10000, batch=0, local=0,
                 weights_per_parameter=1, extra=0, draws=0, inward=(), outward=()):
        self.name, self.title, self.goal = name, title, goal
        self.ini = os.path.join(HERE, ini)
        self.steps = steps                    # a run; a tenth of it is warm-up
        self.overrides = list(overrides)
        self.encoder, self.decoder = encoder, decoder      # widths of the layers
        self.rows, self.batch = rows, batch or rows
        self.local = local                    # variational parameters of a row that are free (F-VI), else 0
        # Convolutions before the encoder's layers and behind the decoder's, as products over patches: (places of a row, channels out, values of a patch).
        self.inward, self.outward = inward, outward
        self.draws = draws                    # normals a row that the model needs, where these dominate; else 0
        weights = lambda widths: sum(a * b + b for a, b in zip(widths[:-1], widths[1:]))
        # Parameters that every rank holds and all ranks reduce.
        kernels = sum(c * patch + c for _, c, patch in inward) + sum(c * patch + patch // 16 for _, c, patch in outward)  # kernels of 4 x 4
        self.shared = weights(encoder) + weights_per_parameter * weights(decoder) + extra + kernels

    def gemms(self, ranks):
        """(transpose A, transpose B, M, N, K) of every product of a step on one rank, row-major as cblas takes them."""
        m = max(1, self.batch // ranks)
        found = []
        for widths, takes_data in ((self.encoder, True), (self.decoder, False)):
            for i, (a, b) in enumerate(zip(widths[:-1], widths[1:])):
                found.append(("n", "t", m, b, a))              # Y = X W'
                found.append(("t", "n", b, a, m))              # dW = dY' X
                if i > 0 or not takes_data or self.inward:
                    found.append(("n", "n", m, a, b))          # dX = dY W; data need no gradient
        for i, (places, channels, patch) in enumerate((*self.inward, *self.outward)):
            found += [("n", "t", m * places, channels, patch), ("t", "n", channels, patch, m * places)]
            if i > 0 or not self.inward:
                found.append(("n", "n", m * places, patch, channels))
        return found

    def optimizer_bytes(self, ranks):
        """Adam reads p, m, v, g and writes p, m, v, single precision: 28 bytes a parameter."""
        return 28.0 * (self.shared + self.local * self.batch / ranks)

    def optimizer_arrays(self, ranks):
        """Bytes that Adam's four arrays take on a rank: what decides which cache they live in."""
        return 16.0 * (self.shared + self.local * self.rows / ranks)

    def allreduce_bytes(self):
        return 4.0 * (self.shared + 8)


VAE = dict(ini="vae.ini", encoder=(784, 400, 40), decoder=(20, 400, 784), rows=60000)
BAYES = dict(ini="bayes_vae.ini", decoder=(64, 256, 256, 784), rows=10000, batch=1000, weights_per_parameter=2)
MLP = "inference.function=mlp"
FREE = "inference.function=factorized"

WORKLOADS = [
    Workload("vae_1024", "VAE 784-400-20, batch 1024", goal=2.2, steps=80, batch=1024, overrides=["optim.batch=1024"], **VAE),
    Workload("vae_128", "VAE 784-400-20, batch 128", goal=3.0, steps=300, batch=128, overrides=["optim.batch=128"], **VAE),
    # Convolutions are to cost no more of PyTorch's time than the dense layers of vae_1024 do: the same goal.
    Workload("conv_vae", "VAE of convolutions 32, 64, batch 256", goal=2.2, steps=40, batch=256, ini="vae.ini", encoder=(3136, 256, 40), decoder=(20, 256, 3136), rows=60000,
             inward=((196, 32, 16), (49, 64, 512)), outward=((49, 64, 512), (196, 32, 16)),
             overrides=["optim.batch=256", "inference.function=conv", "inference.channels=32,64", "inference.hidden=256", "model.decoder=conv", "model.channels=64,32", "model.hidden=256"]),
    Workload("bayes_vae_avi", "Bayesian VAE, A-VI k=256", goal=2.0, steps=80, encoder=(784, 256, 256, 128), overrides=[MLP], **BAYES),
    Workload("bayes_vae_fvi", "Bayesian VAE, F-VI", goal=2.5, steps=80, local=128, overrides=[FREE], **BAYES),
    Workload("linear_fvi", "linear, F-VI", "linear.ini", 10.0, 200, [FREE], local=2, extra=2, draws=100),
    Workload("linear_avi", "linear, A-VI degree 1", "linear.ini", 10.0, 200, ["inference.function=polynomial"], extra=6, draws=100),
    Workload("nonlinear_fvi", "nonlinear, F-VI", "nonlinear.ini", 8.0, 100, [FREE], local=2, extra=2, draws=100),
    Workload("nonlinear_avi", "nonlinear, A-VI k=16", "nonlinear.ini", 8.0, 100, [MLP], extra=2 + 2 * (32 + 272 + 17), draws=100),
    Workload("saw_fvi", "saw, F-VI", "saw.ini", 12.0, 1000, [FREE], rows=1000, local=2, extra=2, draws=100),
    Workload("saw_avi", "saw, A-VI k=4 on (x_n, x_n+1)", "saw.ini", 12.0, 1000, [MLP], rows=1000, extra=2 + 2 * (12 + 20 + 5), draws=100),
]
