#!/usr/bin/env python3
"""Counts with a known origin: z ~ N(0, 1) of one dimension, log mu_d = a_d + b_d z, x_d ~ NB(mu_d, r_d).

    make_data.py [FOLDER] [ROWS]      writes FOLDER/counts.h5: x (rows, 12), x_test, and a, b, r that made them"""
import pathlib
import sys

import h5py
import numpy

COLUMNS = 12


def draw(generator, rows, a, b, r):
    """A negative binomial is a Poisson distribution whose mean is drawn from a gamma distribution."""
    mu = numpy.exp(a + b * generator.normal(size=(rows, 1)))
    return generator.poisson(generator.gamma(r, mu / r)).astype(numpy.int32)


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 4000
    generator = numpy.random.default_rng(1)
    a, b = generator.normal(1, 0.7, COLUMNS), generator.normal(0, 0.8, COLUMNS)
    r = numpy.exp(generator.normal(0.7, 0.4, COLUMNS))
    with h5py.File(folder / "counts.h5", "w") as file:
        file["x"], file["x_test"] = draw(generator, rows, a, b, r), draw(generator, rows // 4, a, b, r)
        file["a"], file["b"], file["r"] = a, b, r


main()
