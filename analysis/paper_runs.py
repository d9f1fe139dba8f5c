"""The runs that jobs/paper.sh left in a folder: what each method reached, how fast, and the paper's numbers. Used by plot_paper.py."""

import csv
import glob
import json
import math
import os
import pathlib

import h5py
import numpy as np

from avi_read import Run, RunError
from paper_loss import model_of

PAPER = json.load(open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "paper_numbers.json")))
NOTEBOOK = ", notebook"  # objective.entropy = notebook: what the paper's code optimised
SMOOTH = 110  # steps that a running mean spans: the ELBO of a step is an estimate


class Result:
    """One run: its method in words, its loss by steps, what it reached. Losses are in the unit of the paper's code where the model is the paper's, else -ELBO."""

    def __init__(self, path, data):
        with Run(path) as run:
            setting = run.setting
            self.path, self.status, self.model = run.folder, run.status, setting("model", "name")
            self.why, self.precision = run.attributes.get("why_stopped", ""), setting("run", "precision", "single")
            self.task, self.seed = setting("run", "task", "fit"), setting("run", "seed", "1")
            self.rate, self.domain = setting("optim", "learning_rate", ""), setting("inference", "domain", "self")
            self.without_noise, self.rows = setting("objective", "draws", "1") == "0", int(run.attributes.get("rows", 0))
            self.function, self.method = setting("inference", "function"), method(setting)
            self.provenance, self.origin = run.provenance, run.origin
            self.offset = float(run.attributes.get("loss_offset", math.nan))
            self.exact = scalars(run.group("/exact"))
            self.exact_mean = run.group("/exact")["mean"].ravel() if "mean" in run.group("/exact") else None
            self.trace = {name: run.trace[name].ravel() for name in ("step", "elbo", "seconds") if name in run.trace}
            self.eval = {name: run.eval[name].ravel() for name in ("step", "mse_train", "elbo_train") if name in run.eval}
            self.epoch_steps = steps_of_epoch(run)
            self.mean = run.local["mean"].ravel() if "mean" in run.local else None
            self.elbo = self._reached(run, data)

    def _reached(self, run, data):
        """ELBO of what the run ended with: by closed form or quadrature where q and the data are at hand, else the program's last estimate."""
        x = data.of(run.setting("data", "path"), run.setting("data", "dataset", "x")) if run.setting("data", "source") == "hdf5" else None
        model = None if x is None or self.mean is None else model_of(self.model, x, run.setting)
        if model is None:
            return self.eval["elbo_train"][-1] * self.rows if len(self.eval.get("elbo_train", ())) else math.nan
        theta = [float(run.global_["theta"][name]) for name in ("mean", "sd")] if "theta" in run.global_ else (None, None)
        return float(model.elbo(self.mean, run.local["log_sd"].ravel(), *theta))

    @property
    def loss(self):
        return -self.elbo + (self.offset if math.isfinite(self.offset) else 0)

    def losses(self):
        """Step and loss, a running mean over SMOOTH steps."""
        step, loss = self.trace["step"], -self.trace["elbo"] + (self.offset if math.isfinite(self.offset) else 0)
        logged = len(step) // 2 and int(SMOOTH / max(1, step[len(step) // 2] - step[len(step) // 2 - 1]))
        width = logged - 1 + logged % 2  # odd
        if self.without_noise or width < 3 or len(loss) < width:
            return step, loss
        return step[width // 2:-(width // 2)], np.convolve(loss, np.full(width, 1 / width), "valid")

    def steps_to(self, target):
        """Logged steps until the loss is below the target; infinite when never."""
        step, loss = self.losses()
        below = np.flatnonzero(loss <= target)
        return float(step[below[0]]) if len(below) else math.inf

    @property
    def steps(self):
        return int(max((trace["step"][-1] for trace in (self.trace, self.eval) if len(trace.get("step", ()))), default=0))

    @property
    def epochs(self):
        return self.steps / self.epoch_steps

    def epochs_to(self, mse):
        """Epochs until an evaluation is below it; infinite when none is so far."""
        below = np.flatnonzero(self.eval["mse_train"] < mse)
        return float(self.eval["step"][below[0]] / self.epoch_steps) if len(below) else math.inf

    @property
    def started(self):
        """The day, as of the last start of the run."""
        return str(self.provenance.get("started_at", ""))[:10]


class Data:
    """Data sets, read once."""

    def __init__(self):
        self.read = {}

    def of(self, path, dataset):
        key = path, dataset
        if key not in self.read:
            try:
                with h5py.File(path) as f:
                    self.read[key] = f[dataset][:].astype(float)
            except (OSError, KeyError):
                self.read[key] = None
        return self.read[key]


def scalars(group):
    return {name: float(group.dataset(name)[()]) for name in group if isinstance(group.dataset(name), h5py.Dataset) and group.dataset(name).shape == ()
            and group.dataset(name).dtype.kind == "f"}


def steps_of_epoch(run):
    if not run.trace or "epoch" not in run.trace or not len(run.trace["epoch"]):
        return 1.0
    step, epoch = run.trace["step"].ravel()[-1], run.trace["epoch"].ravel()[-1]
    return float(step / epoch) if epoch > 0 else 1.0


def method(setting):
    """The inference function in words, as paper_numbers.json names it; of runs with the VAE notebook's entropy with NOTEBOOK behind it."""
    return plain_method(setting) + (NOTEBOOK if setting("objective", "entropy", "exact") == "notebook" else "")


def plain_method(setting):
    function, domain = setting("inference", "function"), setting("inference", "domain", "self")
    if function in ("factorized", "constant"):
        return {"factorized": "F-VI", "constant": "constant"}[function]
    width = setting("inference", "hidden").split(",")[0].strip()
    name = f"degree {setting('inference', 'degree', '1')}" if function == "polynomial" else f"k = {width}"
    return name if setting("model", "name") in ("linear", "nonlinear", "vae") else f"{domain}, {name}"


def load(folder):
    """Every run below the folder that has a result; those that cannot be read are told and left out."""
    results, data = [], Data()
    for path in sorted(glob.glob(os.path.join(folder, "*", "*", "run.h5"))):
        try:
            results.append(Result(path, data))
        except (RunError, OSError) as error:
            print(f"left out: {error}")
    if not results:
        raise RunError(f"{folder}: no runs; jobs/paper.sh makes them", 66)
    return results


class Origin:
    """What stands at the foot of a figure of many runs."""

    def __init__(self, results, folder):
        about = results[0].provenance
        self.origin = f"avi_mpi {about.get('version', '?')}, revision {about.get('git_revision', 'unknown')}, {len(results)} runs of {os.path.basename(folder)}"


def made(results):
    """With what program the runs were made, and when: for the foot of a table."""
    programs = sorted({f"avi_mpi {r.provenance.get('version', '?')}, revision {r.provenance.get('git_revision', 'unknown')}" for r in results})
    days = sorted({r.started for r in results if r.started})
    unfinished = sum(r.status != "done" for r in results)
    runs = f"{len(results)} run{'s' if len(results) != 1 else ''}" + (f" ({unfinished} not at their end)" if unfinished else "")
    when = f"; {' to '.join(dict.fromkeys((days[0], days[-1])))}" if days else ""
    return f"{runs}, {' and '.join(programs)}{when}."


def write_runs(folder, results, more=None):
    """runs.csv: a line for every run. more: name -> function of a result, for further columns."""
    columns = {"method": lambda r: r.method, "seed": lambda r: r.seed, "task": lambda r: r.task, "learning_rate": lambda r: r.rate, "draws": lambda r: 0 if r.without_noise else "",
               "precision": lambda r: r.precision, "status": lambda r: r.status, "why_stopped": lambda r: r.why, "steps": lambda r: r.steps, "epochs": lambda r: f"{r.epochs:g}",
               "seconds": lambda r: f"{float(r.provenance.get('seconds', math.nan)):.1f}", "ranks": lambda r: r.provenance.get("ranks", ""),
               "loss": lambda r: f"{r.loss:.4f}" if math.isfinite(r.loss) else "", **(more or {}), "started": lambda r: r.started,
               "revision": lambda r: r.provenance.get("git_revision", ""), "folder": lambda r: os.path.relpath(r.path, folder)}
    with open(os.path.join(folder, "runs.csv"), "w", newline="") as f:
        csv.writer(f).writerows([list(columns), *([value(r) for value in columns.values()] for r in results)])


def number(value, digits=2):
    """For tables: '' where there is none, 'never' for infinity."""
    if value is None or isinstance(value, float) and math.isnan(value):
        return ""
    if isinstance(value, str):
        return value
    return "never" if math.isinf(value) else f"{value:.{digits}f}"


def write_table(folder, title, columns, rows, notes):
    """table.md and table.csv: rows of texts and numbers; columns: name -> digits, None for texts."""
    texts = [["" if v is None else v if d is None else number(v, d) for v, d in zip(row, columns.values())] for row in rows]
    with open(os.path.join(folder, "table.csv"), "w", newline="") as f:
        csv.writer(f).writerows([list(columns), *texts])
    with open(os.path.join(folder, "table.md"), "w") as f:
        f.write(f"# {title}\n\n| " + " | ".join(columns) + " |\n|" + "".join(" --- |" if d is None else " ---: |" for d in columns.values()) + "\n")
        f.writelines("| " + " | ".join(row) + " |\n" for row in texts)
        f.write("\n" + "\n".join(notes) + "\n")
    print(os.path.join(folder, "table.md"))


def lines_of_table(text):
    """The table of a page: the lines of its head, and (first cell, line) of its rows."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return lines[:2], [(line.split("|")[1].strip(), line) for line in lines[2:]]


def merge_pages(recorded, new):
    """A page with the rows of `new`, and of `recorded` those that `new` has no row for: a method's runs are recorded together, not all methods'. The last line of each page says what runs it is of."""
    head, rows = lines_of_table(new)
    old_head, old_rows = lines_of_table(recorded)
    kept = [(name, line) for name, line in old_rows if name not in dict(rows)]
    if head != old_head or not kept:
        return new
    before, after = new.split(head[0])[0], new.split(rows[-1][1])[1]
    said = recorded.rstrip().splitlines()[-1]
    of = f"Of {', '.join(dict(kept))}: {said.partition(': ')[2] if said.startswith('Of ') else said}"
    return before + "\n".join([*head, *(line for _, line in rows + kept)]) + f"{after.rstrip()}\n\n{of}\n"


def merge_runs(recorded, new):
    """Lines of runs: those of `new`, and of `recorded` those of methods that `new` has none of."""
    def method_of(line):
        return next(csv.reader([line]))[0]

    head, *lines = new.splitlines()
    old_head, *old = recorded.splitlines()
    methods = {method_of(line) for line in lines}
    return "\n".join([head, *lines, *(line for line in old if head == old_head and method_of(line) not in methods)]) + "\n"


def record(model, folder, to):
    os.makedirs(to, exist_ok=True)
    for name, ending, merge in (("table.md", "md", merge_pages), ("runs.csv", "csv", merge_runs)):
        path = pathlib.Path(to, f"{model}.{ending}")
        new = pathlib.Path(folder, name).read_text()
        path.write_text(merge(path.read_text(), new) if path.exists() else new)
