#!/usr/bin/env bash
# Every shipped configuration passes --dry-run on 2 ranks; vae.ini on 1 to 64 as well (short).
set -uo pipefail
failures=0
if [ -z "${AVI_MNIST_DIR:-}" ] && [ -d "$AVI_SOURCE_DIR/../shared/data/mnist" ]; then
    AVI_MNIST_DIR=$(cd "$AVI_SOURCE_DIR/../shared/data/mnist" && pwd)
    export AVI_MNIST_DIR
fi
if [ -z "${AVI_COUNTS:-}" ] && [ -f "$AVI_SOURCE_DIR/../shared/data/counts/cells.h5ad" ]; then
    AVI_COUNTS=$(cd "$AVI_SOURCE_DIR/../shared/data/counts" && pwd)/cells.h5ad
    export AVI_COUNTS
fi
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1

# accepted RANKS FILE [override ...]
accepted() {
    local ranks=$1 file=$2 said
    shift 2
    # shellcheck disable=SC2086
    if ! said=$($AVI_MPIRUN -n "$ranks" "$AVI_MPI" --dry-run "$file" "$@" 2>&1); then
        echo "FAILED: $file on $ranks ranks:"
        echo "$said"
        failures=$((failures + 1))
    fi
}

for file in "$AVI_SOURCE_DIR"/inputs/*.ini "$AVI_SOURCE_DIR"/inputs/*/*.ini; do
    case $file in
        */inputs/reference.ini | *'*'*) continue ;; # the defaults name no data; or no such folder
    esac
    # shellcheck disable=SC2016
    if grep -qF '${AVI_MNIST_DIR}' "$file" && [ -z "${AVI_MNIST_DIR:-}" ]; then
        echo "${file#"$AVI_SOURCE_DIR"/}: left out, MNIST is not here (AVI_MNIST_DIR)"
        continue
    fi
    # shellcheck disable=SC2016
    if grep -qF '${AVI_COUNTS}' "$file" && [ -z "${AVI_COUNTS:-}" ]; then
        echo "${file#"$AVI_SOURCE_DIR"/}: left out, no counts are here (AVI_COUNTS)"
        continue
    fi
    accepted 2 "$file"
done
for ranks in 1 5 64; do
    accepted "$ranks" "$AVI_SOURCE_DIR/inputs/vae.ini" data.rows=1024 data.test_rows=0
done
if [ -n "$(ls -A "$scratch")" ]; then
    echo "FAILED: --dry-run wrote $(ls "$scratch")"
    failures=$((failures + 1))
fi
if [ "$failures" -eq 0 ]; then echo OK; fi
exit $((failures > 0))
