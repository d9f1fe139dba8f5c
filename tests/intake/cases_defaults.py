"""Defaults bend, wishes do not; keys of one source do not reach another."""
import gzip
import struct

import numpy

from small_runs import SOURCE

NO_BATCH = "[data]\nsource = hdf5\npath = d.h5\n[model]\nlikelihood = gaussian\nhidden = 8\n[inference]\nhidden = 8\n"


def normal(rows, columns=10):
    return numpy.random.default_rng(0).normal(size=(rows, columns)).astype("f4")


def case_batch_default_shrinks(c):
    """Shared case 21: 500 rows and no batch in the file."""
    c.write(normal(500))
    (c.folder / "s.ini").write_text(NO_BATCH)
    first = c.run(ini="s.ini").good(r"of 500 rows, which are all")
    # The effective configuration is the same run, also where nothing is a default any more.
    again = c.run(ini=first.folder / "config.ini").good(r"of 500 rows, which are all")
    assert numpy.array_equal(first.read("/trace/elbo"), again.read("/trace/elbo"))
    c.run("optim.tile=48", ini="s.ini").good()
    c.run("optim.batch=1024", ini="s.ini").ends(78, r"\[optim\] batch = 1024", "at most that, or 0")


def case_batch_default_of_methods(c):
    """A method or model that takes all rows has them by default, and refuses a batch that was asked for."""
    c.write(normal(60, 3))
    (c.folder / "s.ini").write_text("[data]\nsource = hdf5\npath = d.h5\n[model]\nname = ppca\nlatent = 1\n[inference]\nfunction = factorized\n"
                                    "[optim]\nmethod = lbfgs\nsteps = 2\n[objective]\ndraws = 0\n")
    c.run(ini="s.ini").good("of 60 rows, which are all")
    c.run("optim.batch=30", ini="s.ini").ends(78, r"\[optim\] batch = 30")


def case_keys_of_another_source(c):
    """inputs/vae.ini says rows = 20000 for its drawn glyphs; another source named on the command line has all its rows."""
    rows, side = 300, 6
    images = numpy.random.default_rng(1).integers(0, 256, rows * side * side, dtype=numpy.uint8).tobytes()
    with gzip.open(c.folder / "train.gz", "wb") as file:
        file.write(struct.pack(">4I", 0x803, rows, side, side) + images)
    small = ["model.hidden=8", "inference.hidden=8", "optim.batch=50", "--dry-run"]
    vae = f"{SOURCE}/inputs/vae.ini"
    c.run("data.source=idx", "data.path=train.gz", *small, ini=vae).good("300 rows of 6 x 6", r"does not use: data.rows \(line")
    c.run("data.source=idx", "data.path=train.gz", "data.rows=200", *small, ini=vae).good("200 rows of 6 x 6")
    c.run("data.source=strokes", *small, ini=vae).good("20000 rows of 28 x 28")
    for ranks in (1, 2):  # a file that the source of the configuration would not read is no wish to be passed over
        c.run("data.path=train.gz", *small, ini=vae, ranks=ranks).ends(78, r"\[data\] path = train.gz: data.source = strokes reads no file; use data.source = hdf5 .or idx.")


def case_simulate_says_what_can_draw(c):
    """Shared case 24: the two messages of simulate named each other."""
    c.write(normal(50))
    for more in ([], ["data.source=model", "data.rows=100"]):
        c.run("run.task=simulate", *more).ends(78, r"\[run\] task = simulate: model vae", "use run.task = sample")
    c.run("data.source=model").ends(78, r"\[data\] source = model", "use a source that has data", "ppca")
    c.run("run.task=simulate", "model.name=ppca").ends(78, "use data.source = model")
    c.run("run.task=simulate", "model.name=ppca", "data.source=model").good("rows drawn from model ppca")
