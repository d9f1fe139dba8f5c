"""Labels of rows, which colour plot.latent: of a file that the user names, or those that lie beside the images of a run."""

import gzip
import os

import numpy

from .errors import DataError, NotFound


def _idx(path):
    """Values of an IDX file of one axis, plain or gzip; None where it is no such file."""
    with open(path, "rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    with (gzip.open if packed else open)(path, "rb") as file:
        head = file.read(8)
        if len(head) < 8 or head[:4] != b"\0\0\x08\x01":
            return None
        values = numpy.frombuffer(file.read(), numpy.uint8)
    return values if len(values) == int.from_bytes(head[4:], "big") else None


def read_labels(path):
    """One label per row from a file: labels in IDX format (plain or .gz), FILE.h5:DATASET, .npy, or a text with one label per line."""
    file, _, dataset = path.rpartition(":")
    if file and os.path.isfile(file):
        import h5py

        try:
            with h5py.File(file, "r") as store:
                item = store[dataset]
                values = item.asstr()[()] if h5py.check_string_dtype(item.dtype) else item[()]
        except (OSError, KeyError) as error:
            raise DataError(f"{path}: no labels there ({error}); use FILE.h5:DATASET") from error
    elif not os.path.isfile(path):
        raise NotFound(f"{path}: there is no such file of labels; use an IDX file, FILE.h5:DATASET, FILE.npy or a text with one label per line")
    elif path.endswith(".npy"):
        values = numpy.load(path, allow_pickle=False)
    else:
        values = _idx(path)
        if values is None:
            try:
                with open(path, encoding="utf-8") as text:
                    values = numpy.array([line.strip() for line in text])
            except UnicodeDecodeError as error:
                raise DataError(f"{path}: neither labels in IDX format nor a text; use an IDX file, FILE.h5:DATASET, FILE.npy or a text with one label per line") from error
    values = numpy.asarray(values)
    return values.reshape(-1) if values.ndim < 2 or min(values.shape) == 1 else values


def labels_of(run, rows):
    """Labels (rows) of the training rows of a run, or None.

    They are those of images in IDX format that have their labels beside them under the usual name (train-labels-idx1-ubyte beside train-images-idx3-ubyte).
    """
    path = run.setting("data", "path")
    folder, name = os.path.split(path)
    if run.setting("data", "source") != "idx" or "images" not in name or float(run.setting("data", "holdout", "0") or 0):
        return None  # rows that were kept aside are not those at the beginning of the file
    other = os.path.join(folder, name.replace("images", "labels").replace("idx3", "idx1"))
    try:
        values = _idx(other) if os.path.isfile(other) else None
    except (OSError, EOFError):
        return None
    asked = int(run.setting("data", "rows", "0") or 0)
    return None if values is None or rows not in (len(values), asked) or rows > len(values) else values[:rows]
