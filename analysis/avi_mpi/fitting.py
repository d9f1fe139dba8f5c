"""fit: from an array to a Run."""

import contextlib
import os

from . import data
from .errors import CannotCreate, CannotStart, ConfigError, WriteError
from .keys import overrides
from .launch import call, check_ranks, raise_for, warn_of
from .run import Run

INI = os.path.join(os.path.dirname(os.path.abspath(__file__)), "python.ini")
_TAKEN = {"model__name": "model", "run__output": "output", "checkpoint__resume": "fresh"}
_TAKEN_BY_X = {f"data__{key}": "X and test" for key in ("source", "path", "dataset", "test_path", "test_dataset")}


def _make_folder(output):
    try:
        os.makedirs(output, exist_ok=True)
    except OSError as error:
        raise CannotCreate(f"{output}: cannot create the folder: {error.strerror}; use another output") from error


def _write_data(folder, rows, test):
    """(path, whether it was written now): named by its contents, so that the data of a fit are never replaced by others."""
    path = os.path.abspath(os.path.join(folder, f"data-{data.mark_of(rows, test)}.h5"))
    if os.path.exists(path):
        return path, False
    try:
        data.write(path, rows, test)
    except OSError as error:
        raise WriteError(f"{path}: cannot be written: {error}") from error
    return path, True


def _undo(folder, path):
    """Removes data that were written (path) and the folder when nothing else is in it. Another process may use the folder, or have removed it."""
    with contextlib.suppress(OSError):
        if path:
            os.remove(path)
        os.rmdir(folder)  # fails where something is in it


def _remove_other_data(folder, kept):
    """After a fit that began afresh: the data of the one before it."""
    for name in os.listdir(folder):
        path = os.path.abspath(os.path.join(folder, name))
        if name.startswith("data-") and name.endswith(".h5") and path != kept:
            os.remove(path)


def _run_of(folder):
    path = os.path.join(folder, "run.h5")
    return Run(path) if os.path.isfile(path) else None


def _call(arguments, ranks, chosen, progress, folder):
    """The program on `ranks` ranks; where nobody chose them, on fewer when the configuration cannot use as many."""
    ended = call(arguments, ranks, progress, folder)
    fewer = ranks
    while ended.status == ConfigError.status and not chosen and fewer > 1:
        fewer //= 2
        if call(["-q", "--dry-run", *arguments], fewer, False, folder).status == 0:
            return call(arguments, fewer, progress, folder)
    return ended


def fit(X=None, model="vae", np=None, *, test=None, output=None, fresh=False, progress=True, **keys):
    """Fits a model to rows and returns the Run.

        run = avi_mpi.fit(X, "ppca", np=4, model__latent=3, inference__hidden=[64, 64], optim__epochs=50)

    X         rows: an array (rows), (rows, columns) or of images (rows, height, columns), a scipy sparse matrix, or a
              pandas DataFrame or an AnnData (its X), whose names of columns and rows are kept. None: the data that keys
              name (data__source=...).
              Missing values are NaN, with data__missing="mask".
    model     model.name: vae, ppca, linear, ... (avi_mpi --list)
    np        ranks; None: the tasks of the Slurm job, else all cores, or fewer where there is less to do
    test      test rows, as X; data__holdout=0.1 keeps a part of X aside instead
    output    folder of the run; None: runs/MODEL
    fresh     True: begin anew where the folder has results, which stay until the new ones are complete
    progress  True: the program's lines on the screen; False: nothing; a function: called with each line (str)
    keys      of the configuration, written section__key=value. True is yes, a list is separated by commas:
              model__hidden=[400, 200] is model.hidden = 400, 200. avi_mpi --help-keys lists them.

    The same call again returns the fit at once when it is done, and resumes it when it was stopped. Another model,
    other data or other keys in the same folder are a DataError; use another output, or fresh=True. The rows are kept in
    the folder of the run (data-*.h5), from which it resumes.

    Ctrl-C writes a checkpoint, ends the program and raises KeyboardInterrupt. All other ways to end than done raise
    an AviError with the program's message: ConfigError (keys), DataError (data), Diverged, Stopped (run__time_limit),
    BudgetSpent, CannotStart (no program, no mpirun), ...; its attribute `run` has what was written before.
    """
    given = overrides(keys, dict(_TAKEN, **(_TAKEN_BY_X if X is not None else {})))
    ranks = check_ranks(np)
    rows = None if X is None else data.rows_of(X)
    held_out = None if test is None else data.rows_of(test, "test")
    if rows is not None and held_out is not None:
        data.check_same_columns(rows, held_out)
    folder = os.fspath(output if output is not None else os.path.join("runs", model))
    _make_folder(folder)
    path, is_new = None, False
    if rows is not None:
        path, is_new = _write_data(folder, rows, held_out)
        given += ["data.source=hdf5", f"data.path={path}", f"data.dataset={data.DATASET}"]
        if held_out is not None:
            given += [f"data.test_path={path}", f"data.test_dataset={data.TEST}"]
    arguments = [*(["--fresh"] if fresh else []), INI, f"model.name={model}", f"run.output={folder}", *given]
    try:
        ended = _call(arguments, ranks, np is not None, progress, folder)
    except CannotStart:
        _undo(folder, is_new and path)
        raise
    refused = ended.status in range(1, 79) and ended.status not in (3, 4, 70, 74, 75)
    if refused:  # nothing was fitted
        _undo(folder, is_new and path)
    raise_for(ended, None if refused else _run_of(folder))
    warn_of(ended)
    if path and fresh:
        _remove_other_data(folder, path)
    run = Run(folder)
    run.messages = ended.messages
    return run
