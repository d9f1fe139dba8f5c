#!/usr/bin/python3
"""Draws the ELBO against steps and against seconds, for one run or several.

    analysis/plot_trace.py runs/vae                               -> runs/vae/trace.png
    analysis/plot_trace.py runs/a runs/b runs/c -o compare.png    several runs in one picture

Lines: the ELBO of each logged step (pale) and its running mean. Dots: the ELBO of the test data.
"""

from avi_mpi.commands import as_script
from avi_mpi.plot_command import main_of

as_script(main_of("trace"))
