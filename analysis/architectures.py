#!/usr/bin/env python3
"""The table and the figure of jobs/architectures.sh: inference functions against each other.

    architectures.py runs/architectures [--record analysis/paper_results]     -> architectures.md, .csv and .png there, and copies of them

Images: epochs and seconds to the same reconstruction error and to the same ELBO on training rows (those that mlp_64 reaches, within 2 % and within 1 nat per row), the ELBO at the end, and the
amortization gap on training and test rows. Series: how far the ELBO is below the optimum of F-VI in closed form. Groups: the amortization gap. Means over seeds, and in brackets the spread."""

import argparse
import collections
import csv
import os
import pathlib
import re
import shutil
import sys

import h5py
import numpy as np

IMAGES, SERIES = ("fashion", "mnist"), ("hmm", "saw")
ORDER = ("constant", "polynomial_1", "polynomial_2", "mlp_64", "mlp_256", "mlp_1024", "residual", "conv", "attention", "semi", "set", "mlp", "mlp_padded", "factorized")
WORDS = {"polynomial_1": "polynomial, degree 1", "polynomial_2": "polynomial, degree 2", "mlp_padded": "mlp, padded rows (data of its own)", "factorized": "F-VI"}


def values(file, name):
    return np.asarray(file[name][()], dtype=float).ravel() if name in file else np.empty(0)


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def read(folder):
    """One cell: what it reached, and how its evaluations went."""
    data, function, seed = re.fullmatch(r"([a-z]+)_(.*)_(\d+)", folder.name).groups()
    with h5py.File(folder / "run.h5", "r") as file:
        row = {"data": data, "function": function, "seed": int(seed), "status": text(file.attrs["status"]), "rows": int(file.attrs["rows"]), "steps": int(file.attrs["steps"])}
        origin = file["provenance"].attrs
        row.update(revision=text(origin["git_revision"]), day=text(origin["started_at"])[:10], ranks=int(origin["ranks"]), seconds=float(origin["seconds"]))
        row["phi"] = sum(int(np.prod(item.shape)) for name, item in file.get("inference", {}).items() if isinstance(item, h5py.Dataset) and item.attrs.get("CLASS", b"") != b"DIMENSION_SCALE")
        step, seconds, epoch = values(file, "trace/step"), values(file, "trace/seconds"), values(file, "trace/epoch")
        curve = {name: values(file, f"eval/{name}") for name in ("step", "elbo_train", "elbo_test", "mse_train")}
        curve["seconds"] = np.interp(curve["step"], step, seconds) if len(step) else curve["step"] * np.nan
        curve["epoch"] = np.interp(curve["step"], step, epoch) if len(step) else curve["step"] * np.nan
        for name in ("elbo_train", "elbo_test", "mse_train"):
            row[name] = curve[name][-1] if len(curve[name]) else np.nan
        for part in ("train", "test"):
            gap = values(file, f"gap/{part}/amortization_gap")
            row[f"gap_{part}"] = gap.mean() if len(gap) else np.nan
        best, floor = (float(file[f"exact/{name}"][()]) if f"exact/{name}" in file else np.nan for name in ("elbo", "gap_degree_1"))
        row["below"], row["floor"] = best / row["rows"] - row["elbo_train"], floor / row["rows"]
    return row, curve


def reached(curve, name, target, falls):
    """Epoch and seconds of the first evaluation at which the target is met."""
    met = np.flatnonzero(curve[name] <= target if falls else curve[name] >= target)
    return (curve["epoch"][met[0]], curve["seconds"][met[0]]) if len(met) else (np.nan, np.nan)


def add_targets(cells):
    for data in IMAGES:
        of = [(row, curve) for row, curve in cells if row["data"] == data]
        like = [row for row, _ in of if row["function"] == "mlp_64" and row["status"] == "done"]
        if not like:
            continue
        mse, elbo = 1.02 * np.mean([row["mse_train"] for row in like]), np.mean([row["elbo_train"] for row in like]) - 1
        for row, curve in of:
            row["target_mse"], row["target_elbo"] = mse, elbo
            row["epochs_mse"], row["seconds_mse"] = reached(curve, "mse_train", mse, True)
            row["epochs_elbo"], row["seconds_elbo"] = reached(curve, "elbo_train", elbo, False)


def mean_of(rows, name, digits):
    found = np.array([row.get(name, np.nan) for row in rows], dtype=float)
    good = found[np.isfinite(found)]
    if not len(good):
        return "never" if name.startswith(("epochs", "seconds_")) else ""
    spread = f" ({good.std(ddof=1):.{digits}f})" if len(good) > 1 else ""
    return f"{round(good.mean(), digits) + 0.0:.{digits}f}{spread}" + (f", {len(good)} of {len(found)}" if len(good) < len(found) else "")


COLUMNS = {
    "images": (("phi", "values of phi", 0), ("epochs_mse", "epochs to the error", 1), ("seconds_mse", "seconds", 1), ("epochs_elbo", "epochs to the ELBO", 1), ("seconds_elbo", "seconds", 1),
               ("elbo_train", "ELBO, training", 2), ("elbo_test", "ELBO, test", 2), ("gap_train", "gap, training", 3), ("gap_test", "gap, test", 3)),
    "series": (("phi", "values of phi", 0), ("elbo_train", "ELBO", 4), ("below", "below the optimum of F-VI", 6), ("floor", "what the best polynomial of degree 1 leaves", 6)),
    "groups": (("phi", "values of phi", 0), ("elbo_train", "ELBO", 4), ("gap_train", "gap, training", 4)),
}


def table(data, rows):
    columns = COLUMNS["images" if data in IMAGES else "series" if data in SERIES else "groups"]
    lines = [f"## {data}", "", "| function | seeds | " + " | ".join(title for _, title, _ in columns) + " |", "| --- | ---: |" + " ---: |" * len(columns)]
    by = collections.defaultdict(list)
    for row in rows:
        by[row["function"]].append(row)
    for function in sorted(by, key=ORDER.index):
        lines.append(f"| {WORDS.get(function, function)} | {len(by[function])} | " + " | ".join(mean_of(by[function], name, digits) for name, _, digits in columns) + " |")
    if data in IMAGES and "target_mse" in rows[0]:
        lines += ["", f"The error is {rows[0]['target_mse']:.5f} per value, the ELBO {rows[0]['target_elbo']:.2f} nats per row: what mlp_64 has at its end, less 2 % and less 1 nat. "
                  "ELBOs and gaps in nats per row."]
    return lines + [""]


def write(folder, cells):
    rows = [row for row, _ in cells]
    names = list(dict.fromkeys(name for row in rows for name in row))
    with open(folder / "architectures.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        writer.writerows({name: f"{value:.8g}" if isinstance(value, float) else value for name, value in row.items()} for row in rows)
    lines = ["# Inference functions against each other", "", "`jobs/architectures.sh` makes these runs and this table.", ""]
    for data in (*IMAGES, *SERIES, "groups"):
        of = [row for row in rows if row["data"] == data]
        if of:
            lines += table(data, of)
    days, ranks, counts = ([str(value) for value in sorted({row[name] for row in rows})] for name in ("day", "ranks", "rows"))
    lines.append(f"{len(rows)} runs of {' or '.join(counts)} rows on {' or '.join(ranks)} rank{'' if ranks == ['1'] else 's'}, avi_mpi revision "
                 f"{', '.join(sorted({row['revision'] for row in rows}))}; {days[0]}" + (f" to {days[-1]}." if days[-1] != days[0] else "."))
    (folder / "architectures.md").write_text("\n".join(lines) + "\n")


def draw(folder, cells):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    there = [data for data in IMAGES if any(row["data"] == data for row, _ in cells)]
    if not there:
        return
    figure, axes = pyplot.subplots(len(there), 2, figsize=(11, 4 * len(there)), squeeze=False)
    colours = {name: pyplot.get_cmap("tab20")(i) for i, name in enumerate(ORDER)}
    for (left, right), data in zip(axes, there):
        for row, curve in cells:
            if row["data"] == data and row["seed"] == 1:
                for axis, x in ((left, "epoch"), (right, "seconds")):
                    axis.plot(curve[x], curve["elbo_train"], color=colours[row["function"]], label=WORDS.get(row["function"], row["function"]))
        ends = [row["elbo_train"] for row, _ in cells if row["data"] == data and np.isfinite(row["elbo_train"])]
        for axis, x in ((left, "epochs"), (right, "seconds")):
            axis.set(xlabel=x, ylabel="ELBO on training rows, nats per row", title=data, ylim=(min(ends) - 5, max(ends) + 5))
        right.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(folder / "architectures.png", dpi=110)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--record", type=pathlib.Path, metavar="FOLDER", help="where copies go")
    arguments = parser.parse_args()
    folders = sorted(path.parent for path in arguments.folder.glob("*_*_*/run.h5"))
    if not folders:
        print(f"architectures.py: no runs in {arguments.folder}; use the folder that jobs/architectures.sh wrote", file=sys.stderr)
        return 66
    cells = [read(folder) for folder in folders]
    add_targets(cells)
    write(arguments.folder, cells)
    draw(arguments.folder, cells)
    if arguments.record:
        os.makedirs(arguments.record, exist_ok=True)
        for ending in ("md", "csv", "png"):
            if (arguments.folder / f"architectures.{ending}").exists():
                shutil.copyfile(arguments.folder / f"architectures.{ending}", arguments.record / f"architectures.{ending}")
    print(arguments.folder / "architectures.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
