"""The look of the figures for scripts that draw with pyplot (plot_paper.py), and how they are saved."""

import os

from avi_mpi.commands import shown
from avi_mpi.style import COLOURS, STYLE  # noqa: F401

import matplotlib  # noqa: E402

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402

plt.rcParams.update(STYLE)


def save(figure, path, runs):
    """Writes the figure with the origin of its runs at the foot, whole or not at all, and says where it is."""
    origins = list(dict.fromkeys(run.origin for run in runs))
    height = figure.get_size_inches()[1]
    foot = 0.13 * len(origins) + 0.1
    figure.tight_layout(rect=(0, foot / height, 1, 1))
    figure.text(0.995, 0.05 / height, "\n".join(origins), ha="right", va="bottom", fontsize=6.5, color="#777777")
    temporary = path + ".part"
    figure.savefig(temporary, format="png")
    plt.close(figure)
    os.replace(temporary, path)
    print(shown(path))
