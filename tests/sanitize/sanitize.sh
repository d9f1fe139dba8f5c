#!/usr/bin/env bash
# Builds with AddressSanitizer and UndefinedBehaviorSanitizer in a folder of its own, then runs the unit tests, short runs of the program on 1 and 2 ranks and
# its refusals: any report is a failure. A leak counts where the program itself has allocated: what Open MPI, hwloc and OpenBLAS leave behind has no name left
# when they are unloaded, so no list of suppressions could tell.
#
#   sanitize.sh [--short] [folder]        the folder keeps the build for another time; without one it goes away at the end
#
# With --short only the program is built, and only the short runs are made.
set -euo pipefail

short=no
if [ "${1:-}" = --short ]; then
    short=yes
    shift
fi

source_dir=${AVI_SOURCE_DIR:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
read -ra mpirun <<<"${AVI_MPIRUN:-mpirun --oversubscribe --bind-to none}"
if [ $# -gt 0 ]; then
    folder=$1
    mkdir -p "$folder"
else
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
fi

# OpenBLAS has kernels for AVX-512 that read past the end by design; Haswell's do not.
export OPENBLAS_CORETYPE=HASWELL OPENBLAS_NUM_THREADS=1 OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_btl_vader_single_copy_mechanism=none
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 LSAN_OPTIONS=exitcode=0
unset LD_PRELOAD # AddressSanitizer must be the first library of a process
quiet=detect_leaks=0 leaks=detect_leaks=1
# A line of a report, or a block that leaked and was allocated by the program's own code.
finding="ERROR: AddressSanitizer|runtime error|#1 .* $source_dir/src/"

tests=ON
[ "$short" = yes ] && tests=OFF
cmake -S "$source_dir" -B "$folder/build" -DCMAKE_BUILD_TYPE=Sanitize -DAVI_TESTS=$tests >"$folder/cmake.log"
make -C "$folder/build" -j "$(nproc)" >"$folder/make.log" 2>&1 || {
    tail -20 "$folder/make.log"
    exit 1
}
program=$folder/build/avi_mpi reports=0

# Runs a command; more than the expected status, or any report, is a failure.
clean() {
    local expected=$1 status=0
    shift
    timeout 600 "$@" >"$folder/out" 2>&1 || status=$?
    if [ "$status" != "$expected" ] || grep -qE "$finding" "$folder/out"; then
        echo "FAILED (status $status, expected $expected): $*"
        grep -E -m1 -B2 -A25 "$finding" "$folder/out" || tail -15 "$folder/out"
        reports=$((reports + 1))
    fi
}

# Tiny runs of every kind on one rank, where leaks are looked for, and on two.
short_runs() {
    local vae=("$source_dir/inputs/vae.ini" --fresh -q data.rows=70 data.test_rows=9 optim.batch=32 optim.tile=4 optim.steps=4 model.hidden=33 "inference.hidden=33,7" log.images=2
        log.every=1 checkpoint.every=3)
    local more=("${vae[@]/--fresh/--resume}") model=("$folder/small.ini" --fresh -q) np launcher options
    more=("${more[@]/optim.steps=4/optim.steps=6}")
    printf '[data]\nsource = model\nrows = 23\n[optim]\nbatch = 0\nsteps = 3\ntile = 5\n[run]\nprecision = double\n' >"$folder/small.ini"
    for np in 1 2; do
        launcher=() options=$leaks
        [ $np = 2 ] && launcher=("${mpirun[@]}" -np 2) options=$quiet
        run() {
            echo "$np: $*"
            ASAN_OPTIONS=$options clean 0 "${launcher[@]}" "$program" "${@:2}" "run.output=$folder/short_$np/$1"
        }
        run fast "${vae[@]}"
        run reproducible "${vae[@]}" run.reproducible=yes
        run reproducible "${more[@]}" run.reproducible=yes
        run bayes "${vae[@]}" run.reproducible=yes run.precision=double model.global=gaussian inference.function=factorized objective.draws=2
        run hmm "${model[@]}" model.name=hmm inference.function=mlp inference.hidden=3 inference.domain=window:1
        run gp "${model[@]}" model.name=gp inference.function=factorized
        run hier_logistic "${model[@]}" model.name=hier_logistic model.trials=4 model.global=gaussian inference.function=factorized run.reproducible=yes
        run ppca "${model[@]}" model.name=ppca model.latent=2 model.simulate_width=5 inference.function=polynomial inference.degree=1 inference.family=gaussian_full run.after=exact
        run nonlinear "${model[@]}" model.name=nonlinear inference.function=polynomial inference.degree=3
        run lbfgs "${model[@]}" model.name=saw inference.function=factorized objective.draws=0 optim.method=lbfgs
        run exact "${model[@]}" model.name=saw run.task=exact
        run exact_hmm "${model[@]}" model.name=hmm run.task=exact
        run sweep "${model[@]}" model.name=linear inference.function=constant --sweep 'run.seed=1..2'
        run without_rows "${model[@]}" data.rows=10 data.test_rows=1 model.name=linear inference.function=polynomial
        run simulate "${model[@]}" model.name=saw run.task=simulate
        run hdf5 "${model[@]}" model.name=saw data.source=hdf5 "data.path=$folder/short_$np/simulate/data.h5" data.dataset=x data.rows=0 inference.function=constant
        run fast "${vae[@]/--fresh/-q}" run.task=evaluate
        run ledger "${vae[@]}" run.after=gap,diagnose gap.draws=25 gap.passes=4 diagnose.draws=4
        run modes "${model[@]}" data.rows=40 model.name=nonlinear inference.function=factorized objective.draws=0 optim.method=lbfgs inference.starts=3 run.after=diagnose
        run chain "${model[@]}" data.rows=60 model.name=hmm inference.function=mlp inference.hidden=3 inference.domain=window:1 run.after=diagnose
        run gradient "${vae[@]}" --check-gradient run.precision=double run.reproducible=yes
        run plan "${vae[@]}" --dry-run
    done
}

if [ "$short" = yes ]; then
    short_runs
    [ "$reports" = 0 ] && echo "no report of the sanitizers"
    exit $((reports > 0))
fi

echo "unit tests"
sed -i 's/TIMEOUT "[0-9]*"/TIMEOUT "1800"/' "$folder/build/tests/CTestTestfile.cmake" # what the sanitizers slow down
if ! ASAN_OPTIONS=$quiet ctest --test-dir "$folder/build" -j "$(nproc)" --output-on-failure -E '_np[34]$|long|paper' \
    -L 'base|config|data|tape|models|plugins|kernels|linalg|io' >"$folder/ctest.log" 2>&1; then
    echo "FAILED: unit tests"
    grep -E '\*\*\*|AddressSanitizer|runtime error' "$folder/ctest.log" | sort -u | head -30
    reports=$((reports + 1))
fi
tail -4 "$folder/ctest.log"

small=(data.rows=90 data.test_rows=9 optim.batch=32 optim.tile=4 optim.steps=6 model.hidden=9 inference.hidden=7 log.images=2 log.every=1 checkpoint.every=3)
for extra in "" "inference.function=factorized run.reproducible=yes" "model.global=gaussian objective.draws=2 run.precision=double"; do
    echo "the program: vae $extra"
    # shellcheck disable=SC2086
    ASAN_OPTIONS=$leaks clean 0 "$program" "$source_dir/inputs/vae.ini" --fresh -q "run.output=$folder/one" "${small[@]}" $extra
    # shellcheck disable=SC2086
    ASAN_OPTIONS=$quiet clean 0 "${mpirun[@]}" -n 2 "$program" "$source_dir/inputs/vae.ini" --fresh -q "run.output=$folder/two" "${small[@]}" $extra
    # shellcheck disable=SC2086
    ASAN_OPTIONS=$quiet clean 0 "${mpirun[@]}" -n 2 "$program" "$source_dir/inputs/vae.ini" --resume -q "run.output=$folder/two" "${small[@]/optim.steps=6/optim.steps=8}" $extra
done
printf '[data]\nsource = model\nrows = 40\n[optim]\nbatch = 0\nsteps = 4\ntile = 5\n' >"$folder/models.ini"
for model in $("$program" --list 2>/dev/null | sed -n '/^models/,/^inference/s/^  \([a-z_]*\) .*/\1/p'); do
    [ "$model" = vae ] && continue
    for function in factorized polynomial; do
        echo "the program: $model $function"
        ASAN_OPTIONS=$quiet clean 0 "${mpirun[@]}" -n 2 "$program" "$folder/models.ini" --fresh -q "run.output=$folder/models" "model.name=$model" "inference.function=$function"
    done
done
echo "refusals"
ASAN_OPTIONS=$leaks clean 78 "$program" "$source_dir/inputs/vae.ini" optim.lerning_rate=1
ASAN_OPTIONS=$leaks clean 66 "$program" "$folder/missing.ini"
ASAN_OPTIONS=$leaks clean 66 "$program" "$source_dir/inputs/vae.ini" data.source=idx "data.path=$folder/missing" "run.output=$folder/none"

[ "$reports" = 0 ] && echo "no report of the sanitizers"
exit $((reports > 0))
