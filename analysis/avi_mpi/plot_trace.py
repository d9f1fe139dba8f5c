"""plot.trace: the ELBO against steps and against seconds, of one run or several."""

import os

import numpy

from .errors import NotFound
from .style import COLOURS, finish, new, save, styled
from .watching import logged, open_going


def running_mean(values, width):
    """Mean over `width` values around each; fewer at the ends. Values that are not finite are left out."""
    good = numpy.isfinite(values)
    sums = numpy.concatenate(([0.0], numpy.cumsum(numpy.where(good, values, 0.0))))
    counts = numpy.concatenate(([0], numpy.cumsum(good)))
    left = numpy.clip(numpy.arange(len(values)) - width // 2, 0, None)
    right = numpy.clip(numpy.arange(len(values)) + width - width // 2, None, len(values))
    number = counts[right] - counts[left]
    return numpy.where(number > 0, (sums[right] - sums[left]) / numpy.maximum(number, 1), numpy.nan)


def evaluations(run, step, seconds, data):
    """step, seconds, ELBO per row and its standard error of the evaluations on "train" or "test"."""
    name = f"elbo_{data}"
    if name not in run.eval:
        return [numpy.empty(0)] * 4
    at, value = run.eval["step"].ravel(), run.eval[name].ravel()
    error = run.eval[f"{name}_error"].ravel() if f"{name}_error" in run.eval else numpy.zeros(len(value))
    good = numpy.isfinite(value)
    order = numpy.argsort(at[good], kind="stable")  # the last one may be of best parameters from before
    at = at[good][order]
    return at, numpy.interp(at, step, seconds), value[good][order], numpy.nan_to_num(error[good][order])


def label(run, runs):
    """Name of a run in a legend: of its folder, and its inference function."""
    function = run.setting("inference", "function")
    same = [other for other in runs if other.name == run.name]
    name = run.name if len(same) == 1 else os.path.relpath(run.folder)
    return f"{name} ({function})" if function else name


def limits(series):
    """What to show: all of the curves but their first fall, when that would flatten the rest."""
    rest = [values[len(values) // 20:] for values in series]
    values = numpy.concatenate([part[numpy.isfinite(part)] for part in rest]) if rest else numpy.empty(0)
    if len(values) == 0:
        return None
    low, high = numpy.percentile(values, 0.5), values.max()
    margin = 0.06 * (high - low) or 1.0
    return low - margin, high + margin


@styled
def trace(runs, *, path=None):
    """The ELBO (nats per row) against steps and against seconds, of a run or a list of runs.

    Pale lines are the steps as logged (rows of a batch), lines their running mean, dots the evaluations on test rows,
    or on training rows where there are none, with two standard errors where the evaluation takes draws. Of a run that
    is going on the steps are those of metrics.csv, up to now.
    Returns a Figure; `path` writes it too. NotFound where no step was logged.
    """
    runs = [open_going(run) for run in (runs if isinstance(runs, (list, tuple)) else [runs])]
    picture = new(9, 3.6)
    by_step, by_time = picture.subplots(1, 2, sharey=True)
    shown = []
    for number, run in enumerate(runs):
        colour = COLOURS[number % len(COLOURS)]
        step, elbo, seconds = logged(run, ("step", "elbo_per_row", "seconds"))
        if len(step) == 0:
            raise NotFound(f"{run.path}: no step was logged")
        width = max(1, len(elbo) // 40)
        smooth = running_mean(elbo, width)
        data = "test" if "elbo_test" in run.eval and numpy.isfinite(run.eval["elbo_test"]).any() else "train"
        at, at_seconds, value, error = evaluations(run, step, seconds, data)
        for axes, x, dots in ((by_step, step, at), (by_time, seconds, at_seconds)):
            if width > 1:
                axes.plot(x, elbo, color=colour, linewidth=0.7, alpha=0.35)
            axes.plot(x, smooth, color=colour, label=label(run, runs) + (f", mean of {width} steps logged" if width > 1 else ", steps"))
            if len(value):
                axes.errorbar(dots, value, 2 * error, fmt="o", color=colour, markersize=4, markerfacecolor="white", markeredgewidth=1.2, elinewidth=1,
                              label=f"{label(run, runs)}, {'test' if data == 'test' else 'training'} rows")
        shown += [smooth, value]
    span = limits([values for values in shown if len(values)])
    if span:
        by_step.set_ylim(*span)
    by_step.set(title="ELBO against steps", xlabel="step", ylabel="ELBO (nats per row)")
    by_time.set(title="ELBO against time", xlabel="time (seconds)")
    by_step.margins(x=0.02)
    by_time.margins(x=0.02)
    by_time.legend(loc="lower right", fontsize=8, frameon=True, framealpha=0.85, edgecolor="none")
    finish(picture, runs, "The ELBO during the fit; its first fall may lie below the picture.")
    if path:
        save(picture, path)
    return picture
