#!/usr/bin/env bash
# run.sh [--long] [--seed S]: runs on four hosts of this machine (hosts.sh), of which one loses its power, or its cable is pulled out. The job must end within 30 s with a
# message, and what is left must resume to the bits of an undisturbed run. By hand: AVI_MPI names the program (build/avi_mpi). The faults are those of tests/faults.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
times=1
faults=host_of_four # one loss, to be quick
seed=$RANDOM
while [ $# -gt 0 ]; do
    case $1 in
        --long) times=10 faults=host_of_four,link_of_four ;;
        --seed) seed=$2 && shift ;;
        *) echo "usage: run.sh [--long] [--seed S]" >&2 && exit 64 ;;
    esac
    shift
done
export AVI_MPI=${AVI_MPI:-$here/../../build/avi_mpi}
said=$("${AVI_PYTHON:-/usr/bin/python3}" "$here/../faults/faults.py" --only $faults --times $times --seed "$seed" 2>&1)
status=$?
echo "$said"
# In a word where nothing could be tried.
if [ $status -eq 0 ] && grep -q 'skipped:' <<<"$said"; then exit 77; fi
exit $status
