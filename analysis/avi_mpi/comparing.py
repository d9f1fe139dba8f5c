"""compare: runs side by side, with the errors of their differences."""

import argparse
import os

import numpy

from .errors import NotFound, UsageError
from .run import Run
from .table import Table

SETS = (("train", "training"), ("test", "test"))


def runs_of(runs):
    """A list of Runs of one or several Runs, folders or run.h5 files."""
    if isinstance(runs, Run) or not isinstance(runs, (list, tuple)):
        runs = [runs]
    return [run if isinstance(run, Run) else Run(run) for run in runs]


def last(run, data):
    """(ELBO, its error, halves) of the last evaluation on "train" or "test", nats per row; None where the run has none. Halves (groups) may be None."""
    name = f"elbo_{data}"
    if name not in run.eval or not len(run.eval[name]) or not numpy.isfinite(run.eval[name][-1]):
        return None
    error = f"{name}_error"
    return float(run.eval[name][-1]), float(run.eval[error][-1]) if error in run.eval else numpy.nan, run.eval[f"{name}_half"] if f"{name}_half" in run.eval else None


def _of_values(run):
    """What is to be added to an ELBO per row for that of the values as given: fits with another scale or transform can then be compared."""
    return float(run.data.attributes.get("log_jacobian_per_row", 0.0))


def same_data(first, run):
    """Whether two runs have as many training rows, with the same moments of their columns as given, as far as their files tell."""
    if first.attributes.get("rows") != run.attributes.get("rows"):
        return False
    for name in ("smallest", "largest"):
        if name in first.data and name in run.data and first.data.attributes.get("transform") == run.data.attributes.get("transform"):
            scales = [float(one.data.attributes.get("scale", 1.0)) for one in (first, run)]
            a, b = (one.data[name] / scale for one, scale in zip((first, run), scales))
            if a.shape != b.shape or (first.data.attributes.get("transform", "none") == "none" and not numpy.allclose(a, b, rtol=1e-5, equal_nan=True)):
                return False
    return True


def difference(first, run, data):
    """(run less first, its standard error) in nats per row on "train" or "test"; None where one of them was not evaluated on these.

    Runs with the same run.seed on the same rows are evaluated at the same draws, so that most of their errors cancel:
    the error is that of the paired halves of /eval/elbo_DATA_half. NaN for a run that has no halves (not done yet).
    """
    a, b = last(first, data), last(run, data)
    if a is None or b is None:
        return None
    apart = b[0] + _of_values(run) - a[0] - _of_values(first)
    if a[2] is None or b[2] is None or len(a[2]) != len(b[2]):
        return apart, numpy.nan
    return apart, float(numpy.sqrt(numpy.sum((b[2] - a[2]) ** 2)))


def _gap(run, data, name, error):
    group = run.gap[data] if data in run.gap else None
    if not group:
        return numpy.nan, numpy.nan
    rows = max(1, group.attributes["rows"] - group.attributes.get("rows_not_finite", 0))
    return group.attributes[name] / rows, group.attributes.get(error, numpy.nan) / rows


def compare(runs):
    """A Table of runs, each with how far its ELBO is from that of the first.

    runs    Runs, or their folders

    Columns: run, model, function, status, ranks, steps, seconds; elbo_train, elbo_test, their standard errors
    elbo_train_error, ...; difference_train, difference_test (this run less the first), with the errors of the pairs,
    difference_train_error, ...; gap_train, gap_test (amortization gap) and gap_train_error, ... All in nats per row,
    NaN where a run has none. Differences are those of the ELBOs of the values as given, so that fits with another
    data.scale or data.standardise can be compared. They are NaN between runs of other data.

    NotFound for what is no run.
    """
    runs = runs_of(runs)
    if not runs:
        raise UsageError("no runs; use compare([run, other]) or their folders")
    names = [run.name for run in runs]
    columns = {name: [] for name in ("run", "model", "function", "status", "ranks", "steps", "seconds")}
    for data, _ in SETS:
        for name in ("elbo", "difference", "gap"):
            columns[f"{name}_{data}"], columns[f"{name}_{data}_error"] = [], []
    for run in runs:
        short = run.name if names.count(run.name) == 1 else os.path.relpath(run.folder)
        trace = run.trace["seconds"] if "seconds" in run.trace else []
        for name, value in (("run", short), ("model", run.setting("model", "name")), ("function", run.setting("inference", "function")), ("status", run.status),
                            ("ranks", run.provenance.get("ranks", 0)), ("steps", run.attributes.get("steps", 0)), ("seconds", float(trace[-1]) if len(trace) else numpy.nan)):
            columns[name].append(value)
        for data, _ in SETS:
            apart = difference(runs[0], run, data) if same_data(runs[0], run) else None
            values = {"elbo": (last(run, data) or (numpy.nan, numpy.nan))[:2], "difference": apart or (numpy.nan, numpy.nan),
                      "gap": _gap(run, data, "total_amortization_gap", "error_amortization_gap")}
            for name, (value, error) in values.items():
                columns[f"{name}_{data}"].append(value)
                columns[f"{name}_{data}_error"].append(error)
    words = {"elbo": "ELBO", "difference": "less the first", "gap": "amortization gap"}
    shown = [(name, name, None) for name in ("run", "model", "function", "status", "steps")]
    shown += [(f"{words[name]}, {about}", f"{name}_{data}", f"{name}_{data}_error") for data, about in SETS for name in words if name != "difference" or len(runs) > 1]
    return Table(columns, shown, "nats per row")


def _in_words(first, run):
    told = []
    for data, words in SETS:
        found = difference(first, run, data)
        if found is None:
            continue
        apart, error = found
        if numpy.isnan(error):
            raise NotFound(f"{run.path}: there is no /eval/elbo_{data}_half: a run is not done, or of an earlier version")
        told.append(f"{apart:+.6g} +- {error:.2g} nats per row on {words} data" if error > 0 else f"{apart:+.9g} nats per row on {words} data")
    if not told:
        raise NotFound(f"{run.path}: no evaluation on data that {first.path} was evaluated on")
    if not same_data(first, run):
        told.append("of other data: the numbers of rows differ" if first.attributes.get("rows") != run.attributes.get("rows") else "of other data: their values differ")
    return f"{run.name} - {first.name}: {', '.join(told)}"


def main():
    """python -m avi_mpi.compare RUN ..."""
    parser = argparse.ArgumentParser(description="Prints how far the ELBOs of runs are from that of the first, with the error of the difference.")
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folders of runs, or their run.h5")
    parser.add_argument("--table", action="store_true", help="a table of the runs in place of sentences")
    given = parser.parse_args()
    if given.table:
        print(compare(given.runs))
        return
    runs = runs_of(given.runs)
    for run in runs[1:]:
        print(_in_words(runs[0], run))
