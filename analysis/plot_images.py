#!/usr/bin/python3
"""Draws the images of a run: originals above their reconstructions, samples of the prior, a walk through the latent space.

    analysis/plot_images.py runs/vae          -> runs/vae/images.png

Shows what there is of /images/original, reconstruction, sample and walk in run.h5.
"""

from avi_mpi.commands import as_script
from avi_mpi.plot_command import main_of

as_script(main_of("images"))
