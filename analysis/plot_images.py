#!/usr/bin/python3
"""Draws the images of a run: originals above their reconstructions, samples of the prior, a walk through the latent space.

    analysis/plot_images.py runs/vae          -> runs/vae/images.png

Shows what there is of /images/original, reconstruction, sample and walk in run.h5.
"""

import argparse
import os

import numpy as np

from avi_read import NOTHING_THERE, NOT_A_RUN, Run, RunError, as_script
from figure import plt, save

GAP = 2  # pixels between two images
MOST_PAIRS, MOST_SAMPLES = 50, 100


def read(run, name):
    """(n, height, columns) of /images/<name>, or None when the run has none."""
    if name not in run.images:
        return None
    values = np.asarray(run.images[name], dtype=float)
    about = run.images.attributes
    shape = (int(about.get("height", 0)), int(about.get("columns", 0)))
    if values.ndim != 2 or shape[0] * shape[1] != values.shape[1]:
        raise RunError(f"{run.path}: /images/{name} is {values.shape}, which does not fit images of {shape[0]} x {shape[1]} pixels",
                       NOT_A_RUN)
    return values.reshape(-1, *shape) if len(values) else None


def tile(images, columns):
    """One picture (height, width) of the images in rows of `columns`, dark ink on white; missing ones stay white."""
    number, height, width = images.shape
    rows = -(-number // columns)
    picture = np.zeros((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP))
    for index, image in enumerate(images):
        top, left = index // columns * (height + GAP), index % columns * (width + GAP)
        picture[top:top + height, left:left + width] = image
    return picture


def shape_of(number, rows_each=1, most=12):
    """Columns that make a picture of `number` images, each `rows_each` high, about square and without blanks."""
    def cost(columns):
        rows = -(-number // columns)
        return abs(columns - rows * rows_each) + (rows * columns - number)
    return min(range(1, most + 1), key=cost)


def pairs(originals, reconstructions, columns):
    """Rows of originals with the row of their reconstructions below each."""
    number = min(len(originals), len(reconstructions))
    blank = np.zeros((columns,) + originals.shape[1:])
    rows = []
    for first in range(0, number, columns):
        for images in (originals, reconstructions):
            row = blank.copy()
            part = images[first:min(first + columns, number)]
            row[:len(part)] = part
            rows.append(row)
    return np.concatenate(rows)


def panels(run):
    """The pictures there are, as (title, what it shows, picture)."""
    found = []
    originals, reconstructions = read(run, "original"), read(run, "reconstruction")
    if originals is not None and reconstructions is not None:
        number = min(len(originals), len(reconstructions), MOST_PAIRS)
        columns = shape_of(number, 2)
        picture = tile(pairs(originals[:number], reconstructions[:number], columns), columns)
        found.append(("Reconstructions", "rows in turn: original, reconstruction", picture))
    samples = read(run, "sample")
    if samples is not None:
        samples = samples[:MOST_SAMPLES]
        found.append(("Samples", "drawn from the prior", tile(samples, shape_of(len(samples)))))
    walk = read(run, "walk")
    if walk is not None:
        side = int(np.ceil(np.sqrt(len(walk))))
        where = "the latent space" if run.setting("model", "latent") == "2" else "its first two dimensions, -2.1 to 2.1"
        found.append(("Walk through the latent space", where if where.startswith("its") else "both dimensions, -2.1 to 2.1", tile(walk, side)))
    return found


def main():
    parser = argparse.ArgumentParser(description="Draws originals beside reconstructions, samples and a walk through the latent space.")
    parser.add_argument("run", help="folder of a run, or its run.h5")
    parser.add_argument("-o", "--output", help="picture to write (default: images.png in the run's folder)")
    arguments = parser.parse_args()

    run = Run(arguments.run)
    if not run.images:
        raise RunError(f"{run.path}: this run has no images (models of images write /images)", NOTHING_THERE)
    found = panels(run)
    if not found:
        there = ", ".join(run.images) or "nothing"
        raise RunError(f"{run.path}: /images has neither original and reconstruction, nor sample, nor walk (it has: {there})", NOTHING_THERE)

    figure, all_axes = plt.subplots(1, len(found), figsize=(3.6 * len(found) + 0.1, 4.2), squeeze=False)
    for axes, (title, detail, picture) in zip(all_axes[0], found):
        axes.imshow(picture, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
        axes.set_title(title)
        axes.set_xlabel(detail, fontsize=8, color="#555555", loc="left")
        axes.set_anchor("N")
        axes.set(xticks=[], yticks=[])
        axes.grid(False)
        for spine in axes.spines.values():
            spine.set_visible(False)
    save(figure, arguments.output or os.path.join(run.folder, "images.png"), [run])


as_script(main)
