#!/usr/bin/env bash
# Scaling past this machine, by simulation (README.md).
#
#   tests/scale/run.sh                  measures what work costs here, simulates 1 to 1024 ranks, puts the tables into README.md (half an hour)
#   tests/scale/run.sh --ranks 1,16,64  fewer ranks; tables to the screen
#   tests/scale/run.sh --check          the short test: 16 ranks, made-up costs
#   tests/scale/run.sh --long           one start of 1024 ranks, made-up costs (the test with the label long)
#
# Needs SimGrid (libsimgrid-dev); installs it where apt-get may, and ends with status 77 where there is none. The checks install nothing.
set -euo pipefail
# shellcheck source=jobs/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../jobs/common.sh"
prepare_launcher "$(cores_allowed)"

action=tables
ranks=""
while [ $# -gt 0 ]; do
    case $1 in
        --check) action=check ;;
        --long) action=long ;;
        --ranks) ranks=$2 && shift ;;
        *) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" && exit 64 ;;
    esac
    shift
done

if ! command -v smpicc >/dev/null && [ "$action" = tables ]; then install_packages libsimgrid-dev || true; fi
if ! command -v smpicc >/dev/null || ! command -v smpirun >/dev/null; then
    echo "skipped: SimGrid is not installed; its package is libsimgrid-dev"
    exit 77
fi

build=${AVI_BUILD_DIR:-$repository/build}
mkdir -p "$build/scale"
# smpicc plays an ordinary compiler while CMake tries it out, and must not when it builds.
SMPI_PRETEND_CC=1 cmake -DCMAKE_C_COMPILER=smpicc -S "$repository/tests/scale" -B "$build/scale" >"$build/scale/configure.log" 2>&1 ||
    { tail -n 20 "$build/scale/configure.log" && exit 1; }
make -C "$build/scale" -j "$(cpus_allowed)" >"$build/scale/build.log" 2>&1 || { grep -E "error|undefined" "$build/scale/build.log" && exit 1; }

scale() { avi_python "$repository/tests/scale/scale.py" "$@"; }
case $action in
    check | long) scale "$action" --scale "$build/scale/scale" ;;
    tables)
        AVI_BUILD_DIR=$build "$repository/jobs/build.sh" avi_mpi
        scale measure --program "$build/avi_mpi" --out "$build/scale/costs.json"
        scale run --scale "$build/scale/scale" --costs "$build/scale/costs.json" --out "$build/scale/results.json" ${ranks:+--ranks "$ranks"}
        if [ -n "$ranks" ]; then
            scale table --results "$build/scale/results.json"
        else
            scale table --results "$build/scale/results.json" --readme "$repository/tests/scale/README.md"
        fi
        ;;
esac
