#!/usr/bin/python3
"""Writes the numbers of a CSV file as a table that avi_mpi reads: dataset x (rows, columns) with the names of its columns, NaN where a value is missing.

    analysis/csv2h5.py table.csv table.h5                          then: data.source=hdf5 data.path=table.h5 [data.columns=age, weight] [data.missing=mask]
    analysis/csv2h5.py table.csv table.h5 --missing=-999,NA,?      these texts are missing values, besides empty ones, NA, NaN, null and .
    analysis/csv2h5.py table.tsv table.h5 --dataset=train

Commas, semicolons and tabs are told apart by the first line; with semicolons, 1,5 is 1.5. Columns with text in them are left out, and named.
"""
import argparse
import csv
import io
import sys

import h5py
import numpy

MISSING = {"", "na", "nan", "null", "none", "."}
BAD_DATA = 65


def open_rows(path):
    """The rows of the file as lists of texts, and whether a comma is a decimal point."""
    try:
        with open(0 if path == "-" else path, newline="", encoding="utf-8-sig") as file:
            text = file.read()
    except OSError as error:
        raise SystemExit(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise SystemExit(f"{path}: byte {error.start} is no UTF-8 text; use iconv -f latin1 -t utf8 {path} > new.csv, and that") from None
    if not text.strip():
        raise SystemExit(f"{path}: is empty")
    first = text.splitlines()[0]
    delimiter = next((mark for mark in ";\t" if mark in first), ",")  # with semicolons, commas may be decimal points
    return [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row], delimiter == ";"


def number(text, missing, decimal_comma):
    """A number, NaN where it is missing, None where it is text."""
    text = text.strip()
    if text.lower() in missing:
        return numpy.nan
    try:
        return float(text.replace(",", ".") if decimal_comma else text)
    except ValueError:
        return None


def is_header(row, missing, decimal_comma):
    """A first line with a text that is no number and no missing value has names."""
    return any(number(text, missing, decimal_comma) is None for text in row)


def columns_of(rows, names, missing, decimal_comma):
    """(names, (rows, columns)) of the columns that are numbers, and the names of the others."""
    kept, values, left_out = [], [], []
    for k, name in enumerate(names):
        column = [number(row[k], missing, decimal_comma) for row in rows]
        if None in column:
            left_out.append(f"{name} (line {column.index(None) + 2}: {rows[column.index(None)][k]!r})")
        else:
            kept.append(name)
            values.append(column)
    return kept, numpy.array(values, dtype="f8").T, left_out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table")
    parser.add_argument("hdf5")
    parser.add_argument("--dataset", default="x")
    parser.add_argument("--missing", default="", help="texts that are missing values, separated by commas")
    given = parser.parse_args()
    missing = MISSING | {text.strip().lower() for text in given.missing.split(",")}
    rows, decimal_comma = open_rows(given.table)
    header = is_header(rows[0], missing, decimal_comma)
    names = [text.strip() for text in rows[0]] if header else [f"c{k}" for k in range(len(rows[0]))]
    rows = rows[header:]
    for n, row in enumerate(rows):
        if len(row) != len(names):
            raise SystemExit(f"{given.table}: line {n + 1 + header} has {len(row)} values, {len(names)} columns are named")
    kept, values, left_out = columns_of(rows, names, missing, decimal_comma)
    if not kept or not rows:
        raise SystemExit(f"{given.table}: no column has numbers alone" if rows else f"{given.table}: has no rows")
    with h5py.File(given.hdf5, "a") as file:
        if given.dataset in file:
            del file[given.dataset]
        file[given.dataset] = values
        file[given.dataset].attrs["columns"] = kept
    gaps = int(numpy.isnan(values).sum())
    print(f"{given.hdf5}: dataset {given.dataset}, {values.shape[0]} rows of {values.shape[1]} columns" + (f", {gaps} values are missing: data.missing = mask" if gaps else ""))
    if left_out:
        print("left out, since they hold text: " + ", ".join(left_out))


if __name__ == "__main__":
    sys.exit(main())
