"""Finished runs: left as they are, replaced only by --fresh and only when the new results are complete, resumed from with what may change."""
import shutil
import subprocess
import time

import h5py
import numpy

from small import data, write
from runs import Failure, command, empty_ini, expect_same_bits, fit, main, read, refusal, start

BAD_DATA, USAGE, NO_INPUT = 65, 64, 66
BASE = ["run.reproducible=yes", "run.precision=double", "model.name=linear", "inference.function=polynomial", "optim.batch=21", "optim.tile=3", "log.every=1", "log.eval_every=5"]


def given(scratch):
    return [*BASE, "data.source=hdf5", f"data.path={write(scratch / 'x.h5', data(58))}", "data.dataset=x"]


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def expect_untouched(folder, before, what):
    now = content(folder)
    changed = sorted(str(path) for path in set(now) | set(before) if now.get(path) != before.get(path))
    if changed:
        raise Failure(f"{what}: {', '.join(changed)} changed")


def again(scratch):
    """The same command, one with fewer steps, one with -q, one whose checkpoints are gone: told, and nothing is touched."""
    ini, arguments, run = empty_ini(scratch), given(scratch), scratch / "run"
    fit(run, *arguments, "optim.steps=9", ini=ini)
    before = content(run)
    for np, more, words in ((None, ["optim.steps=9"], "done already"), (3, ["optim.steps=4"], "more than the 4"), (2, ["optim.steps=9", "-q"], "done already"),
                            (None, ["optim.steps=9", "--resume"], "after 9 steps")):
        text = start(np, [ini, f"run.output={run}", *arguments, *more])
        if words not in text or "--fresh" not in text:
            raise Failure(f"{more}: {text}")
        expect_untouched(run, before, f"{more}")
    text = start(None, [ini, f"run.output={run}", *arguments, "optim.steps=9", "optim.learning_rate=0.5"], expect=(BAD_DATA,))
    if "--resume" not in text or "learning_rate" not in text:
        raise Failure(f"another learning rate: {text}")
    expect_untouched(run, before, "another learning rate")
    shutil.rmtree(run / "checkpoint")
    before = content(run)
    start(2, [ini, f"run.output={run}", *arguments, "optim.steps=9"])
    text = start(None, [ini, f"run.output={run}", *arguments, "optim.steps=12"], expect=(BAD_DATA,))
    if "--fresh" not in (refusal(text) or ""):
        raise Failure(f"without checkpoints: {text}")
    expect_untouched(run, before, "without checkpoints")
    return "five commands on a finished run, two without its checkpoints"


def alone(scratch):
    """Results whose checkpoints are gone: each command says that, and what it tells to do works."""
    ini, arguments, run = empty_ini(scratch), given(scratch), scratch / "run"
    fit(run, *arguments, "optim.steps=9", ini=ini)
    shutil.rmtree(run / "checkpoint")
    before = content(run)
    own, tasks = [ini, f"run.output={run}", *arguments, "optim.steps=9"], [run, f"run.output={scratch / 'rows'}"]
    for np, status, words in ((None, NO_INPUT, [*tasks, "run.task=encode"]), (2, NO_INPUT, [*tasks, "run.task=evaluate"]), (None, NO_INPUT, tasks), (2, NO_INPUT, [*own, "run.task=gap"]),
                              (None, NO_INPUT, [*own, "run.task=evaluate"]), (None, NO_INPUT, [ini, *arguments, f"model.theta_from={run}", f"run.output={scratch / 'rows'}"]),
                              (3, BAD_DATA, [*own[:-1], "optim.steps=12"]), (None, BAD_DATA, [*own[:-1], "optim.steps=12", "--resume"])):
        said = refusal(start(np, words, expect=(status,))) or ""
        if "checkpoint is gone" not in said or "--fresh" not in said or f"back into {run}/checkpoint" not in said:
            raise Failure(f"{words}: {said}")
        expect_untouched(run, before, str(words[-1]))
    if "done already" not in start(2, [*own, "--resume"]):
        raise Failure("--resume of a finished run")
    start(None, [run / "config.ini", "-q", f"run.output={run}", "--fresh"])
    start(None, [*tasks, "-q", "run.task=encode"])
    return "eight commands on 1 to 3 ranks, then fitted again as they say"


def replaced(scratch):
    """--fresh, killed after its first checkpoint: the old results are whole, and the command without --fresh finishes the new run, whose results then replace them."""
    ini, arguments, run = empty_ini(scratch), [*given(scratch), "checkpoint.every=500", "log.every=500", "log.eval_every=-1"], scratch / "run"
    fit(run, *arguments, "optim.steps=9", ini=ini)
    whole = fit(scratch / "whole", *arguments, "optim.steps=12000", ini=ini)
    before = content(run)
    process = subprocess.Popen(command(None, [ini, "-q", f"run.output={run}", *arguments, "optim.steps=12000", "--fresh"]), stdin=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not (run / "fresh/checkpoint/latest").exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.005)
    running = process.poll() is None
    process.kill()
    process.wait()
    if not running or not (run / "fresh/checkpoint/latest").exists():
        raise Failure("there is no checkpoint of the new run beside the old results")
    now = content(run)
    lost = [str(path) for path in before if now.get(path) != before[path] and path.name != "lock"]
    if lost:
        raise Failure(f"killed before the new results: {', '.join(lost)} lost")
    text = start(2, [ini, f"run.output={run}", *arguments, "optim.steps=12000"])
    if "resumed" not in text or (run / "fresh").exists():
        raise Failure(f"the new run does not go on, or its folder stays: {text}")
    expect_same_bits(run, whole, "12000 steps in two parts, in place of 9")
    if len(list((run / "checkpoint").glob("step_*.h5"))) != 2 or (run / "checkpoint/step_000000009.h5").exists():
        raise Failure(f"checkpoints of both runs: {sorted(p.name for p in (run / 'checkpoint').iterdir())}")
    return "killed, resumed on 2 ranks, then in the place of the old ones"


def cut_short(scratch):
    """Replacing that was cut short at any point is finished by the next command."""
    ini, arguments = empty_ini(scratch), given(scratch)
    old = fit(scratch / "old", *arguments, "optim.steps=9", ini=ini)
    new = fit(scratch / "new", *arguments, "optim.steps=12", ini=ini)
    names = [p.name for p in (new / "checkpoint").glob("step_*.h5")]
    moved = ["run.h5", "config.ini", "metrics.csv", *[f"checkpoint/{name}" for name in names], "checkpoint/latest"]
    for done in range(len(moved) + 1):
        run = scratch / f"cut{done}"
        shutil.copytree(old, run)
        shutil.copytree(new, run / "fresh")
        (run / "fresh/complete").write_text("\n" + "".join(name + "\n" for name in names))
        for name in moved[:done]:
            (run / "fresh" / name).replace(run / name)
        start(None, [ini, "-q", f"run.output={run}", *arguments, "optim.steps=12"])
        expect_untouched(run, content(new), f"cut short after {done} files")
        if (run / "fresh").exists():
            raise Failure(f"cut short after {done} files: {sorted(p.name for p in (run / 'fresh').rglob('*'))} left")
    return f"{len(moved) + 1} points"


def local_later(scratch):
    """output.local = yes on a finished run: the local factors of its checkpoint are added, and nothing is fitted again."""
    ini, arguments, run = empty_ini(scratch), given(scratch), scratch / "run"
    wanted = fit(scratch / "wanted", *arguments, "optim.steps=9", "output.local=yes", ini=ini)
    fit(run, *arguments, "optim.steps=9", ini=ini)
    checkpoints = content(run / "checkpoint")
    text = start(2, [ini, f"run.output={run}", *arguments, "optim.steps=9", "output.local=yes"])
    if "written again" not in text or read(run, "/local/mean").tobytes() != read(wanted, "/local/mean").tobytes():
        raise Failure(f"no local factors, or others: {text}")
    expect_same_bits(run, wanted, "with local factors at once and later")
    if {path: h5py_state(run / "checkpoint" / path) for path in checkpoints if path.suffix == ".h5"} != \
            {path: h5py_state(wanted / "checkpoint" / path) for path in checkpoints if path.suffix == ".h5"}:
        raise Failure("the checkpoint is another")
    before = content(run)
    start(None, [ini, f"run.output={run}", *arguments, "optim.steps=9", "output.local=yes"])
    expect_untouched(run, before, "once they are there")
    return "added once"


def h5py_state(path):
    with h5py.File(path) as file:
        return file["/state/global/value"][()].tobytes()


def changed(scratch):
    """What concerns the steps to come may change by name, is told, and is that of the trace; what cannot change is refused with a way out."""
    ini, arguments, run = empty_ini(scratch), given(scratch), scratch / "run"
    fit(run, *arguments, "optim.steps=9", "optim.schedule=cosine", "optim.learning_rate=0.1", ini=ini)
    kept = scratch / "kept"
    shutil.copytree(run, kept)
    text = start(2, [ini, f"run.output={run}", *arguments, "optim.steps=18", "optim.learning_rate=0.01", "--resume"])
    rates = read(run, "/trace/learning_rate")
    if "changed" not in text or "learning_rate: '0.01' here, '0.1' there" not in text or "schedule: 'constant' here, 'cosine' there" not in text or not numpy.all(rates[9:] == 0.01):
        raise Failure(f"rates {rates[8:12]}: {text}")
    text = start(None, [ini, f"run.output={kept}", *arguments, "optim.steps=18", "optim.schedule=cosine", "optim.learning_rate=0.1"])
    if "the cosine starts again" not in text:
        raise Failure(f"a cosine over more steps is not told: {text}")
    for more, words in ((["optim.batch=42"], None), (["optim.steps=0", "optim.epochs=20", "optim.batch=42"], "optim.steps"), (["optim.method=sgd"], "method"),
                        (["inference.degree=3"], "degree"), (["objective.draws=3", "objective.estimator=stl", "objective.kl=sampled"], None)):
        asked = [ini, f"run.output={run}", *arguments, "optim.steps=27", "optim.learning_rate=0.01", *more, "--resume"]
        other = scratch / "other"
        shutil.copytree(run, other)
        text = start(None, [w.replace(str(run), str(other)) if isinstance(w, str) else w for w in asked], expect=(0,) if words is None else (BAD_DATA,))
        if words and (words not in text or "run.output" not in text):
            raise Failure(f"{more}: {text}")
        shutil.rmtree(other)
    return "learning rate, schedule, batch by steps, draws; method and degree refused"


def from_file(scratch):
    """checkpoint.from: of a fit that goes on elsewhere, and of a task that reads."""
    ini, arguments, run, other = empty_ini(scratch), given(scratch), scratch / "run", scratch / "other"
    fit(run, *arguments, "optim.steps=12", "checkpoint.every=4", "checkpoint.keep=9", ini=ini)
    file = run / "checkpoint/step_000000004.h5"
    text = start(2, [ini, f"run.output={run}", *arguments, "optim.steps=12", "run.task=evaluate", f"checkpoint.from={file}"])
    if "step 4\n" not in text:
        raise Failure(f"run.task = evaluate with checkpoint.from: {text}")
    start(None, [ini, f"run.output={other}", *arguments, "optim.steps=12", f"checkpoint.from={file}"])
    expect_same_bits(other, run, "from step 4")
    before = content(other)
    start(None, [ini, f"run.output={other}", *arguments, "optim.steps=12", f"checkpoint.from={file}"])
    expect_untouched(other, before, "the same command again")
    return "evaluated at step 4, resumed from it"


if __name__ == "__main__":
    main(again, alone, replaced, cut_short, local_later, changed, from_file)
