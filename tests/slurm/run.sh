#!/usr/bin/env bash
# run.sh [--long] [--seed S]: the scripts of jobs/ on a real Slurm (munged, slurmctld, four slurmd, each a host of its own) through what happens to jobs.
# All jobs are submitted at the start and are looked at side by side. By hand: AVI_MPI names the program (build/avi_mpi).
#
# A run that Slurm or somebody cuts must be done at the end, with every logged step once, and with the bits of an undisturbed one (same_bits.py).
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export AVI_SOURCE_DIR=${AVI_SOURCE_DIR:-$(dirname "$(dirname "$here")")}
export AVI_BUILD_DIR=${AVI_BUILD_DIR:-$AVI_SOURCE_DIR/build} AVI_PYTHON=${AVI_PYTHON:-/usr/bin/python3}
export AVI_PROGRAM=${AVI_MPI:-$AVI_BUILD_DIR/avi_mpi} AVI_JOBS=$AVI_SOURCE_DIR/jobs
unset OMPI_MCA_btl_tcp_if_include # of tests on one machine; ranks of two nodes would wait for each other for ever
pace=$AVI_BUILD_DIR/tests/libavi_pace.so
# shellcheck source=tests/slurm/cluster.sh
source "$here/cluster.sh"
# shellcheck source=tests/slurm/events.sh
source "$here/events.sh"

long=no
seed=$RANDOM
while [ $# -gt 0 ]; do
    case $1 in
        --long) long=yes ;;
        --seed) seed=$2 && shift ;;
        *) echo "usage: run.sh [--long] [--seed S]" >&2 && exit 64 ;;
    esac
    shift
done
echo "seed $seed (run.sh --seed $seed has the same moments)"
RANDOM=$seed
cluster_test 4
write_program
began=$SECONDS

if [ $long = yes ]; then
    for launcher in mpirun srun; do
        export AVI_LAUNCHER=$launcher
        set_of_jobs "$launcher"_ 32
        many_requeues "$launcher"_ 5
        lost_batch_node "$launcher"_
        lost_daemon "$launcher"_
    done
    singletons
else
    export AVI_LAUNCHER=${AVI_LAUNCHER:-mpirun}
    set_of_jobs "" 16
fi
echo "OK: $((SECONDS - began)) s, seed $seed"
