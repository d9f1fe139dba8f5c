#!/bin/sh
# Where /dev/shm has no room for the gradients, runs go on by messages and say so where shared memory was asked for; nothing is left behind. Needs a mount namespace.
if ! unshare -m mount -t tmpfs -o size=2m tmpfs /dev/shm 2>/dev/null; then
    echo "skipped: no mount namespace can be made here (unshare -m, as root)"
    exit 77
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
# The MPI library has files there too, which have to go elsewhere: of Open MPI, and of UCX under MPICH.
export folder OMPI_MCA_btl_vader_backing_directory="$folder" UCX_POSIX_DIR="$folder"
# run REDUCTION: its status and what it printed
unshare -m sh -c '
    mount -t tmpfs -o size=2m tmpfs /dev/shm
    for reduction in auto messages shared; do
        $AVI_MPIRUN -n 2 "$AVI_MPI" "$AVI_SOURCE_DIR/inputs/vae.ini" data.rows=1024 data.test_rows=10 optim.steps=2 log.progress=none "run.output=$folder/$reduction" --fresh \
            "run.reduction=$reduction" >"$folder/$reduction.log" 2>&1
        echo $? >"$folder/$reduction.status"
    done
    ls /dev/shm >"$folder/left"'
fail() {
    echo "FAILED: $1"
    cat "$folder"/*.log
    exit 1
}
for reduction in auto messages; do
    [ "$(cat "$folder/$reduction.status")" = 0 ] || fail "run.reduction=$reduction: status $(cat "$folder/$reduction.status"), expected 0"
    grep -q "ranks        2, gradients added by messages" "$folder/$reduction.log" || fail "run.reduction=$reduction: the header tells of shared memory"
done
[ "$(cat "$folder/shared.status")" = 78 ] || fail "run.reduction=shared: status $(cat "$folder/shared.status"), expected 78"
grep -q "reduction = shared: .* /dev/shm has no room for their gradients; use auto or messages" "$folder/shared.log" || fail "run.reduction=shared: not the message"
! grep -q avi_mpi "$folder/left" || fail "files are left in /dev/shm"
echo "ok: by messages where there is no room"
