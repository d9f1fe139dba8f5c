# Shared by the scripts of this folder and tests/run.sh: source it. Defines `repository` and a few questions about the machine.
# shellcheck shell=bash

# shellcheck disable=SC2034
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# A standard stream that is closed would become a pipe of mpirun's own, which takes what the ranks print for signals (a newline is 10: USR1).
{ true 9<&0; } 2>/dev/null || exec 0</dev/null
{ true 9>&1; } 2>/dev/null || exec 1>/dev/null
{ true 9>&2; } 2>/dev/null || exec 2>/dev/null

# CPUs that this process may use: affinity and a container's quota count. (nproc would also listen to OMP_NUM_THREADS.)
cpus_allowed() {
    local cpus quota period
    cpus=$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc)
    if [ -r /sys/fs/cgroup/cpu.max ]; then
        read -r quota period </sys/fs/cgroup/cpu.max
        if [ "$quota" != max ] && [ $((quota / period)) -lt "$cpus" ]; then
            cpus=$((quota / period > 0 ? quota / period : 1))
        fi
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

# find_launcher PROGRAM    sets `launcher`, to which -n RANKS is added: the words of AVI_LAUNCHER (any command with its options, as
# AVI_LAUNCHER="srun --mpi=pmix"), else the launcher of the MPI that the program was built with, else mpirun.
find_launcher() {
    local known
    known=$(dirname "$1")/launcher
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
# --bind-to of Open MPI and MPICH with other words), so they are told through the environment, where each reads only its own variables: OMPI_ is
# Open MPI, PRTE_ the launcher of Open MPI 5. Root is meant; ranks are not bound to cores; the program's own message says what went wrong;
# a container does not let ranks read each other's memory; ranks of one machine need no network, and Open MPI 5 complains about some.
prepare_launcher() {
    if [ "$(id -u)" -eq 0 ]; then
        export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    fi
    export OMPI_MCA_hwloc_base_binding_policy=none PRTE_MCA_hwloc_default_binding_policy=none
    export OMPI_MCA_orte_execute_quiet=1
    if [ -z "${AVI_LAUNCHER:-}${SLURM_JOB_ID:-}${PBS_JOBID:-}${LSB_JOBID:-}${OMPI_MCA_btl_tcp_if_include:-}" ]; then
        export OMPI_MCA_btl_tcp_if_include=127.0.0.0/8
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
# instead of killing the ranks; a second Ctrl-C ends them at once.
wait_for_job() {
    local job asked=0
    setsid "$@" </dev/null &
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
    trap - INT TERM
}
