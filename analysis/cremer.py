#!/usr/bin/python3
"""What jobs/cremer.sh needs of Python: binary images, whether a fit has its ledger, and the table of all cells.

    analysis/cremer.py runs/cremer                      -> table.md, table.csv, rate.md there
    analysis/cremer.py runs/cremer --record FOLDER      -> copies table.md to FOLDER/cremer.md and table.csv to FOLDER/cremer.csv
    analysis/cremer.py --binarise IMAGES FOLDER         -> FOLDER/train.idx.gz and test.idx.gz, images of 0 and 1
    analysis/cremer.py --has-ledger RUN                 exit status 0 when it has
"""

import argparse
import glob
import gzip
import math
import os
import shutil
import struct
import sys

import h5py
import numpy as np

from avi_read import Run, RunError, as_script
from paper_runs import write_table

SETS = ("train", "test")
SEED = 20181022  # of the draws that make pixels binary
CORES = 16


def binarise(images, folder):
    """Once: 1 with the probability that the grey value is, the usual way to make MNIST binary (Salakhutdinov & Murray 2008)."""
    for number, (one, name) in enumerate((("train", "train-images-idx3-ubyte.gz"), ("test", "t10k-images-idx3-ubyte.gz"))):
        target = os.path.join(folder, f"{one}.idx.gz")
        if os.path.exists(target):
            continue
        with gzip.open(os.path.join(images, name)) as file:
            magic, count, height, width = struct.unpack(">iiii", file.read(16))
            grey = np.frombuffer(file.read(), np.uint8)
        if magic != 2051 or len(grey) != count * height * width:
            raise RunError(f"{os.path.join(images, name)}: no images in IDX format; use MNIST's or FashionMNIST's own files", 65)
        bits = (np.random.default_rng([SEED, number]).random(len(grey)) < grey / 255).astype(np.uint8)
        with gzip.open(target + ".part", "wb", compresslevel=4) as file:
            file.write(struct.pack(">iiii", magic, count, height, width) + bits.tobytes())
        os.replace(target + ".part", target)


def has_ledger(folder):
    try:
        with h5py.File(os.path.join(folder, "run.h5")) as file:
            return all(f"gap/{one}" in file for one in SETS)
    except OSError:
        return False


class Cell:
    """A decoder with an encoder: means per row on training and test images, with their Monte Carlo errors."""

    def __init__(self, folder):
        self.data, self.name = folder.split(os.sep)[-2:]
        self.full = Ledger(folder + "_full") if has_ledger(folder + "_full") else None
        self.own = Ledger(folder)
        with Run(folder) as run:
            self.decoder = f"{run.setting('model', 'latent')}-{run.setting('model', 'hidden').replace(', ', '-').replace(',', '-')}"
            self.encoder = run.setting("inference", "hidden").replace(", ", "-").replace(",", "-")
            self.epochs, self.provenance, self.origin = run.setting("optim", "epochs"), run.provenance, run.origin
            self.started = str(self.provenance.get("started_at", ""))[:10]

    def row(self, one):
        own, full = self.own.of[one], self.full.of[one] if self.full else {}
        wide = full.get("elbo_fvi", math.nan)
        best = max((one for one in (own, full) if one), key=lambda ledger: ledger["log_p"])  # both are lower bounds
        return [self.data, self.decoder, self.encoder, "training" if one == "train" else "test", own["rows"], own["elbo_avi"], own["elbo_fvi"], wide,
                best["log_p"], best["log_p_error"], own["elbo_fvi"] - own["elbo_avi"], best["log_p"] - own["elbo_fvi"], best["log_p"] - wide, 100 * own["converged"] / own["rows"]]


class Ledger:
    """Means of /gap, and how fast it was made."""

    def __init__(self, folder):
        self.of, self.rate, self.seconds = {}, math.nan, math.nan
        with Run(folder) as run:
            self.draws = run.setting("gap", "draws")
            for one in SETS:
                about = run.group(f"/gap/{one}").attributes
                n = about["rows"] - about["rows_not_finite"]
                self.of[one] = {"rows": int(about["rows"]), "converged": int(about["rows_converged"]), "log_p_error": about["error_log_p"] / n,
                                **{name: about[f"total_{name}"] / n for name in ("elbo_avi", "elbo_fvi", "log_p")}}
        try:
            with open(os.path.join(folder, "ledger.seconds")) as file:
                self.seconds, processors = map(float, file.read().split())
            self.rate = sum(one["rows"] for one in self.of.values()) / processors
        except (OSError, ValueError):
            pass


COLUMNS = {"images": None, "decoder": None, "encoder": None, "set": None, "rows": 0, "ELBO, amortized": 2, "ELBO, own factor": 2, "ELBO, own full covariance": 2, "log p(x), IWAE": 2,
           "error": 2, "amortization gap": 2, "approximation gap": 2, "approximation gap, full": 2, "converged, %": 1}


def make_table(folder, cells):
    draws = cells[0].own.draws
    about = cells[0].provenance
    notes = ["Nats per row, images made binary once. Amortized: the encoder's factor. Own factor: a Gaussian of independent dimensions fitted to the row, decoder fixed; own full "
             "covariance: the same with "
             f"all covariances. log p(x): importance weighting, the larger of {draws} draws of the row's own factor and {max(100, int(draws) // 10)} of that with full covariance, which are "
             "lower bounds in "
             "expectation; error: Monte Carlo. Converged: rows whose own factor ended within gap.tolerance of its optimum; the ELBO of the others is a lower bound.",
             "Public record (a student reproduction of Cremer, Li & Duvenaud's table, ten stored values per cell; 784-200-200-50): MNIST, training: -92.83, -90.28 (own), -89.13 (IWAE); "
             "Fashion -104.95, "
             "-99.06, -96.44. Larger encoders there: test -95.3 to -96.3 (MNIST), -111.7 to -115.8 (Fashion).",
             f"{len(cells)} cells, {cells[0].epochs} epochs each, avi_mpi {about.get('version', '?')}, revision {about.get('git_revision', 'unknown')}; {min(c.started for c in cells)}."]
    write_table(folder, "Inference suboptimality: what encoder and family cost", COLUMNS, [cell.row(one) for cell in cells for one in SETS], notes)


def make_rate(folder, cells):
    lines = ["# Rate of the ledgers", "", f"| images | decoder | encoder | draws | rows | seconds by the clock | rows per second of a core | 70,000 rows on {CORES} cores |",
             "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |"]
    for cell in cells:
        if math.isfinite(cell.own.rate):
            rows = sum(one["rows"] for one in cell.own.of.values())
            lines.append(f"| {cell.data} | {cell.decoder} | {cell.encoder} | {cell.own.draws} | {rows} | {cell.own.seconds:.0f} | {cell.own.rate:.2f} | {70000 / cell.own.rate / CORES / 60:.1f} min |")
    lines += ["", "Seconds of a core are those that processors gave to the ranks, on a machine that other work shares too; starting the program is in them. The last column is "
                  "extrapolated from them: rows are "
              "independent, so that their number and that of the cores count in proportion."]
    with open(os.path.join(folder, "rate.md"), "w") as file:
        file.write("\n".join(lines) + "\n")
    print(os.path.join(folder, "rate.md"))


def main():
    parser = argparse.ArgumentParser(description="Table of the runs of jobs/cremer.sh.")
    parser.add_argument("folder", help="of the runs")
    parser.add_argument("more", nargs="?", help="with --binarise: where the images go")
    parser.add_argument("--binarise", action="store_true", help="make images binary")
    parser.add_argument("--has-ledger", action="store_true", help="whether a run has its ledger")
    parser.add_argument("--record", metavar="FOLDER", help="where the table goes too")
    given = parser.parse_args()
    if given.binarise:
        return binarise(given.folder, given.more)
    if given.has_ledger:
        sys.exit(0 if has_ledger(given.folder) else 1)
    folders = [os.path.dirname(path) for path in sorted(glob.glob(os.path.join(os.path.abspath(given.folder), "*", "decoder_*", "run.h5")))]
    cells = [Cell(folder) for folder in folders if not folder.endswith("_full") and has_ledger(folder)]
    if not cells:
        raise RunError(f"{given.folder}: no cell has a ledger; jobs/cremer.sh makes them", 66)
    make_table(given.folder, cells)
    make_rate(given.folder, cells)
    if given.record:
        os.makedirs(given.record, exist_ok=True)
        for name, target in (("table.md", "cremer.md"), ("table.csv", "cremer.csv"), ("rate.md", "cremer_rate.md")):
            shutil.copyfile(os.path.join(given.folder, name), os.path.join(given.record, target))


as_script(main)
