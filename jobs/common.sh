# Shared by the scripts of this folder and tests/run.sh: source it. Defines `repository` and a few questions about the machine.
# shellcheck shell=bash

# shellcheck disable=SC2034
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# A standard stream that is closed would become a pipe of mpirun's own, which takes what the ranks print for signals (a newline is 10: USR1).
{ true 9<&0; } 2>/dev/null || exec 0</dev/null
{ true 9>&1; } 2>/dev/null || exec 1>/dev/null
{ true 9>&2; } 2>/dev/null || exec 2>/dev/null

# CPUs that this process may use: affinity and a container's quota count (cgroup v2, else v1, whose quota is -1 where there is none; a test says by AVI_CGROUPS where
# they are). nproc would also listen to OMP_NUM_THREADS.
cpus_allowed() {
    local cpus quota=max period=1 at=${AVI_CGROUPS:-/sys/fs/cgroup}
    cpus=$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc)
    if [ -r "$at/cpu.max" ]; then
        read -r quota period <"$at/cpu.max"
    elif [ -r "$at/cpu/cpu.cfs_quota_us" ] && [ -r "$at/cpu/cpu.cfs_period_us" ]; then
        read -r quota <"$at/cpu/cpu.cfs_quota_us"
        read -r period <"$at/cpu/cpu.cfs_period_us"
    fi
    if [ "$quota" != max ] && [ "$quota" -gt 0 ] && [ "$period" -gt 0 ] && [ $((quota / period)) -lt "$cpus" ]; then
        cpus=$((quota / period > 0 ? quota / period : 1))
    fi
    echo "$cpus"
}

# Physical cores among them: two ranks on the hardware threads of one core only get into each other's way.
cores_allowed() {
    local cpus cores
    cpus=$(cpus_allowed)
    cores=$(lscpu -p=Core,Socket 2>/dev/null | grep -v '^#' | sort -u | wc -l) || cores=0
    if [ "$cores" -gt 0 ] && [ "$cores" -lt "$cpus" ]; then echo "$cores"; else echo "$cpus"; fi
}

# The interpreter that has h5py: the system's first, since a version manager's may hide it.
avi_python() {
    if [ -x /usr/bin/python3 ]; then /usr/bin/python3 "$@"; else python3 "$@"; fi
}

# install_packages NAME...    of Debian or Ubuntu, for what only some scripts want. Quiet; fails where there is no apt-get or it may not be used.
install_packages() {
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then as_root=(sudo -n); fi
    local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300)
    command -v apt-get >/dev/null || return 1
    echo "${0##*/}: installing $*" >&2
    "${apt[@]}" install -y --no-install-recommends "$@" >/dev/null 2>&1 ||
        { "${apt[@]}" update && "${apt[@]}" install -y --no-install-recommends "$@"; } >/dev/null 2>&1
}

# find_program    sets `program`: what AVI_MPI names, else build/avi_mpi under this folder. Scripts that were installed take the program that was installed
# with them, else the one on PATH; a checkout that is not built does not.
find_program() {
    program=${AVI_MPI:-$PWD/build/avi_mpi}
    if [ -n "${AVI_MPI:-}" ] || [ -x "$program" ] || [ -e "$repository/CMakeLists.txt" ]; then return; fi
    if [ -x "$repository/../../bin/avi_mpi" ]; then
        program=$(cd "$repository/../../bin" && pwd)/avi_mpi
    elif command -v avi_mpi >/dev/null; then
        program=$(command -v avi_mpi)
    fi
}

# find_launcher PROGRAM    sets `launcher`, to which -n RANKS is added: the words of AVI_LAUNCHER (any command with its options, as
# AVI_LAUNCHER="srun --mpi=pmix"), else the launcher of the MPI that the program was built with, else mpirun.
find_launcher() {
    local known
    known=$(dirname "$1")/launcher
    if [ ! -s "$known" ]; then known=$(dirname "$1")/../share/avi_mpi/launcher; fi # of an installed program
    if [ -n "${AVI_LAUNCHER:-}" ]; then
        read -ra launcher <<<"$AVI_LAUNCHER"
    elif [ -s "$known" ]; then
        launcher=("$(cat "$known")")
    else
        launcher=(mpirun)
    fi
    if ! command -v "${launcher[0]}" >/dev/null; then
        echo "${0##*/}: the launcher ${launcher[0]} is not here; set AVI_LAUNCHER to the command that starts ranks, for example AVI_LAUNCHER=mpirun" >&2
        exit 69
    fi
}

# prepare_launcher RANKS    what launchers have to know on a machine of one's own. Their options differ (mpirun -q is of Open MPI 4,
# --bind-to of Open MPI and MPICH with other words), so they get them through the environment, where each reads only its own variables: OMPI_ is
# Open MPI, PRTE_ the launcher of Open MPI 5. Root is meant; ranks are not bound to cores; the program's own message says what went wrong;
# a container does not let ranks read each other's memory; ranks of one machine need no network: Open MPI 5 complains about some, and looking
# for fast ones takes Open MPI 4 0.2 s of each start (ob1 is what it takes without one).
prepare_launcher() {
    if [ "$(id -u)" -eq 0 ]; then
        export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    fi
    export OMPI_MCA_hwloc_base_binding_policy=none PRTE_MCA_hwloc_default_binding_policy=none
    export OMPI_MCA_orte_execute_quiet="${OMPI_MCA_orte_execute_quiet:-1}"
    if [ -z "${AVI_LAUNCHER:-}${SLURM_JOB_ID:-}${PBS_JOBID:-}${LSB_JOBID:-}${OMPI_MCA_btl_tcp_if_include:-}" ]; then
        export OMPI_MCA_btl_tcp_if_include=127.0.0.0/8 OMPI_MCA_pml="${OMPI_MCA_pml:-ob1}"
    fi
    if [ "$1" -gt "$(cores_allowed)" ]; then
        export OMPI_MCA_rmaps_base_oversubscribe=1 PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe
    fi
    if [ -e /.dockerenv ] || [ -e /run/.containerenv ] || [ -n "${container:-}" ]; then
        export OMPI_MCA_btl_vader_single_copy_mechanism=none
    fi
    export OPENBLAS_NUM_THREADS=1
}

# wait_for_job COMMAND...    sets `status`
# The command gets a session of its own and its end is waited for here, so that Ctrl-C asks the program to write a checkpoint and stop (USR1)
# instead of killing the ranks; a second Ctrl-C ends them at once. mpirun of MPICH may return 0 then: the status is that which the first rank leaves.
wait_for_job() {
    local job asked=0 left=${AVI_STATUS_FILE:-}
    if [ -z "$left" ]; then left=$(mktemp); fi
    rm -f "$left"
    AVI_STATUS_FILE=$left setsid "$@" </dev/null &
    job=$!
    trap 'asked=$((asked + 1)); if [ $asked -eq 1 ]; then kill -USR1 $job; else kill -TERM $job; fi' INT TERM
    while :; do
        status=0
        wait "$job" || status=$?
        if ! kill -0 "$job" 2>/dev/null; then break; fi
    done
    # When a signal ended the last wait and the job ended right after it, only another wait has the job's own status.
    if [ "$status" -gt 128 ]; then
        status=0
        wait "$job" || status=$?
    fi
    if [ "$status" -eq 0 ] && [ -s "$left" ]; then status=$(<"$left"); fi
    if [ -z "${AVI_STATUS_FILE:-}" ]; then rm -f "$left"; fi
    trap - INT TERM
}

# explain_status STATUS [NAME]    one line, from NAME (this script), for a status that is not the program's own: nothing for the others.
explain_status() {
    local what="the log of the job may say more" name=${2:-${0##*/}}
    if [ "$1" -eq 205 ]; then
        echo "$name: a node or its connection was lost (205)"
    elif [ "$1" -eq 1 ]; then
        echo "$name: the ranks could not be started, or ended without a status (1); OMPI_MCA_orte_execute_quiet=0 shows what mpirun of Open MPI 4 says;" \
            "for srun use --mpi=pmix (srun --mpi=list says what this Slurm has)"
    elif [ "$1" -gt 128 ]; then
        case $(($1 - 128)) in
            4) what="often: built for another processor; jobs/build.sh on this one" ;;
            7) what="often: /dev/shm is full; run.reduction=messages does without it" ;;
            9) what="often: the kernel or the job's limit, when memory is short" ;;
            11) what="a fault of the program or of a library" ;;
            15) what="the job was told to end" ;;
        esac
        echo "$name: a rank was ended by signal $(($1 - 128)) ($what)"
    fi
}

# [run] output of a file, as the program reads it: comments cut off, ${NAME} replaced. Nothing when the file does not say.
output_of() {
    awk '
        /^[ \t]*\[/ { section = $0; gsub(/^[ \t]*\[[ \t]*|[ \t]*\].*$/, "", section); next }
        section == "run" && /^[ \t]*output[ \t]*[=:]/ {
            sub(/^[^=:]*[=:][ \t]*/, ""); sub(/[ \t]+;.*$/, ""); sub(/[ \t\r]+$/, "")
            while (match($0, /\$\{[A-Za-z_][A-Za-z_0-9]*\}/))
                $0 = substr($0, 1, RSTART - 1) ENVIRON[substr($0, RSTART + 2, RLENGTH - 3)] substr($0, RSTART + RLENGTH)
            found = $0
        }
        END { print found }' "$1"
}

# output_of_run ARGUMENT...    the run.output of a command: of its arguments, else of its FILE.ini, else the default.
output_of_run() {
    local argument found="" ini=""
    for argument in "$@"; do
        case $argument in
            run.output=*) found=${argument#run.output=} ;;
            -* | *.*=*) ;;
            *) ini=${ini:-$argument} ;;
        esac
    done
    if [ -z "$found" ] && [ -f "$ini" ]; then found=$(output_of "$ini"); fi
    if [ -z "$found" ]; then found=$(output_of "$repository/inputs/reference.ini"); fi
    echo "$found"
}

# checkpoints_of FOLDER...    the newest checkpoint of the run there, or of each run of the sweep there: a text that changes when one is written.
checkpoints_of() {
    local place
    for place in "$@"; do cat "$place/checkpoint/latest" "$place"/*/checkpoint/latest 2>/dev/null; done | tr '\n' ' ' | sed 's/ $//'
}

# ranks_of_slurm    tasks of all nodes of the job: SLURM_TASKS_PER_NODE is 8(x4),3 for instance, and right whether --ntasks or --ntasks-per-node was given.
ranks_of_slurm() {
    local count
    count=$(awk -v tasks="${SLURM_TASKS_PER_NODE:-}" 'BEGIN {
        parts = split(tasks, part, ",")
        for (i = 1; i <= parts; i++) { split(part[i] "(x1", word, /\(x/); count += word[1] * word[2] }
        print count + 0 }')
    if [ "$count" -eq 0 ]; then count=${SLURM_NTASKS:-1}; fi
    echo "$count"
}
