# A Slurm cluster on this machine, for tests: source it, then cluster_test. Either one node, n1, which is this machine; or several, n1, n2, ..., which are hosts of
# tests/hosts/hosts.sh with processes and networks of their own. It has sockets, ports and a key of its own and leaves a Slurm that is already there alone.
# Status 77 where it cannot run.
# shellcheck shell=bash

cluster_processes=()
cluster_hosts=$(dirname "${BASH_SOURCE[0]}")/../hosts/hosts.sh

skip() {
    echo "skipped: $*"
    exit 77
}

cluster_stop() {
    local process
    for process in "${cluster_processes[@]}"; do kill "$process" 2>/dev/null; done
    if [ "$cluster_nodes" -gt 1 ]; then "$cluster_hosts" down "$folder/hosts"; fi
    wait 2>/dev/null
}

# in_node NODE COMMAND...
in_node() {
    if [ "$cluster_nodes" -gt 1 ]; then "$cluster_hosts" in "$folder/hosts" "$@"; else "${@:2}"; fi
}

# node_start NODE    its slurmd
node_start() {
    in_node "$1" slurmd -D -f "$SLURM_CONF" -N "$1" >>"$folder/slurmd.out" 2>&1 &
    cluster_processes+=($!)
}

# node_again NODE    a node that was killed is switched on; as after a start of a machine, nothing temporary is left.
node_again() {
    rm -rf "${folder:?}/tmp/$1" "${folder:?}/spool/$1"
    mkdir -p "$folder/tmp/$1" "$folder/spool/$1"
    "$cluster_hosts" again "$folder/hosts" "$1" || fail "$1 does not come up again"
    node_start "$1"
}

# Nodes that take jobs.
nodes_up() { sinfo -h -N -p main -o %T 2>/dev/null | grep -cE '^(idle|mixed|allocated|completing)$'; }

# A port that nobody listens on.
cluster_port() {
    local port
    for port in $(shuf -n 50 -i 20000-30000); do
        if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
}

cluster_start() {
    local folder=$1 program
    for program in slurmctld slurmd munged sbatch scontrol; do
        PATH=$PATH:/usr/sbin command -v "$program" >/dev/null || skip "$program is not installed (apt-get install slurm-wlm munge)"
    done
    if [ "$(id -u)" -ne 0 ]; then skip "a Slurm node can only be started by root"; fi
    PATH=$PATH:/usr/sbin

    mkdir -p "$folder"/{munge,state,spool,tmp}
    dd if=/dev/urandom of="$folder/munge/key" bs=1024 count=1 status=none
    chown -R munge "$folder/munge"
    chmod 700 "$folder/munge"
    chmod 600 "$folder/munge/key"
    # The socket must be reachable by others, its folder must belong to munge: a folder of its own.
    mkdir -p "$folder/socket"
    chown munge "$folder/socket"
    chmod 755 "$folder" "$folder/socket"
    setpriv --reuid munge --regid munge --clear-groups munged --foreground --force --key-file="$folder/munge/key" \
        --socket="$folder/socket/munge" --pid-file="$folder/munge/pid" --log-file="$folder/munge/log" \
        --seed-file="$folder/munge/seed" >"$folder/munged.out" 2>&1 &
    cluster_processes+=($!)

    local controller_port node_port gateway=127.0.0.1 node nodes
    controller_port=$(cluster_port)
    node_port=$(cluster_port)
    nodes="NodeName=n1 NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 CPUs=64 State=UNKNOWN"
    if [ "$cluster_nodes" -gt 1 ]; then
        "$cluster_hosts" up "$folder/hosts" "$cluster_nodes" n || exit
        gateway=$(cat "$folder/hosts/gateway")
        nodes=$(awk '{ print "NodeName=" $1 " NodeAddr=" $2 " CPUs=64 State=UNKNOWN" }' "$folder/hosts/hosts")
    fi
    cat >"$folder/slurm.conf" <<CONF
ClusterName=avitest
SlurmctldHost=$(hostname -s)($gateway)
SlurmctldPort=$controller_port
SlurmdPort=$node_port
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/socket/munge,cred_expire=10
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool/%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.%n.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.%n.log
TmpFS=$folder/tmp/%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=5
SchedulerType=sched/backfill
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SlurmdTimeout=12
MinJobAge=3600
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
$nodes
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=10
PartitionName=scavenge Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=5
CONF
    for node in $(seq "$cluster_nodes"); do mkdir -p "$folder/tmp/n$node"; done
    export SLURM_CONF=$folder/slurm.conf

    local tries
    for tries in $(seq 50); do
        if [ -S "$folder/socket/munge" ]; then break; fi
        sleep 0.1
    done
    slurmctld -D -f "$SLURM_CONF" >"$folder/slurmctld.out" 2>&1 &
    cluster_processes+=($!)
    for node in $(seq "$cluster_nodes"); do node_start "n$node"; done
    for tries in $(seq 100); do
        if [ "$(nodes_up)" -eq "$cluster_nodes" ]; then return 0; fi
        sleep 0.2
    done
    echo "the cluster did not come up after $tries looks; its logs:" >&2
    tail -n 20 "$folder"/munge/log "$folder"/slurmctld.log "$folder"/slurmd.*.log >&2
    exit 1
}

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# What is left of a test: nothing, but for the last words of jobs and controller where it has failed.
cluster_finish() {
    local status=$?
    cluster_stop
    if [ $status -ne 0 ] && [ $status -ne 77 ]; then
        tail -n 60 -- "$folder"/*.out >&2 2>/dev/null
        tail -n 10 "$folder/slurmctld.log" >&2 2>/dev/null
    fi
    rm -rf "$folder"
}

# cluster_test [NODES]    brings the cluster up in a folder of its own, which goes away at the end, and goes there. Sets `folder`.
cluster_test() {
    cluster_nodes=${1:-1}
    folder=$(mktemp -d /tmp/avi_slurm.XXXXXX)
    trap cluster_finish EXIT
    cluster_start "$folder"
    # More CPUs are claimed than the machine has: ranks must give way to each other.
    export OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
    cd "$folder" || exit 1
}
