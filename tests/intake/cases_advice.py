"""What a fit says at its end, and refusals that name another command: the advice works when it is tried."""
import re

import h5py
import numpy

from small_runs import close

R = numpy.random.default_rng(5)


def number(text, words):
    return float(re.search(words + r" *=? ?([-+0-9.e]+)", text)[1])


def case_raw_images(c):
    """Shared case 4: grey values as floats. A run too short for nan.max_skips is told the cause too, and both keys help."""
    c.write(numpy.floor(R.random((60, 8, 8)) * 256))
    for more in ([], ["nan.policy=rollback"], ["optim.learning_rate=1e-8"]):
        said = c.run("optim.epochs=3", *more).ends(4, "The data are large", "Use data.standardise = yes, or data.scale = 0.0039215686274509803")
        said.silent("Use a lower|clip_norm")
    c.run("optim.epochs=3", "data.standardise=yes").good().silent("note  ")
    c.run("optim.epochs=3", "data.scale=0.0039215686274509803").good("stored value / 255")


def case_large_integers(c):
    """Values of 1e19: no step of the run is finite, and the end names the scale as the first step does."""
    c.write(R.integers(2**63, 2**64 - 1, (60, 6), dtype="u8"))
    c.run("optim.epochs=3").ends(4, "none of its 3 steps was finite.*The data are large.*Use data.standardise = yes").silent("Use a lower")
    c.run("optim.epochs=3", "data.standardise=yes").good()


def case_error_above_variance(c):
    """A fit that is worse than the means of the columns says so, with the variance that numpy finds."""
    x = R.integers(0, 256, (200, 30)).astype("f4")
    c.write(x)
    said = c.run("optim.epochs=2").good("Use data.standardise = yes, or more optim.epochs")
    close(number(said.text, "variance of the data,"), x.var(0).mean(), 1, "variance of the data")
    c.run("optim.epochs=2", "data.standardise=yes").good().silent("variance of the data")
    c.write(R.normal(size=(200, 3)) * 1e-8, dataset="small")
    c.run("data.dataset=small").good("Use data.standardise = yes").silent("0.000000")
    c.run("data.dataset=small", "data.standardise=yes").good().silent(r"0\.000000|note  ")


def case_squares_beyond_double(c):
    """Squared errors of values around 1e300 are no numbers; the fit of the standardised values is one all the same."""
    c.write(R.normal(size=(60, 4)) * 1e300)
    c.run("data.standardise=yes").good()
    c.run().ends(4, r"\|x\| is up to [0-9.]+e\+300", "Use data.standardise = yes")


def case_collapsed(c):
    """Shared case 20: a noise above the spread of the data leaves no dimension used; at the noise that is named both are."""
    x = (R.normal(size=(1000, 2)) @ R.normal(size=(2, 10)) * 0.15 + 0.1 * R.normal(size=(1000, 10))).astype("f4")
    c.write(x)
    how = ["optim.batch=100", "optim.epochs=150", "optim.learning_rate=0.003"]
    said = c.run(*how).good("0 of 2 latent dimensions are used", "the posterior has collapsed", "in place of 1\n")
    close(number(said.text, "model.noise_sd"), numpy.sqrt(x.var(0).mean()), 0.02, "noise that is named")
    better = c.run(*how, f"model.noise_sd={number(said.text, 'model.noise_sd')}").good("2 of 2 latent dimensions are used").silent("collapsed")
    close(number(better.text, r"per row\),"), better.read("/eval/kl_dimension")[-1].sum(), 0.01, "KL in the summary")


def case_other_rows(c):
    """Shared case 6: the file and the folder of a fit, and new rows: the command that is named makes their codes."""
    c.write(R.normal(size=(80, 5))).write(R.normal(size=(30, 5)), name="new.h5")
    fit = c.run("data.path=d.h5").good()
    for task in ("fit", "evaluate"):
        c.number = 0  # the same folder
        said = c.run("data.path=new.h5", f"run.task={task}").ends(65, "of other data", r"use avi_mpi \S+ run.task=encode")
    folder = re.search(r"use avi_mpi (\S+) run.task=encode", said.text)[1]
    used = c.run("run.task=encode", "data.path=new.h5", ini=folder).good("rows +30 of")
    with h5py.File(used.folder / "rows.h5") as file:
        assert file["mean"].shape == (30, 2)
    c.number = 0
    c.run("run.task=evaluate", "model.noise_sd=2").ends(65, r"\[model\] noise_sd", "run.task=evaluate with another run.output")
    c.number = 1
    assert fit.folder.name == "run1"
    c.run("run.task=evaluate", ini=folder).ends(78, "another run.output")  # rows of encode are there
    c.run("run.task=evaluate", ini=folder).good("ELBO")


def case_draws_of_a_fit(c):
    """Shared case 24: a vae draws by run.task = sample once it is fitted, as simulate says."""
    c.write(R.normal(size=(80, 5)))
    c.run("run.task=simulate").ends(78, "use run.task = sample")
    fit = c.run().good()
    drawn = c.run("run.task=sample", ini=fit.folder).good("samples.h5")
    with h5py.File(drawn.folder / "samples.h5") as file:
        assert file["prior/x"].shape[1:] == (5,) and numpy.isfinite(file["prior/x"][()]).all()
