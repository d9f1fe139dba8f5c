#!/usr/bin/python3
"""Draws the ELBO against steps and against seconds, for one run or several.

    analysis/plot_trace.py runs/vae                               -> runs/vae/trace.png
    analysis/plot_trace.py runs/a runs/b runs/c -o compare.png    several runs in one picture

Lines: the ELBO of each logged step (pale) and its running mean. Dots: the ELBO of the test data.
"""

import argparse
import os

import numpy as np

from avi_read import NOTHING_THERE, Run, RunError, as_script
from figure import COLOURS, plt, save


def running_mean(values, width):
    """Mean over `width` values around each; fewer at the ends. Values that are not finite are left out."""
    good = np.isfinite(values)
    sums = np.concatenate(([0.0], np.cumsum(np.where(good, values, 0.0))))
    counts = np.concatenate(([0], np.cumsum(good)))
    left = np.clip(np.arange(len(values)) - width // 2, 0, None)
    right = np.clip(np.arange(len(values)) + width - width // 2, None, len(values))
    number = counts[right] - counts[left]
    return np.where(number > 0, (sums[right] - sums[left]) / np.maximum(number, 1), np.nan)


def read(run):
    """step, seconds and ELBO per row of a run; and step, seconds, ELBO per row of its evaluations on test data."""
    step, elbo = run.trace["step"].ravel(), run.trace["elbo_per_row"].ravel()
    seconds = run.trace["seconds"].ravel()
    if len(step) == 0:
        raise RunError(f"{run.path}: no step was logged", NOTHING_THERE)
    empty = np.empty(0)
    if "elbo_test" not in run.eval:
        return step, seconds, elbo, empty, empty, empty
    test_step, test = run.eval["step"].ravel(), run.eval["elbo_test"].ravel()
    good = np.isfinite(test)
    order = np.argsort(test_step[good], kind="stable")  # the last one may be of best parameters from before
    test_step, test = test_step[good][order], test[good][order]
    return step, seconds, elbo, test_step, np.interp(test_step, step, seconds), test


def label(run, runs):
    function = run.setting("inference", "function")
    same = [other for other in runs if other.name == run.name]
    name = run.name if len(same) == 1 else os.path.relpath(run.folder)
    return f"{name} ({function})" if function else name


def limits(series):
    """What to show: all of the curves but their first fall, when that would flatten the rest."""
    rest = [elbo[len(elbo) // 20:] for elbo in series]
    values = np.concatenate([part[np.isfinite(part)] for part in rest])
    if len(values) == 0:
        return None
    low, high = np.percentile(values, 0.5), values.max()
    margin = 0.06 * (high - low) or 1.0
    return low - margin, high + margin


def main():
    parser = argparse.ArgumentParser(description="Draws the ELBO against steps and seconds.")
    parser.add_argument("runs", nargs="+", help="folders of runs, or run.h5 files")
    parser.add_argument("-o", "--output", help="picture to write (default: trace.png in the run's folder; of several, here)")
    arguments = parser.parse_args()

    runs = [Run(path) for path in arguments.runs]
    output = arguments.output or (os.path.join(runs[0].folder, "trace.png") if len(runs) == 1 else "trace.png")

    figure, (by_step, by_time) = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True)
    shown = []
    for number, run in enumerate(runs):
        colour = COLOURS[number % len(COLOURS)]
        step, seconds, elbo, test_step, test_seconds, test = read(run)
        width = max(1, len(elbo) // 40)
        smooth = running_mean(elbo, width)
        for axes, x, test_x in ((by_step, step, test_step), (by_time, seconds, test_seconds)):
            axes.plot(x, elbo, color=colour, linewidth=0.7, alpha=0.35)
            axes.plot(x, smooth, color=colour, label=label(run, runs) + (f", mean of {width} steps logged" if width > 1 else ""))
            axes.plot(test_x, test, "o", color=colour, markersize=4, markerfacecolor="white", markeredgewidth=1.2,
                      label=f"{label(run, runs)}, test data" if len(test) else None)
        shown += [smooth, test]
    span = limits([values for values in shown if len(values)])
    if span:
        by_step.set_ylim(*span)
    by_step.set(title="ELBO against steps", xlabel="step", ylabel="ELBO (nats per row)")
    by_time.set(title="ELBO against time", xlabel="seconds")
    by_step.margins(x=0.02)
    by_time.margins(x=0.02)
    by_time.legend(loc="lower right", fontsize=8)
    save(figure, output, runs)


as_script(main)
