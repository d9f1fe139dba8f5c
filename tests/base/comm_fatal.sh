#!/bin/sh
# An MPI error ends the job with a message and exit status 70 on every number of ranks; nothing hangs.
program=$1
for np in 1 2; do
    text=$($AVI_MPIRUN -n $np "$program" fatal 2>&1)
    status=$?
    if [ $status -ne 70 ]; then
        echo "np=$np: exit status $status, expected 70; output: $text"
        exit 1
    fi
    case $text in
        *"avi_mpi: rank "*"message passing failed"*"MPI_ERR_ROOT"* | *"avi_mpi: rank "*"message passing failed"*"Invalid root"*) ;;
        *) echo "np=$np: the message is not what it should be: $text"; exit 1 ;;
    esac
done
