#!/usr/bin/env bash
# The program is built with what the compiler and the linker offer against mistakes: stack protector, checked copies, relocations that are bound at the
# start and read-only from then on, a place in memory that changes.
set -euo pipefail
skip() {
    echo "skipped: $1"
    exit 77
}
command -v readelf >/dev/null || skip "readelf is not installed"
grep -q '^CMAKE_BUILD_TYPE:[A-Z]*=Release$' "$AVI_BUILD_DIR/CMakeCache.txt" || skip "only Release builds are hardened"
grep -q '^AVI_RELRO:[A-Z]*=1$' "$AVI_BUILD_DIR/CMakeCache.txt" || skip "this linker knows no -z relro"
failed=0
has() { # WHAT PATTERN READELF-OPTIONS...
    if readelf "${@:3}" -W "$AVI_MPI" | grep -E "$2" >/dev/null; then return; fi
    echo "FAILED: $1 is missing"
    failed=1
}
has "PIE" 'Type: +DYN' -h
has "RELRO" 'GNU_RELRO' -l
has "BIND_NOW" 'BIND_NOW|FLAGS_1.*NOW' -d
has "the stack protector" '__stack_chk_fail' --dyn-syms
has "_FORTIFY_SOURCE" '__(snprintf|memcpy|vsnprintf)_chk' --dyn-syms
exit $failed
