"""The look of the figures, without a change to the settings of matplotlib that others use."""

import functools
import os
import tempfile

# matplotlib wants a folder to write to, also where the home folder cannot be written.
if not os.access(os.path.expanduser("~"), os.W_OK):
    os.environ.setdefault("MPLCONFIGDIR", tempfile.mkdtemp(prefix="avi_matplotlib_"))

import matplotlib  # noqa: E402
from cycler import cycler  # noqa: E402
from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

# Colours that people with any colour vision tell apart (Okabe and Ito), dark enough for thin lines.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]

STYLE = {
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
    "axes.prop_cycle": cycler(color=COLOURS),
}


class Picture(Figure):
    """A matplotlib Figure that notebooks show once and that knows where its numbers come from.

    `words` says what it shows (str), for a caption; savefig(path) writes it.
    """

    words = ""

    def _repr_png_(self):
        import io

        store = io.BytesIO()
        self.savefig(store, format="png")
        return store.getvalue()


def new(width, height):
    """An empty Picture of so many inches. Called inside `styled` functions."""
    picture = Picture(figsize=(width, height))
    FigureCanvasAgg(picture)
    return picture


def styled(draw):
    """Runs a function that draws in the style of this package."""
    @functools.wraps(draw)
    def inside(*arguments, **options):
        with matplotlib.rc_context(STYLE):
            return draw(*arguments, **options)
    return inside


def finish(picture, runs, words=""):
    """Puts the origins of the runs at the foot, and what the picture shows into `words`. Returns it."""
    origins = list(dict.fromkeys(run.origin for run in runs))
    if len(origins) > 6:
        origins = [*origins[:5], f"and {len(origins) - 5} more runs"]
    height = picture.get_size_inches()[1]
    foot = 0.13 * len(origins) + 0.1
    picture.tight_layout(rect=(0, foot / height, 1, 1))
    picture.text(0.995, 0.05 / height, "\n".join(origins), ha="right", va="bottom", fontsize=6.5, color="#777777")
    picture.words = words
    return picture


def save(picture, path):
    """Writes the picture as PNG (or what the name of the file says), whole or not at all."""
    kind = os.path.splitext(path)[1][1:].lower() or "png"
    part = f"{path}.{os.getpid()}.part"
    try:
        picture.savefig(part, format=kind)
        os.replace(part, path)
    finally:
        if os.path.exists(part):
            os.remove(part)
    return path
