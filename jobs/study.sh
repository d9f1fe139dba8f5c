# What the scripts that make many fits for a table share: their arguments, the program, seeds and ranks. Source it.
# shellcheck shell=bash
# shellcheck source=jobs/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# study_usage    prints the comment at the head of the script, and ends with 64.
study_usage() {
    sed -n '2,${/^#/!q;s/^# \{0,1\}//p}' "$0" >&2
    exit 64
}

# study_arguments "PART ..." ARGUMENT...    sets `parts` (those named; all of them, in this order, where none or `all` is), `settings` (section.key=value)
# and `quick` (yes or no).
study_arguments() {
    local known=$1 argument
    shift
    parts=() settings=() quick=no
    for argument in "$@"; do
        case $argument in
            --quick) quick=yes ;;
            all) read -ra parts <<<"$known" ;;
            *.*=*) settings+=("$argument") ;;
            *[!a-z]* | '') study_usage ;;
            *) case " $known " in *" $argument "*) parts+=("$argument") ;; *) study_usage ;; esac ;;
        esac
    done
    if [ ${#parts[@]} -eq 0 ]; then read -ra parts <<<"$known"; fi
}

# either QUICK FULL    the first word of quick runs, else the second.
either() { if [ "$quick" = yes ]; then echo "$1"; else echo "$2"; fi; }

# study_number NAME VALUE    ends with 64 unless it is a number above 0.
study_number() {
    case $2 in
        '' | *[!0-9]* | 0*) echo "$(basename "$0"): $1=$2 is not a number above 0" >&2; exit 64 ;;
    esac
}

# study_begin    sets `program`, `launcher` and `ranks`. A checkout is built first, unless AVI_MPI names a program.
study_begin() {
    if [ -z "${AVI_MPI:-}" ] && [ -e "$repository/CMakeLists.txt" ]; then
        "$repository/jobs/setup.sh" && "$repository/jobs/build.sh" avi_mpi || exit
        AVI_MPI=${AVI_BUILD_DIR:-$repository/build}/avi_mpi
    fi
    find_program
    find_launcher "$program"
    ranks=${NP:-$(cores_allowed)}
    study_number NP "$ranks"
    prepare_launcher "$ranks"
}
