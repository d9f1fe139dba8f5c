#!/usr/bin/env bash
# The form of the sources: C files as clang-format leaves them (.clang-format), shell scripts without a finding of shellcheck
# (.shellcheckrc), Python without a finding of flake8 (.flake8).
#
#   tests/static/format.sh [c|shell|python ...]      all three without an argument
#
# Each part that its program is missing for is left out with a line; status 77 when all are. clang-format breaks lines in another way
# from version to version, so only the version below decides.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
readonly clang_format_version=14
checked=0 failed=0

# Files of the project by pattern: those of git, or in an unpacked archive all that is there.
files() { git ls-files -- "$@" 2>/dev/null | grep . || find . -path ./build -prune -o -type f \( -name "${1}" -o -name "${2:-$1}" \) -print; }

left_out() { echo "left out: $1"; }

check_c() {
    local version
    version=$(clang-format --version 2>/dev/null | grep -oE '[0-9]+' | head -1)
    if [ "$version" != "$clang_format_version" ]; then
        left_out "C files: clang-format $clang_format_version is not there (found: ${version:-none})"
        return
    fi
    checked=1
    files '*.c' '*.h' | xargs clang-format --dry-run -Werror || failed=1
}

check_shell() {
    if ! command -v shellcheck >/dev/null; then
        left_out "shell scripts: shellcheck is not there"
        return
    fi
    checked=1
    files '*.sh' '*.sbatch' | xargs shellcheck -x || failed=1
}

check_python() {
    if ! command -v flake8 >/dev/null; then
        left_out "Python: flake8 is not there"
        return
    fi
    checked=1
    files '*.py' | xargs flake8 || failed=1
}

for part in "${@:-c}" $([ $# -gt 0 ] || echo shell python); do
    case $part in
        c | shell | python) "check_$part" ;;
        *)
            echo "format.sh: unknown part \"$part\"; use c, shell or python" >&2
            exit 64
            ;;
    esac
done
if [ "$failed" = 1 ]; then
    echo "Run clang-format -i on the C files named; mend what shellcheck and flake8 name."
    exit 1
fi
[ "$checked" = 1 ] || exit 77
