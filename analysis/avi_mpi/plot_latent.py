"""plot.latent: where the variational factors lie, and how much each dimension is used."""

import os

import numpy
from matplotlib import colormaps

from .comparing import runs_of
from .errors import NotFound, UsageError
from .labels import labels_of, read_labels
from .style import COLOURS, finish, new, save, styled

MOST_ROWS = 200000  # rows read: evenly spaced when there are more
MOST_LABELS = 20
MOST_DOTS = 20000  # above this many, counts in small cells say more than dots


def _read(run, name):
    """(rows, dimensions) of /local/<name>, thinned out evenly to MOST_ROWS."""
    dataset = run.local.dataset(name)
    step = max(1, -(-dataset.shape[0] // MOST_ROWS))
    values = numpy.asarray(dataset[::step], dtype=float)
    return values.reshape(len(values), -1)


def _colours(labels, rows):
    """One colour per row by labels (rows), thinned out as the means are; and the names for a legend."""
    labels = numpy.asarray(labels)
    if labels.shape != (rows,):
        raise UsageError(f"labels has the shape {labels.shape}, but the run has {rows} rows; use one label per row")
    kinds, index = numpy.unique(labels[::max(1, -(-rows // MOST_ROWS))], return_inverse=True)
    if len(kinds) > MOST_LABELS:
        raise UsageError(f"labels has {len(kinds)} different values, too many for a legend; use labels with at most {MOST_LABELS} kinds")
    return kinds, index


def _draw_plane(axes, mean, first, second, labels):
    if labels is not None:
        kinds, index = labels
        colours = COLOURS if len(kinds) <= len(COLOURS) else [colormaps["tab10" if len(kinds) <= 10 else "tab20"](k) for k in range(len(kinds))]
        step = max(1, len(mean) // MOST_DOTS)
        for k, kind in enumerate(kinds):
            of_kind = mean[index == k][::step]
            axes.scatter(of_kind[:, first], of_kind[:, second], s=4, alpha=0.5, color=colours[k], linewidths=0, label=str(kind))
        axes.legend(fontsize=7, markerscale=3, loc="best", ncol=2 if len(kinds) > 6 else 1)
    elif len(mean) > MOST_DOTS:
        cells = axes.hexbin(mean[:, first], mean[:, second], gridsize=70, cmap="Blues", bins="log", mincnt=1, linewidths=0)
        axes.figure.colorbar(cells, ax=axes, label="rows in a cell", shrink=0.8)
    else:
        axes.scatter(mean[:, first], mean[:, second], s=3, alpha=0.35, color=COLOURS[0], linewidths=0)
    axes.set_aspect("equal", "datalim")
    axes.set(title="Means of the variational factors", xlabel=f"mean of z[{first}]", ylabel=f"mean of z[{second}]")


def _draw_use(axes, mean, log_sd):
    """Variance of the means over rows (what a dimension tells rows apart by) beside the mean variance of a factor, dimension by dimension."""
    spread = mean.var(axis=0)
    order = numpy.argsort(-spread)[:50]
    position = numpy.arange(len(order))
    axes.bar(position, spread[order], width=0.8, color=COLOURS[0], label="variance of the means over rows")
    if log_sd is not None:
        axes.plot(position, numpy.exp(2 * log_sd).mean(axis=0)[order], "o", color=COLOURS[1], markersize=4, label="mean variance of a factor")
    axes.set(title="Dimensions by use", xlabel="dimension of z", ylabel="variance (units of z squared)", xticks=position, ylim=(0, None))
    axes.set_xticklabels(order, fontsize=7 if len(order) <= 25 else 5)
    axes.grid(axis="x", visible=False)
    if len(order) < 4:
        axes.set_xlim(-2, len(order) + 1)
    axes.legend(fontsize=8, loc="upper right")
    axes.set_ylim(0, 1.22 * axes.get_ylim()[1])


@styled
def latent(run, dims=None, labels=None, *, path=None):
    """Means of the variational factors in two latent dimensions, and how much each dimension is used.

    dims      (a, b), counted from 0; None: the two whose means vary most over rows
    labels    (rows) what to colour the rows by, or a file that has them (IDX, FILE.h5:DATASET, .npy, a text with one
              per line); None: the labels beside the images of MNIST and its kin, where they are there; False: none

    Returns a Figure; `path` writes it too. NotFound where the run kept no factors (output__local=True keeps them),
    UsageError for dimensions that there are not.
    """
    run = runs_of(run)[0]
    if "mean" not in run.local:
        raise NotFound(f"{run.path}: this run kept no variational factors in /local (set output.local = yes)")
    mean = _read(run, "mean")
    if mean.size == 0:
        raise NotFound(f"{run.path}: /local/mean is empty")
    log_sd = _read(run, "log_sd") if "log_sd" in run.local else None
    dimensions = mean.shape[1]
    rows = run.local.dataset("mean").shape[0]
    if labels is None:
        labels = labels_of(run, rows)
    elif isinstance(labels, (str, os.PathLike)):
        labels = read_labels(os.fspath(labels))
    labels = None if labels is None or labels is False else _colours(labels, rows)
    picture = new(9, 4)
    left, right = picture.subplots(1, 2)
    if dimensions == 1:
        left.hist(mean[:, 0], bins=int(numpy.clip(numpy.sqrt(len(mean)), 10, 60)), color=COLOURS[0])
        left.set(title="Means of the variational factors", xlabel="mean of z", ylabel="rows")
    else:
        first, second = dims or sorted(numpy.argsort(-mean.var(axis=0), kind="stable")[:2])
        if not (0 <= first < dimensions and 0 <= second < dimensions):
            raise UsageError(f"{run.path}: --dims {first} {second}: the run has dimensions 0 to {dimensions - 1}")
        _draw_plane(left, mean, first, second, labels)
    _draw_use(right, mean, log_sd if log_sd is not None and log_sd.shape == mean.shape else None)
    finish(picture, [run], f"Means of the factors of {len(mean)} rows in the latent dimensions that are used most{', coloured by label' if labels else ''}, and how much each dimension is used.")
    if path:
        save(picture, path)
    return picture
