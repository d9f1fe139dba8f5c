"""Values are looked at: support and scale."""
import gzip
import struct

import numpy

from small_runs import close

R = numpy.random.default_rng(0)
BITS = R.random((120, 16)) < 0.3


def idx(c, name, images):
    with gzip.open(c.folder / name, "wb") as file:
        file.write(struct.pack(">4I", 0x803, *images.shape) + images.astype("u1").tobytes())


def case_bernoulli_range(c):
    """Shared case 1: standardised values under the Bernoulli likelihood."""
    x = (BITS - BITS.mean()) / BITS.std()
    c.write(x.astype("f4"))
    for ranks in (1, 3):
        c.run("model.likelihood=bernoulli", "optim.tile=40", ranks=ranks).ends(
            65, r"row 0, column 0 \(both from 0\) is -0\.6\d+, but the likelihood needs a number from 0 to 1", "model.likelihood = gaussian")
    c.run("model.likelihood=gaussian").good("values +-0.6")


def case_bernoulli_names_the_first(c):
    """The first value outside by given row, wherever shuffling took it; and the key that helps does."""
    x = R.random((90, 5)) * 255
    x[:41] /= 255
    c.write(x)
    said = c.run("model.likelihood=bernoulli", "optim.tile=30", ranks=3).ends(65, "row 41, column 0 ", r"use data.scale = 0.0039215686274509803 \(1/255\)")
    said.silent("use data.height")
    c.run("model.likelihood=bernoulli", "data.scale=0.0039215686274509803").good(r"stored value / 255")


def case_binary_uint8(c):
    """Shared case 2: the same bits in 8 bits and as floats are the same data."""
    c.write(BITS.astype("u1"), dataset="u8").write(BITS.astype("f4"), dataset="f4").write(BITS.astype("u1").reshape(120, 4, 4), dataset="images")
    runs = [c.run(f"data.dataset={d}", "model.likelihood=bernoulli").good("values +0 to 1$|values +0 to 1\n").silent("warning") for d in ("u8", "f4", "images")]
    for run in runs[1:]:
        assert numpy.array_equal(run.read("/trace/elbo"), runs[0].read("/trace/elbo"))
    idx(c, "bits.gz", BITS.reshape(120, 4, 4))
    assert numpy.array_equal(c.run("data.source=idx", "data.path=bits.gz", "model.likelihood=bernoulli").good().read("/trace/elbo"), runs[0].read("/trace/elbo"))


def case_grey_scale(c):
    """Stacks of 8-bit images are grey values of 255 steps; a table of 8-bit numbers is not."""
    grey = R.integers(0, 256, (60, 4, 4)).astype("u1")
    c.write(grey, dataset="images").write(grey.reshape(60, 16), dataset="table").write(grey / 255.0, dataset="floats")
    (c.folder / "test").mkdir()
    stack = c.run("data.dataset=images", "model.likelihood=bernoulli").good(r"values +0 to 1 \(stored value / 255\)")
    floats = c.run("data.dataset=floats", "model.likelihood=bernoulli").good()
    close(stack.read("/eval/elbo_train"), floats.read("/eval/elbo_train"), 1e-3, "ELBO of grey values")
    c.run("data.dataset=table", "model.likelihood=bernoulli").ends(65, "needs a number from 0 to 1", "1/255")
    c.run("data.dataset=table", "model.likelihood=gaussian", "--dry-run").good("values +0 to 255\n|values +1 to 25[45]\n|values +0 to 25[45]\n")
    c.run("data.dataset=table", "data.height=4", "model.likelihood=bernoulli").good("stored value / 255")


def case_test_rows_have_the_training_scale(c):
    """Grey training images and a test file that happens to be black and white."""
    c.write(R.integers(0, 256, (60, 4, 4)).astype("u1")).write(BITS[:20].astype("u1").reshape(20, 4, 4), dataset="t").write(BITS[:20].reshape(20, 4, 4) / 255.0, dataset="same")
    a = c.run("data.test_dataset=t", "model.likelihood=bernoulli").good()
    c.write(R.integers(0, 2, (1, 1)), dataset="unused")
    with c.file() as file:
        grey = file["x"][()]
    c.write(grey / 255.0, dataset="floats")
    b = c.run("data.dataset=floats", "data.test_dataset=same", "model.likelihood=bernoulli").good()
    close(a.read("/eval/elbo_test"), b.read("/eval/elbo_test"), 1e-3, "ELBO of test rows")


def case_no_false_alarm(c):
    """Valid floats in [0, 1]: no warning."""
    c.write(R.random((60, 5)).astype("f4"))
    c.run("model.likelihood=bernoulli").good().silent("warning|expects")


def case_outcomes(c):
    """hier_logistic: outcomes are 0 or 1, below 0 there is none; covariates are any numbers."""
    good = numpy.concatenate([R.integers(-1, 2, (50, 3)), R.normal(size=(50, 3))], axis=1)
    bad = good.copy()
    bad[17, 2] = 0.5
    c.write(good).write(bad, dataset="bad")
    model = ["model.name=hier_logistic", "model.trials=3", "model.covariates=1"]
    c.run(*model).good()
    c.run(*model, "data.dataset=bad", "optim.tile=20", ranks=2).ends(65, r"row 17, column 2 \(both from 0\) is 0.5, but the likelihood needs 0 or 1", "as 0 and 1")
    c.run(*model, "data.standardise=yes").ends(78, r"\[data\] standardise = yes: the likelihood of model hier_logistic")


def case_counts_missing(c):
    """Shared case 15: NaN is counted and the key is named; Inf is refused whatever the key says."""
    x = R.normal(size=(200, 10))
    x[[3, 3, 150], [7, 2, 0]] = numpy.nan
    c.write(x)
    c.run().ends(65, r"row 3, column 2 \(both from 0\) is NaN", "3 of 2000 values in 2 rows", "data.missing = mask")
    c.run("optim.tile=50", ranks=3).ends(65, r"row 3, column 2 ", "3 of 2000 values in 2 rows")


def case_standardise(c):
    """The model sees columns of mean 0 and sd 1; as if numpy had written them so, at any number of ranks."""
    x = (R.normal(size=(150, 4)) * [1e6, 1, 1e-4, 30] + [3e6, 0, 1, -500]).astype("f8")
    c.write(x).write((x - x.mean(0)) / x.std(0), dataset="by_hand").write(x[:40], dataset="t").write(((x - x.mean(0)) / x.std(0))[:40], dataset="t_by_hand")
    how = ["run.precision=double", "optim.steps=5", "optim.tile=50"]
    hand = c.run("data.dataset=by_hand", "data.test_dataset=t_by_hand", *how).good()
    own = c.run("data.standardise=yes", "data.test_dataset=t", *how).good("each column standardised", r"-11\.\d+ nats per row for the values as given|nats per row for the values")
    close(own.read("/eval/elbo_train"), hand.read("/eval/elbo_train"), 1e-5, "ELBO of standardised rows")
    close(own.read("/eval/elbo_test"), hand.read("/eval/elbo_test"), 1e-5, "ELBO of standardised test rows")
    bits = [c.run("data.standardise=yes", "run.reproducible=yes", *how, ranks=r).good().read("/trace/elbo") for r in (1, 3)]
    assert numpy.array_equal(*bits), bits
    c.run(*how, "data.standardise=yes", "model.likelihood=bernoulli").ends(78, r"\[data\] standardise")


def case_log1p(c):
    """log1p of counts, before standardising; the Jacobian of the header is numpy's."""
    x = R.poisson(3, (100, 5)).astype("i4")
    y = numpy.log1p(x.astype("f8"))
    c.write(x.astype("f8")).write(y, dataset="by_hand").write((y - y.mean(0)) / y.std(0), dataset="both")
    how = ["run.precision=double", "optim.steps=5"]
    for key, dataset, jacobian in ((["data.transform=log1p"], "by_hand", -y.sum(1).mean()), (["data.transform=log1p", "data.standardise=yes"], "both", -y.sum(1).mean() - numpy.log(y.std(0)).sum())):
        own = c.run(*key, *how).good(r"log\(1 \+ value\)")
        close(own.read("/eval/elbo_train"), c.run(f"data.dataset={dataset}", *how).good().read("/eval/elbo_train"), 1e-5, "ELBO of log1p")
        assert f"{jacobian:+.4g}"[:6] in own.text, (jacobian, own.text)
    c.write(R.normal(size=(30, 3)) - 4, dataset="negative")
    c.run("data.dataset=negative", "data.transform=log1p").ends(65, "transform = log1p", "use transform = none")


def case_users_units(c):
    """Reconstructions, draws and the squared error are in the units of the user's columns; /data says how they got there."""
    x = (R.normal(size=(80, 3)) * [1e3, 1, 1e-3] + [5e3, 0, 1]).astype("f8")
    c.write(x)
    run = c.run("data.standardise=yes", "run.precision=double", "data.shuffle=no", "log.images=80", "model.name=ppca", "model.latent=1", "optim.steps=30", "checkpoint.every=30").good()
    close(run.read("/rows/original"), x, 1e-9, "rows as given")
    reconstruction, spread = run.read("/rows/reconstruction"), x.std(0)
    assert numpy.all(abs(reconstruction.mean(0) - x.mean(0)) < spread), reconstruction.mean(0)
    assert numpy.all(abs(run.read("/rows/sample").mean(0) - x.mean(0)) < spread)
    ratio = run.read("/eval/mse_train")[-1] / ((reconstruction - x) ** 2).mean()  # the mean over draws, against one draw
    assert 0.6 < ratio < 1.6, f"mean squared error: {ratio} of that of one draw"
    close(run.read("/data/mean"), x.mean(0), 1e-5, "means")
    close(run.read("/data/sd") / spread, 1, 1e-6, "standard deviations")
    assert run.attribute("/data", "standardise") in (b"yes", "yes")
    close(run.attribute("/data", "log_jacobian_per_row"), -numpy.log(spread).sum(), 1e-6, "log Jacobian")
    checkpoint = sorted((run.folder / "checkpoint").glob("step_*.h5"))[-1]
    import h5py
    with h5py.File(checkpoint) as file:
        close(file["/data/mean"][()], run.read("/data/mean"), 0, "means of the checkpoint")


def case_first_step_names_the_key(c):
    """Shared case 4: raw values of a large scale; the key that is named helps."""
    x = R.normal(size=(60, 5)) * 1e25 + 3e25
    c.write(x)
    c.run("optim.steps=3").ends(4, "The data are large", "Use data.standardise = yes")
    c.run("optim.steps=3", "data.standardise=yes").good()
