"""data.holdout: test rows out of one data set, and the warning where test rows are training rows."""
import gzip
import struct

import numpy

from small_runs import close

R = numpy.random.default_rng(11)


def case_test_is_training(c):
    """Shared case 18: the keys that look like a split make the first training rows the test rows."""
    x = R.normal(size=(500, 10)).astype("f4")
    c.write(x).write(R.normal(size=(50, 10)).astype("f4"), dataset="other").write(x[100:150], dataset="same")
    c.run("data.test_dataset=x", "data.rows=400", "data.test_rows=100").good("warning: 100 of 100 test rows are training rows", "use data.holdout = 0.1")
    c.run("data.test_dataset=same", "optim.tile=100", ranks=3).good("warning: 50 of 50 test rows are training rows")
    c.run("data.test_dataset=other").good().silent("warning")
    c.run("data.holdout=0.1").good(", 50 of 500 rows held out: 450 rows", "50 test rows").silent("warning")
    # Rows of many bits are told apart.
    c.write((R.random((300, 60)) < 0.5).astype("u1"), dataset="wide").write((R.random((100, 60)) < 0.5).astype("u1"), dataset="wider")
    c.run("data.dataset=wide", "data.test_dataset=wider").good().silent("warning")
    # Rows of few bits are equal by themselves: nothing is said.
    c.write((R.random((300, 3)) < 0.5).astype("u1"), dataset="bits").write((R.random((100, 3)) < 0.5).astype("u1"), dataset="more")
    c.run("data.dataset=bits", "data.test_dataset=more").good().silent("warning")


def case_parts(c):
    """The parts are disjoint, complete, in order, the same at any number of ranks, and others by another seed."""
    x = numpy.arange(97.0)[:, None] + R.normal(size=(97, 1)) * 1e-3
    c.write(x)
    how = ["model.name=linear", "inference.function=factorized", "run.precision=double", "optim.method=lbfgs", "objective.draws=0", "optim.steps=15", "run.reproducible=yes", "optim.tile=10"]
    for held, expected in (("0.1", 10), ("30", 30), ("0.75", 73), ("96", 96)):
        run = c.run(*how, f"data.holdout={held}").good()
        rows = run.read("/data/held_out")
        assert len(rows) == expected and len(set(rows)) == expected and numpy.all(numpy.diff(rows) > 0) and rows[0] >= 0 and rows[-1] < 97
        assert run.attribute("/data", "held_out") == expected and len(run.read("/local/mean")) == 97 - expected
        # The factor of a row follows its value: the others are there in their order.
        others = numpy.delete(x.ravel(), rows)
        close(run.read("/data/mean"), others.mean(), 1e-6, "mean of the training rows")
        assert numpy.all(numpy.diff(run.read("/local/mean").ravel()) > 0) and numpy.all(numpy.diff(others) > 0)
    again = c.run(*how, "data.holdout=0.1", ranks=3).good()
    first = c.run(*how, "data.holdout=0.1").good()
    assert numpy.array_equal(again.read("/trace/elbo"), first.read("/trace/elbo")) and numpy.array_equal(again.read("/data/held_out"), first.read("/data/held_out"))
    assert not numpy.array_equal(c.run(*how, "data.holdout=0.1", "run.seed=5").good().read("/data/held_out"), first.read("/data/held_out"))


def case_same_as_two_files(c):
    """A fit on the parts is a fit on files that have them, compressed images included."""
    images = R.integers(0, 256, (120, 4, 4)).astype("u1")
    with gzip.open(c.folder / "all.gz", "wb") as file:
        file.write(struct.pack(">4I", 0x803, *images.shape) + images.tobytes())
    c.write(images)
    how = ["model.likelihood=bernoulli", "optim.steps=3", "run.precision=double"]
    held = c.run(*how, "data.holdout=20").good()
    rows = held.read("/data/held_out")
    c.write(numpy.delete(images, rows, 0), dataset="train").write(images[rows], dataset="test")
    files = c.run(*how, "data.dataset=train", "data.test_dataset=test").good()
    stream = c.run(*how, "data.source=idx", "data.path=all.gz", "data.holdout=20").good()
    for name in ("/trace/elbo", "/eval/elbo_train", "/eval/elbo_test"):
        assert numpy.array_equal(files.read(name), held.read(name)) and numpy.array_equal(stream.read(name), held.read(name)), name


def case_series(c):
    """Rows that have neighbours: the last ones are held out. Drawn rows can be held out too, streamed or not."""
    c.write(numpy.cumsum(R.normal(size=(60, 1)), 0))
    run = c.run("model.name=saw", "inference.function=factorized", "data.holdout=0.2").good("12 of 60 rows held out")
    assert numpy.array_equal(run.read("/data/held_out"), numpy.arange(48, 60))
    drawn = ["data.source=strokes", "data.rows=200", "data.holdout=0.25", "model.likelihood=bernoulli", "optim.steps=2", "run.precision=double"]
    a, b = c.run(*drawn, "data.storage=memory").good("50 test rows"), c.run(*drawn, "data.storage=stream").good()
    assert numpy.array_equal(a.read("/eval/elbo_test"), b.read("/eval/elbo_test"))


def case_refused(c):
    x = R.normal(size=(50, 2))
    x[33, 1] = numpy.nan
    c.write(x).write(x, dataset="t")
    c.run("data.holdout=50").ends(78, r"\[data\] holdout = 50", "keeps all of the 50 rows aside; use at most 49")
    c.run("data.holdout=2.5").ends(78, "neither a part of the rows nor a number")
    c.run("data.holdout=0.2", "data.test_dataset=t").ends(78, "use it without data.test_path and data.test_dataset")
    c.run("data.holdout=0.2", "data.test_rows=5").ends(78, "use it without data.test_rows")
    for held in ("1", "25"):  # a message names the row of the file, in whichever part it is
        c.run(f"data.holdout={held}").ends(65, r"row 33, column 1 \(both from 0\) is NaN")
