"""Arrays in HDF5 files, and how near they have to be."""
import h5py
import numpy

from runs import Failure


def write(path, **arrays):
    """Adds datasets to a file; its path."""
    with h5py.File(path, "a") as file:
        for name, values in arrays.items():
            file[name] = values
    return path


def read(path, *names):
    with h5py.File(path) as file:
        return [file[name][()] for name in names]


def close(what, got, want, tolerance):
    worst = float(numpy.max(numpy.abs(numpy.asarray(got) - want)))
    if not worst <= tolerance:
        raise Failure(f"{what}: off by {worst:.3g}, at most {tolerance:g} expected")


def within_errors(what, got, want, error):
    """Each within six errors, and the errors of the right size over all."""
    z = (numpy.asarray(got) - want) / error
    if not (numpy.max(numpy.abs(z)) < 6 and abs(numpy.mean(z)) < 6 / numpy.sqrt(z.size) and 0.5 < numpy.std(z) < 1.6):
        raise Failure(f"{what}: in units of its error at most {numpy.max(numpy.abs(z)):.2f}, mean {numpy.mean(z):.3f}, spread {numpy.std(z):.2f}")
