#!/usr/bin/env bash
# The other batch scripts on a real Slurm: an array of three jobs shares a sweep, and one more job makes its one table; a chain of two jobs finishes a run that the
# first slot is too short for, with run.time_limit = auto.
set -uo pipefail
# shellcheck source=tests/slurm/cluster.sh
source "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"

cluster_test
export AVI_JOBS=$AVI_SOURCE_DIR/jobs AVI_LAUNCHER=mpirun
small=("$AVI_SOURCE_DIR/inputs/vae.ini" data.rows=256 data.test_rows=0 model.hidden=8 model.latent=2 inference.hidden=8 optim.batch=64 log.every=10 log.eval_every=-1)

# until_empty SECONDS    until no job is left
until_empty() {
    local until=$((SECONDS + $1))
    while [ -n "$(squeue -h)" ]; do
        if [ "$SECONDS" -ge "$until" ]; then fail "jobs are left after $1 s: $(squeue -h)"; fi
        sleep 0.5
    done
}

# ---- an array, and its table -------------------------------------------------------------------------------------------
sbatch --parsable --array=1-3 --ntasks=1 --time=3 --output="$folder/array-%a.out" "$AVI_JOBS/sweep.sbatch" "${small[@]}" --sweep 'run.seed=1..6' optim.steps=30 \
    run.output=sweep >/dev/null || fail "sbatch refused the array"
# ---- a chain: the first slot ends before the run does ------------------------------------------------------------------
cat >"$folder/program" <<'PROGRAM'
#!/usr/bin/env bash
# The first job of the chain would go on for ever, and is told that its slot ends in 8 s; the second ends 50 steps after the checkpoint.
if [ "$AVI_CHAIN" -eq 5 ]; then
    exec env SLURM_JOB_END_TIME=$(($(date +%s) + 8)) "$AVI_PROGRAM" "$@" optim.steps=999999999
fi
last=$(tr -dc 0-9 <chained/checkpoint/latest | sed -E 's/^0+//; s/5$//')
exec "$AVI_PROGRAM" "$@" "optim.steps=$((last + 50))"
PROGRAM
chmod +x "$folder/program"
export AVI_PROGRAM=$AVI_MPI
AVI_CHAIN=5 AVI_MPI=$folder/program sbatch --parsable --ntasks=2 --time=3 --output="$folder/chain-%j.out" "$AVI_JOBS/chain.sbatch" "${small[@]}" \
    run.output=chained run.time_limit=auto >/dev/null || fail "sbatch refused the chain"
until_empty 150
cat ./*.out

[ "$(grep -c ',done,' sweep/sweep.csv)" -eq 6 ] || fail "sweep.csv has not 6 runs that are done: $(cat sweep/sweep.csv)"
for part in 1 2 3; do grep -q "part $part/3" "array-$part.out" || fail "array-$part.out is not part $part of 3"; done
[ "$(cat array-*.out | grep -c 'starts on 1 rank')" -eq 6 ] || fail "the parts did not make each run once"
[ "$(cat avi_sweep-*.out | grep -c 'was done before')" -eq 6 ] || fail "the job of the table did not take the runs of the parts"
[ "$(cat chain-*.out avi_chain-*.out | grep -c 'ended with status 75')" -eq 1 ] || fail "the chain did not stop once"
[ "$(cat chain-*.out avi_chain-*.out | grep -c 'ended with status 0')" -eq 1 ] || fail "the chain did not end"
"$AVI_PYTHON" -c 'import h5py; print(h5py.File("chained/run.h5").attrs["status"])' | grep -q "done" || fail "the chained run is not done"
echo "OK: an array of 3 and its table, a chain of 2"
