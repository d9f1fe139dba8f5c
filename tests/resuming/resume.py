"""Stop, and go on as if nothing had happened: on another number of ranks, for longer, afresh; and what is refused."""
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "faults"))
import launcher  # noqa: E402
from runs import VAE, Failure, command, expect_same_bits, fit, main, metrics, read, refusal, relative, start, status  # noqa: E402

SMALL = ["data.rows=1200", "data.test_rows=100", "optim.batch=200", "log.every=1", "log.eval_every=25", "log.images=2", "model.hidden=48"]
STEPS = 300
STOPPED, BAD_DATA, BAD_CONFIGURATION = 75, 65, 78


def settings(*extra, steps=STEPS):
    return [*SMALL, *extra, f"optim.steps={steps}"]


def stop_and_resume(folder, before, after, arguments):
    """A run that is stopped by USR1 to mpirun (or to the program) in the middle, and resumes with other ranks; the step at which it stopped."""
    arguments = [VAE, "-q", f"run.output={folder}", *arguments]
    left = pathlib.Path(f"{folder}.status")
    left.unlink(missing_ok=True)
    run = subprocess.Popen(command(before, arguments), env=dict(os.environ, AVI_STATUS_FILE=str(left)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines, deadline = pathlib.Path(folder) / "metrics.csv", time.monotonic() + 60
    while not (lines.exists() and lines.read_text().count("\n") > 30):
        if run.poll() is not None or time.monotonic() > deadline:
            run.kill()
            raise Failure(f"did not come to step 30: {run.communicate()[0]}")
        time.sleep(0.01)
    os.kill(run.pid, signal.SIGUSR1)
    text = run.communicate(timeout=60)[0]
    code = launcher.status_of(run.returncode, left)
    if code != STOPPED:
        raise Failure(f"exit status {code} after USR1, {STOPPED} expected\n{text}")
    at = len(metrics(folder))
    if not 30 <= at < STEPS or status(folder) != "stopped":
        raise Failure(f"stopped after {at} steps with status {status(folder)}")
    start(after, arguments)
    return at


def expect_whole(folder, reference, tolerance=1e-4):
    """metrics.csv and /trace: every step once, time that goes on, and the reference's numbers to rounding."""
    found, wanted = metrics(folder), metrics(reference)
    if [line["step"] for line in found] != [str(n) for n in range(1, len(wanted) + 1)]:
        raise Failure(f"metrics.csv holds steps {[line['step'] for line in found][:5]}..., {len(found)} lines for {len(wanted)} steps")
    if read(folder, "/trace/step").tolist() != read(reference, "/trace/step").tolist():
        raise Failure("/trace/step differs from the uninterrupted run's")
    seconds = [float(line["seconds"]) for line in found]
    if seconds != sorted(seconds):
        raise Failure("the seconds of metrics.csv go back")
    for a, b in zip(found, wanted):
        for name in ("elbo", "grad_norm", "learning_rate"):
            if abs(float(a[name]) - float(b[name])) > tolerance * abs(float(b[name])):
                raise Failure(f"metrics.csv: step {a['step']}: {name} {a[name]}, uninterrupted {b[name]}")


def to_rounding(scratch):
    arguments = settings("optim.schedule=cosine", "run.precision=double", "inference.hidden=48")
    whole = fit(scratch / "whole", *arguments, np=2)
    at = stop_and_resume(scratch / "parts", 3, 1, arguments)
    expect_whole(scratch / "parts", whole)
    difference = relative(scratch / "parts", whole)
    if difference > 1e-10:
        raise Failure(f"the trace differs by {difference:.1e} relative")
    return f"stopped at step {at} of {STEPS} on 3 ranks, resumed on 1: trace within {difference:.1e} of 2 ranks uninterrupted"


def to_the_bit(scratch):
    told = []
    for function, before, after in (("mlp", 1, 3), ("factorized", 3, 2)):
        arguments = settings(f"inference.function={function}", "inference.hidden=48", "run.reproducible=yes", "optim.schedule=step", "optim.schedule_every=40")
        whole, parts = fit(scratch / function, *arguments), scratch / f"{function}-parts"
        at = stop_and_resume(parts, before, after, arguments)
        expect_whole(parts, whole, 0)
        expect_same_bits(parts, whole, f"{function}, stopped at step {at}")
        told.append(f"{function} at step {at} on {before} ranks, resumed on {after}")
    return f"stopped ({'; '.join(told)}; of {STEPS} steps): all bits equal"


def longer(scratch):
    """A finished run goes on when it is asked for more, and is left as it is when it is not."""
    arguments = ["run.reproducible=yes", "inference.hidden=48"]
    whole, run = fit(scratch / "whole", *settings(*arguments, steps=60)), scratch / "run"
    fit(run, *settings(*arguments, steps=25))
    fit(run, *settings(*arguments, steps=60), "--resume", np=2)
    expect_whole(run, whole, 0)
    expect_same_bits(run, whole, "25 steps, then resumed to 60")
    fit(run, *settings(*arguments, steps=60))
    expect_same_bits(run, whole, "the same command after the end")
    fit(run, *settings(*arguments, steps=60), "--fresh", np=3)
    expect_same_bits(run, whole, "--fresh")
    if len(metrics(run)) != 60:
        raise Failure(f"--fresh leaves {len(metrics(run))} lines in metrics.csv, not 60")
    return "25 + 35 steps = 60 steps, also again and with --fresh: all bits equal"


def refused(scratch):
    """--resume with nothing to resume; a checkpoint of another run."""
    run = scratch / "run"
    for np in (None, 3):
        text = start(np, [VAE, "-q", f"run.output={run}", *settings(steps=5), "--resume"], expect=(BAD_CONFIGURATION,))
        if "checkpoint" not in (refusal(text) or "") or text.count("avi_mpi: error") != 1:
            raise Failure(f"--resume without a checkpoint at {np or 1} ranks says: {text}")
    fit(run, *settings(steps=5))
    for change in ("model.latent=7", "run.seed=2", "optim.method=sgd", "inference.function=factorized", "data.rows=1100"):
        other = [s for s in settings(steps=9) if s.split("=")[0] != change.split("=")[0]]
        text = start(2, [VAE, "-q", f"run.output={run}", *other, change, "--resume"], expect=(BAD_DATA,))
        if change.split("=")[0].split(".")[1] not in (refusal(text) or "") + text or text.count("avi_mpi: error") != 1:
            raise Failure(f"{change}: {text}")
    return "--resume without a checkpoint (78), checkpoints of another model, seed, optimizer, function, data (65)"


if __name__ == "__main__":
    main(to_rounding, to_the_bit, longer, refused)
