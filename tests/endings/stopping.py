"""[stop] in runs of a second each: where they end on 1, 2 and 3 ranks, what is written then, going on after it, and exit status 3."""
import time

import h5py
import numpy

from small import MODEL, data, write
from runs import Failure, empty_ini, expect_same_bits, fit, main, metrics, read, refusal, start

BUDGET, BAD_CONFIG = 3, 78
BASE = [*(word for word in MODEL if not word.startswith("log.every")), "run.reproducible=yes", "objective.draws=0", "inference.function=polynomial", "optim.batch=21", "optim.tile=3",
        "optim.learning_rate=0.01",
        "log.eval_every=5", "output.local=yes"]
RANKS = (None, 2, 3)


def given(scratch, every=7):
    """Lines of the trace at other steps than evaluations, unless told."""
    return [*BASE, f"log.every={every}", f"data.path={write(scratch / 'x.h5', data(58))}", "data.dataset=x"]


def why(folder):
    with h5py.File(folder / "run.h5") as file:
        return [value.decode() if isinstance(value, bytes) else str(value) for value in (file.attrs["status"], file.attrs["why_stopped"])]


def halfway(values, at):
    """A bound that the value of evaluation `at` is the first to be beyond."""
    return 0.5 * (values[at] + values[at - 1])


def first_below(bound, *columns):
    return int(numpy.flatnonzero(numpy.all([column < bound for column in columns], axis=0))[0])


def expect_end(folder, step, words):
    status, text = why(folder)
    if status != "done" or not text.startswith(words):
        raise Failure(f"{folder.name}: {status}, {text!r}; done, {words!r} expected")
    lines = metrics(folder)
    last = {"eval": read(folder, "/eval/step")[-1], "trace": read(folder, "/trace/step")[-1], "metrics.csv": float(lines[-1]["step"])}
    if set(last.values()) != {step}:
        raise Failure(f"{folder.name} ends at {last}, not at step {step}")
    for name in ("elbo", "grad_norm", "kl_global"):
        if not numpy.isfinite(read(folder, f"/trace/{name}")[-1]):
            raise Failure(f"{folder.name}: the last line of the trace has no {name}")


def expect_part(folder, whole):
    """Evaluations are those of the run without a target, up to the end."""
    for name in ("step", "elbo_train", "mse_train"):
        part, all_of_it = read(folder, f"/eval/{name}"), read(whole, f"/eval/{name}")
        if part.tobytes() != all_of_it[:len(part)].tobytes():
            raise Failure(f"{folder.name}: /eval/{name} is not that of the run without [stop]")


def ends(scratch):
    """By the error and by the ELBO: at the first evaluation beyond the bound, with the same bits on any number of ranks."""
    arguments = [*given(scratch), "log.eval_rows=0"]
    whole = fit(scratch / "whole", *arguments, "optim.steps=120", ini=empty_ini(scratch))
    told = []
    for name, column, below in (("mse", "mse_train", True), ("elbo_per_row", "elbo_train", False)):
        values = read(whole, f"/eval/{column}") * (1 if below else -1)
        bound = halfway(values, 9)
        at = first_below(bound, values)
        folders = [fit(scratch / f"{name}-{np}", *arguments, "optim.steps=120", f"stop.{name}={bound if below else -bound:.17g}", "stop.required=yes", np=np,
                       ini=empty_ini(scratch)) for np in RANKS]
        for folder in folders:
            expect_end(folder, 5 * (at + 1), f"stop rule met: {column}")
            expect_part(folder, whole)
            expect_same_bits(folder, folders[0], f"{folder.name} against one rank")
        told.append(f"{name} at step {5 * (at + 1)}")
    return "120 steps end by " + ", ".join(told)


def some_rows(scratch):
    """Evaluations on 20 of 58 rows say when to look; all rows decide."""
    arguments = [*given(scratch), "optim.steps=120"]
    part, whole = (fit(scratch / f"rows{n}", *arguments, f"log.eval_rows={n}", ini=empty_ini(scratch)) for n in (20, 0))
    few, all_rows = read(part, "/eval/mse_train")[:-1], read(whole, "/eval/mse_train")[:-1]
    bound = halfway(all_rows, 12)
    at = first_below(bound, few, all_rows)
    if first_below(bound, few) >= at:
        raise Failure("the rows looked at are not easier than all: nothing is tested")
    for np in RANKS:
        folder = fit(scratch / f"stopped-{np}", *arguments, "log.eval_rows=20", f"stop.mse={bound:.17g}", np=np, ini=empty_ini(scratch))
        expect_end(folder, 5 * (at + 1), "stop rule met")
        if read(folder, "/eval/mse_train")[-1] != all_rows[at]:
            raise Failure(f"{folder.name}: the last evaluation is not on all rows")
    return f"20 rows from step {5 * (first_below(bound, few) + 1)}, all from {5 * (at + 1)}"


def budget(scratch):
    """Not met: status 3 where asked to mind; the same run with more steps ends as one that had them at once. A run that stopped stays stopped."""
    arguments = [*given(scratch, every=1), "log.eval_rows=0"]
    whole = fit(scratch / "whole", *arguments, "optim.steps=120", ini=empty_ini(scratch))
    bound = halfway(read(whole, "/eval/mse_train"), 9)
    rule, at = f"stop.mse={bound:.17g}", 5 * (first_below(bound, read(whole, "/eval/mse_train")) + 1)
    wanted = fit(scratch / "at_once", *arguments, rule, "stop.required=yes", "optim.steps=120", ini=empty_ini(scratch))
    for np in RANKS:
        folder = scratch / f"short-{np}"
        common = [empty_ini(scratch), "-q", f"run.output={folder}", *arguments, rule]
        text = start(np, [*common, "optim.steps=20", "stop.required=yes"], expect=(BUDGET,))
        if "budget spent before the stop rule was met: mse_train" not in text or refusal(text):
            raise Failure(f"exit status 3 with the words: {text}")
        expect_end(folder, 20, "stop rule not met: mse_train")
        start(np, [*common, "optim.steps=20", "--resume"])
        start(np, [*common, "optim.steps=120"])
        expect_end(folder, at, "stop rule met")
        expect_same_bits(folder, wanted, f"{folder.name}: 20 steps and the rest")
        (folder / "run.h5").unlink()  # killed between the last checkpoint and the results
        start(np, [*common, "optim.steps=120"])
        expect_same_bits(folder, wanted, f"{folder.name}: results written anew")
        start(np, [*common, "optim.steps=120", "--resume"])
        expect_same_bits(folder, wanted, f"{folder.name}: resumed at its end")
    return f"exit status 3 after 20 steps, then stopped at {at}"


def time_limit(scratch):
    """run.time_limit = auto ends a run before its Slurm job would be killed, whatever the rank count, and is no limit outside of a job."""
    arguments = [*given(scratch), "log.eval_rows=0", "run.time_limit=auto"]
    for np in (None, 3):
        began = time.monotonic()
        folder, job = scratch / f"job{np}", {"SLURM_JOB_END_TIME": str(int(time.time()) + 6)}
        text = fit_text(folder, [*arguments, "optim.steps=999999999"], scratch, np, environment=job, expect=(75,))
        took = time.monotonic() - began
        if took > 6 or "stopped at run.time_limit" not in text:
            raise Failure(f"a job of 6 s: {took:.1f} s, {text}")
        done = int(metrics(folder)[-1]["step"])
        text = fit_text(folder, [*arguments, f"optim.steps={done + 20}", "checkpoint.resume=yes"], scratch, np)
        if "this is no Slurm job" not in text or why(folder)[0] != "done":
            raise Failure(f"outside of a job: {why(folder)}, {text}")
    text = fit_text(scratch / "soon", [*arguments, "run.time_limit=soon"], scratch, None, expect=(BAD_CONFIG,))
    if "use auto (the end of the Slurm job)" not in text:
        raise Failure(text)
    return "6 s from the end of a job; none outside of one"


def fit_text(folder, arguments, scratch, np, **how):
    return start(np, [empty_ini(scratch), f"run.output={folder}", *arguments], **how)


def refused(scratch):
    saw = ["model.name=saw", "data.source=model", "data.rows=30", "optim.batch=0"]
    for words, arguments in (("has no reconstruction", [*saw, "stop.mse=0.1"]), ("no stop rule to require", [*given(scratch), "stop.required=yes"])):
        text = start(None, [empty_ini(scratch), "-q", f"run.output={scratch / 'run'}", *arguments], expect=(BAD_CONFIG,))
        if words not in text:
            raise Failure(f"{words} is not in: {text}")
    return "an error without a reconstruction, a rule that is not there"


if __name__ == "__main__":
    main(ends, some_rows, budget, time_limit, refused)
