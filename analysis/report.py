#!/usr/bin/python3
"""Writes one page about a run that needs nothing else: python -m avi_mpi.report by its former name.

    analysis/report.py runs/vae                    -> runs/vae/report.html
    analysis/report.py runs/vae -o vae.html

Shows what there is in run.h5: the trace, what amortization costs (/gap), whether an inference function exists (/diagnose), the rows with the largest gaps, images,
the latent dimensions that are used most. The page has no links to other files and no scripts, so that it can be sent as it is.
"""

from avi_mpi.commands import as_script
from avi_mpi.page import main

as_script(main)
