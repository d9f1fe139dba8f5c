"""Resuming in runs of a second each: what a checkpoint must hold, what is passed over, what is refused, what a run that is killed in its last evaluation keeps."""
import pathlib
import subprocess
import sys
import time

import h5py
import numpy

from small import data, write
from runs import Failure, command, empty_ini, expect_same_bits, fit, main, metrics, read, refusal, start, status

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "io"))
from store import checksum  # noqa: E402

BAD_DATA, NO_INPUT = 65, 66
BASE = ["run.reproducible=yes", "run.precision=double", "log.every=1", "log.eval_every=5", "optim.learning_rate=0.05", "output.local=yes"]
MINIBATCH = ["optim.batch=21", "optim.tile=3"]
KINDS = {
    "factorized": ["model.name=linear", "inference.function=factorized", *MINIBATCH],
    "mlp": ["model.name=nonlinear", "model.global=gaussian", "inference.function=mlp", "inference.hidden=5", *MINIBATCH],
    "sgd": ["model.name=linear", "inference.function=polynomial", "optim.method=sgd", *MINIBATCH],
    "lbfgs": ["model.name=nonlinear", "objective.draws=0", "objective.points=8", "inference.function=polynomial", "inference.degree=3", "optim.method=lbfgs", "optim.batch=0",
              "optim.tile=3"],
}


def given(scratch, x):
    return ["data.source=hdf5", f"data.path={write(scratch / 'x.h5', x)}", "data.dataset=x"]


def expect_steps(folder, steps):
    """Every step once, in metrics.csv and in /trace."""
    lines, trace = [int(line["step"]) for line in metrics(folder)], read(folder, "/trace/step").astype(int).tolist()
    if lines != list(range(1, steps + 1)) or trace != lines:
        raise Failure(f"{folder.name}: metrics.csv has steps {lines}, /trace {trace}; 1 to {steps} expected")


def parts(scratch):
    """5 steps on 3 ranks and 4 more on 2 are 9 steps: with every optimizer, with local factors."""
    for name, kind in KINDS.items():
        arguments, run = [*BASE, *kind, *given(scratch, data(58))], scratch / name
        whole = fit(scratch / f"{name}-whole", *arguments, "optim.steps=9", ini=empty_ini(scratch))
        fit(run, *arguments, "optim.steps=5", np=3, ini=empty_ini(scratch))
        fit(run, *arguments, "optim.steps=9", "--resume", np=2, ini=empty_ini(scratch))
        expect_steps(run, 9)
        expect_same_bits(run, whole, f"{name}: 5 + 4 steps")
    return f"5 + 4 = 9 steps: {', '.join(KINDS)}"


def as_before(folder):
    """The last checkpoint as versions wrote it that had nine shares of every rank in the lines of /trace."""
    path = folder / "checkpoint" / (folder / "checkpoint" / "latest").read_text().strip()
    with h5py.File(path, "r+") as file:
        lines, shares = file["/trace"][()], file["/trace_rank"][()]
        wide = numpy.full((*shares.shape[:2], 9), numpy.nan)
        wide[:, :, :shares.shape[2]] = shares
        table = numpy.ascontiguousarray(numpy.hstack([lines, wide.reshape(len(lines), -1)]))
        about = dict(file["/trace"].attrs)
        del file["/trace"], file["/trace_rank"]
        file["/trace"] = table
        for name, value in {**about, "checksum": numpy.bytes_(f"{checksum(table.tobytes(), table[0].nbytes):016x}")}.items():
            file["/trace"].attrs[name] = value


def shares(scratch):
    """4 steps on 3 ranks, 4 on 2, 3 on 4: /trace/elbo_rank keeps what each rank said, also from checkpoints that have it in /trace; its sum is ELBO + KL(theta)."""
    arguments, bytes_ = [*BASE, *KINDS["mlp"], *given(scratch, data(58))], []
    for name in ("now", "before"):
        run, told = scratch / name, []
        for steps, ranks in ((4, 3), (8, 2), (11, 4)):
            fit(run, *arguments, f"optim.steps={steps}", "checkpoint.resume=auto", *(["log.profile=yes"] if ranks == 4 else []), np=ranks, ini=empty_ini(scratch))
            told.append(read(run, "/trace/elbo_rank"))
            if name == "before":
                as_before(run)
        whole = told[-1]
        want = numpy.array([[True] * 3 + [False]] * 4 + [[True] * 2 + [False] * 2] * 4 + [[True] * 4] * 3)
        if whole.shape != (11, 4) or not (numpy.isfinite(whole) == want).all():
            raise Failure(f"{name}: /trace/elbo_rank of 3, 2 and 4 ranks:\n{whole}")
        if not (numpy.isfinite(read(run, "/trace/seconds_rank")) == want).all() or not numpy.isfinite(read(run, "/trace/profile")[8:]).all():
            raise Failure(f"{name}: seconds_rank or profile")
        total = read(run, "/trace/elbo") + read(run, "/trace/kl_global")
        if not numpy.allclose(numpy.nansum(whole, axis=1), total, rtol=1e-12):
            raise Failure(f"{name}: the ranks' shares {numpy.nansum(whole, axis=1)} are not the ELBO {total}")
        for part in told[:-1]:
            if not numpy.array_equal(part, whole[:len(part), :part.shape[1]], equal_nan=True):
                raise Failure(f"{name}: a resume changed the shares of lines before it")
        bytes_.append(whole.tobytes())
    if bytes_[0] != bytes_[1]:
        raise Failure("checkpoints that have the shares in /trace give other ones")
    return "3, 2 and 4 ranks, both forms of checkpoints"


def damaged(scratch):
    """A changed byte in the newest checkpoint: it is named and passed over, the one before serves, and the lines after it are written once."""
    arguments, run = [*BASE, *KINDS["factorized"], *given(scratch, data(58)), "checkpoint.keep=5"], scratch / "run"
    whole = fit(scratch / "whole", *arguments, "checkpoint.every=3", "optim.steps=12", ini=empty_ini(scratch))
    fit(run, *arguments, "checkpoint.every=3", "optim.steps=10", ini=empty_ini(scratch))
    newest = run / "checkpoint" / "step_000000010.h5"
    content = bytearray(newest.read_bytes())
    with h5py.File(newest, "r") as file:
        at = content.find(file["/state/local/second_moment"][()].tobytes())  # not what the file format has around it: the checksum of a dataset must say so
    if at < 0:
        raise Failure("the state is not found in the checkpoint")
    content[at + 3] ^= 0x40
    newest.write_bytes(content)
    text = start(None, [empty_ini(scratch), "-q", f"run.output={run}", *arguments, "checkpoint.every=3", "optim.steps=12", "--resume"])
    if "passed over" not in text or newest.name not in text:
        raise Failure(f"the damaged checkpoint is not named: {text}")
    expect_steps(run, 12)
    expect_same_bits(run, whole, "resumed from the checkpoint before the damaged one")
    return "step 10 damaged, resumed at 9 of 12"


def kept(scratch):
    """Where no checkpoint can be had the run says so and removes none: all damaged, or the newest not to be read. --fresh starts afresh."""
    arguments = [*BASE, *KINDS["factorized"], *given(scratch, data(58)), "checkpoint.every=3", "optim.steps=9"]
    run = fit(scratch / "run", *arguments, ini=empty_ini(scratch))
    files = sorted((run / "checkpoint").glob("step_*.h5"))
    newest, aside = files[-1], scratch / "aside.h5"
    newest.rename(aside)
    newest.symlink_to(scratch / "nowhere.h5")  # permissions do not stop root
    unread = start(2, [empty_ini(scratch), "-q", f"run.output={run}", *arguments, "optim.epochs=7"], expect=(NO_INPUT,))
    newest.unlink()
    aside.rename(newest)
    for file in files:
        file.write_bytes(file.read_bytes()[:-100])
    damaged_all = start(2, [empty_ini(scratch), "-q", f"run.output={run}", *arguments], expect=(BAD_DATA,))
    for text in (unread, damaged_all):
        if "checkpoint.resume" not in (refusal(text) or ""):
            raise Failure(f"no way out is named: {text}")
    if sorted((run / "checkpoint").glob("step_*.h5")) != files:
        raise Failure("checkpoints were removed")
    fit(run, *arguments, "--fresh", ini=empty_ini(scratch))
    expect_steps(run, 9)
    return f"{len(files)} files: one that cannot be read (66), all damaged (65), --fresh"


def last_evaluation(scratch):
    """A fit is saved before its last evaluation, which may take longer than the job has: killed in it, the run only evaluates again."""
    arguments, run = ["data.source=model", "model.name=linear", "inference.function=polynomial", "data.storage=stream", "data.rows=100000000", "optim.batch=1000",
                      "optim.steps=2", "log.eval_every=-1"], scratch / "run"
    checkpoint = run / "checkpoint" / "latest"
    process = subprocess.Popen(command(None, [empty_ini(scratch), "-q", f"run.output={run}", *arguments]), stdin=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.2)
    running = process.poll() is None
    process.kill()
    process.wait()
    if not checkpoint.exists() or not running or status(run) != "running":
        raise Failure("the fit is not saved before its last evaluation")
    text = start(None, [empty_ini(scratch), f"run.output={run}", *arguments, "log.last_rows=1000"])
    if "resumed      at step 2" not in text or read(run, "/eval/step").tolist() != [2]:
        raise Failure(f"it does not go on at its end: {text}")
    return "killed in the evaluation of 1e8 rows, resumed at step 2 of 2"


def refused(scratch):
    """A checkpoint of another seed, or of other data under the same name."""
    arguments, run = [*BASE, *KINDS["factorized"]], scratch / "run"
    fit(run, *arguments, *given(scratch, data(58)), "optim.steps=4", ini=empty_ini(scratch))
    for words, more in (("seed", [*given(scratch, data(58)), "run.seed=2"]), ("other data", given(scratch, data(58, seed=2)))):
        text = start(None, [empty_ini(scratch), "-q", f"run.output={run}", *arguments, *more, "optim.steps=9", "--resume"], expect=(BAD_DATA,))
        if words not in text or not refusal(text):
            raise Failure(f"{words} is not in: {text}")
    return "another seed, other data"


if __name__ == "__main__":
    main(parts, shares, damaged, kept, last_evaluation, refused)
