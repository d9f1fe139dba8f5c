#!/usr/bin/env bash
# One package for several kinds of processors: -DAVI_ARCH with a list builds a program for each level, and avi_mpi starts the best that the processor has.
# Older processors are emulated (qemu-user). It builds the program three times.
set -uo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
fail() {
    echo "FAILED: $*" >&2
    exit 1
}
if [ "$(uname -m)" != x86_64 ]; then
    echo "skipped: the levels of this test are those of x86-64"
    exit 77
fi

AVI_BUILD_DIR=$scratch/build "$AVI_SOURCE_DIR/jobs/build.sh" "-DAVI_ARCH=x86-64-v2;x86-64-v3;x86-64-v4" -DAVI_TESTS=OFF -DCMAKE_INSTALL_PREFIX="$scratch/installed" || fail "the build"
cmake --install "$scratch/build" >/dev/null || fail "the installation"
program=$scratch/installed/bin/avi_mpi

# level WANTED COMMAND...    the program says for which level it was built
level() {
    local wanted=$1 said
    shift
    said=$("$@" --version 2>"$scratch/err")
    grep -q -- "-march=$wanted\$" <<<"$said" || fail "$* was not built for $wanted: $said $(cat "$scratch/err")"
    if grep -q '^avi_mpi: ' "$scratch/err"; then fail "$* says $(cat "$scratch/err")"; fi
}
best=x86-64-v2
for each in v3 v4; do
    if /lib64/ld-linux-x86-64.so.2 --help | grep -q "x86-64-$each (supported"; then best=x86-64-$each; fi
done
level "$best" "$program"
if command -v qemu-x86_64 >/dev/null; then
    level x86-64-v2 qemu-x86_64 -cpu Nehalem "$program"
    level x86-64-v3 qemu-x86_64 -cpu Haswell "$program"
fi
mv "$program-$best" "$scratch/away"
said=$("$program" --version 2>&1)
grep -q "avi_mpi-$best cannot be started" <<<"$said" || fail "no word about the program that is missing: $said"
echo OK
