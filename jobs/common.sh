# Shared by the scripts of this folder and tests/run.sh: source it. Defines `repository` and a few questions about the machine.
# shellcheck shell=bash

# shellcheck disable=SC2034
repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

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

# What Open MPI wants to know on a machine of one's own: root is meant, and a container does not let ranks read each other's memory.
prepare_open_mpi() {
    if [ "$(id -u)" -eq 0 ]; then
        export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
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
