#!/usr/bin/env bash
# inputs/reference.ini, the manual page and the completion for bash are what the program would write, and the program reads reference.ini back as its
# defaults.
set -uo pipefail
reference=$AVI_SOURCE_DIR/inputs/reference.ini
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# same FILE OPTION    FILE of the repository is what the program prints
same() {
    if ! "$AVI_MPI" "$2" >"$scratch/now"; then
        echo "FAILED: avi_mpi $2 ended with $?" >&2
        exit 1
    fi
    if ! diff -u "$AVI_SOURCE_DIR/$1" "$scratch/now"; then
        echo "FAILED: $1 is out of date; write it anew: cmake --build build --target reference" >&2
        exit 1
    fi
}
same inputs/reference.ini --reference
same cmake/packaging/avi_mpi.1 --reference=man
same cmake/packaging/avi_mpi.bash --reference=bash

small=(data.rows=64 data.test_rows=0 optim.batch=64 optim.steps=1)
if ! "$AVI_MPI" -q --dry-run "$reference" "${small[@]}"; then
    echo "FAILED: the program does not accept inputs/reference.ini" >&2
    exit 1
fi
echo OK
