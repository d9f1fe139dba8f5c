#!/usr/bin/env bash
# Size: memory a datapoint, the rate at which checkpoints and results are written against dd, the start of many ranks against an empty MPI
# program. About 15 minutes on a quiet machine with 2 cores; --quick takes 2.
#
#   tests/bench/size.sh [--quick] [--only memory,writing,start] [--rounds 5] [--readme] ...
#
# All options go to size.py (--help lists them).
set -euo pipefail
# shellcheck source=jobs/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../jobs/common.sh"
prepare_launcher "$(cores_allowed)"
for option in "$@"; do
    if [ "$option" = --help ] || [ "$option" = -h ]; then
        avi_python "$repository/tests/bench/size.py" --help
        exit 0
    fi
done
"$repository/jobs/setup.sh"
export AVI_BUILD_DIR=${AVI_BUILD_DIR:-$repository/build}
"$repository/jobs/build.sh" avi_mpi empty
avi_python "$repository/tests/bench/size.py" "$@"
