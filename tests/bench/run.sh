#!/usr/bin/env bash
# The benchmark: builds, runs every workload with avi_mpi and with PyTorch in turn, and prints the table.
#
#   tests/bench/run.sh [--workloads vae_1024,saw_fvi] [--rounds 3] [--out FOLDER] [--no-torch] [--readme] ...
#   tests/bench/run.sh --answer [--cases saw_fvi,linear_fvi] [--rounds 3] [--no-torch] [--readme] ...       time to the answer
#   tests/bench/run.sh --reduce [--seconds 2] [--readme] ...                                               ways to reduce a gradient
#
# All other options go to bench.py, answer.py or reduce.py (--help lists them). PyTorch is no dependency of the project: where it is absent and apt-get can install
# it, it is installed for the comparison; where it cannot, avi_mpi is held against the machine's limits alone.
set -euo pipefail
# shellcheck source=jobs/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../jobs/common.sh"
prepare_launcher "$(cores_allowed)"

script=bench.py
case ${1:-} in
    --answer | --reduce)
        script=${1#--}.py
        shift
        ;;
esac
for option in "$@"; do
    if [ "$option" = --help ] || [ "$option" = -h ]; then
        avi_python "$repository/tests/bench/$script" --help
        exit 0
    fi
done
"$repository/jobs/setup.sh"
export AVI_BUILD_DIR=${AVI_BUILD_DIR:-$repository/build}
"$repository/jobs/build.sh" avi_mpi limits bench_reduce

if [ "$script" != reduce.py ] && [[ " $* " != *" --no-torch "* ]] && ! avi_python -c 'import torch' 2>/dev/null; then
    install_packages python3-torch || echo "run.sh: python3-torch could not be installed" >&2
fi
avi_python "$repository/tests/bench/$script" "$@"
