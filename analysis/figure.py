"""The look of the figures, and how they are saved: used by the plot scripts."""

import os
import tempfile

# matplotlib wants a folder to write to, also where the home folder cannot be written.
if not os.access(os.path.expanduser("~"), os.W_OK):
    os.environ.setdefault("MPLCONFIGDIR", tempfile.mkdtemp(prefix="avi_matplotlib_"))

import matplotlib  # noqa: E402

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402

# Colours that people with any colour vision tell apart (Okabe and Ito), dark enough for thin lines.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]

plt.rcParams.update({
    "figure.dpi": 150,
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.edgecolor": "#666666",
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "axes.prop_cycle": plt.cycler(color=COLOURS),
})


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
    near = os.path.relpath(path)
    print(path if near.startswith("..") else near)
