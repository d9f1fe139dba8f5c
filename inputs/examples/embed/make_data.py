#!/usr/bin/env python3
"""Rows with an evidence in closed form: x_n ~ N(theta + tau z_n, sigma^2), z_n ~ N(0, 1), so x_n ~ N(theta, tau^2 + sigma^2).

    make_data.py [FOLDER] [ROWS]      writes FOLDER/rows.h5: x (rows); and FOLDER/new.txt: 5 rows that the fit does not see"""
import pathlib
import sys

import h5py
import numpy

THETA, TAU, SIGMA = 1.5, 1.2, 0.8


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
    with h5py.File(folder / "rows.h5", "w") as file:
        file["x"] = numpy.random.default_rng(3).normal(THETA, numpy.hypot(TAU, SIGMA), rows)
    numpy.savetxt(folder / "new.txt", [-2.0, 0.0, 1.5, 2.25, 5.0])


main()
