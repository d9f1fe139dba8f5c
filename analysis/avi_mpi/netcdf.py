"""Draws of runs as the netCDF file that ArviZ reads: the groups of its InferenceData schema."""

import datetime
import os

import numpy

from . import data
from ._version import __version__
from .errors import UsageError, WriteError

_NOT_ARRAYS = "sparse rows are not written to netCDF; use X.toarray() of the rows that you want"


def _engine():
    for name, module in (("netcdf4", "netCDF4"), ("h5netcdf", "h5netcdf")):
        try:
            __import__(module)
            return name
        except ImportError:
            continue
    raise ImportError("to_netcdf needs netCDF4 or h5netcdf (pip install netCDF4; Debian: python3-netcdf4)")


def _named(rows):
    """Coordinates of the rows and columns: their names, else numbers from 0."""
    number = rows.shape[0]
    found = {"row": numpy.array(rows.names, dtype=object) if rows.names is not None else numpy.arange(number)}
    if len(rows.shape) == 2:
        found["column"] = numpy.array(rows.columns, dtype=object) if rows.columns is not None else numpy.arange(rows.shape[1])
    return found


def _theta(runs, draws, seed):
    """{name: (dims, values)} of the global parameters: draws of a Gaussian q(theta) with chain and draw in front, and points."""
    random, drawn, points = numpy.random.default_rng(seed), {}, {}
    for name in runs[0].theta:
        parts = [run.theta[name] for run in runs]
        means = numpy.stack([numpy.asarray(part["mean"], dtype=float) for part in parts])
        dims = [f"{name}_dim_{k}" for k in range(means.ndim - 1)]
        if "sd" in parts[0]:
            sds = numpy.stack([numpy.asarray(part["sd"], dtype=float) for part in parts])
            noise = random.normal(size=(len(runs), draws, *means.shape[1:]))
            drawn[name] = (["chain", "draw", *dims], means[:, None] + sds[:, None] * noise)
        else:
            points[name] = (["chain", *dims], means)
    return drawn, points


def _dataset(variables, coordinates, about):
    import xarray

    sizes = {dim: size for dims, values, *_ in variables.values() for dim, size in zip(dims, numpy.shape(values))}
    known = {dim: coordinates.get(dim, numpy.arange(size)) for dim, size in sizes.items()}
    return xarray.Dataset(variables, {dim: (dim, values) for dim, values in known.items()}, about)


def _groups(runs, rows, draws, np, progress, seed):
    drawn = [run.sample(draws, rows, np=np, progress=progress) for run in runs]
    scores = [run.evaluate(rows, np=np, progress=progress) for run in runs]
    stack = lambda name: numpy.stack([numpy.moveaxis(one[name], 1, 0) for one in drawn])  # (chain, draw, row, ...)
    width = stack("x").shape[3:]
    x_dims = ["column"] if len(width) == 1 and len(rows.shape) == 2 else [f"x_dim_{k}" for k in range(len(width))]
    theta, points = _theta(runs, draws, seed)
    per_row = {name: (["chain", "row"], numpy.stack([one[name] for one in scores]), {"units": scores[0].units(name)}) for name in ("elbo", "elbo_error", "log_p", "log_p_error", "khat", "ess")
               if name in scores[0]}
    observed = numpy.asarray(rows.values, dtype=float).reshape(rows.shape[0], *width)
    return {
        "posterior": {**theta, "z": (["chain", "draw", "row", "dimension"], stack("z"))},
        "posterior_predictive": {"x": (["chain", "draw", "row", *x_dims], stack("x"), {"units": "of the data"})},
        "observed_data": {"x": (["row", *x_dims], observed, {"units": "of the data"})},
        "constant_data": {**points, **per_row},
    }


def write(runs, path, X, draws, np, progress, seed):
    """Writes the groups. The arguments are those of Run.to_netcdf()."""
    engine, rows = _engine(), data.rows_of(X)
    if rows.is_sparse:
        raise UsageError(_NOT_ARRAYS)
    if isinstance(draws, bool) or int(draws) != draws or draws < 1:
        raise UsageError(f"draws={draws!r} is not a number of draws; use draws=100")
    about = {"created_at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), "inference_library": "avi_mpi",
             "inference_library_version": str(runs[0].provenance.get("version", __version__)), "git_revision": str(runs[0].provenance.get("git_revision", "")),
             "runs": ", ".join(run.folder for run in runs), "model": runs[0].setting("model", "name"), "creation_library": f"avi_mpi {__version__} for Python"}
    coordinates = _named(rows)
    part = f"{path}.{os.getpid()}.part"
    try:
        mode = "w"
        for name, variables in _groups(runs, rows, int(draws), np, progress, seed).items():
            _dataset(variables, coordinates, about).to_netcdf(part, mode=mode, group=name, engine=engine, format="NETCDF4" if engine == "netcdf4" else None)
            mode = "a"
        os.replace(part, path)
    except OSError as error:
        raise WriteError(f"{path}: cannot be written: {error}") from error
    finally:
        if os.path.exists(part):
            os.remove(part)
    return path
