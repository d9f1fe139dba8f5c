#!/usr/bin/env bash
# Builds avi_mpi into build/ of the repository.
#
#   jobs/build.sh [-DNAME=VALUE ...] [TARGET ...]
#
# Arguments with a minus go to CMake's configuration, others name targets (none: everything). The build type is Release unless given.
# AVI_BUILD_DIR names another folder, which keeps the build type it has. What the tools said is in build.log of the folder; warnings
# and errors are shown.
set -euo pipefail
# shellcheck source=jobs/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

build=${AVI_BUILD_DIR:-$repository/build}
options=()
if [ -z "${AVI_BUILD_DIR:-}" ]; then options=(-DCMAKE_BUILD_TYPE=Release); fi
targets=()
for argument in "$@"; do
    case $argument in
        -*) options+=("$argument") ;;
        *) targets+=(--target "$argument") ;;
    esac
done

mkdir -p "$build"
log=$build/build.log

# One build of a folder at a time.
exec 9>"$build/.lock"
if command -v flock >/dev/null 2>&1 && ! flock -n 9; then
    echo "build.sh: waiting for another build in $build" >&2
    flock 9
fi

# A repository that was moved or copied with its build folder: CMake refuses the old cache.
cache=$build/CMakeCache.txt
if [ -f "$cache" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$repository" "$cache"; then
    rm -rf "$cache" "$build/CMakeFiles"
fi

failed() {
    echo "build.sh: $1 failed; the end of $log:" >&2
    tail -n 60 "$log" >&2
    exit 1
}

if [ ! -x "$build/avi_mpi" ]; then
    echo "build.sh: building in $build (a minute or two the first time)" >&2
fi
cmake -S "$repository" -B "$build" "${options[@]}" >"$log" 2>&1 9>&- || failed "the configuration"
cmake --build "$build" -j "$(cpus_allowed)" "${targets[@]}" >>"$log" 2>&1 9>&- || failed "the build"
grep -E 'warning:' "$log" >&2 || true
