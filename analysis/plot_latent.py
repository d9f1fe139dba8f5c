#!/usr/bin/python3
"""Draws where the variational factors of the rows lie: two dimensions of their means, and how much each dimension is used.

    analysis/plot_latent.py runs/vae                -> runs/vae/latent.png
    analysis/plot_latent.py runs/vae --dims 3 7     these two, counted from 0, in place of the two that are used most

Reads /local/mean (and /local/log_sd) of run.h5.
"""

import argparse
import os

import numpy as np

from avi_read import NOTHING_THERE, Run, RunError, as_script
from figure import COLOURS, plt, save

MOST_ROWS = 200000  # rows read: evenly spaced when there are more
MOST_DOTS = 20000  # above this many, counts in small cells say more than dots


def read(run, name):
    """(rows, dimensions) of /local/<name>, thinned out evenly to MOST_ROWS."""
    dataset = run.local.dataset(name)
    step = max(1, -(-dataset.shape[0] // MOST_ROWS))
    values = np.asarray(dataset[::step], dtype=float)
    return values.reshape(len(values), -1)


def draw_plane(axes, mean, first, second):
    if len(mean) > MOST_DOTS:
        axes.hexbin(mean[:, first], mean[:, second], gridsize=70, cmap="Blues", bins="log", mincnt=1, linewidths=0)
    else:
        axes.scatter(mean[:, first], mean[:, second], s=3, alpha=0.35, color=COLOURS[0], linewidths=0)
    axes.set_aspect("equal", "datalim")
    axes.set(title="Means of the variational factors", xlabel=f"mean of z[{first}]", ylabel=f"mean of z[{second}]")


def draw_use(axes, mean, log_sd):
    """Variance of the means over rows (what a dimension tells rows apart by) beside the mean variance of a factor, dimension by dimension."""
    spread = mean.var(axis=0)
    order = np.argsort(-spread)[:50]
    position = np.arange(len(order))
    axes.bar(position, spread[order], width=0.8, color=COLOURS[0], label="variance of the means over rows")
    if log_sd is not None:
        axes.plot(position, np.exp(2 * log_sd).mean(axis=0)[order], "o", color=COLOURS[1], markersize=4, label="mean variance of a factor")
    axes.set(title="Dimensions by use", xlabel="dimension", ylabel="variance", xticks=position, ylim=(0, None))
    axes.set_xticklabels(order, fontsize=7 if len(order) <= 25 else 5)
    axes.grid(axis="x", visible=False)
    axes.legend(fontsize=8, loc="upper right")
    top = axes.get_ylim()[1]
    axes.set_ylim(0, 1.22 * top)


def main():
    parser = argparse.ArgumentParser(description="Draws the means of the variational factors.")
    parser.add_argument("run", help="folder of a run, or its run.h5")
    parser.add_argument("--dims", nargs=2, type=int, metavar=("A", "B"), help="dimensions to draw, counted from 0 (default: the two that are used most)")
    parser.add_argument("-o", "--output", help="picture to write (default: latent.png in the run's folder)")
    arguments = parser.parse_args()

    run = Run(arguments.run)
    if "mean" not in run.local:
        raise RunError(f"{run.path}: this run kept no variational factors in /local (set output.local = yes)", NOTHING_THERE)
    mean = read(run, "mean")
    if mean.size == 0:
        raise RunError(f"{run.path}: /local/mean is empty", NOTHING_THERE)
    log_sd = read(run, "log_sd") if "log_sd" in run.local else None
    dimensions = mean.shape[1]

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4))
    if dimensions == 1:
        left.hist(mean[:, 0], bins=60, color=COLOURS[0])
        left.set(title="Means of the variational factors", xlabel="mean of z", ylabel="rows")
    else:
        first, second = arguments.dims or sorted(np.argsort(-mean.var(axis=0), kind="stable")[:2])
        if not (0 <= first < dimensions and 0 <= second < dimensions):
            raise RunError(f"{run.path}: --dims {first} {second}: the run has dimensions 0 to {dimensions - 1}", 64)
        draw_plane(left, mean, first, second)
    draw_use(right, mean, log_sd if log_sd is not None and log_sd.shape == mean.shape else None)
    save(figure, arguments.output or os.path.join(run.folder, "latent.png"), [run])


as_script(main)
