#!/usr/bin/python3
"""Prints how far the ELBOs of runs are apart, with the error of the difference: python -m avi_mpi.compare by its former name.

    analysis/compare_runs.py runs/a runs/b ...     every run against the first, by their last evaluations

Two runs with the same run.seed on the same rows are evaluated at the same draws, so that most of their errors cancel in the difference: its error is taken from
/eval/elbo_train_half and /eval/elbo_test_half (see README.md). Runs that were evaluated without draws differ exactly.
"""

from avi_mpi.commands import as_script
from avi_mpi.comparing import main

if __name__ == "__main__":
    as_script(main)
