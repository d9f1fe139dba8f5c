#!/usr/bin/env python3
"""Rows of 8 columns whose best inference function is no affine map: x = a + tau w z + sigma noise, z ~ N(0, 1) and |w| = 1, where the columns are then turned by a rotation of the
plane (1, 2). The model (ppca) has the rotation in its W, so the evidence is known: x ~ N(a, sigma^2 I + tau^2 w w').

    make_data.py [FOLDER] [ROWS]      writes FOLDER/rows.h5: x (rows, 8) and x_test"""
import pathlib
import sys

import h5py
import numpy

COLUMNS, TAU, SIGMA = 8, 2.0, 0.7


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 4000
    generator = numpy.random.default_rng(2)
    centre, w = generator.normal(size=COLUMNS), generator.normal(size=COLUMNS)
    w /= numpy.linalg.norm(w)

    def draw(count):
        return centre + TAU * generator.normal(size=(count, 1)) * w + SIGMA * generator.normal(size=(count, COLUMNS))

    with h5py.File(folder / "rows.h5", "w") as file:
        file["x"], file["x_test"] = draw(rows), draw(rows // 4)


main()
