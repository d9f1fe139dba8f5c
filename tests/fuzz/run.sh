#!/usr/bin/env bash
# Searches the readers for inputs that crash or hang them, with clang's libFuzzer, AddressSanitizer and UBSan.
#
#   tests/fuzz/run.sh [--readme] [EXECUTIONS [TARGET ...]]      default: 1000000, all targets (command config forged hdf5 idx store)
#
# Builds in build-fuzz/, resumes from the corpus found there, and adds up: build-fuzz/fuzz/runs.csv has a line for every slice of a run.
# EXECUTIONS 0 prints the table only; --readme writes it into tests/README.md, too. An input that was found stays in
# build-fuzz/fuzz/findings until the program takes it well. Exit status: 0; 1 when there is a finding; 77 without libFuzzer.
set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$repository/build-fuzz
work=$build/fuzz
table=$work/runs.csv # target,executions,seconds,edges at first,edges at last,date,revision
all=(command config forged hdf5 idx store)

skip() {
    echo "skipped: $1"
    exit 77
}

# Of 1000 executions; executions of a slice; longest input. HDF5 is slow: a file is made and read each time.
weight() { case $1 in command) echo 300 ;; config) echo 118 ;; idx) echo 520 ;; *) echo 31 ;; esac; }
slice() { case $1 in command | config | idx) echo 200000 ;; *) echo 25000 ;; esac; }
longest() { case $1 in hdf5) echo 512 ;; *) echo 4096 ;; esac; }

# 32 MiB at once are more than any input of that length can fill: the allocator refuses HDF5, which asks for what a header claims, and the
# targets refuse a program that asks for more. HDF5 leaks what it refuses.
limits() { case $1 in command | config | idx) echo -malloc_limit_mb=32 ;; *) echo -malloc_limit_mb=32 -detect_leaks=0 ;; esac; }

# The last change of what is fuzzed; there is no need to build again after others.
find_revision() {
    local what=(CMakeLists.txt include src tests/fuzz/fuzz_*)
    revision=$(git -C "$repository" log -1 --abbrev=12 --format=%h -- "${what[@]}" 2>/dev/null) || revision=unknown
    [ -z "$(git -C "$repository" status --porcelain -- "${what[@]}" 2>/dev/null)" ] || revision+=-dirty
}

build_targets() {
    if [[ $revision =~ ^[0-9a-f]+$ ]] && [ "$(cat "$work/built" 2>/dev/null)" = "$revision" ]; then return; fi
    command -v clang >/dev/null || skip "no clang; apt-get install clang"
    echo 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n); int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { return d && n > 9; }' |
        clang -fsanitize=fuzzer -x c -o /dev/null - 2>/dev/null || skip "clang has no libFuzzer; apt-get install libclang-rt-14-dev, or the package of your clang"
    local flags="-O2 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined"
    if ! { cmake -S "$repository" -B "$build" -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=Fuzz -DCMAKE_C_FLAGS="$flags" -DAVI_LIBFUZZER=ON &&
        cmake --build "$build" --target fuzzers; } >"$work/build.log" 2>&1; then
        tail -n 30 "$work/build.log"
        exit 70
    fi
    echo "$revision" >"$work/built"
}

environment() {
    printf 'leak:%s\n' libmpi libopen- libpmix libevent libhwloc libhdf5 >"$work/leaks" # of MPI and HDF5, not of the program
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_opal_signal='' OPENBLAS_NUM_THREADS=1
    export ASAN_OPTIONS=allocator_may_return_null=1:max_allocation_size_mb=32:malloc_context_size=8:quarantine_size_mb=16:leak_check_at_exit=0
    export UBSAN_OPTIONS=print_stacktrace=1 LSAN_OPTIONS=suppressions=$work/leaks:print_suppressions=0
}

findings() { find "$work/findings" -type f -name "$1-*" 2>/dev/null | wc -l; }

# Findings that the program takes well become part of the corpus: what was mended since, and time-outs of a machine that was busy elsewhere.
try_findings() {
    local file
    for file in "$work/findings/$1$2"-*; do
        [ -e "$file" ] || continue
        # shellcheck disable=SC2046
        if "$build/tests/fuzz_$1" -timeout=10 $(limits "$1") "$file" >"$work/$1.again.log" 2>&1; then mv "$file" "$work/corpus/$1/"; fi
    done
}

# One slice of $2 executions; sets `executed`. A finding ends it early; what was done before counts.
run_slice() {
    local log=$work/$1.log began=$SECONDS first last
    # shellcheck disable=SC2046
    "$build/tests/fuzz_$1" -runs="$2" -max_len="$(longest "$1")" -timeout=10 -rss_limit_mb=2048 $(limits "$1") -print_final_stats=1 -report_slow_units=1000000 \
        -artifact_prefix="$work/findings/$1-" "$work/corpus/$1" "$repository/tests/fuzz/corpus/$1" >"$log" 2>&1 || cp "$log" "$work/$1.finding.log"
    try_findings "$1" -timeout
    executed=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    first=$(sed -n 's/.*INITED cov: \([0-9]*\) .*/\1/p' "$log")
    last=$(sed -n 's/^#.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
    echo "$1,${executed:-0},$((SECONDS - began)),${first:-0},${last:-0},$(date +%F),$revision" >>"$table"
    if [ "${executed:-0}" -eq 0 ]; then # it did not even start
        tail -n 20 "$log"
        exit 70
    fi
}

# In turn, a slice each, so that a run that is ended early has something of all.
run_targets() {
    local executions=$1 target total=0 left progress=1
    shift
    declare -A left
    for target in "$@"; do total=$((total + $(weight "$target"))); done
    for target in "$@"; do
        mkdir -p "$work/corpus/$target"
        left[$target]=$((executions * $(weight "$target") / total))
        try_findings "$target" ""
    done
    while [ $progress = 1 ]; do
        progress=0
        for target in "$@"; do
            if [ "${left[$target]}" -le 0 ] || [ "$(findings "$target")" -ge 5 ]; then continue; fi
            local size
            size=$(slice "$target")
            run_slice "$target" $((left[$target] < size ? left[$target] : size))
            left[$target]=$((left[$target] - executed))
            progress=1
        done
    done
}

print_table() {
    echo "| target | executions | a second | edges covered, by the seeds and now | findings left | last run | revision |"
    echo "|---|---|---|---|---|---|---|"
    local target
    for target in "${all[@]}"; do
        awk -F, -v target="$target" -v findings="$(findings "$target")" '
            $1 == target { n += $2; s += $3; if (!first) first = $4; if ($5) last = $5; date = $6; if (!from) from = $7; to = $7 }
            END { printf "| `%s` | %d | %.0f | %d, %d | %d | %s | %s |\n", target, n, s ? n / s : 0, first, last, findings, date,
                  from == to ? to : from " to " to }' "$table"
    done
    awk -F, -v findings="$(findings '*')" '{ n += $2 } END { printf "| all | %d | | | %d | | |\n", n, findings }' "$table"
}

write_readme() {
    local readme=$repository/tests/README.md
    print_table >"$work/table.md"
    awk -v file="$work/table.md" '
        /<!-- fuzz: end -->/ { inside = 0 }
        !inside { print }
        /<!-- fuzz: begin -->/ { inside = 1; while ((getline line < file) > 0) print line }' "$readme" >"$work/readme.md"
    cp "$work/readme.md" "$readme"
}

main() {
    local readme=0 executions=1000000
    if [ "${1:-}" = --readme ]; then
        readme=1
        shift
    fi
    if [ $# -gt 0 ]; then
        executions=$1
        shift
    fi
    [ $# -gt 0 ] || set -- "${all[@]}"
    mkdir -p "$work/findings"
    touch "$table"
    cd "$repository" # for the pattern in find_revision
    find_revision
    environment
    if [ "$executions" -gt 0 ]; then
        build_targets
        run_targets "$executions" "$@"
    fi
    print_table
    if [ $readme = 1 ]; then write_readme; fi
    [ "$(findings '*')" -eq 0 ]
}

main "$@"; exit # in one line: the script may be edited while it runs
