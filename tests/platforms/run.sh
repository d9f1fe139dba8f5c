#!/usr/bin/env bash
# The two commands of the README on other systems, each in a folder of its own.
#
#   tests/platforms/run.sh [SYSTEM ...]      debian-13  debian-13-mpich  debian-12  debian-12-mpich  ubuntu-24.04  ubuntu-22.04
#
# For each system (debian-13 and debian-12-mpich unless named): a bare system by debootstrap, a clone of this checkout's HEAD, jobs/local.sh inputs/vae.ini, tests/run.sh,
# runs and checkpoints exchanged with the build of this checkout (exchange.py), and a row of the table in tests/README.md. It takes half an hour for each.
#
#   AVI_PLATFORMS_DIR   where the systems are kept (2 GB each; one that is there is used again)     /tmp/avi_platforms
#   AVI_DEBIAN_MIRROR   AVI_UBUNTU_MIRROR                                                           http://deb.debian.org/debian, http://archive.ubuntu.com/ubuntu
#   AVI_CTEST           options for tests/run.sh, for example "-R cli"
#   AVI_PATIENCE        factor of the tests' time limits, for a machine that is busy                3 with MPICH, else 1
#
# What fails is run once more, one test at a time: the row says how many passed only then.
#
# It needs root and mount namespaces. Where those or a mirror are missing, the system is skipped with a line that says why; 77 when all were.
set -uo pipefail
# shellcheck source=jobs/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../jobs/common.sh"
# shellcheck source=tests/platforms/table.sh
source "$(dirname "${BASH_SOURCE[0]}")/table.sh"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=${AVI_PLATFORMS_DIR:-/tmp/avi_platforms}

skip() { echo "skipped: $*"; }

# description SYSTEM    sets suite, mirror, mpi
description() {
    local debian=${AVI_DEBIAN_MIRROR:-http://deb.debian.org/debian} ubuntu=${AVI_UBUNTU_MIRROR:-http://archive.ubuntu.com/ubuntu}
    mpi=openmpi
    case $1 in *-mpich) mpi=mpich ;; esac
    case $1 in
        debian-12*) suite=bookworm mirror=$debian ;;
        debian-13*) suite=trixie mirror=$debian ;;
        ubuntu-22.04*) suite=jammy mirror=$ubuntu ;;
        ubuntu-24.04*) suite=noble mirror=$ubuntu ;;
        *) return 1 ;;
    esac
}

# in_root ROOT SHARED COMMAND...    a command in the system, with a clean environment. SHARED is a folder that it finds at the same path ("" for none).
in_root() {
    local root=$1 shared=$2 choice=()
    shift 2
    if [ "$mpi" = mpich ]; then choice=(MPICC=mpicc.mpich); fi # another than that of mpicc
    # shellcheck disable=SC2016
    unshare --mount --propagation private bash -c '
        root=$0 shared=$1
        shift
        mount --bind "$root" "$root" && mount -t proc proc "$root/proc" && mount --rbind /dev "$root/dev" && mount --rbind /sys "$root/sys" && mount -t tmpfs tmpfs "$root/run" || exit 125
        if [ -n "$shared" ]; then mkdir -p "$root$shared" && mount --bind "$shared" "$root$shared" || exit 125; fi
        exec chroot "$root" "$@"' \
        "$root" "$shared" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
        OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 ${choice[@]+"${choice[@]}"} \
        ${http_proxy:+http_proxy="$http_proxy"} ${https_proxy:+https_proxy="$https_proxy"} "$@"
}

# make_root SYSTEM ROOT    a bare system; jobs/setup.sh installs the rest.
make_root() {
    local system=$1 root=$2
    if [ -f "$root/.made" ]; then return 0; fi
    rm -rf "$root"
    mkdir -p "$root"
    echo "$system: debootstrap $suite from $mirror" >&2
    if ! debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$folder/$system.debootstrap.log" 2>&1; then
        skip "$system: debootstrap of $suite from $mirror failed: $(tail -n 1 "$folder/$system.debootstrap.log")"
        return 1
    fi
    if [[ $system == ubuntu-* ]]; then echo "deb $mirror $suite main universe" >"$root/etc/apt/sources.list"; fi
    if ! in_root "$root" "" apt-get -q update >"$folder/$system.apt.log" 2>&1; then
        skip "$system: apt-get update failed: $(tail -n 1 "$folder/$system.apt.log")"
        return 1
    fi
    touch "$root/.made"
}

# try SYSTEM    0: passed, 1: something failed, 77: skipped
try() {
    local system=$1 root=$folder/$1 log=$folder/$1.log status=0 suite mirror mpi first second bits versions revision passed skipped failed repeated
    description "$system" || { echo "run.sh: $system is not known; the head of this file lists the systems" >&2; return 1; }
    make_root "$system" "$root" || return 77
    # A bare system has no name for itself: MPICH then asks the network for it at every start, and waits 5 s or 10.
    grep -qsw "$(hostname)" "$root/etc/hosts" || echo "127.0.0.1 localhost $(hostname)" >>"$root/etc/hosts"
    # What launchers of an earlier round have left: Open MPI names its folders by process numbers, and these come again.
    rm -rf "${root:?}"/tmp/*
    revision=$(git -C "$repository" rev-parse --short=12 HEAD)
    rm -rf "$root/root/avi_mpi"
    git clone -q --no-hardlinks "$repository" "$root/root/avi_mpi" && git -C "$root/root/avi_mpi" checkout -q --detach "$revision" || return 1

    echo "$system: the first command" >&2
    local ccache=()
    if [ -x "$root/usr/bin/ccache" ]; then ccache=(env CMAKE_C_COMPILER_LAUNCHER=ccache); fi
    first="done"
    in_root "$root" "" "${ccache[@]}" /root/avi_mpi/jobs/local.sh /root/avi_mpi/inputs/vae.ini run.output=/root/run >"$log" 2>&1 || { first="failed ($?)"; status=1; }
    tail -n 3 "$log" >&2

    echo "$system: the second command" >&2
    if [ -n "${AVI_PATIENCE:-}" ]; then in_root "$root" "" "${ccache[@]}" /root/avi_mpi/jobs/build.sh "-DAVI_PATIENCE=$AVI_PATIENCE" avi_mpi >>"$log" 2>&1; fi
    # shellcheck disable=SC2086
    if ! in_root "$root" "" "${ccache[@]}" /root/avi_mpi/tests/run.sh ${AVI_CTEST:-} >>"$log" 2>&1; then
        echo "$system: what failed, again" >&2
        grep -E '\*\*\*(Failed|Timeout|Exception|Not Run)' "$log" >&2
        cp "$root/root/avi_mpi/build/Testing/Temporary/LastTest.log" "$folder/$system.tests.log" 2>/dev/null
        in_root "$root" "" /bin/sh -c 'cd /root/avi_mpi/build && exec ctest --rerun-failed --output-on-failure --no-label-summary' >>"$log" 2>&1
    else
        cp "$root/root/avi_mpi/build/Testing/Temporary/LastTest.log" "$folder/$system.tests.log" 2>/dev/null
    fi
    read -r passed skipped failed < <(count "$log")
    if [ "$passed" -eq 0 ] || [ "$failed" -ne 0 ]; then status=1; fi
    repeated=$(again "$log")
    if [ "$repeated" -gt 0 ]; then passed="$passed ($repeated when run again)"; fi
    results "$log" | sed -n 's/ Failed$/: failed/p' >&2
    # shellcheck disable=SC2046
    reasons "$folder/$system.tests.log" $(results "$log" | sed -n 's/ Skipped$//p') >&2

    echo "$system: exchange with the build of this checkout" >&2
    bits="not tried: there is no build here"
    if [ -x "${AVI_BUILD_DIR:-$repository/build}/avi_mpi" ]; then
        local shared
        shared=$(mktemp -d /tmp/avi_exchange.XXXXXX)
        export -f in_root
        export mpi
        if second=$(avi_python "$here/exchange.py" "$shared" "${AVI_BUILD_DIR:-$repository/build}/avi_mpi" /root/avi_mpi/build/avi_mpi \
            bash -c 'in_root "$0" "$@"' "$root" "$shared" 2>&1); then
            bits=$(tail -n 1 <<<"$second" | sed 's/^exchanged: //')
        else
            bits=failed
            status=1
        fi
        echo "$second" | tee -a "$log" >&2
        rm -rf "$shared" "${root:?}$shared"
    fi

    versions=$(in_root "$root" "" /root/avi_mpi/build/avi_mpi --version 2>/dev/null | versions)
    versions+=", Python $(in_root "$root" "" /usr/bin/python3 --version 2>/dev/null | sed 's/^Python //')"
    write_row "$system" "| $system | $versions | $first | $passed | $skipped | $failed | $bits | $revision, $(date +%F) |"
    echo "$system: first command $first; $passed passed, $skipped skipped, $failed failed; exchange: $bits"
    return "$status"
}

if [ "$(id -u)" -ne 0 ]; then
    skip "other systems need root (debootstrap and chroot)"
    exit 77
fi
if ! unshare --mount --propagation private true 2>/dev/null; then
    skip "mount namespaces are not allowed here"
    exit 77
fi
if ! command -v debootstrap >/dev/null && ! install_packages debootstrap; then
    skip "debootstrap is not here and could not be installed"
    exit 77
fi
mkdir -p "$folder"
if [ $# -eq 0 ]; then set -- debian-13 debian-12-mpich; fi
worst=77
for system in "$@"; do
    code=0
    try "$system" || code=$?
    case $code in
        0) if [ $worst -eq 77 ]; then worst=0; fi ;;
        77) ;;
        *) worst=1 ;;
    esac
done
exit $worst
