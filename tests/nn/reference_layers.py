#!/usr/bin/env python3
"""Values and gradients of layers by PyTorch, stored in reference_layers.h for test_layers.c.

    reference_layers.py --make          computes them anew (needs PyTorch) and writes the header
    reference_layers.py --check HEADER  recomputes what the header has by loops in numpy, from its inputs alone

Inputs of a layer are x, weight and bias, and g, the gradient of a sum by the layer's output; results are y and the gradients of that sum by x, weight and bias. Images lie as
their view says (avi/nn.h); weights see a patch as (planes, kernel height, kernel width, channels)."""
import pathlib
import re
import sys
import textwrap

import numpy

HEADER = pathlib.Path(__file__).resolve().parent / "reference_layers.h"
ACTIVATIONS = ("identity", "relu", "leaky_relu", "tanh", "gelu", "silu", "softplus")
# label, layer, activation, rows, then of dense layers (in, out), of the others (planes, channels, height, width, channels last), channels of the small image, kernel, stride
CASES = [
    *((f"dense, {a}", "dense", a, 3, (4, 5), 0, 0, 0) for a in ACTIVATIONS),
    ("layer norm", "layer_norm", "identity", 3, (7, 7), 0, 0, 0),
    ("convolution, one channel", "convolution", "relu", 2, (1, 1, 6, 5, True), 3, 4, 2),
    ("convolution, channels last", "convolution", "tanh", 2, (1, 2, 5, 4, True), 3, 3, 2),
    ("convolution, channels first", "convolution", "gelu", 2, (1, 3, 4, 5, False), 2, 3, 1),
    ("convolution with a plane of what is missing", "convolution", "silu", 2, (2, 2, 4, 4, False), 2, 4, 2),
    ("convolution of a window", "convolution", "softplus", 3, (1, 3, 1, 7, True), 2, 3, 2),
    ("convolution, even kernel, stride 3", "convolution", "leaky_relu", 2, (1, 1, 7, 8, True), 2, 2, 3),
    ("transposed, one channel", "transposed", "identity", 2, (1, 1, 6, 5, True), 3, 4, 2),
    ("transposed, channels first", "transposed", "tanh", 2, (1, 3, 4, 5, False), 2, 3, 2),
    ("transposed, channels last", "transposed", "silu", 2, (1, 2, 5, 5, True), 3, 5, 2),
    ("transposed to a window", "transposed", "gelu", 2, (1, 2, 1, 7, True), 3, 4, 2),
    # rows are entries of one segment and then of one of a single row; (width, heads); the weight is an affine map behind, which knows tiles
    ("attention, one head", "attention", "identity", 6, (3, 1), 0, 0, 0),
    ("attention, 2 heads", "attention", "identity", 5, (4, 2), 0, 0, 0),
]


class Shape:
    """Sizes of a convolution, and where the values of an image lie in a row."""

    def __init__(self, case):
        _, _, _, _, (self.planes, self.channels, self.height, self.width, self.last), self.small, kernel, stride = case
        flat = self.height == 1
        self.kernel, self.stride = (1 if flat else kernel, kernel), (1 if flat else stride, stride)
        self.pad = (0 if flat else (kernel - 1) // 2, (kernel - 1) // 2)
        self.size = tuple((n + 2 * p - k) // s + 1 for n, p, k, s in zip((self.height, self.width), self.pad, self.kernel, self.stride))
        self.image = self.planes * self.channels * self.height * self.width
        self.patch = self.planes * self.channels * self.kernel[0] * self.kernel[1]

    def at(self, plane, channel, y, x):
        pixel = y * self.width + x
        inside = pixel * self.channels + channel if self.last else channel * self.height * self.width + pixel
        return plane * self.channels * self.height * self.width + inside

    def as_channels(self):
        """Indices into a row of an array (planes * channels, height, width)."""
        return numpy.array([[[self.at(p, c, y, x) for x in range(self.width)] for y in range(self.height)] for p in range(self.planes) for c in range(self.channels)])


def inputs_of(case, generator):
    _, layer, _, rows, sizes, small, _, _ = case

    def values(*shape, scale=1.0):
        return generator.uniform(-scale, scale, size=shape).astype(numpy.float32).astype(float)  # the same numbers in both precisions
    if layer == "dense":
        return values(rows, sizes[0], scale=2), values(sizes[1], sizes[0]), values(1, sizes[1]), values(rows, sizes[1])
    if layer == "layer_norm":
        return values(rows, sizes[0], scale=2), values(1, sizes[0]), values(1, sizes[0]), values(rows, sizes[0])
    if layer == "attention":
        return values(rows, 3 * sizes[0], scale=2), values(sizes[0], sizes[0]), values(1, sizes[0]), values(rows, sizes[0])
    s = Shape(case)
    little = s.size[0] * s.size[1] * small
    if layer == "convolution":
        return values(rows, s.image), values(small, s.patch), values(1, small), values(rows, little)
    return values(rows, little), values(s.patch, small), values(1, s.channels), values(rows, s.image)


# ---- PyTorch ----

def by_torch(case, x, weight, bias, g):
    import torch
    functional = torch.nn.functional
    apply = {"identity": lambda v: v, "relu": torch.relu, "leaky_relu": lambda v: functional.leaky_relu(v, 0.2), "tanh": torch.tanh, "gelu": functional.gelu,
             "silu": functional.silu, "softplus": functional.softplus}[case[2]]
    x, weight, bias = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (x, weight, bias))
    if case[1] == "dense":
        y = apply(functional.linear(x, weight, bias[0]))
    elif case[1] == "layer_norm":
        y = functional.layer_norm(x, (x.shape[1],), weight[0], bias[0], 1e-5)
    elif case[1] == "attention":
        width, heads = case[4]
        seen = []
        for part in (x[:-1], x[-1:]):
            q, k, v = (p.reshape(len(part), heads, width // heads).transpose(0, 1) for p in part.split(width, dim=1))
            p = torch.softmax(q @ k.transpose(1, 2) / (width // heads) ** 0.5, dim=2)
            seen.append((p @ v).transpose(0, 1).reshape(len(part), width))
        y = functional.linear(torch.cat(seen), weight, bias[0])
    else:
        s = Shape(case)
        index = torch.tensor(s.as_channels())
        if case[1] == "convolution":
            kernel = weight.reshape(s.small, s.planes, *s.kernel, s.channels).permute(0, 1, 4, 2, 3).reshape(s.small, s.planes * s.channels, *s.kernel)
            y = functional.conv2d(x[:, index], kernel, bias[0], stride=s.stride, padding=s.pad)
            y = apply(y).permute(0, 2, 3, 1).reshape(x.shape[0], -1)
        else:
            kernel = weight.reshape(*s.kernel, s.channels, s.small).permute(3, 2, 0, 1)
            rest = [n - ((m - 1) * t - 2 * p + k) for n, m, t, p, k in zip((s.height, s.width), s.size, s.stride, s.pad, s.kernel)]
            image = functional.conv_transpose2d(x.reshape(x.shape[0], *s.size, s.small).permute(0, 3, 1, 2), kernel, bias[0], stride=s.stride, padding=s.pad, output_padding=rest)
            order = numpy.argsort(s.as_channels().ravel())
            y = apply(image).reshape(x.shape[0], -1)[:, torch.tensor(order)]
    (y * torch.tensor(g)).sum().backward()
    return [v.detach().numpy() for v in (y, x.grad, weight.grad, bias.grad)]


# ---- loops ----

def activated(name, v):
    """Value and derivative."""
    from math import erf, exp, log1p, pi, sqrt, tanh
    sigmoid = 1 / (1 + exp(-v))
    cdf = 0.5 * (1 + erf(v / sqrt(2)))
    return {"identity": (v, 1.0), "relu": (max(v, 0.0), float(v > 0)), "leaky_relu": (v if v > 0 else 0.2 * v, 1.0 if v > 0 else 0.2), "tanh": (tanh(v), 1 - tanh(v) ** 2),
            "gelu": (v * cdf, cdf + v * exp(-v * v / 2) / sqrt(2 * pi)), "silu": (v * sigmoid, sigmoid + v * sigmoid * (1 - sigmoid)),
            "softplus": (max(v, 0.0) + log1p(exp(-abs(v))), sigmoid)}[name]


def connections(case):
    """(index in x, index in weight, index in y) of every product of a layer, and the index in the bias of every value of y."""
    if case[1] == "dense":
        inputs, outputs = case[4]
        return [(i, o * inputs + i, o) for o in range(outputs) for i in range(inputs)], list(range(outputs))
    s, found = Shape(case), []
    for h in range(s.size[0]):
        for w in range(s.size[1]):
            for c in range(s.small):
                for p in range(s.planes):
                    for i in range(s.kernel[0]):
                        for j in range(s.kernel[1]):
                            for k in range(s.channels):
                                y, x = h * s.stride[0] - s.pad[0] + i, w * s.stride[1] - s.pad[1] + j
                                place = ((p * s.kernel[0] + i) * s.kernel[1] + j) * s.channels + k
                                if 0 <= y < s.height and 0 <= x < s.width:
                                    found.append((s.at(p, k, y, x), (c, place), (h * s.size[1] + w) * s.small + c))
    if case[1] == "convolution":
        return [(a, c * s.patch + place, b) for a, (c, place), b in found], [c for _ in range(s.size[0] * s.size[1]) for c in range(s.small)]
    bias = numpy.zeros(s.image, dtype=int)
    for k, plane in enumerate(s.as_channels()):
        bias[plane.ravel()] = k
    return [(b, place * s.small + c, a) for a, (c, place), b in found], list(bias)


def by_loops(case, x, weight, bias, g):
    if case[1] == "layer_norm":
        return norm_by_loops(x, weight[0], bias[0], g)
    if case[1] == "attention":
        return attention_by_loops(*case[4], x, weight, bias[0], g)
    products, of_bias = connections(case)
    w, b, dx, dw, db, y = weight.ravel(), bias.ravel(), numpy.zeros_like(x), numpy.zeros(weight.size), numpy.zeros(bias.size), numpy.zeros_like(g)
    for r in range(x.shape[0]):
        before = b[of_bias].copy()
        for i, k, o in products:
            before[o] += x[r, i] * w[k]
        both = [activated(case[2], v) for v in before]
        y[r], back = [v for v, _ in both], g[r] * [d for _, d in both]
        for i, k, o in products:
            dx[r, i] += back[o] * w[k]
            dw[k] += back[o] * x[r, i]
        for o, k in enumerate(of_bias):
            db[k] += back[o]
    return y, dx, dw.reshape(weight.shape), db.reshape(bias.shape)


def norm_by_loops(x, gain, offset, g):
    """The gradient by x from the matrix of all derivatives of a row."""
    n, y, dx = x.shape[1], numpy.zeros_like(x), numpy.zeros_like(x)
    h = numpy.zeros_like(x)
    for r in range(x.shape[0]):
        mean = sum(x[r]) / n
        sd = (sum((v - mean) ** 2 for v in x[r]) / n + 1e-5) ** 0.5
        h[r] = (x[r] - mean) / sd
        y[r] = gain * h[r] + offset
        for i in range(n):
            for o in range(n):
                dx[r, i] += g[r, o] * gain[o] * ((i == o) - 1 / n - h[r, i] * h[r, o] / n) / sd
    return y, dx, numpy.sum(g * h, 0)[None], numpy.sum(g, 0)[None]


def attention_by_loops(width, heads, x, weight, bias, g):
    """The gradient by the scores from the matrix of all derivatives of a softmax."""
    rows, d = len(x), width // heads
    seen, dx, back = numpy.zeros((rows, width)), numpy.zeros_like(x), g @ weight
    for segment in (range(rows - 1), range(rows - 1, rows)):
        for h in range(heads):
            part = [slice(k * width + h * d, k * width + (h + 1) * d) for k in range(3)]
            for a in segment:
                score = numpy.array([sum(x[a, part[0]] * x[b, part[1]]) / d**0.5 for b in segment])
                p = numpy.exp(score) / numpy.exp(score).sum()
                for i, b in enumerate(segment):
                    seen[a, part[0]] += p[i] * x[b, part[2]]
                    dx[b, part[2]] += p[i] * back[a, part[0]]
                    for j, c in enumerate(segment):
                        slope = sum(back[a, part[0]] * x[c, part[2]]) * p[j] * ((i == j) - p[i]) / d**0.5  # of p[j] by score i
                        dx[a, part[0]] += slope * x[b, part[1]]
                        dx[b, part[1]] += slope * x[a, part[0]]
    return seen @ weight.T + bias, dx, g.T @ seen, numpy.sum(g, 0)[None]


# ---- the header ----

NAMES = ("x", "weight", "bias", "g", "y", "dx", "dweight", "dbias")


def write():
    generator = numpy.random.default_rng(17)
    lines = ["/* Written by reference_layers.py --make: layers and their gradients by PyTorch. */", "static const layer_case layer_cases[] = {"]
    arrays = []
    for number, case in enumerate(CASES):
        inputs = inputs_of(case, generator)
        for name, value in zip(NAMES, [*inputs, *by_torch(case, *inputs)]):
            numbers = ", ".join(repr(float(v)) for v in value.ravel())
            arrays += textwrap.wrap(f"static const double layer_{number}_{name}[] = {{{numbers}}};", 118, subsequent_indent="    ")
        label, layer, activation, rows, sizes, small, kernel, stride = case
        numbers = ", ".join(str(int(n)) for n in (*sizes, *[0] * (5 - len(sizes)), small, kernel, stride))
        pointers = ", ".join(f"layer_{number}_{name}" for name in NAMES)
        lines.append(f'    {{"{label}", "{layer}", "{activation}", {rows}, {{{numbers}}}, {pointers}}},')
    HEADER.write_text("\n".join([lines[0], "/* clang-format off */", *arrays, *lines[1:], "};", "/* clang-format on */", ""]))


def check(path):
    text = pathlib.Path(path).read_text()
    stored = {name: numpy.array([float(v) for v in values.split(",")]) for name, values in re.findall(r"double (layer_\w+)\[\] = \{([^}]*)\};", text)}
    worst = 0.0
    for number, case in enumerate(CASES):
        if f'"{case[0]}", "{case[1]}", "{case[2]}"' not in text:
            sys.exit(f"{path} has no case '{case[0]}'; use --make")
        shapes = [v.shape for v in inputs_of(case, numpy.random.default_rng(0))]
        values = [stored[f"layer_{number}_{name}"] for name in NAMES]
        inputs = [v.reshape(shape) for v, shape in zip(values, shapes)]
        for name, got, want in zip(NAMES[4:], by_loops(case, *inputs), values[4:]):
            error = float(numpy.max(numpy.abs(got.ravel() - want)))
            worst = max(worst, error)
            if not error < 1e-13:
                sys.exit(f"{case[0]}: {name} of the header is off by {error:.1e} from the loops")
    print(f"{len(CASES)} layers, PyTorch and loops differ by at most {worst:.1e}")


if __name__ == "__main__":
    check(sys.argv[2]) if sys.argv[1:2] == ["--check"] else write() if sys.argv[1:] == ["--make"] else sys.exit(__doc__)
