"""avi_mpi from Python: fit latent-variable models on several ranks, read what a run left, draw it.

    import avi_mpi
    run = avi_mpi.fit(X, "vae", np=4, model__likelihood="gaussian", optim__epochs=50)
    avi_mpi.plot.trace(run).savefig("trace.png")

fit         an array, DataFrame or sparse matrix -> Run
Run         what a run left: trace, eval, theta, phi, local, gap; encode, evaluate, reconstruct, sample
open_run    the Run in a folder
join_chains the posterior.nc of several runs as chains of one file
compare     a table of runs, with the errors of their differences
status      how runs stand, while they go on too
plot        trace, images, latent, gap, sweep, ranks: figures
report      one HTML page about a run

Numbers are as in the files (analysis/README.md): ELBOs in nats with all normalizing constants. Errors are AviErrors.
"""

import importlib

from ._version import __version__  # noqa: F401
from .errors import (AviError, BudgetSpent, CannotCreate, CannotStart, ConfigError, DataError, Diverged, InternalError, NotFound, RankLost, Stopped, UsageError,  # noqa: F401
                     WriteError)

# Loaded when they are used: matplotlib takes a while, and `python -m avi_mpi.report` is a module of this name.
_HOMES = {"fit": "fitting", "Run": "run", "open_run": "run", "Results": "use", "Group": "reading", "compare": "comparing", "status": "watching", "join_chains": "chains", "report": "page",
          "plot": None}

__all__ = [*_HOMES, "AviError", "BudgetSpent", "CannotCreate", "CannotStart", "ConfigError", "DataError", "Diverged", "InternalError", "NotFound", "RankLost", "Stopped", "UsageError", "WriteError"]


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module 'avi_mpi' has no attribute {name!r}")
    home = _HOMES[name]
    value = getattr(importlib.import_module(f".{home}", __name__), name) if home else importlib.import_module(f".{name}", __name__)
    globals()[name] = value
    return value


def __dir__():
    return sorted(set(globals()) | set(__all__))
