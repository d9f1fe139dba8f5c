"""stop.patience: a network that overfits few rows ends some evaluations after the best one, and its results are the parameters of that one, whatever happened on the way."""
import re
import subprocess
import time

import h5py
import numpy

from small import write
from runs import Failure, command, empty_ini, expect_same_bits, fit, main, read, start

BAD_CONFIG = 78
RANKS = (None, 2, 3)
EVERY, PATIENCE = 4, 3
MODEL = ["run.reproducible=yes", "model.name=vae", "model.latent=4", "model.hidden=64", "model.likelihood=gaussian", "model.noise_sd=0.3", "inference.hidden=64", "data.source=hdf5",
         "data.dataset=x", "data.test_dataset=x", "optim.batch=20", "optim.tile=5", "optim.learning_rate=0.01", f"log.eval_every={EVERY}", "log.every=4", "output.local=yes"]


def given(scratch):
    """60 values of noise more than of signal: there is little to learn and much to learn by heart."""
    draw = numpy.random.default_rng(4)
    loading = draw.normal(size=(2, 8))
    rows = [draw.normal(size=(n, 2)) @ loading * 0.4 + draw.normal(size=(n, 8)) for n in (40, 40)]
    return [*MODEL, f"data.path={write(scratch / 'x.h5', rows[0].astype('f4'))}", f"data.test_path={write(scratch / 'test.h5', rows[1].astype('f4'))}"]


def parameters(folder):
    """Bytes of theta and phi in run.h5."""
    with h5py.File(folder / "run.h5") as file:
        return {f"{group}/{name}": item[()].tobytes() if isinstance(item, h5py.Dataset) else item["mean"][()].tobytes()
                for group in ("global", "inference") for name, item in file[group].items()}


def attribute(folder, group, name):
    with h5py.File(folder / "run.h5") as file:
        value = file[group].attrs[name]
    return value.decode() if isinstance(value, bytes) else value


def expect_best(folder, wanted, best, end):
    """The parameters are those of step `best`, and everything says so; the run went on to step `end`."""
    if parameters(folder) != wanted:
        raise Failure(f"{folder.name}: its parameters are not those of a run that ends at step {best}")
    steps = read(folder, "/eval/step")
    told = {"last evaluation": steps[-1], "best_step": attribute(folder, "/eval", "best_step"), "parameters_step": attribute(folder, "/", "parameters_step")}
    if set(told.values()) != {best} or steps.max() != end or attribute(folder, "/", "steps") != end:
        raise Failure(f"{folder.name}: {told}, steps {attribute(folder, '/', 'steps')}; {best} of {end} expected")


def best_of(folder):
    """Step and place of the best evaluation, as numpy finds it."""
    values = read(folder, "/eval/elbo_test")
    place = int(numpy.argmax(values))
    if not 1 < place < len(values) - PATIENCE - 1 or values[place] < values[-1] + 0.5:
        raise Failure(f"the model does not overfit: {values}")
    return int(read(folder, "/eval/step")[place]), place


def patient_kept(scratch):
    """On 1, 2 and 3 ranks, against a run without patience, one that ends at the best step, and tasks that use the fit."""
    arguments, ini = given(scratch), empty_ini(scratch)
    whole = fit(scratch / "whole", *arguments, "optim.steps=120", ini=ini)
    best, place = best_of(whole)
    note = rf"the ELBO on test rows was largest after {best} steps, .* Use stop.patience = 3"
    for name, more, wanted in (("told", [], True), ("heard", [f"stop.patience={PATIENCE}"], False)):
        text = start(None, [ini, *arguments, "optim.steps=120", *more, f"run.output={scratch / name}"])
        if bool(re.search(note, text)) != wanted:
            raise Failure(f"{name}: {note} {'expected' if wanted else 'not expected'}: {text}")
    by_hand = fit(scratch / "by_hand", *arguments, f"optim.steps={best}", ini=ini)
    runs = [fit(scratch / f"patient-{np}", *arguments, "optim.steps=120", f"stop.patience={PATIENCE}", np=np, ini=ini) for np in RANKS]
    for run in runs:
        expect_best(run, parameters(by_hand), best, best + EVERY * PATIENCE)
        expect_same_bits(run, runs[0], f"{run.name} against one rank")
    if read(runs[0], "/eval/elbo_test")[:place + PATIENCE].tobytes() != read(whole, "/eval/elbo_test")[:place + PATIENCE].tobytes():
        raise Failure("evaluations are not those of the run without patience")
    if "no larger ELBO on test rows in 3 evaluations" not in attribute(runs[0], "/", "why_stopped") or attribute(runs[0], "/", "status") != "done":
        raise Failure(f"it ended by {attribute(runs[0], '/', 'why_stopped')}")
    if read(runs[0], "/local/mean").tobytes() != read(by_hand, "/local/mean").tobytes():
        raise Failure("/local is not that of the best parameters")
    # The length of the run may end it before patience does: the best parameters are its results all the same.
    short = fit(scratch / "short", *arguments, f"optim.steps={best + 2 * EVERY - 1}", f"stop.patience={PATIENCE}", ini=ini)
    expect_best(short, parameters(by_hand), best, best + 2 * EVERY - 1)
    # A target that is met ends the run with the parameters that met it.
    met = fit(scratch / "met", *arguments, "optim.steps=120", f"stop.patience={PATIENCE}", f"stop.elbo_per_row={read(whole, '/eval/elbo_train')[place + 1]:.17g}", ini=ini)
    end = int(read(met, "/eval/step")[-1])
    if not best < end <= best + EVERY * PATIENCE or attribute(met, "/", "parameters_step") != end or "stop rule met" not in attribute(met, "/", "why_stopped"):
        raise Failure(f"stop.elbo_per_row: {attribute(met, '/', 'why_stopped')} at step {end}")
    use(scratch, runs[0], by_hand, arguments)
    return f"best step {best}, ended at {best + EVERY * PATIENCE} of 120"


def use(scratch, run, by_hand, arguments):
    """Tasks that use the fit take the best parameters from its checkpoint."""
    codes = {}
    for folder in (run, by_hand):
        start(2, [folder, "-q", "run.task=encode", f"run.output={scratch / folder.name}-codes"])
        with h5py.File(scratch / f"{folder.name}-codes" / "rows.h5") as file:
            codes[folder.name] = file["mean"][()].tobytes()
    if len(set(codes.values())) != 1:
        raise Failure("run.task = encode does not take the best parameters")
    told = [start(None, [empty_ini(scratch), f"run.output={folder}", *arguments, f"optim.steps={steps}", *more, "run.task=evaluate"]) for folder, steps, more in
            ((run, 120, [f"stop.patience={PATIENCE}"]), (run, 120, []), (by_hand, read(by_hand, "/eval/step")[-1].astype(int), []))]
    if len(set(told)) != 1 or "step" not in told[0]:
        raise Failure(f"run.task = evaluate: {told}")
    other = fit(scratch / "other", *arguments, f"model.theta_from={run}", "model.theta_fixed=yes", "optim.steps=1", ini=empty_ini(scratch))
    theta = {name: value for name, value in parameters(by_hand).items() if name.startswith("global")}
    if {name: value for name, value in parameters(other).items() if name in theta} != theta:
        raise Failure("model.theta_from does not take the best parameters")


def wait_for_step(folder, step, process):
    end = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < end:
        latest = folder / "checkpoint" / "latest"
        if latest.exists() and int(latest.read_text().strip()[5:-3]) >= step:
            return
        time.sleep(0.01)
    raise Failure(f"{folder.name}: there is no checkpoint of step {step}, status {process.poll()}")


def patient_resumed(scratch):
    """In parts, killed, with another patience, and called again."""
    arguments, ini = given(scratch), empty_ini(scratch)
    wanted = fit(scratch / "wanted", *arguments, "optim.steps=120", f"stop.patience={PATIENCE}", ini=ini)
    best, end = int(attribute(wanted, "/eval", "best_step")), int(attribute(wanted, "/", "steps"))
    parts = scratch / "parts"
    for steps, np in ((best + EVERY, 2), (120, 3)):
        start(np, [ini, "-q", f"run.output={parts}", *arguments, f"optim.steps={steps}", f"stop.patience={PATIENCE}"])
    expect_same_bits(parts, wanted, "in two parts")
    (parts / "run.h5").unlink()  # killed between the last checkpoint and the results
    start(2, [ini, "-q", f"run.output={parts}", *arguments, "optim.steps=120", f"stop.patience={PATIENCE}"])
    expect_same_bits(parts, wanted, "results written anew")
    killed = scratch / "killed"
    process = subprocess.Popen(command(None, [ini, "-q", f"run.output={killed}", *arguments, "optim.steps=1000000", "stop.patience=1000000", "checkpoint.every=30"]),
                               stdin=subprocess.DEVNULL)
    wait_for_step(killed, end, process)
    process.kill()
    process.wait()
    start(2, [ini, "-q", f"run.output={killed}", *arguments, "optim.steps=1000000", f"stop.patience={PATIENCE}"])
    if parameters(killed) != parameters(wanted) or attribute(killed, "/", "parameters_step") != best:
        raise Failure(f"killed, then resumed with less patience: parameters of step {attribute(killed, '/', 'parameters_step')}, {best} expected")
    text = start(None, [ini, f"run.output={parts}", *arguments, "optim.steps=120", f"stop.patience={PATIENCE}"])
    if "done already" not in text or "a larger stop.patience" not in text:
        raise Failure(f"called again: {text}")
    start(None, [ini, "-q", f"run.output={parts}", *arguments, "optim.steps=120", f"stop.patience={PATIENCE + 4}"])
    expect_best(parts, parameters(wanted), best, best + EVERY * (PATIENCE + 4))
    start(None, [ini, "-q", f"run.output={parts}", *arguments, "optim.steps=120", "stop.patience=0"])
    if attribute(parts, "/", "parameters_step") != 120:
        raise Failure("without patience the results are not those of the last step")
    return f"two parts, killed after {end} steps, patience of {PATIENCE + 4}, and none"


def patient_refused(scratch):
    arguments, ini = [word for word in given(scratch) if "test" not in word], empty_ini(scratch)
    for more, words in (([], "data.holdout"), (["data.holdout=0.2", "log.eval_every=-1"], "stop.patience counts them; use 0")):
        text = start(None, [ini, "-q", f"run.output={scratch / 'run'}", *arguments, "optim.steps=5", "stop.patience=2", *more], expect=(BAD_CONFIG,))
        if words not in text:
            raise Failure(f"{words} is not in: {text}")
    start(None, [ini, "-q", f"run.output={scratch / 'run'}", *arguments, "optim.steps=5", "stop.patience=2", "data.holdout=0.1"])  # as the first one advises
    return "no test rows, no evaluations"


if __name__ == "__main__":
    main(patient_kept, patient_resumed, patient_refused)
