"""jobs/questions.sh and jobs/cremer.sh from end to end with very few steps: what they leave, that they resume where they stopped, what they refuse; the limits of gaps that stand in the tables against
other ways to them."""
import csv
import gzip
import os
import struct
import subprocess
import sys

import numpy

from runs import SOURCE, Failure, main

sys.path.insert(0, str(SOURCE / "analysis"))


def job(name, *arguments, expect=0, **environment):
    done = subprocess.run([SOURCE / "jobs" / name, *arguments], env=dict(os.environ, SEEDS="1", NP="2", **environment), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=280)
    if done.returncode != expect:
        raise Failure(f"{name} {' '.join(arguments)}: exit status {done.returncode}, not {expect}\n{done.stdout[-1500:]}{done.stderr[-2500:]}")
    return done.stdout + done.stderr


def table(folder):
    with open(folder / "table.csv", newline="") as f:
        return list(csv.DictReader(f))


def times(folder):
    return {f: f.stat().st_mtime_ns for f in sorted(folder.rglob("run.h5"))}


def near(what, got, want, share):
    if not abs(got - want) <= share * abs(want):
        raise Failure(f"{what}: {got}, expected {want} within {100 * share:g} %")


def limits(scratch):
    """Of hmm in the time domain: expected loss of a banded Toeplitz filter against L^-1 x, in chains of 300 and 600 rows. Of saw by least squares on a long series."""
    from questions_runs import saw_gap, spectral_gap

    total = {}
    for rows in (300, 600):
        lag = numpy.abs(numpy.subtract.outer(numpy.arange(rows), numpy.arange(rows)))
        spectrum = 0.9**lag / (1 - 0.9**2) + numpy.eye(rows)
        precision = (2 + 0.9**2) * numpy.eye(rows) - 0.9 * (lag == 1)
        best = numpy.linalg.inv(precision)
        for window in (0, 1, 2):
            basis = [(lag == k).astype(float) for k in range(window + 1)]
            normal = [[numpy.sum((precision @ p @ spectrum) * q) for p in basis] for q in basis]
            right = [numpy.sum((precision @ best @ spectrum) * q) for q in basis]
            rest = best - sum(b * p for b, p in zip(numpy.linalg.solve(normal, right), basis))
            total[rows, window] = numpy.sum((precision @ rest @ spectrum) * rest) / 2
    for window in (0, 1, 2):  # the difference leaves out the ends
        near(f"hmm, window {window}", spectral_gap(0.9, window), (total[600, window] - total[300, window]) / 300, 0.02)
    generator, n, a = numpy.random.default_rng(5), 200000, 0.75
    x, noise = numpy.zeros(n + 1), generator.normal(size=(2, n))
    for k in range(n):
        x[k + 1] = a * (x[k] + noise[0, k]) + noise[1, k]
    means = x[:-1] + a * (x[1:] - a * x[:-1]) / (1 + a * a)
    for name, columns in (("none", []), ("self", [x[:-1]]), ("ahead", [x[1:]])):
        design = numpy.column_stack([numpy.ones(n), *columns])
        rest = means - design @ numpy.linalg.lstsq(design, means, rcond=None)[0]
        near(f"saw, {name}", saw_gap(name), (1 + a * a) * numpy.mean(rest**2) / 2, 0.03)
    return "limits of hmm and saw"


def questions(scratch):
    settings = ["--quick", "data.rows=120", "data.test_rows=20", "optim.steps=6", "gap.passes=5"]
    job("questions.sh", "priors", "heldout", "optimizers", *settings, QUESTIONS_OUTPUT=str(scratch))
    for name in ("priors", "heldout", "optimizers"):
        if (scratch / f"{name}_quick" / f"{name}.png").read_bytes()[:4] != b"\x89PNG":
            raise Failure(f"{name}.png is not a picture")
    hmm = [float(row["gap of the best affine f"]) for row in table(scratch / "priors_quick") if row["model"] == "hmm, A = 0.9"]
    if len(hmm) != 6 or not all(a > b > 0 for a, b in zip(hmm, hmm[1:])):
        raise Failure(f"gaps of wider windows: {hmm}")
    if {row["stopped early"] for row in table(scratch / "heldout_quick")} != {"yes", "no"} or len(table(scratch / "optimizers_quick")) != 20:
        raise Failure("rows of the tables of heldout and optimizers")
    before = times(scratch)
    job("questions.sh", "heldout", *settings, QUESTIONS_OUTPUT=str(scratch))
    if times(scratch) != before:
        raise Failure("runs that were done were done again")
    for arguments, status, words in ((["size"], 64, "jobs/questions.sh"), (["priors", "--quick", "data.rowz=3"], 78, "rowz")):
        if words not in job("questions.sh", *arguments, expect=status, QUESTIONS_OUTPUT=str(scratch / "refused")):
            raise Failure(f"questions.sh {arguments} does not say {words!r}")
    return f"{len(before)} runs, kept by the second call"


def cremer(scratch):
    generator = numpy.random.default_rng(6)
    images = scratch / "images"
    images.mkdir()
    grey = {}
    for name, rows in (("train", 90), ("t10k", 30)):
        z = generator.normal(size=(rows, 2))
        grey[name] = (255 / (1 + numpy.exp(-3 * z @ generator.normal(size=(2, 100))))).astype(numpy.uint8)
        with gzip.open(images / f"{name}-images-idx3-ubyte.gz", "wb") as file:
            file.write(struct.pack(">iiii", 2051, rows, 10, 10) + grey[name].tobytes())
    how = {"AVI_MNIST_DIR": str(images), "CREMER_OUTPUT": str(scratch / "out"), "CELLS": "8:2:6", "ROWS": "60", "TEST_ROWS": "20", "EPOCHS": "4", "DRAWS": "200"}
    job("cremer.sh", "mnist", "--quick", **how)
    with gzip.open(scratch / "out" / "mnist" / "train.idx.gz") as file:
        bits = numpy.frombuffer(file.read()[16:], numpy.uint8)
    if set(bits) != {0, 1}:
        raise Failure("images are not binary")
    near("share of ones", bits.mean(), grey["train"].mean() / 255, 0.05)
    found = table(scratch / "out")
    if [row["set"] for row in found] != ["training", "test"] or [row["rows"] for row in found] != ["60", "20"]:
        raise Failure(f"table: {found}")
    for row in found:
        amortized, own, full, log_p = (float(row[name]) for name in ("ELBO, amortized", "ELBO, own factor", "ELBO, own full covariance", "log p(x), IWAE"))
        if not amortized < own <= full + 0.02 or not full < log_p + 0.1 or not -100 < log_p < -40:
            raise Failure(f"ELBOs out of order: {row}")
    if "| mnist | 2-8 | 6 | 200 | 80 |" not in (scratch / "out" / "rate.md").read_text():
        raise Failure((scratch / "out" / "rate.md").read_text())
    before = times(scratch)
    job("cremer.sh", "mnist", "--quick", **how)
    if times(scratch) != before:
        raise Failure("what was done was done again")
    for arguments, environment, status, words in ((["mnits"], {}, 64, "jobs/cremer.sh"), (["mnist"], {"AVI_MNIST_DIR": str(scratch)}, 66, "use AVI_MNIST_DIR"), (["mnist"], {"ROWS": "x"}, 64, "ROWS")):
        if words not in job("cremer.sh", *arguments, expect=status, **{**how, **environment}):
            raise Failure(f"cremer.sh {arguments} {environment} does not say {words!r}")
    return "one cell of Cremer's table, kept by the second call"


if __name__ == "__main__":
    main(limits, questions, cremer)
