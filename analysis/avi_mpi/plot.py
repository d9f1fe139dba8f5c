"""Figures of runs. Each function takes a Run or its folder and returns a matplotlib Figure; `path` writes it too.

    avi_mpi.plot.trace(run).savefig("trace.png")
    avi_mpi.plot.gap("runs/vae", path="gap.png")

trace, images, latent, gap, ranks are of runs, sweep of the folder of a sweep. NotFound where a run has nothing of the
kind. As a command: python -m avi_mpi.plot trace runs/a runs/b -o trace.png
"""

from .commands import as_script
from .plot_gap import gap
from .plot_images import images
from .plot_latent import latent
from .plot_ranks import ranks
from .plot_sweep import sweep
from .plot_trace import trace

__all__ = ["trace", "images", "latent", "gap", "sweep", "ranks"]

if __name__ == "__main__":
    from .plot_command import main

    as_script(main)
