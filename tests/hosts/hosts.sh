#!/usr/bin/env bash
# Several hosts on this machine: each has processes, a network, a name, /dev/shm and /tmp/host of its own, and all have this machine's files. They are joined by a
# switch, on which this machine has an address too.
#
#   hosts.sh up FOLDER N [PREFIX]       hosts PREFIX1 to PREFIXN (h); FOLDER/hosts then has a line "name address process" for each, FOLDER/gateway this machine's address,
#                                       FOLDER/agent.sh is an rsh agent. Status 77 and the reason where this machine does not allow it.
#   hosts.sh in FOLDER NAME COMMAND...  runs it there
#   hosts.sh beside FOLDER NAME COMMAND...    runs it with the host's network and name but among this machine's processes, where the rsh agent can see all hosts: for mpirun
#   hosts.sh kill FOLDER NAME           the host loses its power: link first, so that no connection is closed; then all its processes
#   hosts.sh cut FOLDER NAME            its cable is pulled out; join puts it back
#   hosts.sh again FOLDER NAME          a host that was killed is switched on, with the same name and address
#   hosts.sh down FOLDER                all of them go away
set -uo pipefail
PATH=$PATH:/usr/sbin:/sbin

die() {
    echo "skipped: no hosts in network namespaces here: $*"
    exit 77
}

tag() { cat "$folder/tag"; }
number_of() { awk -v name="$1" '$1 == name { print NR }' "$folder/hosts"; }
field_of() { awk -v name="$1" -v field="$2" '$1 == name { print $field }' "$folder/hosts"; }

# is_host PROCESS    the first process of a host of this folder, and no other that has got its number since
is_host() { tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null | grep -qF " $folder/names "; }

# switch_on NAME ADDRESS NUMBER    prints the process that is the first one of the host
switch_on() {
    local name=$1 address=$2 cable holder _
    cable=$(tag)v$3
    rm -f "$folder/$name.ready"
    # Its own process numbers: they all end with the first. Its own mounts: /proc of these processes, /dev/shm, names of the hosts.
    # The first process takes leave of those whose parent has ended, as an init does.
    # shellcheck disable=SC2016
    unshare --net --uts --ipc --pid --fork --kill-child --mount sh -c '
        hostname "$1" && mount -t proc proc /proc && mount -t tmpfs shm /dev/shm && mount --bind "$2" /etc/hosts && : >"$3" || exit 1; sleep infinity & while kill -0 $! 2>/dev/null; do wait; done' \
        sh "$name" "$folder/names" "$folder/$name.ready" </dev/null >"$folder/$name.out" 2>&1 &
    for _ in $(seq 200); do
        if [ -e "$folder/$name.ready" ] || ! kill -0 $! 2>/dev/null; then break; fi
        sleep 0.02
    done
    holder=$(pgrep -P $! 2>/dev/null | head -n 1)
    if [ ! -e "$folder/$name.ready" ] || [ -z "$holder" ]; then return 1; fi
    ip link add "$cable" type veth peer name eth0 netns "$holder" && ip link set "$cable" master "$(tag)b" up &&
        nsenter -t "$holder" -n sh -c "ip addr add $address/24 dev eth0 && ip link set eth0 up && ip link set lo up" || return 1
    echo "$holder"
}

up() {
    local count=$1 prefix=${2:-h} net number process said name
    [ "$(id -u)" -eq 0 ] || die "only root may make them"
    for name in ip unshare nsenter pgrep; do
        command -v $name >/dev/null || die "$name is needed (apt-get install iproute2 util-linux procps)"
    done
    mkdir -p "$folder"
    echo "a$$" >"$folder/tag"
    for net in $(shuf -n 20 -i 20-250) none; do
        if [ "$net" = none ] || ! ip -o addr | grep -q " 10\.199\.$net\."; then break; fi
    done
    if ! said=$(ip link add "$(tag)b" type bridge 2>&1 && ip addr add "10.199.$net.254/24" dev "$(tag)b" 2>&1 && ip link set "$(tag)b" up 2>&1); then
        ip link del "$(tag)b" 2>/dev/null
        die "${said:-no bridge}"
    fi
    echo "10.199.$net.254" >"$folder/gateway"
    { echo "127.0.0.1 localhost"; echo "10.199.$net.254 $(hostname -s)"; for number in $(seq "$count"); do echo "10.199.$net.$number $prefix$number"; done; } >"$folder/names"
    : >"$folder/hosts"
    for number in $(seq "$count"); do
        if ! process=$(switch_on "$prefix$number" "10.199.$net.$number" "$number" 2>"$folder/said"); then
            said=$(cat "$folder/said" "$folder/$prefix$number.out")
            down
            die "${said:-no namespaces}"
        fi
        echo "$prefix$number 10.199.$net.$number $process" >>"$folder/hosts"
    done
    cat >"$folder/agent.sh" <<AGENT
#!/bin/sh
# agent.sh HOST COMMAND...    as rsh does: HOST is a name or an address
host=\$1
shift
process=\$(awk -v host="\$host" '\$1 == host || \$2 == host { print \$3 }' "$folder/hosts")
exec nsenter -t "\$process" -n -u -i -p -m --root --wd="\$PWD" sh -c "\$*"
AGENT
    chmod +x "$folder/agent.sh"
}

run_in() {
    local process
    process=$(field_of "$1" 3)
    shift
    exec nsenter -t "$process" -n -u -i -p -m --root --wd="$PWD" -- "$@"
}

run_beside() {
    local process
    process=$(field_of "$1" 3)
    shift
    exec nsenter -t "$process" -n -u -- "$@"
}

down() {
    local name _ process
    if [ ! -r "$folder/hosts" ]; then return; fi
    while read -r name _ process; do
        if is_host "$process"; then kill -KILL "$process"; fi
        ip link del "$(tag)v$(number_of "$name")" 2>/dev/null
    done <"$folder/hosts"
    ip link del "$(tag)b" 2>/dev/null
    rm -f "$folder/hosts"
}

again() {
    local address process
    address=$(field_of "$1" 2)
    ip link del "$(tag)v$(number_of "$1")" 2>/dev/null
    process=$(switch_on "$1" "$address" "$(number_of "$1")") || exit 1
    sed -i -E "s/^($1 [^ ]+) .*/\1 $process/" "$folder/hosts"
}

what=$1 folder=$(realpath -m "$2")
shift 2
case $what in
    up) up "$@" ;;
    in) run_in "$@" ;;
    beside) run_beside "$@" ;;
    cut) ip link set "$(tag)v$(number_of "$1")" down ;;
    join) ip link set "$(tag)v$(number_of "$1")" up ;;
    kill)
        ip link set "$(tag)v$(number_of "$1")" down
        if is_host "$(field_of "$1" 3)"; then kill -KILL "$(field_of "$1" 3)"; fi
        ;;
    again) again "$@" ;;
    down) down ;;
esac
