#!/usr/bin/python3
"""Prints how far the ELBOs of runs are apart, with the error of the difference.

    analysis/compare_runs.py runs/a runs/b ...     every run against the first, by their last evaluations

Two runs with the same run.seed on the same rows are evaluated at the same draws, so that most of their errors cancel in the difference: its error is taken from
/eval/elbo_train_half and /eval/elbo_test_half (see README.md). Runs that were evaluated without draws differ exactly.
"""

import argparse

import numpy as np

from avi_read import NOTHING_THERE, Run, RunError, as_script


def last(run, data):
    """ELBO per row and halves of the last evaluation; None where the run has none on these data."""
    name = f"elbo_{data}"
    if name not in run.eval or not len(run.eval[name]) or not np.isfinite(run.eval[name][-1]):
        return None
    half = f"{name}_half"
    if half not in run.eval:
        raise RunError(f"{run.path}: there is no /eval/{half}: the run is not done, or of an earlier version", NOTHING_THERE)
    return run.eval[name][-1], run.eval[half]


def difference(a, b):
    return b[0] - a[0], float(np.sqrt(np.sum((b[1] - a[1]) ** 2)))


def compare(first, run):
    told = []
    for data, words in (("train", "training"), ("test", "test")):
        a, b = last(first, data), last(run, data)
        if a is None or b is None:
            continue
        apart, error = difference(a, b)
        told.append(f"{apart:+.6g} +- {error:.2g} nats per row on {words} data" if error > 0 else f"{apart:+.9g} nats per row on {words} data")
    if not told:
        raise RunError(f"{run.path}: no evaluation on data that {first.path} was evaluated on", NOTHING_THERE)
    if first.attributes.get("rows") != run.attributes.get("rows"):
        told.append("of other data: the numbers of rows differ")
    print(f"{run.name} - {first.name}: {', '.join(told)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folders of runs, or their run.h5")
    paths = parser.parse_args().runs
    with Run(paths[0]) as first:
        for path in paths[1:]:
            with Run(path) as run:
                compare(first, run)


if __name__ == "__main__":
    as_script(main)
