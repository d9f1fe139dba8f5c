"""plot.sweep: what the runs of a sweep reached, against the keys that were swept."""

import csv
import math
import os

import numpy

from .errors import NotFound, UsageError
from .run import Run
from .style import COLOURS, new, save, styled
from .table import Table

UNITS = {"elbo_train": "ELBO, training rows (nats per row)", "elbo_test": "ELBO, test rows (nats per row)", "mse_train": "squared error, training rows (data units squared)",
         "mse_test": "squared error, test rows (data units squared)", "gap_fit": "gap to the F-VI optimum (nats)", "seconds": "time (seconds)", "steps": "steps",
         "gap_train": "amortization gap, training rows (nats per row)", "gap_test": "amortization gap, held-out rows (nats per row)",
         "elbo": "ELBO (nats)", "loss": "loss (nats)", "best_elbo": "largest ELBO of a step (nats per row)"}


def _number(text):
    try:
        return float(text)
    except ValueError:
        return math.nan


def table_of(folder):
    """(Table of sweep.csv, names of the keys that were swept). Numbers are floats, NaN where a run has none."""
    path = os.path.join(folder, "sweep.csv") if os.path.isdir(folder) else folder
    if not os.path.isfile(path):
        raise NotFound(f"{path}: there is no such file; give the folder of a sweep, which has sweep.csv at its end")
    with open(path, newline="", encoding="utf-8") as file:
        names, *rows = list(csv.reader(file))
    if not rows:
        raise NotFound(f"{path}: it has no runs")
    keys = names[1:names.index("status")]
    texts = ("status", "folder", "message")
    columns = {}
    for k, name in enumerate(names):
        column = [row[k] for row in rows]
        is_number = name not in texts and all(text == "" or not math.isnan(_number(text)) for text in column)
        columns[name] = [_number(text) for text in column] if is_number else column
    return Table(columns), keys


def _add_gaps(table, folder, name):
    """The table with the amortization gap of each run, from the ledger that run.after = gap leaves in its run.h5; NaN where there is none."""
    values, errors = [], []
    for one in table["folder"]:
        value = error = math.nan
        path = os.path.join(folder, str(one), "run.h5")
        if os.path.isfile(path):
            with Run(path) as run:
                about = run.group(f"/gap/{name.removeprefix('gap_')}").attributes
                if about:
                    rows = max(1, about["rows"] - about["rows_not_finite"])
                    value, error = about["total_amortization_gap"] / rows, about["error_amortization_gap"] / rows
        values.append(value)
        errors.append(error)
    return Table({**{column: table[column].tolist() for column in table.columns}, name: values, f"{name}_error": errors})


def _choose(table, keys, x, y):
    if y is None:
        y = "elbo_test" if "elbo_test" in table.columns and numpy.isfinite(table["elbo_test"].astype(float)).any() else "elbo_train"
    if x is None:
        x = next((key for key in keys if key != "run.seed"), keys[0])
    for name in (x, y):
        if name not in table.columns:
            raise UsageError(f"{name!r} is no column of the sweep; it has {', '.join(table.columns)}")
    return x, y


def _axis(axes, values):
    """Places of the values on the x axis: numbers as they are (logarithmic where they span decades), others in their order."""
    kinds = list(dict.fromkeys(values))
    if all(isinstance(value, float) for value in kinds):
        kinds = sorted(kinds)
        if len(kinds) > 2 and kinds[0] > 0 and kinds[-1] / kinds[0] >= 16:
            axes.set_xscale("log")
            axes.minorticks_off()
        if len(kinds) <= 12:
            axes.set_xticks(kinds, [f"{value:g}" for value in kinds])
        return {value: value for value in kinds}
    axes.set_xticks(range(len(kinds)), [kind or "(empty)" for kind in kinds])
    return {value: k for k, value in enumerate(kinds)}


@styled
def sweep(folder, x=None, y=None, *, path=None):
    """What the runs of a sweep reached: a column of its table against a swept key, one line for each combination of the others.

    folder    of the sweep, or its sweep.csv
    x         swept key on the horizontal axis; None: the first that is not run.seed
    y         column of sweep.csv; gap_train or gap_test: the amortization gap that the ledger of each run found
              (run__after="gap"), against width or domain for instance; None: elbo_test, or elbo_train without test rows

    Small dots are runs with two standard errors where the evaluation takes draws; with several values of run.seed,
    lines and large dots are their mean with its standard error. Runs that are not done are left out.
    Returns a Figure; `path` writes it too. NotFound where there is no sweep.csv or no run is done, UsageError for a
    column that there is not.
    """
    folder = os.fspath(folder)
    table, keys = table_of(folder)
    if y in ("gap_train", "gap_test"):
        table = _add_gaps(table, folder if os.path.isdir(folder) else os.path.dirname(folder), y)
    x, y = _choose(table, keys, x, y)
    values = table[y].astype(float)
    error = table[f"{y}_error"].astype(float) if f"{y}_error" in table.columns else numpy.zeros(len(values))
    good = (table["status"] == "done") & numpy.isfinite(values)
    if not good.any():
        raise NotFound(f"{folder}: no run of the sweep is done with a value of {y}")
    others = [key for key in keys if key not in (x, "run.seed")]
    show = lambda value: f"{value:g}" if isinstance(value, float) else str(value) or "(empty)"
    groups = {}
    for k in numpy.flatnonzero(good):
        groups.setdefault(", ".join(f"{key}={show(table[key].tolist()[k])}" for key in others), []).append(k)
    picture = new(6.4, 4)
    axes = picture.subplots()
    place = _axis(axes, [table[x].tolist()[k] for k in numpy.flatnonzero(good)])
    at = numpy.array([place.get(value, math.nan) for value in table[x].tolist()])
    several = False
    for number, (name, runs) in enumerate(groups.items()):
        colour = COLOURS[number % len(COLOURS)]
        axes.errorbar(at[runs], values[runs], 2 * numpy.nan_to_num(error[runs]), fmt="o", color=colour, markersize=3, alpha=0.5, elinewidth=0.8, linewidth=0)
        spots = sorted(set(at[runs]))
        each = [[values[k] for k in runs if at[k] == spot] for spot in spots]
        several = several or max(map(len, each)) > 1
        spread = [numpy.std(one, ddof=1) / math.sqrt(len(one)) if len(one) > 1 else 0.0 for one in each]
        axes.errorbar(spots, [numpy.mean(one) for one in each], spread, fmt="o-", color=colour, markersize=5, linewidth=1.2, capsize=2 if any(spread) else 0, label=name or None)
    axes.set(xlabel=x, ylabel=UNITS.get(y, y), title="Sweep" + (": mean over seeds with its standard error" if several else ""))
    if len(groups) > 1:
        axes.legend(fontsize=8)
    left_out = len(values) - int(good.sum())
    picture.text(0.995, 0.012, f"{os.path.basename(os.path.abspath(folder))}: {int(good.sum())} runs" + (f", {left_out} left out (not done)" if left_out else ""), ha="right", va="bottom",
                 fontsize=6.5, color="#777777")
    picture.tight_layout(rect=(0, 0.04, 1, 1))
    picture.words = f"{UNITS.get(y, y)} of {int(good.sum())} runs against {x}."
    if path:
        save(picture, path)
    return picture
