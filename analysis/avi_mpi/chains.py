"""posterior.nc of several runs as one file with a chain for each: the runs of a sweep over run.seed, for ArviZ."""

import argparse
import csv
import os
import sys

import h5py
import numpy

from .errors import AviError, NotFound, UsageError, WriteError

_NAME = "posterior.nc"
_PIECE = 1 << 22  # values that are copied at a time
_BARE = "This is a netCDF dimension but not a netCDF variable."


def _text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def _runs_of_sweep(folder):
    """Folders of the runs of a sweep that are done, in its order."""
    path = os.path.join(folder, "sweep.csv")
    if not os.path.isfile(path):
        return None
    with open(path, newline="", encoding="utf-8") as file:
        return [os.path.join(folder, line["folder"]) for line in csv.DictReader(file) if line["status"] == "done"]


def _path_of(run):
    """The file of a Run, of a folder, or itself."""
    path = os.fspath(getattr(run, "folder", run))
    path = os.path.join(path, _NAME) if os.path.isdir(path) else path
    if not os.path.isfile(path):
        raise NotFound(f"{path}: there is no such file; use output.idata=yes (output__idata=True) for its run, which the same command then adds to a run that is done")
    return path


def _paths(runs):
    found = []
    for run in [runs] if isinstance(runs, (str, os.PathLike)) or hasattr(runs, "folder") else list(runs):
        folder = os.fspath(getattr(run, "folder", run))
        found += [_path_of(one) for one in _runs_of_sweep(folder) or [run]]
    if not found:
        raise UsageError("no runs are given; use a list of Runs or folders, or the folder of a sweep")
    return found


def _scales(file):
    """{group: {name: scale of a dimension}}."""
    return {group: {name: item for name, item in content.items() if h5py.h5ds.is_scale(item.id)} for group, content in file.items()}


def _variables(group):
    return {name: item for name, item in group.items() if not h5py.h5ds.is_scale(item.id)}


def _dims(item):
    return [scale.values()[0].name.rsplit("/", 1)[1] for scale in item.dims]


def _check(files):
    """UsageError, with the difference, unless all files have the same variables, rows, draws and names."""
    first, wanted = files[0], _scales(files[0])
    for file in files[1:]:
        what = f"{file.filename} and {first.filename}"
        if _text(file.attrs["model"]) != _text(first.attrs["model"]) or sorted(file) != sorted(first):
            raise UsageError(f"{what} are of different models; use runs of one model")
        for group, scales in _scales(file).items():
            if sorted(file[group]) != sorted(first[group]):
                raise UsageError(f"{what} have different datasets in {group}: {', '.join(sorted(set(file[group]) ^ set(first[group])))}; use runs of one model")
            for name, scale in scales.items():
                other = wanted[group][name]
                if scale.shape != other.shape or (not _is_bare(scale) and list(scale[()]) != list(other[()])):
                    raise UsageError(f"{what} have different {name}s; use the same output.idata_rows and output.idata_draws, and the same data")
        if "observed_data" in file and not numpy.array_equal(file["observed_data/x"][()], first["observed_data/x"][()], equal_nan=True):
            raise UsageError(f"{what} are of different data; use runs of the same data")


def _is_bare(scale):
    return _text(scale.attrs["NAME"]).startswith(_BARE)


def _make_scale(group, name, scale, chains):
    """The scale of a dimension in the new file: numbers of the chains, else what it was."""
    bare = _is_bare(scale)
    if name == "chain":
        made = group.create_dataset(name, data=numpy.arange(chains), track_order=True)
    elif bare:
        made = group.create_dataset(name, shape=scale.shape, dtype=scale.dtype, track_order=True)
    else:
        made = group.create_dataset(name, data=scale[()], dtype=scale.dtype, track_order=True)
    made.make_scale(_text(scale.attrs["NAME"]) if bare else name)
    return made


def _copy(target, sources, along):
    """Values of each file into its place of the first axis, a part at a time; along: the files have that axis, of size 1."""
    for chain, source in enumerate(sources):
        shape = source.shape[1:] if along else source.shape
        if not shape:
            target[chain] = source[0] if along else source[()]
            continue
        step = max(1, _PIECE // max(1, int(numpy.prod(shape[1:]))))
        for first in range(0, shape[0], step):
            part = slice(first, first + step)
            target[chain, part] = source[0, part] if along else source[part]


def _write_group(file, name, sources):
    group = file.create_group(name, track_order=True)
    observed = name == "observed_data"
    for key, value in sources[0].attrs.items():
        group.attrs[key] = value
    scales = {key: _make_scale(group, key, scale, len(sources)) for key, scale in sources[0].items() if h5py.h5ds.is_scale(scale.id)}
    if "chain" not in scales and not observed:
        scales["chain"] = group.create_dataset("chain", data=numpy.arange(len(sources)), track_order=True)
        scales["chain"].make_scale("chain")
    for key, item in _variables(sources[0]).items():
        dims = _dims(item)
        along = bool(dims) and dims[0] == "chain"
        shape = item.shape if observed else (len(sources), *(item.shape[1:] if along else item.shape))
        made = group.create_dataset(key, shape=shape, dtype=item.dtype, track_order=True)
        if observed:
            made[...] = item[()]
        else:
            _copy(made, [source[key] for source in sources], along)
        dims = dims if along or observed else ["chain", *dims]
        for axis, dim in enumerate(dims):
            made.dims[axis].attach_scale(scales[dim])
        made.attrs.update({"description": _text(item.attrs["description"]), "units": _text(item.attrs["units"]), "axes": ", ".join(dims)})


def join_chains(runs, path):
    """One file of the posterior.nc of several runs, each a chain: what ArviZ compares chains by. Returns the path (str).

    runs    a list of Runs or folders, or the folder of a sweep: each run with output.idata=yes
    path    of the new file, for example runs/sweep/posterior.nc; replaced as a whole

    Variables get or keep (chain, ...) in front: posterior z (chain, draw, row, dimension), and so on. constant_data
    has (chain, row, ...); observed_data, which is the same for all, has no chain. The seeds of the runs must differ:
    the draws are functions of run.seed.

    Variational fits with different seeds are independent approximations of one posterior: that they differ says that
    they end in different optima (a VAE may rotate its latent space), and r-hat near 1 does not say that q is right.

    NotFound where a run has no posterior.nc, UsageError where runs do not belong together, WriteError where the file
    cannot be written.
    """
    path, files = os.fspath(path), []
    part = f"{path}.{os.getpid()}.part"
    try:
        files = [h5py.File(one, "r") for one in _paths(runs)]
        _check(files)
        with h5py.File(part, "w", track_order=True, libver=("v108", "v110")) as file:
            for key, value in files[0].attrs.items():
                if key not in ("made_from", "fit_mark", "seed"):
                    file.attrs[key] = value
            file.attrs["runs"] = "\n".join(os.path.dirname(one.filename) for one in files)
            file.attrs["seeds"] = [int(one.attrs["seed"]) for one in files]
            for name in files[0]:
                _write_group(file, name, [one[name] for one in files])
        os.replace(part, path)
    except OSError as error:
        raise WriteError(f"{path}: cannot be written: {error}") from error
    finally:
        for one in files:
            one.close()
        if os.path.exists(part):
            os.remove(part)
    return path


def main(arguments=None):
    """The command: python3 -m avi_mpi.chains runs/sweep -o posterior.nc"""
    parser = argparse.ArgumentParser(prog="python3 -m avi_mpi.chains", description="Joins the posterior.nc of runs as chains of one file.")
    parser.add_argument("runs", nargs="+", help="folders of runs, or of a sweep")
    parser.add_argument("-o", "--output", default=_NAME, help=f"the new file (default: {_NAME})")
    given = parser.parse_args(arguments)
    try:
        print(join_chains(given.runs, given.output))
    except AviError as error:
        print(f"avi_mpi: {error}", file=sys.stderr)
        return error.status
    return 0


if __name__ == "__main__":
    sys.exit(main())
