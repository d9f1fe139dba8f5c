#!/usr/bin/env bash
# What the scripts of jobs/ refuse: exit code and words of the message.
set -uo pipefail
jobs=$AVI_SOURCE_DIR/jobs
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0

# expect STATUS "word|word" COMMAND...
expect() {
    local wanted=$1 words=$2 said status=0
    shift 2
    said=$("$@" 2>&1) || status=$?
    if [ "$status" -ne "$wanted" ]; then
        echo "FAILED: status $status, not $wanted: $*"
        echo "$said"
        failures=$((failures + 1))
    fi
    local word
    while IFS= read -r -d '|' word; do
        if ! grep -qF -- "$word" <<<"$said"; then
            echo "FAILED: '$word' is not in what $* said:"
            echo "$said"
            failures=$((failures + 1))
        fi
    done <<<"$words|"
}

for script in "$jobs"/*.sh "$jobs"/*.sbatch "$AVI_SOURCE_DIR"/tests/run.sh "$AVI_SOURCE_DIR"/.ci/run; do
    expect 0 "" bash -n "$script"
done

# Everything is there: says nothing.
expect 0 "" "$jobs/setup.sh"
if [ -n "$("$jobs/setup.sh" 2>&1)" ]; then
    echo "FAILED: setup.sh has something to say where nothing is missing"
    failures=$((failures + 1))
fi

# A machine without CMake and cmocka, for a user who is not root: a PATH of links to what setup.sh itself needs.
mkdir "$scratch/bin"
for tool in bash env git mpirun mpirun.openmpi mpirun.mpich mpicc mpicc.openmpi mpicc.mpich cc gcc h5pcc h5pcc.openmpi h5pcc.mpich h5dump python3 tail cat rm mktemp as ld pkg-config dirname grep readlink; do
    if found=$(command -v "$tool"); then ln -s "$found" "$scratch/bin/$tool"; fi
done
rm "$scratch/bin/pkg-config"
cat >"$scratch/bin/pkg-config" <<'FAKE'
#!/bin/bash
[ "$2" != cmocka ]
FAKE
printf '#!/bin/bash\necho 1000\n' >"$scratch/bin/id"
chmod +x "$scratch/bin/pkg-config" "$scratch/bin/id"
# shellcheck disable=SC2317
lean() { env PATH="$scratch/bin" "$@"; }
expect 69 "cmake|cmocka|apt-get install cmake libcmocka-dev|nothing was installed" lean bash "$jobs/setup.sh"
expect 69 "only looked" lean bash "$jobs/setup.sh" --check
expect 69 "environment modules|module load" lean MODULESHOME=/opt/modules bash "$jobs/setup.sh"

# The same machine with the header of the reference BLAS, and no OpenBLAS: tens of times slower, so not taken. A cblas.h of another BLAS is.
printf '#!/bin/bash\n[ "$2" != cmocka ] && [ "$2" != openblas ]\n' >"$scratch/bin/pkg-config"
mkdir "$scratch/include"
touch "$scratch/include/cblas-netlib.h" "$scratch/include/cblas-fast.h"
ln -s cblas-netlib.h "$scratch/include/cblas.h"
expect 69 "libopenblas-dev" lean C_INCLUDE_PATH="$scratch/include" MKLROOT= bash "$jobs/setup.sh"
ln -sf cblas-fast.h "$scratch/include/cblas.h"
if lean C_INCLUDE_PATH="$scratch/include" bash "$jobs/setup.sh" 2>&1 | grep -q libopenblas; then
    echo "FAILED: setup.sh does not take a BLAS that is there"
    failures=$((failures + 1))
fi

cd "$scratch" || exit 1
expect 64 "usage: jobs/local.sh" "$jobs/local.sh"
expect 66 "absent.ini|no such file" "$jobs/local.sh" absent.ini
expect 66 "no such file" "$jobs/local.sh" runs/000_run.seed=1/config.ini # a path, not an override: of a run of a sweep

# The batch job outside of Slurm.
expect 66 "build it first" env -u SLURM_SUBMIT_DIR AVI_MPI="$scratch/absent" bash "$jobs/vae.sbatch"
expect 69 "no_such_launcher is not here|AVI_LAUNCHER" env -u SLURM_SUBMIT_DIR AVI_MPI=/bin/true AVI_LAUNCHER=no_such_launcher bash "$jobs/vae.sbatch"
# Any command starts the ranks, with its own options first and the number of ranks behind them.
printf '#!/bin/bash\necho "started by: $*"\necho 0 >"$AVI_STATUS_FILE"\n' >"$scratch/start"
chmod +x "$scratch/start"
expect 0 "started by: --site=ours -n 3 /bin/true inputs/vae.ini" \
    env -u SLURM_SUBMIT_DIR SLURM_NTASKS=3 AVI_MPI=/bin/true AVI_LAUNCHER="$scratch/start --site=ours" bash "$jobs/vae.sbatch" inputs/vae.ini
# A launcher that returns 0 although its ranks returned something else.
printf '#!/bin/bash\necho 4 >"$AVI_STATUS_FILE"\n' >"$scratch/forgetful"
chmod +x "$scratch/forgetful"
expect 4 "ended with status 4" env -u SLURM_SUBMIT_DIR AVI_MPI=/bin/true AVI_LAUNCHER="$scratch/forgetful" bash "$jobs/vae.sbatch" inputs/vae.ini
# A launcher that returns 0 although the program did not end (Open MPI 5, after a host was lost); and one whose program did.
expect 205 "a node or its connection was lost|no checkpoint was written" env -u SLURM_SUBMIT_DIR AVI_MPI=/bin/true AVI_LAUNCHER=true bash "$jobs/vae.sbatch" inputs/vae.ini
expect 0 "status 0" env -u SLURM_SUBMIT_DIR AVI_MPI="$AVI_MPI" AVI_LAUNCHER="$AVI_MPIRUN" bash "$jobs/vae.sbatch" --version

# Under a Slurm that is put in its place: what is told to scontrol, and when the job goes back.
cat >"$scratch/scontrol" <<'SCONTROL'
#!/bin/bash
if [ "$1" = show ]; then
    if [ -n "${RESTARTS:-}" ]; then echo "   Requeue=1 Restarts=$RESTARTS BatchFlag=1"; fi
    exit 0
fi
echo "$*" >>"$CALLS"
for process in $PPID $(ps -o ppid= -p $PPID); do # as Slurm does, which ends the job's shell
    if grep -q run.sbatch "/proc/$process/cmdline"; then kill -KILL "$process"; fi
done
SCONTROL
printf '#!/bin/bash\n[ -z "${WRITES:-}" ] || { mkdir -p run/checkpoint; echo "step_$RANDOM.h5" >run/checkpoint/latest; }\necho "$*"\n[ "$LEAVES" = 205 ] || [ "$LEAVES" = 1 ] || echo "$LEAVES" >"$AVI_STATUS_FILE"\nexit "$LEAVES"\n' >"$scratch/fake"
chmod +x "$scratch/scontrol" "$scratch/fake"
# shellcheck disable=SC2317
batch() { env -u SLURM_SUBMIT_DIR SLURM_JOB_ID=5 CALLS="$scratch/calls" PATH="$scratch:$PATH" AVI_MPI=/bin/true AVI_LAUNCHER="$scratch/fake" "$@" bash "$jobs/run.sbatch" "$AVI_SOURCE_DIR/inputs/vae.ini" run.output=run; }
# shellcheck disable=SC2317
batch_of_script() {
    env -u SLURM_SUBMIT_DIR AVI_JOB_SCRIPT="$scratch/script" SLURM_TASKS_PER_NODE='8(x4),3' AVI_MPI=/bin/true AVI_LAUNCHER="$scratch/fake" bash "$jobs/run.sbatch" vae --quick
}
expect 4 "-n 35 /bin/true" batch SLURM_TASKS_PER_NODE='8(x4),3' SLURM_NTASKS=64 LEAVES=4
expect 75 "put back 0 times" batch LEAVES=75 AVI_MAX_RESTARTS=0
expect 205 "does not go back by itself|checkpoint: none" batch LEAVES=205
expect 75 "Slurm has put the job back into the queue already" batch LEAVES=75 SLURM_RESTART_COUNT=1 RESTARTS=2
expect 137 "going back into the queue" batch LEAVES=75
expect 137 "resumes from the last one|going back into the queue" batch LEAVES=205 WRITES=yes
expect 205 "does not go back by itself|checkpoint: step_" batch LEAVES=205
expect 137 "signal 9 (often: the kernel" batch LEAVES=137
expect 1 "could not be started|OMPI_MCA_orte_execute_quiet=0|submit again to resume (checkpoint: step_" batch LEAVES=1
# mpirun of Open MPI returns 1 when it was told to end: the program's own status counts.
printf '#!/bin/bash\necho 4 >"$AVI_STATUS_FILE"\nexit 1\n' >"$scratch/told"
chmod +x "$scratch/told"
expect 4 "ended with status 4" batch AVI_LAUNCHER="$scratch/told"
# srun ends ranks by TERM that come to their end after the first one, which has left the status of a clean stop.
printf '#!/bin/bash\necho 75 >"$AVI_STATUS_FILE"\nexit 143\n' >"$scratch/hasty"
chmod +x "$scratch/hasty"
expect 75 "ended with status 75|put back 0 times" batch AVI_LAUNCHER="$scratch/hasty" AVI_MAX_RESTARTS=0
# Ranks of an earlier start still run: the job goes back where it has been put back before, else the folder is another's.
printf '#!/bin/bash\necho "run: running"\n' >"$scratch/held"
chmod +x "$scratch/held"
expect 73 "ended with status 73" batch LEAVES=73 AVI_MPI="$scratch/held"
expect 137 "an earlier start of this job still run|going back into the queue" batch LEAVES=73 AVI_MPI="$scratch/held" SLURM_RESTART_COUNT=1
# Modules, in a shell that does not define module: what defines it is found, and may read variables that are not set.
mkdir -p "$scratch/modules/init" "$scratch/none"
printf 'if [ -n "$NOT_SET_ANYWHERE" ]; then return 1; fi\nmodule() { echo "module $* $NOT_SET_ANYWHERE"; [ "$2" != absent ]; }\n' >"$scratch/modules/init/bash"
expect 4 "module load gcc openmpi" batch LEAVES=4 AVI_MODULES="gcc openmpi" MODULESHOME="$scratch/modules"
expect 69 "module load absent failed" batch LEAVES=4 AVI_MODULES=absent MODULESHOME="$scratch/modules"
if [ ! -e /etc/profile.d/modules.sh ] && [ ! -e /etc/profile.d/lmod.sh ]; then
    expect 69 "knows no command module; use MODULESHOME" batch LEAVES=4 AVI_MODULES=gcc MODULESHOME="$scratch/none" LMOD_PKG="$scratch/none"
fi
# Quotas of containers: both kinds of cgroups, with and without one.
mkdir -p "$scratch/v2" "$scratch/v1/cpu" "$scratch/free/cpu"
echo "100000 100000" >"$scratch/v2/cpu.max"
echo 150000 >"$scratch/v1/cpu/cpu.cfs_quota_us"
echo 100000 | tee "$scratch/v1/cpu/cpu.cfs_period_us" >"$scratch/free/cpu/cpu.cfs_period_us"
echo -1 >"$scratch/free/cpu/cpu.cfs_quota_us"
# shellcheck disable=SC2016
expect 0 "1 1 $(env -u OMP_NUM_THREADS nproc)" bash -c 'source "$1/common.sh"; for kind in v2 v1 free; do echo "$(AVI_CGROUPS=$2/$kind cpus_allowed)"; done | xargs' sh "$jobs" "$scratch"
expect 64 "no FILE.ini" env -u SLURM_SUBMIT_DIR bash "$jobs/run.sbatch"
expect 64 "no --sweep TEXT" env -u SLURM_SUBMIT_DIR bash "$jobs/sweep.sbatch" inputs/vae.ini
printf '#!/bin/bash\necho "sbatch $* chain=$AVI_CHAIN" >&2\necho 77\n' >"$scratch/sbatch"
chmod +x "$scratch/sbatch"
expect 75 "job 77 resumes (checkpoint: step_|--dependency=afterany:5|--ntasks=3|chain=1" batch LEAVES=75 AVI_CHAIN=2 SLURM_NTASKS=3 SLURM_JOB_NUM_NODES=1
expect 75 "the last job of the chain" batch LEAVES=75 AVI_CHAIN=1
printf '#!/bin/bash\necho "$NP $AVI_MPI $AVI_LAUNCHER: $*"\nexit 4\n' >"$scratch/script"
expect 4 "35 /bin/true $scratch/fake: vae --quick|ended with status 4" batch_of_script
if [ "$(cat "$scratch/calls")" != "requeue 5
requeue 5
requeue 5" ]; then
    echo "FAILED: scontrol was told: $(cat "$scratch/calls")"
    failures=$((failures + 1))
fi

if [ "$failures" -eq 0 ]; then echo OK; fi
exit $((failures > 0))
