"""A checkpoint that is named is the one that is used, by every task, whether a file of keys or the folder of the run comes first."""
import re

import h5py
import numpy

from small_runs import close

R = numpy.random.default_rng(12)
PPCA = "[data]\nsource = hdf5\npath = d.h5\n[model]\nname = ppca\nlatent = 2\n[inference]\nhidden = 8\n[run]\nprecision = double\n[output]\nlocal = yes\n[optim]\nbatch = 50\nlearning_rate = 0.02\n"


def read(path, *names):
    with h5py.File(path) as file:
        return [file[name][()] for name in names]


def case_every_task(c):
    """A run of 40 steps whose checkpoint of step 10 is named, against a run that ended there."""
    c.write(R.normal(size=(150, 2)) @ R.normal(size=(2, 5)) + 0.4 * R.normal(size=(150, 5)))
    (c.folder / "p.ini").write_text(PPCA)
    long = c.run("optim.steps=40", "checkpoint.every=10", "checkpoint.keep=9", ini="p.ini").good()
    short = c.run("optim.steps=10", ini="p.ini").good()
    file = long.folder / "checkpoint/step_000000010.h5"
    elbo, codes = short.read("/eval/elbo_train")[-1], short.read("/local/mean")
    w, mu = short.read("/global/decoder.weight/mean"), short.read("/global/decoder.bias/mean").ravel()
    if abs(long.read("/eval/elbo_train")[-1] - elbo) < 0.1:
        raise AssertionError("the two runs are too close to tell their checkpoints apart")
    for first in ("p.ini", long.folder):
        def use(task, *more):
            return c.run(f"run.task={task}", f"checkpoint.from={file}", *more, ini=first).good()
        used = use("evaluate")
        said = re.search(r"ELBO +(-[0-9.]+)|elbo_train (-[0-9.]+)", used.text)
        close(float(said[1] or said[2]), elbo, 1e-6, f"evaluate, {first}")
        close(read(use("encode").folder / "rows.h5", "mean")[0], codes, 1e-12, f"encode, {first}")
        mean, z = read(use("sample").folder / "samples.h5", "prior/mean", "prior/z")
        close(mean, z @ w.T + mu, 1e-10, f"sample, {first}")
        back = read(use("reconstruct", "rows.draws=300").folder / "rows.h5", "reconstruction")[0]
        close(back.mean(0), (codes @ w.T + mu).mean(0), 0.05, f"reconstruct, {first}")
        close(use("gap").read("/gap/train/elbo_avi").mean(), elbo, 1e-6, f"gap, {first}")
    text = c.run("run.task=exact", f"checkpoint.from={file}", ini="p.ini").good().text
    close(float(re.search(r"this fit, ELBO +-[0-9.]+ +(-[0-9.]+)", text)[1]), elbo, 1e-5, "exact")
    text = c.run("run.task=diagnose", f"checkpoint.from={file}", ini="p.ini").good().text
    gap = c.run("run.task=gap", f"checkpoint.from={file}", ini="p.ini").good().read("/gap/train/elbo_fvi").mean() - elbo
    close(float(re.search(r"one that was fitted loses ([0-9.]+)", text)[1]), gap, 0.01 * gap, "diagnose")
