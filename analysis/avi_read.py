"""The reader of the package avi_mpi under its former name: `from avi_read import Run` is `from avi_mpi import Run`.

    from avi_read import Run
    run = Run("runs/vae")                   # a folder, or a run.h5
    run.trace["step"], run.trace["elbo"]    # arrays, one value per logged step
"""

from avi_mpi.commands import as_script  # noqa: F401
from avi_mpi.errors import AviError as RunError  # noqa: F401
from avi_mpi.errors import DataError, NotFound
from avi_mpi.reading import Group  # noqa: F401
from avi_mpi.run import Run  # noqa: F401

NOT_A_RUN, NOTHING_THERE = DataError.status, NotFound.status  # exit statuses of the scripts
