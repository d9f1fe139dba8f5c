"""Streamed rows (data.storage = stream): the bits of held ones at any number of ranks, resuming with the other storage, what is refused, a row that cannot be had.

    streaming.py LIBRARY [CHECK ...]     LIBRARY: blot.c as a shared library"""
import sys

from small import data, write
from runs import Failure, empty_ini, expect_same_bits, fit, main, measured, read, refusal, start

BAD_DATA, BAD_CONFIG = 65, 78
LIBRARY = sys.argv.pop(1)
BASE = ["run.reproducible=yes", "log.every=1", "log.eval_every=5", "log.images=0", "output.local=yes", "optim.batch=21", "optim.tile=3"]
DRAWN = ["data.source=model", "data.rows=58"]
KINDS = {
    "linear": [*DRAWN, "model.name=linear", "inference.function=factorized", "data.shuffle=yes"],
    "linear, window": [*DRAWN, "model.name=linear", "inference.function=polynomial", "inference.domain=window:2", "data.shuffle=no", "run.precision=double"],
    "nonlinear": [*DRAWN, "model.name=nonlinear", "inference.function=mlp", "inference.hidden=5", "data.test_rows=20", "data.shuffle=no"],
    "ppca": [*DRAWN, "model.name=ppca", "model.latent=2", "model.simulate_width=6", "inference.function=mlp", "inference.hidden=5"],
    "hier_logistic": [*DRAWN, "model.name=hier_logistic", "model.trials=4", "inference.function=constant", "objective.draws=2"],
    "vae": ["data.source=strokes", "data.rows=116", "model.name=vae", "model.latent=3", "model.hidden=8", "inference.function=mlp", "inference.hidden=6", "data.test_rows=20"],
}


def streamed_bits(scratch):
    """Held on one rank is streamed on one, two or three."""
    for at, (name, kind) in enumerate(KINDS.items()):
        run = [*BASE, *kind, "optim.steps=5", "--fresh"]
        held = fit(scratch / "held", *run, "data.storage=memory", ini=empty_ini(scratch))
        np = 1 + at % 3
        expect_same_bits(fit(scratch / "streamed", *run, "data.storage=stream", np=np, ini=empty_ini(scratch)), held, f"{name}, streamed on {np} ranks")
    return ", ".join(KINDS)


def streamed_resumed(scratch):
    """A run resumes with the other storage, and not with other data."""
    run = [*BASE, *KINDS["linear"]]
    whole = fit(scratch / "whole", *run, "optim.steps=9", ini=empty_ini(scratch))
    for first, then in (("memory", "stream"), ("stream", "memory"), ("stream", "stream")):
        folder = scratch / f"{first}-{then}"
        fit(folder, *run, "optim.steps=5", f"data.storage={first}", np=2, ini=empty_ini(scratch))
        fit(folder, *run, "optim.steps=9", f"data.storage={then}", "--resume", np=3, ini=empty_ini(scratch))
        expect_same_bits(folder, whole, f"{first}, then {then}")
    text = start(None, [empty_ini(scratch), "-q", f"run.output={folder}", *run, "optim.steps=12", "data.storage=stream", "model.simulate_theta=1", "--resume"], expect=(BAD_DATA,))
    if "simulate_theta" not in (refusal(text) or "") + text:
        raise Failure(f"other data are not refused by name: {text}")
    return "5 + 4 = 9 steps, memory and stream"


def streamed_refused(scratch):
    """Rows that follow from each other, or come from a file, are held: the key is named, and what to use."""
    file = write(scratch / "x.h5", data(58))
    cases = {"saw": ["data.source=model", "model.name=saw"], "hmm": ["data.source=model", "model.name=hmm"], "gp": ["data.source=model", "model.name=gp"],
             "file": ["data.source=hdf5", f"data.path={file}", "data.dataset=x", "model.name=linear"]}
    for name, case in cases.items():
        text = start(2, [empty_ini(scratch), "-q", *case, "data.storage=stream", "inference.function=factorized", "--dry-run"], expect=(BAD_CONFIG,))
        said = refusal(text) or ""
        for words in ("storage", "use memory or auto", "from a file" if name == "file" else f"model {name}"):
            if words not in said:
                raise Failure(f"{name}: no '{words}' in: {text}")
    return ", ".join(cases)


def streamed_large(scratch):
    """1e9 rows are streamed by themselves, and none of them is held."""
    text = start(2, [empty_ini(scratch), "data.source=model", "data.rows=1e9", "model.name=linear", "inference.function=polynomial", "optim.batch=1e5", "--dry-run"])
    if "1000000000 rows of 1 value, shuffled, streamed" not in text or "kB of data" not in text:
        raise Failure(f"not streamed: {text}")
    return "1e9 rows"


def streamed_pass(scratch):
    """An evaluation of many rows in small tiles needs no memory for each of them."""
    _, peak = measured([empty_ini(scratch), "-q", f"run.output={scratch / 'run'}", "data.source=model", "data.rows=1e7", "data.storage=stream", "model.name=linear",
                        "inference.function=polynomial", "optim.batch=64", "optim.tile=1", "optim.steps=1", "log.eval_every=-1"])
    if peak > 100e6:
        raise Failure(f"{peak / 1e6:.0f} MB at the peak; less than 100 expected")
    return f"1e7 tiles: {peak / 1e6:.0f} MB"


def streamed_broken(scratch):
    """A row that turns out not finite on one rank, when it is loaded or in a step, ends the run on all of them, with the row named once."""
    steps = [key for key in BASE if not key.startswith("log.eval_every")] + ["log.eval_every=0"]  # no evaluation, which would see it too
    run = [empty_ini(scratch), "-q", f"run.output={scratch / 'run'}", *steps, "data.source=model", "data.rows=4000", "model.name=nonlinear", "inference.function=factorized",
           "data.storage=stream", "optim.steps=50000", "--fresh"]
    for after in (200, 20000):  # loading takes no more than a few passes over the 1334 rows of a rank
        text = start(3, run, environment={"LD_PRELOAD": LIBRARY, "AVI_BLOT_AFTER": str(after)}, expect=(BAD_DATA,), limit=60)
        if "drawn from model nonlinear: row " not in (refusal(text) or "") or "is NaN" not in text or text.count("avi_mpi: error") != 1:
            raise Failure(f"the row is not named, or more than once: {text}")
        if (scratch / "run" / "metrics.csv").exists() != (after > 200):
            raise Failure(f"the row that cannot be had after {after} calls was {'not ' if after > 200 else ''}in a step")
    return refusal(text)


def last_rows(scratch):
    """The evaluation at the end on as many rows as asked for: what one on the way finds on the same rows at the same step."""
    run = [*BASE, *KINDS["linear"], "--fresh"]
    short = fit(scratch / "short", *run, "optim.steps=5", "log.last_rows=10", ini=empty_ini(scratch))
    longer = fit(scratch / "longer", *run, "optim.steps=10", "log.eval_rows=10", np=2, ini=empty_ini(scratch))
    found, expected = read(short, "/eval/elbo_train")[-1], read(longer, "/eval/elbo_train")[0]
    if found != expected or found == read(longer, "/eval/elbo_train")[-1]:
        raise Failure(f"{found} on the last evaluation's 10 rows, {expected} on the way")
    return "10 of 58 rows"


if __name__ == "__main__":
    main(streamed_bits, streamed_resumed, streamed_refused, streamed_large, streamed_pass, streamed_broken, last_rows)
