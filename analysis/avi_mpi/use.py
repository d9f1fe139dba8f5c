"""A fit applied to other rows: encode, evaluate, reconstruct, sample."""

import os
import shutil
import tempfile
import weakref

from . import data
from .errors import CannotCreate, UsageError
from .keys import overrides
from .launch import call, check_ranks, nodes_of_slurm, raise_for, warn_of
from .reading import Group, Store

_FILES = {"sample": "samples.h5"}
_TAKEN = {"run__output": "output", "run__task": "of its own (encode, evaluate, reconstruct, sample)", "run__from": "of the run itself"}
_TAKEN_BY_X = {f"data__{key}": "X" for key in ("source", "path", "dataset", "test_path", "test_dataset")}


class Results(Store):
    """What a fit makes of rows: results["mean"] is an array (rows, ...), read when asked for.

    A mapping as Group is: names, results.dataset("mean")[:100], results.units("elbo"), results.to_xarray().
    The file goes away with the Results, unless `output` was given; arrays that were read stay.
    """

    _format, _kind = "avi_mpi rows", "results of rows"

    def __init__(self, path, group="/"):
        super().__init__(path)
        self._group = group
        self.messages = ""

    @property
    def _results(self):  # made when needed: one that was kept would hold this Results, and its files, alive
        return Group(self, self._group)

    def __getitem__(self, name):
        return self._results[name]

    def __contains__(self, name):
        return name in self.keys()

    def __iter__(self):
        return iter(self.keys())

    def __len__(self):
        return len(self.keys())

    def __repr__(self):
        lines = [line for line in repr(self._results).splitlines()[1:] if line.split()[0] in self]
        return "\n".join([self.path, *lines])

    def keys(self):
        """Names of the arrays (list of str)."""
        return [name for name in Group(self, self._group) if name not in ("config", "data", "provenance")]

    def dataset(self, name):
        """The h5py dataset itself, for slices of what is too large to read whole."""
        return self._results.dataset(name)

    def units(self, name):
        """Units of an array (str)."""
        return self._results.units(name)

    def to_xarray(self):
        """The arrays as an xarray.Dataset. ImportError without xarray."""
        from .convert import to_dataset

        return to_dataset({"": self._results}, self.provenance, leave_out=("config", "data", "provenance"))


def _folder(output):
    """(folder, whether it is for the time being)."""
    if output is not None:
        try:
            os.makedirs(output, exist_ok=True)
        except OSError as error:
            raise CannotCreate(f"{output}: cannot create the folder: {error.strerror}") from error
        return os.path.abspath(output), False
    if nodes_of_slurm() > 1:
        raise UsageError("this job has several nodes, which do not share a folder for temporary files; give output=, a folder that all nodes have")
    return tempfile.mkdtemp(prefix="avi_mpi_"), True


def use(run, task, X, np, output, progress, keys, group=""):
    """Starts the task by the fit of `run` on rows X; Results. The arguments are those of Run.encode()."""
    given = overrides(keys, dict(_TAKEN, **(_TAKEN_BY_X if X is not None else {})))
    ranks, rows = check_ranks(np), None if X is None else data.rows_of(X)
    folder, passing = _folder(output)
    try:
        if rows is not None:
            path = os.path.join(folder, f"data-{data.mark_of(rows)}.h5")
            data.write(path, rows)
            given += ["data.source=hdf5", f"data.path={path}", f"data.dataset={data.DATASET}", "data.rows=0", "data.holdout=0", "data.test_path=", "data.test_dataset="]
        ended = call([run.folder, f"run.task={task}", f"run.output={folder}", *given], ranks, progress, folder)
        raise_for(ended)
        warn_of(ended)
        found = Results(os.path.join(folder, _FILES.get(task, "rows.h5")), f"/{group}")
        found.messages = ended.messages
    except BaseException:
        if passing:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    if passing:
        weakref.finalize(found, shutil.rmtree, folder, True)
    return found
