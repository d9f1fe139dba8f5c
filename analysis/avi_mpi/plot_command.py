"""python -m avi_mpi.plot KIND RUN ..., and the scripts of analysis/ that draw."""

import argparse
import os
import time

from . import plot
from .commands import shown
from .comparing import runs_of
from .watching import open_going

DOCS = {
    "trace": "Draws the ELBO against steps and seconds.",
    "images": "Draws originals beside reconstructions, samples and a walk through the latent space.",
    "latent": "Draws the means of the variational factors.",
    "gap": "Draws what amortization costs each row.",
    "ranks": "Draws how long a step takes on each rank.",
    "sweep": "Draws what the runs of a sweep reached.",
}


def _add_arguments(parser, kind):
    several = kind == "trace"
    what = "folder of a sweep, or its sweep.csv" if kind == "sweep" else "folders of runs, or run.h5 files" if several else "folder of a run, or its run.h5"
    parser.add_argument("runs", nargs="+" if several else 1, metavar="FOLDER", help=what)
    if kind == "latent":
        parser.add_argument("--dims", nargs=2, type=int, metavar=("A", "B"), help="dimensions to draw, counted from 0 (default: the two that are used most)")
        parser.add_argument("--labels", metavar="FILE", help="colours of the rows: an IDX file of labels, FILE.h5:DATASET, FILE.npy or a text with one per line (default: those beside IDX images)")
    if several:
        parser.add_argument("--every", type=float, metavar="SECONDS", help="draw again after so many seconds, until no run is going on")
    if kind == "sweep":
        parser.add_argument("-x", help="swept key on the horizontal axis (default: the first)")
        parser.add_argument("-y", help="column of sweep.csv, or gap_train, gap_test (default: elbo_test, else elbo_train)")
    parser.add_argument("-o", "--output", help=f"picture to write (default: {kind}.png in the run's folder" + ("; of several, here)" if several else ")"))


def draw(kind, given):
    """Draws what the arguments of a command ask for, and prints where it is."""
    options = {name: getattr(given, name) for name in ("dims", "labels", "x", "y") if getattr(given, name, None) is not None}
    if kind == "sweep":
        what = given.runs[0]
        folder = what if os.path.isdir(what) else os.path.dirname(what)
    else:
        what = [open_going(run) for run in given.runs] if kind == "trace" else runs_of(given.runs)
        folder = what[0].folder if len(what) == 1 else ""
    output = given.output or os.path.join(folder, f"{kind}.png")
    getattr(plot, kind)(what, path=output, **options)
    print(shown(output), flush=True)
    while getattr(given, "every", None) and any(run.status == "running" for run in what):
        time.sleep(given.every)
        what = [run.reload() for run in what]
        getattr(plot, kind)(what, path=output, **options)


def main_of(kind):
    """main() of a script that draws one kind of figure."""
    def main():
        parser = argparse.ArgumentParser(description=DOCS[kind])
        _add_arguments(parser, kind)
        draw(kind, parser.parse_args())
    return main


def main():
    """python -m avi_mpi.plot KIND FOLDER ..."""
    parser = argparse.ArgumentParser(prog="python -m avi_mpi.plot", description="Draws a figure of runs.")
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    for kind, words in DOCS.items():
        _add_arguments(kinds.add_parser(kind, help=words, description=words), kind)
    given = parser.parse_args()
    draw(given.kind, given)
