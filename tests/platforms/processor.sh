#!/usr/bin/env bash
# On a processor that is older than what the program was built for: a message and 78, before an instruction that it does not have. The older
# processors are emulated (qemu-user).
set -uo pipefail
fail() {
    echo "FAILED: $*" >&2
    exit 1
}

case $(uname -m) in
    x86_64) emulator=qemu-x86_64 oldest=qemu64 ;;
    *)
        echo "skipped: there is no list of older processors for $(uname -m)"
        exit 77
        ;;
esac
if ! command -v "$emulator" >/dev/null; then
    echo "skipped: $emulator is not here (package qemu-user)"
    exit 77
fi
if "$AVI_MPI" --version | grep -q -- '-march=x86-64$\|-march=$'; then
    echo "skipped: the program was built for every x86-64 processor"
    exit 77
fi

said=$("$emulator" -cpu "$oldest" "$AVI_MPI" --version 2>&1)
status=$?
[ $status -eq 78 ] || fail "status $status and not 78 on the oldest processor: $said"
grep -qE "the program was built for (AVX-512|AVX2|SSE4.2); this node \(.*\) has SSE2 and lacks " <<<"$said" || fail "the message: $said"
[ "$(grep -c 'avi_mpi: error' <<<"$said")" -eq 1 ] || fail "not one message: $said"

# The node's first rank says it, the others are silent.
said=$(OMPI_COMM_WORLD_LOCAL_RANK=1 "$emulator" -cpu "$oldest" "$AVI_MPI" --version 2>/dev/null)
status=$?
[ $status -eq 78 ] || fail "status $status and not 78 on the node's second rank"
[ -z "$said" ] || fail "the node's second rank says it too: $said"
echo OK
