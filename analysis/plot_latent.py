#!/usr/bin/python3
"""Draws where the variational factors of the rows lie: two dimensions of their means, and how much each dimension is used.

    analysis/plot_latent.py runs/vae                -> runs/vae/latent.png
    analysis/plot_latent.py runs/vae --dims 3 7     these two, counted from 0, in place of the two that are used most
    analysis/plot_latent.py runs/vae --labels FILE  coloured by labels: IDX, FILE.h5:DATASET, .npy, or a text with one per line; those beside MNIST's images are found

Reads /local/mean (and /local/log_sd) of run.h5.
"""

from avi_mpi.commands import as_script
from avi_mpi.plot_command import main_of

as_script(main_of("latent"))
