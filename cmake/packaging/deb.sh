#!/usr/bin/env bash
# Makes the Debian package of this checkout or of unpacked sources.
#
#   cmake/packaging/deb.sh [FOLDER] [-DNAME=VALUE ...]        FOLDER for the package: the current one unless given
#
# On x86-64 it has the program for each of three instruction sets (AVI_ARCH), so that one package runs on every processor and is fast on new ones. The MPI is that
# of mpicc, or of MPICC. It needs what jobs/setup.sh installs, dpkg-dev and file. AVI_BUILD_DIR names a folder for the build, which is kept; else it is a temporary one.
set -euo pipefail
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=jobs/common.sh
source "$repository/jobs/common.sh"

folder=$PWD
options=()
for argument in "$@"; do
    case $argument in
        -D*) options+=("$argument") ;;
        -*) sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 64 ;;
        *) folder=$argument ;;
    esac
done
for tool in dpkg-shlibdeps cpack gzip file; do
    command -v "$tool" >/dev/null || { echo "deb.sh: $tool is missing; use apt-get install dpkg-dev cmake gzip file" >&2; exit 69; }
done
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

build=${AVI_BUILD_DIR:-}
if [ -z "$build" ]; then
    build=$(mktemp -d)
    trap 'rm -rf "$build"' EXIT
fi
mkdir -p "$build"
arch=""
case $(dpkg --print-architecture) in
    amd64) arch="x86-64;x86-64-v3;x86-64-v4" ;;
esac
# The package depends on the libraries' packages, which the loader finds without a path in the program.
cmake -S "$repository" -B "$build" -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX=/usr -DCMAKE_SKIP_RPATH=ON -DAVI_TESTS=OFF "-DAVI_ARCH=$arch" \
    -DAVI_PYTHON_DIR=lib/python3/dist-packages "${options[@]}" >"$build/deb.log" || { tail -n 30 "$build/deb.log" >&2; exit 1; }
cmake --build "$build" -j "$(cpus_allowed)" >>"$build/deb.log" 2>&1 || { tail -n 60 "$build/deb.log" >&2; exit 1; }
(cd "$build" && cpack -G DEB -B "$build/packages") >>"$build/deb.log" 2>&1 || { tail -n 30 "$build/deb.log" >&2; exit 1; }
for package in "$build"/packages/*.deb; do
    cp "$package" "$folder/"
    echo "$folder/${package##*/}"
done
