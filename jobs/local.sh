#!/usr/bin/env bash
# Fits a model on this machine: installs what is missing, builds, runs on the cores there are, draws pictures.
#
#   jobs/local.sh FILE.ini [section.key=value ...]
#   NP=4 jobs/local.sh FILE.ini ...          another number of ranks
#   AVI_LAUNCHER="mpiexec -l" jobs/local.sh FILE.ini ...    another command that starts ranks; -n follows
#
# Options of the program (--dry-run, --fresh, -q, ...) are passed on. Paths mean what they mean to the program: FILE.ini and run.output
# are relative to the folder where you stand. The exit status is the program's; 69 when something is missing that it cannot install.
set -euo pipefail
# shellcheck source=jobs/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

ini=
output=
draw=yes
for argument in "$@"; do
    case $argument in
        --dry-run | --check-gradient | --help* | --version | --list) draw=no ;;
        -*) ;;
        run.output=*) output=${argument#run.output=} ;;
        *)
            # As the program decides: a path may hold =, for the folders of a sweep's runs do; no key has a / before its =.
            name=${argument%%=*}
            if [ "$name" = "$argument" ] || [[ $name == */* ]] || { [ -z "$ini" ] && [ -e "$argument" ]; }; then
                ini=${ini:-$argument}
            fi
            ;;
    esac
done
if [ -z "$ini" ] && [ "$draw" = yes ]; then
    echo "usage: jobs/local.sh FILE.ini [section.key=value ...]    for example: jobs/local.sh inputs/vae.ini" >&2
    exit 64
fi
if [ -n "$ini" ] && [ ! -f "$ini" ]; then
    echo "local.sh: $ini: there is no such file in $PWD" >&2
    exit 66
fi

"$repository/jobs/setup.sh"
"$repository/jobs/build.sh" avi_mpi
program=${AVI_BUILD_DIR:-$repository/build}/avi_mpi
find_launcher "$program"

# run RANKS ARGUMENT...    sets `status`.
run() {
    local ranks=$1
    shift
    prepare_launcher "$ranks"
    wait_for_job "${launcher[@]}" -n "$ranks" "$program" "$@"
    explain_status "$status" >&2
}

cores=$(cores_allowed)
ranks=${NP:-$cores}
case $ranks in
    '' | *[!0-9]* | 0) echo "local.sh: NP=$ranks is not a number of ranks" >&2; exit 64 ;;
esac
run "$ranks" "$@"

# 78: a mistake in the configuration, or one that has fewer lanes than this machine has cores. In the second case it runs on fewer.
if [ "$status" -eq 78 ] && [ -z "${NP:-}" ]; then
    fewer=$ranks
    while [ "$fewer" -gt 1 ]; do
        fewer=$((fewer / 2))
        run "$fewer" -q --dry-run "$@" >/dev/null 2>&1
        if [ "$status" -eq 0 ]; then
            echo "local.sh: this configuration cannot use $ranks ranks; running on $fewer" >&2
            run "$fewer" "$@"
            break
        fi
    done
fi

if [ "$draw" = no ] || [ -z "$ini" ]; then exit "$status"; fi
output=${output:-$(output_of "$ini")}
output=${output:-$(output_of "$repository/inputs/reference.ini")} # the defaults
if [ ! -f "$output/run.h5" ]; then exit "$status"; fi

# A script that finds nothing to draw in this run (no images, no latent variables kept) ends with 66: that is no mistake.
for script in plot_trace plot_images plot_latent; do
    drawn=0
    message=$(avi_python "$repository/analysis/$script.py" "$output" 2>&1) || drawn=$?
    if [ "$drawn" -ne 66 ]; then echo "$message"; fi
    if [ "$drawn" -ne 0 ] && [ "$drawn" -ne 66 ]; then
        echo "local.sh: analysis/$script.py failed; the run itself is in $output" >&2
        if [ "$status" -eq 0 ]; then status=70; fi
    fi
done
exit "$status"
