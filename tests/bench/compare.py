#!/usr/bin/env python3
"""Compares the benchmark tables of two revisions:  compare.py OLD NEW   (CSV or HDF5, as run.sh writes them)

Absolute times differ from machine to machine and from hour to hour, so the column to trust is `change`: how the ratio to PyTorch, taken
within each run, has moved (above 1: the new revision is faster). Where a table has no PyTorch, the fraction of the measured limit
serves, and else the plain times, which the last column tells.
"""
import argparse
import math
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import table  # noqa: E402


def change(old, new):
    """new is how many times faster than old, and what that was measured against."""
    for column, against in (("ratio", "PyTorch"), ("limit_fraction", "limit")):
        a, b = old[column], new[column]
        if not math.isnan(a) and not math.isnan(b) and a > 0.0:
            return b / a, against
    return old["avi_ms"] / new["avi_ms"], "clock"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("old")
    p.add_argument("new")
    p.add_argument("--tolerance", type=float, default=0.0,
                   help="exit with 1 when a workload has become slower by more than this fraction (0: never)")
    args = p.parse_args()
    tables = []
    for path in (args.old, args.new):
        try:
            rows, about = table.read(path)
        except ImportError:
            print(f"compare.py: {path}: this Python has no h5py; /usr/bin/python3 may, and the CSV needs none", file=sys.stderr)
            return 70
        except (OSError, KeyError, ValueError) as error:
            print(f"compare.py: {path}: {error}", file=sys.stderr)
            return 66
        tables.append({row["workload"]: row for row in rows})
        print(f"{path}: revision {about.get('revision', '?')}, {about.get('machine', '?')}, {about.get('date', '?')}")
    old, new = tables
    both = [name for name in old if name in new]
    if not both:
        print("compare.py: the tables have no workload in common", file=sys.stderr)
        return 65
    print(f"\n{'workload':16} {'old ms':>9} {'new ms':>9} {'old ratio':>10} {'new ratio':>10} {'change':>8}  against")
    slower = []
    for name in both:
        a, b = old[name], new[name]
        factor, against = change(a, b)
        print(f"{name:16} {a['avi_ms']:9.3f} {b['avi_ms']:9.3f} {a['ratio']:10.2f} {b['ratio']:10.2f} {factor:8.3f}  {against}")
        if args.tolerance > 0.0 and factor < 1.0 - args.tolerance:
            slower.append(name)
    for name in sorted(set(old) ^ set(new)):
        print(f"{name:16} only in {args.old if name in old else args.new}")
    if slower:
        print(f"slower by more than {args.tolerance:.0%}: {', '.join(slower)}", file=sys.stderr)
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
