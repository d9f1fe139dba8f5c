#!/usr/bin/env bash
# Installs what is missing, builds, runs the tests.
#
#   tests/run.sh [options of ctest]        for example: tests/run.sh -R config    tests/run.sh -L slurm
#
# Without -L, -LE or -R it leaves out the tests with the labels paper, faults, bench and long, which take longer than people wait.
set -euo pipefail
# shellcheck source=jobs/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../jobs/common.sh"

selection=(-LE '^(paper|faults|bench|long)$')
for argument in "$@"; do
    case $argument in
        -L* | -R* | --label-* | --tests-regex*) selection=() ;;
    esac
done

unset AVI_BUILD_DIR
"$repository/jobs/setup.sh" --tests
"$repository/jobs/build.sh"

# Every test says how many processors it takes. A test of whole runs spends most of its time in the starts of MPI programs, which wait,
# so twice as many tests run at a time as there are processors.
cd "$repository/build"
exec ctest --output-on-failure --no-label-summary -j "$((2 * $(cpus_allowed)))" "${selection[@]}" "$@"
