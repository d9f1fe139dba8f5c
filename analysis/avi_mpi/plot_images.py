"""plot.images: originals above their reconstructions, samples of the prior, a walk through the latent space."""

import numpy

from .comparing import runs_of
from .errors import DataError, NotFound
from .style import finish, new, save, styled

GAP = 2  # pixels between two images
MOST_PAIRS, MOST_SAMPLES = 50, 100


def read(run, name):
    """(n, height, columns) of /images/<name>, or None when the run has none."""
    if name not in run.images:
        return None
    values = numpy.asarray(run.images[name], dtype=float)
    about = run.images.attributes
    shape = (int(about.get("height", 0)), int(about.get("columns", 0)))
    if values.ndim != 2 or shape[0] * shape[1] != values.shape[1]:
        raise DataError(f"{run.path}: /images/{name} is {values.shape}, which does not fit images of {shape[0]} x {shape[1]} pixels")
    return values.reshape(-1, *shape) if len(values) else None


def tile(images, columns):
    """One picture (height, width) of the images in rows of `columns`, dark ink on white; missing ones stay white."""
    number, height, width = images.shape
    rows = -(-number // columns)
    picture = numpy.zeros((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP))
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
    blank = numpy.zeros((columns,) + originals.shape[1:])
    rows = []
    for first in range(0, number, columns):
        for images in (originals, reconstructions):
            row = blank.copy()
            part = images[first:min(first + columns, number)]
            row[:len(part)] = part
            rows.append(row)
    return numpy.concatenate(rows)


def _panels(run):
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
        side = int(numpy.ceil(numpy.sqrt(len(walk))))
        about = run.images.attributes  # files of earlier versions walk the first two dimensions and do not say so
        first, second = about.get("walk_first", 0), about.get("walk_second", 1)
        where = f"z[{first}] to the right" + (f", z[{second}] upwards" if second != first else "")
        found.append(("Walk through the latent space", f"{where}, -2.1 to 2.1", tile(walk, side)))
    return found


@styled
def images(run, *, path=None):
    """Originals above their reconstructions, samples of the prior, a walk through the latent space, of a model of images.

    Shows what there is in run.images. Returns a Figure; `path` writes it too. NotFound where the run has no images.
    """
    run = runs_of(run)[0]
    if not run.images:
        raise NotFound(f"{run.path}: this run has no images (models of images write /images)")
    found = _panels(run)
    if not found:
        there = ", ".join(run.images) or "nothing"
        raise NotFound(f"{run.path}: /images has neither original and reconstruction, nor sample, nor walk (it has: {there})")
    picture = new(3.6 * len(found) + 0.1, 4.2)
    for axes, (title, detail, values) in zip(picture.subplots(1, len(found), squeeze=False)[0], found):
        axes.imshow(values, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
        axes.set_title(title)
        axes.set_xlabel(detail, fontsize=8, color="#555555", loc="left")
        axes.set_anchor("N")
        axes.set(xticks=[], yticks=[])
        axes.grid(False)
        for spine in axes.spines.values():
            spine.set_visible(False)
    finish(picture, [run], "Originals above their reconstructions, samples from the prior, and a walk through the latent space.")
    if path:
        save(picture, path)
    return picture
