"""Writes what people have in Python as the HDF5 file that the program reads."""

import collections.abc
import hashlib
import os

import h5py
import numpy

from .errors import DataError, UsageError

DATASET, TEST = "x", "x_test"
_PIECE = 1 << 24  # bytes hashed at a time


class Rows:
    """Rows to be written: an array or the three of a sparse matrix, with names of columns and rows where there are any."""

    def __init__(self, values, columns=None, names=None, shape=None):
        self.values, self.columns, self.names = values, columns, names
        self.shape = shape if shape is not None else values.shape
        self.is_sparse = isinstance(values, dict)

    def mark(self, digest):
        """Adds all of it to a hash."""
        digest.update(repr((self.shape, self.columns, self.names)).encode())
        for part in self.values.values() if self.is_sparse else [self.values]:
            digest.update(f"{part.dtype.str}{part.shape}".encode())
            flat = numpy.ascontiguousarray(part).reshape(-1).view("u1")
            for first in range(0, len(flat), _PIECE):
                digest.update(flat[first:first + _PIECE].data)

    def write(self, file, name):
        """Writes them as dataset `name`, or as a group in AnnData's layout of compressed rows."""
        if self.is_sparse:
            group = file.create_group(name)
            group.attrs["encoding-type"], group.attrs["encoding-version"] = "csr_matrix", "0.1.0"
            group.attrs["shape"] = numpy.array(self.shape, dtype="i8")
            for part, values in self.values.items():
                group[part] = values
            for names, where in ((self.columns, "var/_index"), (self.names, "obs/_index")):  # as AnnData has them
                if names is not None and where not in file:
                    file.create_dataset(where, data=names, dtype=h5py.string_dtype())
            return
        file[name] = self.values
        for axis, names, what in ((1, self.columns, "columns"), (0, self.names, "rows")):
            if names is not None:
                scale = file.create_dataset(f"{name}_{what}", data=names, dtype=h5py.string_dtype())
                scale.make_scale(what)
                file[name].dims[axis].attach_scale(scale)


def _array(values, what):
    array = numpy.asarray(values)
    if numpy.ma.isMaskedArray(values):
        array = values.astype(float).filled(numpy.nan)  # data__missing="mask" leaves them out
    if array.dtype == bool:
        array = array.astype("u1")
    if array.dtype.kind not in "iuf":
        raise DataError(f"{what} has values of type {array.dtype}, not numbers; use an array of numbers, for example numpy.asarray({what}, dtype=float)")
    if array.ndim == 0 or array.ndim > 4:
        raise DataError(f"{what} has {array.ndim} dimensions; use (rows), (rows, columns), images (rows, height, columns) or images with channels")
    if len(array) == 0:
        raise DataError(f"{what} has no rows")
    return array


def _frame(frame, what):
    """Of a DataFrame: missing values become NaN; names of rows are kept unless they are numbers from 0."""
    columns, parts = [str(name) for name in frame.columns], []
    for k, name in enumerate(columns):
        column = frame.iloc[:, k]
        try:
            part = column.to_numpy(dtype=float, na_value=numpy.nan) if column.dtype.kind not in "iufb" or column.isna().any() else column.to_numpy()
        except (TypeError, ValueError):
            raise DataError(f"{what} has no numbers in column {name!r} ({column.dtype}); leave it out, for example {what}.select_dtypes('number'), or use numbers in its place") from None
        if part.dtype.kind not in "iufb":
            raise DataError(f"{what} has no numbers in column {name!r} ({column.dtype}); leave it out, for example {what}.select_dtypes('number')")
        parts.append(part)
    if not columns:
        raise DataError(f"{what} has no columns")
    is_counter = type(frame.index).__name__ == "RangeIndex"
    return Rows(_array(numpy.column_stack(parts), what), columns, None if is_counter else [str(name) for name in frame.index])


def _sparse(matrix, what):
    matrix = matrix.tocsr().copy()
    matrix.sum_duplicates()
    matrix.sort_indices()
    if matrix.dtype.kind not in "iufb" or matrix.shape[0] == 0:
        raise DataError(f"{what} is a sparse matrix of {matrix.dtype}, {matrix.shape[0]} rows; use one of numbers with at least one row")
    values = matrix.data.astype("u1") if matrix.dtype == bool else matrix.data
    return Rows({"data": values, "indices": matrix.indices, "indptr": matrix.indptr.astype("i8")}, shape=tuple(int(n) for n in matrix.shape))


def rows_of(values, what="X"):
    """Rows of an array, a DataFrame, a scipy sparse matrix, the X of an AnnData, or anything that numpy.asarray takes.

    `what` is its name in messages. DataError for what has no numbers.
    """
    if isinstance(values, Rows):
        return values
    if hasattr(values, "var_names") and hasattr(values, "obs_names"):
        found = rows_of(values.X, f"{what}.X")
        return Rows(found.values, [str(name) for name in values.var_names], [str(name) for name in values.obs_names], found.shape)
    if hasattr(values, "tocsr"):
        return _sparse(values, what)
    if hasattr(values, "iloc") and hasattr(values, "columns"):
        return _frame(values, what)
    if isinstance(values, (str, bytes, os.PathLike, collections.abc.Mapping)):
        raise UsageError(f"{what} is a {type(values).__name__}; use an array, a DataFrame or a sparse matrix (rows of a file: {what}=None, data__source=\"hdf5\", data__path=...)")
    return Rows(_array(values, what))


def check_same_columns(rows, test):
    """DataError where test rows are of another width or have other names than the rows."""
    if rows.shape[1:] != test.shape[1:]:
        raise DataError(f"rows of X have the shape {rows.shape[1:]}, rows of test {test.shape[1:]}; use the same columns")
    if rows.columns is not None and test.columns is not None and rows.columns != test.columns:
        raise DataError("the columns of X and test have other names, or another order; use test[X.columns]")


def mark_of(*parts):
    """Twelve hexadecimal digits that differ when any value, type, shape or name does (SHA-1)."""
    digest = hashlib.sha1()
    for part in parts:
        if part is None:
            digest.update(b"none")
        else:
            part.mark(digest)
    return digest.hexdigest()[:12]


def write(path, rows, test=None):
    """Writes a file with dataset x and, with test rows, x_test: whole or not at all. OSError where it cannot."""
    part = f"{path}.{os.getpid()}.part"
    try:
        with h5py.File(part, "w") as file:
            rows.write(file, DATASET)
            if test is not None:
                test.write(file, TEST)
        os.replace(part, path)
    finally:
        if os.path.exists(part):
            os.remove(part)
