"""The runs that faults are injected into, and what they look like undisturbed."""
import pathlib
import random
import re
import shutil
import subprocess
import time

import result
from job import Failure, Job, latest

STEPS = 48
END = 30  # seconds in which a run that was stopped, failed or lost a rank must be over, on a machine that is busy

COMMON = """
[run]
reproducible = yes
seed = 3
[log]
every = 1
eval_every = 10
images = 0
progress = none
[checkpoint]
every = 1
minutes = 0
"""

RUN = """
[data]
source = {source}
rows = 512
test_rows = {test_rows}
[model]
name = {name}
{model}
[inference]
{inference}
[optim]
batch = 64
tile = 8
steps = {steps}
learning_rate = 3e-3
{optim}
"""

VAE = "latent = 4\nhidden = 16"

# Name -> the differences that matter to faults: where the state lives, how large it is, where the time goes.
VARIANTS = {
    "mlp": dict(),
    "factorized": dict(inference="function = factorized"),
    "bayes": dict(model=VAE + "\nglobal = gaussian\nlikelihood = gaussian", inference="function = constant", optim="method = sgd\nlearning_rate = 1e-5"),
    "evaluation": dict(test_rows=8192, log="eval_every = 2\neval_rows = 0"),
    # The other models, with data drawn from themselves, for elastic.py.
    "linear": dict(name="linear", source="model", model="", inference="function = factorized"),
    "nonlinear": dict(name="nonlinear", source="model", model="", inference="function = polynomial\ndegree = 3"),
    "saw": dict(name="saw", source="model", model="", inference="function = mlp\nhidden = 4\ndomain = next"),
    "saw_factorized": dict(name="saw", source="model", model="global = gaussian", inference="function = factorized"),
    "hmm": dict(name="hmm", source="model", model="", inference="function = mlp\nhidden = 4\ndomain = window:1"),
    "ppca": dict(name="ppca", source="model", model="", inference="function = mlp\nhidden = 8\nfamily = gaussian_full"),
    "hier_logistic": dict(name="hier_logistic", source="model", model="global = gaussian", inference="function = factorized", optim="schedule = step\nschedule_every = 9"),
}


def ini(name):
    v = dict(name="vae", source="strokes", model=VAE, inference="function = mlp\nhidden = 16", optim="", test_rows=64, log="") | VARIANTS[name]
    text = RUN.format(steps=STEPS, **v) + COMMON
    for line in v["log"].splitlines():  # a key stands once
        key = line.split("=")[0].strip()
        text = "\n".join(x for x in text.splitlines() if x.split("=")[0].strip() != key).replace("[log]", "[log]\n" + line)
    if "learning_rate" in v["optim"]:
        text = text.replace("learning_rate = 3e-3\n", "")
    return text


class Skip(Exception):
    """The machine does not offer what the fault needs."""


class Bench:
    """A place for runs, and the undisturbed ones, made once each."""

    def __init__(self, folder, seed):
        self.folder, self.seed, self.references, self.count = pathlib.Path(folder), seed, {}, 0
        for name in VARIANTS:
            (self.folder / f"{name}.ini").write_text(ini(name))

    def new(self):
        """A fresh output folder (not made)."""
        self.count += 1
        return self.folder / f"run{self.count}"

    def job(self, variant, np, folder, *arguments, mca=(), log=None, **options):
        where = log or self.folder / f"{folder.name}.log"
        return Job(np, [self.folder / f"{variant}.ini", f"run.output={folder}", *arguments], where, mca=mca, **options)

    def reference(self, variant):
        """(folder, bits, seconds to the first checkpoint, seconds in all) of the undisturbed run."""
        if variant not in self.references:
            folder = self.folder / f"undisturbed_{variant}"
            job = self.job(variant, 2, folder)
            job.until(lambda: latest(folder) >= 0)
            first = time.monotonic() - job.start
            job.expect(job.wait(120), [0], most_messages=0)
            result.check_metrics(folder, STEPS)
            result.check_trace(folder, STEPS)
            result.check_tidy(folder)
            self.references[variant] = folder, result.bits(folder), first, time.monotonic() - job.start
        return self.references[variant]

    def finish(self, variant, np, folder, *arguments, least=0, cuts=()):
        """Goes on from what the fault left, at step `least` or later; the end must be that of the undisturbed run, to the bit. Returns the job."""
        self.reference(variant)
        job = self.job(variant, np, folder, *arguments, log=self.folder / f"{folder.name}.resumed")
        job.expect(job.wait(120), [0], most_messages=0)
        self.check_end(variant, folder, job, cuts)
        at = re.search(r"resumed +at step (\d+)", job.output())
        if (int(at.group(1)) if at else 0) < least:
            raise Failure(f"went on {at.group(0) if at else 'from the start'}; step {least} was safe\n{job.text()}")
        return job

    def check_end(self, variant, folder, job=None, cuts=()):
        reference, bits, _, _ = self.reference(variant)
        wrong = result.differing(bits, result.bits(folder), cuts)
        if wrong:
            raise Failure(f"{len(wrong)} of {len(bits)} results differ from the undisturbed run: {wrong[:6]}\n{job.text() if job else ''}")
        result.check_metrics(folder, STEPS, reference)
        result.check_trace(folder, STEPS)
        result.check_tidy(folder)

    def drop(self, folder):
        shutil.rmtree(folder, ignore_errors=True)


class Mount:
    """A small file system in memory."""

    def __init__(self, where, options):
        self.where = pathlib.Path(where)
        self.where.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(where)], capture_output=True, text=True)
        if done.returncode:
            raise Skip(f"no small file system can be mounted here: {done.stderr.strip() or done.stdout.strip()}")

    def remount(self, options):
        subprocess.run(["mount", "-o", "remount," + options, str(self.where)], check=True, capture_output=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for _ in range(50):
            if subprocess.run(["umount", str(self.where)], capture_output=True).returncode == 0:
                return
            time.sleep(0.1)
        subprocess.run(["umount", "-l", str(self.where)], capture_output=True)


def draws(seed, name, index):
    """The random numbers of one injection: the same however many others are done."""
    return random.Random(f"{seed} {name} {index}")
