"""Encoders and decoders of whole runs against the same networks in numpy, whatever the shape of the rows; the same bits on 1 to 3 ranks; refusals whose advice works."""
import math
import re

import h5py
import numpy

from runs import Failure, empty_ini, expect_same_bits, fit, main, refusal, start

VAE = ["model.name=vae", "model.latent=2", "model.hidden=4", "model.likelihood=gaussian"]
BASE = ["run.precision=double", "optim.batch=0", "optim.steps=2", "optim.learning_rate=0.05", "output.local=yes", "inference.standardise=no", "log.images=0"]
ACTIVATION = {"relu": lambda v: numpy.maximum(v, 0), "gelu": lambda v: v * 0.5 * (1 + numpy.vectorize(math.erf)(v / math.sqrt(2))), "silu": lambda v: v / (1 + numpy.exp(-v)),
              "softplus": lambda v: numpy.log1p(numpy.exp(v)), "tanh": numpy.tanh, "identity": lambda v: v}


def blocks(folder, group):
    with h5py.File(folder / "run.h5") as file:
        found = {}
        for name, item in file[group].items():
            found[name] = item[()] if isinstance(item, h5py.Dataset) else item["mean"][()]
    return found


def dense(p, name, x, layers, activation, norm=False, residual=False, last=False):
    """Layers name.0 .. name.(layers - 1) of the blocks p; last: the last one has the activation too."""
    act = ACTIVATION[activation]
    for i in range(layers):
        h = x @ p[f"{name}.{i}.weight"].T + p[f"{name}.{i}.bias"]
        if i < layers - 1 and norm:
            h = (h - h.mean(1, keepdims=True)) / numpy.sqrt(h.var(1, keepdims=True) + 1e-5) * p[f"{name}.{i}.gain"] + p[f"{name}.{i}.offset"]
        if i < layers - 1 or last:
            h = act(h)
        x = h + x if residual and 0 < i < layers - 1 and h.shape == x.shape else h
    return x


def sizes(height, width, kernel, stride):
    """Kernel, stride, pad and size of the small image along height and width."""
    k, s = (tuple(1 if n == 1 else value for n in (height, width)) for value in (kernel, stride))
    pad = tuple((n - 1) // 2 for n in k)
    return k, s, pad, tuple((n + 2 * p - a) // b + 1 for n, p, a, b in zip((height, width), pad, k, s))


def convolve(p, name, x, kernel, stride, activation):
    """x (rows, planes, height, width, channels) -> (rows, 1, h, w, small channels)."""
    rows, planes, height, width, channels = x.shape
    weight, (k, s, pad, size) = p[f"{name}.weight"], sizes(height, width, kernel, stride)
    weight = weight.reshape(len(weight), planes, *k, channels)
    padded = numpy.pad(x, ((0, 0), (0, 0), (pad[0], pad[0]), (pad[1], pad[1]), (0, 0)))
    y = numpy.zeros((rows, 1, *size, len(weight))) + p[f"{name}.bias"].ravel()
    for a in range(size[0]):
        for b in range(size[1]):
            patch = padded[:, :, a * s[0]:a * s[0] + k[0], b * s[1]:b * s[1] + k[1]]
            y[:, 0, a, b] += numpy.einsum("rpijc,opijc->ro", patch, weight)
    return ACTIVATION[activation](y)


def convolve_back(p, name, x, height, width, kernel, stride, activation):
    """x (rows, h, w, small channels) -> (rows, height, width, channels)."""
    k, s, pad, size = sizes(height, width, kernel, stride)
    channels = p[f"{name}.bias"].size
    weight, y = p[f"{name}.weight"].reshape(*k, channels, x.shape[-1]), numpy.zeros((len(x), height + 2 * pad[0] + k[0], width + 2 * pad[1] + k[1], channels))
    for a in range(size[0]):
        for b in range(size[1]):
            y[:, a * s[0]:a * s[0] + k[0], b * s[1]:b * s[1] + k[1]] += numpy.einsum("ro,ijco->rijc", x[:, a, b], weight)
    return ACTIVATION[activation](y[:, pad[0]:pad[0] + height, pad[1]:pad[1] + width] + p[f"{name}.bias"].ravel())


def close(what, got, want, bound=1e-12):
    error = float(numpy.max(numpy.abs(got - want)))
    if got.shape != want.shape or not error < bound:
        raise Failure(f"{what}: shapes {got.shape} and {want.shape}, largest difference {error:.1e}")
    return error


def encoder(p, x, layers, kernel, stride, activation, hidden):
    for i in range(layers):
        x = convolve(p, f"convolution.{i}", x, kernel, stride, activation)
    return dense(p, "encoder", x.reshape(len(x), -1), hidden + 1, activation)


def encoders(scratch):
    """The means of /local are those of the encoder in numpy: a window, images with channels first and last, values that are missing; an mlp with residual layers and layer norm."""
    generator, ini, worst = numpy.random.default_rng(5), empty_ini(scratch), 0.0

    def run(name, x, *arguments, model=VAE):
        with h5py.File(scratch / "x.h5", "w") as file:
            file["x"] = x
        folder = fit(scratch / name, *model, *BASE, "data.source=hdf5", f"data.path={scratch / 'x.h5'}", "data.dataset=x", *arguments, ini=ini)
        with h5py.File(folder / "run.h5") as file:
            return blocks(folder, "/inference"), file["/local/mean"][()]
    first = generator.normal(size=(9, 3, 6, 5))  # channels, height, width
    conv = ["inference.function=conv", "inference.channels=3,2", "inference.kernel=3", "inference.stride=2", "inference.hidden=5", "inference.activation=gelu"]
    p, got = run("first", first, *conv)
    want = encoder(p, first.transpose(0, 2, 3, 1)[:, None], 2, 3, 2, "gelu", 1)[:, :2]
    worst = max(worst, close("channels first", got, want))
    table = generator.normal(size=(9, 7))
    p, got = run("projected", table, "inference.function=polynomial", "inference.degree=2", "inference.project=3", "optim.steps=3")
    u = table @ p["polynomial.projection"].T
    monomials = numpy.column_stack([u, *(u[:, i] * u[:, j] for i in range(3) for j in range(i, 3))])  # lower degrees first, then in lexicographic order
    worst = max(worst, close("a polynomial in linear combinations", got, (monomials @ p["polynomial.coefficients"].T + p["polynomial.constant"])[:, :2]))
    last = generator.normal(size=(9, 5, 6, 3))
    p, got = run("last", last, *conv, "inference.kernel=4")
    worst = max(worst, close("channels last", got, encoder(p, last[:, None], 2, 4, 2, "gelu", 1)[:, :2]))
    holes = numpy.where(generator.random(last.shape) < 0.3, numpy.nan, last)
    p, got = run("holes", holes, *conv, "data.missing=mask")
    there = numpy.isfinite(holes)
    seen = numpy.stack([numpy.where(there, holes, 0), there.astype(float)], 1)
    worst = max(worst, close("a plane of what is missing", got, encoder(p, seen, 2, 3, 2, "gelu", 1)[:, :2]))
    table = generator.normal(size=(9, 12))
    p, got = run("table", table, *conv, "data.height=3")
    worst = max(worst, close("rows of a table that are images", got, encoder(p, table.reshape(9, 1, 3, 4, 1), 2, 3, 2, "gelu", 1)[:, :2]))
    series = generator.normal(size=(20, 2))
    p, got = run("series", series, *conv, "inference.domain=window:3", "inference.stride=1", "data.shuffle=no")
    rows = numpy.clip(numpy.arange(20)[:, None] + numpy.arange(-3, 4), 0, 19)
    worst = max(worst, close("a window", got, encoder(p, series[rows][:, None, None], 2, 3, 1, "gelu", 1)[:, :2]))
    for activation in ("silu", "softplus"):
        p, got = run(f"mlp_{activation}", table, "inference.function=mlp", "inference.hidden=6,6,3", "inference.residual=yes", "inference.norm=layer", f"inference.activation={activation}")
        worst = max(worst, close(f"mlp with {activation}", got, dense(p, "encoder", table, 4, activation, norm=True, residual=True)[:, :2]))
    return f"7 encoders, largest difference {worst:.1e}"


def starts(scratch):
    """Initial weights and biases are uniform within 1 / sqrt(fan in), as PyTorch's layers: torch.nn.init counts the second dimension of a weight times the kernel, which for ConvTranspose2d,
    (in, out, kernel, kernel), is the channels that it makes."""
    with h5py.File(scratch / "x.h5", "w") as file:
        file["x"] = numpy.random.default_rng(7).normal(size=(12, 2, 12, 12))
    folder = fit(scratch / "fit", *VAE, *BASE, "optim.steps=1", "optim.learning_rate=1e-9", "data.source=hdf5", f"data.path={scratch / 'x.h5'}", "data.dataset=x", "model.latent=4",
                 "inference.function=conv", "inference.channels=24,16", "inference.kernel=4", "inference.hidden=30", "model.decoder=conv", "model.channels=16,24", "model.kernel=4", "model.hidden=30",
                 ini=empty_ini(scratch))
    encoder, decoder = blocks(folder, "/inference"), blocks(folder, "/global")
    fan_in = {"convolution.0": 2 * 16, "convolution.1": 24 * 16, "encoder.0": 16 * 9, "encoder.1": 30}
    back = {"decoder.0": 4, "decoder.1": 30, "decoder.convolution.0": 24 * 16, "decoder.convolution.1": 2 * 16}
    for of, fans in ((encoder, fan_in), (decoder, back)):
        for name, fan in fans.items():
            weight, bias, bound = of[f"{name}.weight"], of[f"{name}.bias"], 1 / math.sqrt(fan)
            largest, spread = numpy.abs(weight).max() / bound, weight.std() / bound * math.sqrt(3)
            if not (0.9 < largest <= 1 + 1e-6 and abs(spread - 1) < 4 / math.sqrt(weight.size) and numpy.abs(bias).max() <= bound * (1 + 1e-6)):
                raise Failure(f"{name}: largest weight {largest:.3f} of 1 / sqrt({fan}), spread {spread:.3f} of a uniform one's, largest bias {numpy.abs(bias).max() / bound:.3f}")
    return f"{len(fan_in) + len(back)} layers start as PyTorch's"


def decoder(scratch):
    """E[x | z] of drawn z is that of the decoder in numpy: dense layers and transposed convolutions to images with channels first, sizes that the stride does not divide."""
    generator = numpy.random.default_rng(6)
    with h5py.File(scratch / "x.h5", "w") as file:
        file["x"] = generator.normal(size=(12, 2, 7, 6))
    folder = fit(scratch / "fit", *VAE, *BASE, "data.source=hdf5", f"data.path={scratch / 'x.h5'}", "data.dataset=x", "inference.hidden=5", "model.decoder=conv", "model.channels=3,4",
                 "model.kernel=4", "model.activation=silu", "model.hidden=5,5", "model.residual=yes", "model.norm=layer", ini=empty_ini(scratch))
    start(None, [folder, "-q", "run.task=sample", "sample.count=7", f"run.output={scratch / 'drawn'}"])
    with h5py.File(scratch / "drawn" / "samples.h5") as file:
        z, mean = file["prior/z"][()], file["prior/mean"][()]
    p = blocks(folder, "/global")
    h = dense(p, "decoder", z, 3, "silu", norm=True, residual=True, last=True)
    h = h.reshape(len(z), 1, 1, 3)  # 7 x 6 -> 3 x 3 -> 1 x 1
    h = convolve_back(p, "decoder.convolution.0", h, 3, 3, 4, 2, "silu")
    want = convolve_back(p, "decoder.convolution.1", h, 7, 6, 4, 2, "identity").transpose(0, 3, 1, 2).reshape(len(z), -1)
    return f"largest difference {close('decoder', mean.reshape(len(z), -1), want):.1e}"


def norm(p, name, x):
    return (x - x.mean(1, keepdims=True)) / numpy.sqrt(x.var(1, keepdims=True) + 1e-5) * p[f"{name}.gain"] + p[f"{name}.offset"]


def affine(p, name, x):
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def transformer(p, x, blocks, heads, activation, place):
    """x (entries, inputs) of one row."""
    h = affine(p, "attention.embed", x) + place
    for i in range(blocks):
        name, seen = f"attention.{i}", numpy.zeros_like(h)
        q, k, v = numpy.split(affine(p, f"{name}.qkv", norm(p, f"{name}.norm1", h)), 3, axis=1)
        d = h.shape[1] // heads
        for part in (slice(j * d, (j + 1) * d) for j in range(heads)):
            weight = numpy.exp(q[:, part] @ k[:, part].T / math.sqrt(d))
            seen[:, part] = weight / weight.sum(1, keepdims=True) @ v[:, part]
        h = h + affine(p, f"{name}.out", seen)
        h = h + affine(p, f"{name}.back", ACTIVATION[activation](affine(p, f"{name}.hidden", norm(p, f"{name}.norm2", h))))
    return norm(p, "attention.norm", h)


def entries(scratch):
    """attention and set against numpy: windows, patches of images with channels first, values that are missing, groups of 0 to 9 entries; groups by a network of their means."""
    generator, ini, worst = numpy.random.default_rng(9), empty_ini(scratch), 0.0
    attention = ["inference.function=attention", "inference.width=6", "inference.heads=2", "inference.feed_forward=5"]
    deep = ["inference.function=set", "inference.entry_hidden=5,4", "inference.hidden=3", "inference.activation=tanh"]
    sizes = [3, 0, 1, 9, 5, 2, 1, 4, 7, 6, 2, 3]
    groups = [numpy.column_stack([generator.integers(0, 2, n), generator.normal(size=(n, 2))]) for n in sizes]
    with h5py.File(scratch / "x.h5", "w") as file:
        file["series"], file["images"] = generator.normal(size=(20, 2)), generator.normal(size=(9, 2, 6, 8))
        file["holes"] = numpy.where(generator.random((20, 2)) < 0.3, numpy.nan, file["series"][()])
        file["groups/data"], file["groups/indptr"] = numpy.concatenate(groups), numpy.concatenate([[0], numpy.cumsum(sizes)])
        series, images, holes = (file[n][()] for n in ("series", "images", "holes"))

    def run(name, data, *arguments):
        model = ["model.name=hier_logistic", "model.covariates=2"] if data == "groups" else VAE
        order = ["data.shuffle=no"] if data != "images" else []
        folder = fit(scratch / name, *model, *BASE, "data.source=hdf5", f"data.path={scratch / 'x.h5'}", f"data.dataset={data}", *order, *arguments, ini=ini)
        with h5py.File(folder / "run.h5") as file:
            return blocks(folder, "/inference"), file["/local/mean"][()]

    def attended(p, rows, pool, blocks=2, activation="gelu", place=None):
        place = p["attention.position"] if place is None else place
        found = [pool(transformer(p, x, blocks, 2, activation, place)) if len(x) else numpy.zeros(6) for x in rows]
        return affine(p, "encoder", numpy.array(found))
    near = numpy.clip(numpy.arange(20)[:, None] + numpy.arange(-2, 3), 0, 19)
    mean = (lambda h: h.mean(0))
    p, got = run("window", "series", *attention, "inference.domain=window:2")
    worst = max(worst, close("attention over a window", got, attended(p, series[near], mean)[:, :2]))
    p, got = run("centre", "series", *attention, "inference.domain=window:2", "inference.pool=centre", "inference.positions=sine", "inference.activation=silu", "inference.blocks=1")
    angle = numpy.arange(5)[:, None] * 10000 ** -(numpy.arange(6) // 2 * 2 / 6)
    wave = numpy.where(numpy.arange(6) % 2, numpy.cos(angle), numpy.sin(angle))
    worst = max(worst, close("attention, the row in the middle", got, attended(p, series[near], lambda h: h[2], 1, "silu", wave)[:, :2]))
    p, got = run("patches", "images", *attention, "inference.patch=2")
    patches = images.reshape(9, 2, 3, 2, 4, 2).transpose(0, 2, 4, 3, 5, 1).reshape(9, 12, 8)
    worst = max(worst, close("attention over patches", got, attended(p, patches, mean)[:, :2]))
    p, got = run("attention_groups", "groups", *attention)
    worst = max(worst, close("attention over groups", got, attended(p, groups, mean, place=0)[:, :1]))
    there = numpy.isfinite(holes)
    seen = numpy.concatenate([numpy.where(there, holes, 0), there], 1)[near]
    p, got = run("set_window", "holes", *deep, "inference.domain=window:2", "inference.pool=sum", "data.missing=mask")
    inner = dense(p, "entry", seen.reshape(100, 4), 2, "tanh", last=True).reshape(20, 5, 4).sum(1)
    worst = max(worst, close("set of a window with values that are missing", got, dense(p, "encoder", inner, 2, "tanh")[:, :2]))
    size = numpy.log1p(sizes)[:, None]
    for pool in ("mean", "sum"):
        p, got = run(f"set_{pool}", "groups", *deep, f"inference.pool={pool}")
        inner = [getattr(dense(p, "entry", g, 2, "tanh", last=True), pool)(0) if len(g) else numpy.zeros(4) for g in groups]
        want = dense(p, "encoder", numpy.concatenate([inner, size], 1), 2, "tanh")[:, :1]
        worst = max(worst, close(f"set of groups, {pool}", got, want))
    p, got = run("means", "groups", "inference.function=mlp", "inference.hidden=4")
    means = numpy.array([g.mean(0) if len(g) else numpy.zeros(3) for g in groups])
    worst = max(worst, close("means of groups", got, dense(p, "encoder", numpy.concatenate([means, size], 1), 2, "relu")[:, :1]))
    return f"8 encoders, largest difference {worst:.1e}"


CONV = ["model.name=vae", "data.source=strokes", "model.latent=2", "model.decoder=conv", "model.channels=6,5", "model.hidden=7", "model.norm=layer", "inference.function=conv",
        "inference.channels=5,6", "inference.hidden=7,7", "inference.residual=yes", "inference.norm=layer", "inference.activation=silu", "model.activation=gelu"]


def bits(scratch):
    """run.reproducible: convolutions both ways, layer norm and residual layers on 1, 2 and 3 ranks, tiles of 3 rows of which the last has 1. With 16 channels oneDNN takes single precision, of
    the gradients of weights the first 16 rows of a tile."""
    ini = empty_ini(scratch)
    wide = ["model.channels=16,16", "inference.channels=16,16"]
    for number, extra in enumerate((["run.precision=single", "objective.draws=2"], ["run.precision=double", "model.global=gaussian"], wide, [*wide, "optim.batch=54", "optim.tile=18"])):
        arguments = [*CONV, "data.rows=58", "data.test_rows=5", "optim.batch=42", "optim.tile=3", "optim.steps=4", "run.reproducible=yes", "output.local=yes", *extra]
        one = fit(scratch / f"one{number}", *arguments, ini=ini)
        for np in (2, 3):
            expect_same_bits(fit(scratch / f"of{np}_{number}", *arguments, ini=ini, np=np), one, f"{np} ranks, {extra}")
    return "8 runs on several ranks"


def gradients(scratch):
    """--check-gradient in double: both ways of convolutions in a fit, with draws of theta; with values that are missing."""
    ini, worst = empty_ini(scratch), 0.0
    with h5py.File(scratch / "x.h5", "w") as file:
        x = numpy.random.default_rng(7).normal(size=(24, 5, 6))
        x[::3, 1, 2] = numpy.nan
        file["x"] = x
    smooth = [a for a in CONV if not a.startswith("data.")] + ["run.precision=double", "optim.batch=12", "optim.tile=2", "model.channels=3,2", "inference.channels=2,3", "model.hidden=4"]
    for arguments in (["data.source=strokes", "data.rows=24", "data.test_rows=0", "model.global=gaussian", "objective.draws=2"],
                      ["data.source=hdf5", f"data.path={scratch / 'x.h5'}", "data.dataset=x", "data.missing=mask", "model.likelihood=gaussian"]):
        text = start(None, [ini, "--check-gradient", *smooth, *arguments])
        found = re.search(r"largest relative error (\S+)", text)
        worst = max(worst, float(found.group(1)) if found else math.inf)
    if not worst < 1e-5:
        raise Failure(f"largest relative error {worst:.1e}\n{text[-400:]}")
    return f"largest relative error {worst:.1e}"


def refusals(scratch):
    """What cannot be combined is refused with the key and with what to use, which then works."""
    ini = empty_ini(scratch)
    with h5py.File(scratch / "x.h5", "w") as file:
        file["x"] = numpy.random.default_rng(8).normal(size=(12, 12))
    table = [ini, "-q", "--fresh", *VAE, *BASE, "data.source=hdf5", f"data.path={scratch / 'x.h5'}", "data.dataset=x", f"run.output={scratch / 'out'}"]
    conv = ["inference.function=conv", "inference.channels=2", "inference.hidden=3"]
    wrong = [  # what is asked for, words of the message, the advice
        (conv, "[inference] function = conv: a row is 12 plain values", ["data.height=3"]),
        (conv, "use data.height", ["inference.domain=window:8"]),
        (conv, "or mlp", ["inference.function=mlp"]),
        (["model.decoder=conv"], "[model] decoder = conv: a row is 12 plain values", ["data.height=3"]),
        (["model.decoder=conv"], "or mlp", ["model.decoder=mlp"]),
        ([*conv, "data.height=3", "inference.kernel=300", "inference.channels=60000"], "2^31 values or more for a row; use fewer channels", ["inference.channels=3"]),
        ([*conv, "data.height=3", "inference.kernel=300", "inference.channels=60000"], "a smaller inference.kernel", ["inference.kernel=3", "inference.channels=60"]),
        ([*conv, "data.height=3", "inference.channels="], "use 1 to 8 numbers", ["inference.channels=2"]),
        (["inference.function=attention"], "[inference] function = attention: a row is 12 plain values", ["data.height=3", "inference.patch=1"]),
        (["inference.function=attention"], "inference.domain = window:8", ["inference.domain=window:8"]),
        (["inference.function=attention", "data.height=3"], "patches of this size do not divide images of 3 x 4; use 1", ["inference.patch=1"]),
        (["inference.function=attention", "inference.domain=window:1", "inference.heads=3"], "use 1, or inference.width = 66", ["inference.width=66"]),
        (["inference.function=attention", "data.height=3", "inference.patch=1", "inference.pool=centre"], "use mean", ["inference.pool=mean"]),
        (["inference.function=set"], "a row of these data is 12 plain values; use mlp", ["inference.domain=window:8"]),
        (["inference.function=set", "inference.domain=next", "inference.entry_hidden="], "use 1 to 16 numbers", ["inference.entry_hidden=3"]),
        (["inference.residual=yes", "inference.hidden=3,4"], "use inference.hidden = 3, 3", ["inference.hidden=3,3"]),
        (["model.residual=yes"], "use model.hidden = 4, 4", ["model.hidden=4,4"]),
    ]
    for arguments, words, advice in wrong:
        message = refusal(start(None, [*table, *arguments], expect=(78,))) or ""
        if words not in message:
            raise Failure(f"{arguments}: expected '{words}', the message is '{message}'")
        start(None, [*table, *arguments, *advice])
    return f"{len(wrong)} refusals, and their advice"


if __name__ == "__main__":
    main(encoders, starts, decoder, entries, bits, gradients, refusals)
