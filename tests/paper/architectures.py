#!/usr/bin/env python3
"""jobs/architectures.sh from end to end on groups and series, with very few steps: the table has every function, a second call fits nothing anew, and an unknown part is refused."""

import csv
import os
import subprocess

from runs import SOURCE, Failure, main, program


def call(scratch, *arguments, expect=0):
    environment = dict(os.environ, AVI_MPI=program(), NP="1", ARCHITECTURES_OUTPUT=str(scratch / "out"), RECORD=str(scratch / "record"))
    done = subprocess.run([SOURCE / "jobs" / "architectures.sh", *arguments], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100)
    if done.returncode != expect:
        raise Failure(f"architectures.sh {' '.join(arguments)}: exit status {done.returncode}, not {expect}\n{done.stdout[-800:]}{done.stderr[-1500:]}")
    return done.stdout + done.stderr


def table(scratch):
    with open(scratch / "record" / "architectures.csv") as file:
        return list(csv.DictReader(file))


def groups(scratch):
    first = call(scratch, "groups", "--quick", "optim.steps=5", "data.rows=40")
    rows = table(scratch)
    if {row["function"] for row in rows} != {"set", "mlp", "mlp_padded", "factorized"} or first.count("== ") != 4:
        raise Failure(f"not the four functions: {[row['function'] for row in rows]}\n{first}")
    # A function cannot be better than own factors; F-VI after 5 steps of Adam is not at its optimum either, so that gaps are above 0 to the ledger's tolerance.
    if not all(float(row["gap_train"]) > -1e-3 and float(row["elbo_train"]) < 0 for row in rows):
        raise Failure(f"gaps or ELBOs that cannot be: {rows}")
    if "== " in call(scratch, "groups", "--quick", "optim.steps=5", "data.rows=40"):
        raise Failure("a second call fits again what is done")
    if "architectures.sh [fashion" not in call(scratch, "grups", expect=64):
        raise Failure("an unknown part is not answered with the usage")
    return "four fits with gaps, once"


def series(scratch):
    """No function is above F-VI's optimum, no polynomial of degree 1 above the best one, and L-BFGS finds that one."""
    call(scratch, "series", "--quick", "optim.steps=60", "data.rows=60")
    rows = [{name: float(row[name]) if name in ("below", "floor") else row[name] for name in ("data", "function", "below", "floor")} for row in table(scratch)]
    if {(row["data"], row["function"]) for row in rows} != {(data, function) for data in ("hmm", "saw") for function in ("polynomial_1", "mlp", "conv", "attention")}:
        raise Failure(f"not the four functions of both series: {rows}")
    best = [row["below"] - row["floor"] for row in rows if row["function"] == "polynomial_1"]
    if not all(row["below"] > -1e-9 for row in rows) or not all(-1e-9 < value < 1e-4 for value in best):
        raise Failure(f"below the optimum of F-VI: {rows}")
    return "eight fits, none above the optimum; polynomials at their floor"


main(groups, series)
