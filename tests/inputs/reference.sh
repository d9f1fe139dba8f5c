#!/usr/bin/env bash
# inputs/reference.ini is what the program would write, and the program reads it back as its defaults.
set -uo pipefail
reference=$AVI_SOURCE_DIR/inputs/reference.ini
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

if ! "$AVI_MPI" --reference >"$scratch/now.ini"; then
    echo "FAILED: avi_mpi --reference ended with $?" >&2
    exit 1
fi
if ! diff -u "$reference" "$scratch/now.ini"; then
    echo "FAILED: inputs/reference.ini is out of date; write it anew: build/avi_mpi --reference > inputs/reference.ini" >&2
    exit 1
fi
small=(data.rows=64 data.test_rows=0 optim.batch=64 optim.steps=1)
if ! "$AVI_MPI" -q --dry-run "$reference" "${small[@]}"; then
    echo "FAILED: the program does not accept inputs/reference.ini" >&2
    exit 1
fi
echo OK
