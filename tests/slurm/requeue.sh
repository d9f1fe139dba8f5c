#!/usr/bin/env bash
# requeue.sh mpirun|srun: jobs/run.sbatch on a real Slurm, from start to end, through
#   1. a stop by the program's own time limit (exit 75, back into the queue),
#   2. Slurm's warning before the job's time limit (USR1 to the batch shell, checkpoint, exit 75, back into the queue),
#   3. the end of the run: status done in run.h5, every logged step once.
# Then a job that is cancelled does not come back.
set -uo pipefail
launcher=$1
source "$(dirname "${BASH_SOURCE[0]}")/cluster.sh"

cluster_test

export AVI_LAUNCHER=$launcher

# state JOB, restarts JOB
state() { scontrol show job "$1" 2>/dev/null | grep -oE 'JobState=[A-Z_]+' | cut -d= -f2; }
restarts() { scontrol show job "$1" 2>/dev/null | grep -oE 'Restarts=[0-9]+' | cut -d= -f2; }

# wait_for SECONDS "what" COMMAND...
wait_for() {
    local until=$((SECONDS + $1)) what=$2
    shift 2
    while ! "$@"; do
        if [ "$SECONDS" -ge "$until" ]; then fail "$what did not happen in time"; fi
        if ended "$job" && ! "$@"; then fail "$what did not happen before the job ended"; fi
        sleep 0.5
    done
}
restarted() { [ "$(restarts "$1")" -ge "$2" ]; }
logged() { [ "$(wc -l 2>/dev/null <"$1/metrics.csv" || echo 0)" -gt "$2" ]; }
ended() { case $(state "$1") in COMPLETED | FAILED | CANCELLED | TIMEOUT | NODE_FAIL) return 0 ;; *) return 1 ;; esac }

run=("$AVI_SOURCE_DIR/inputs/vae.ini" data.rows=512 data.test_rows=64 model.hidden=32 model.latent=2 inference.hidden=32 optim.batch=128
     log.every=10 log.eval_every=1000000000)

# What the job starts as the program: it gives each start of the job a length that does not depend on the machine's speed. The first
# start ends by the program's own time limit, the second by Slurm's warning, the third 50 steps after the last checkpoint.
cat >"$folder/program" <<'PROGRAM'
#!/usr/bin/env bash
case ${SLURM_RESTART_COUNT:-0} in
    0) length=(optim.steps=999999999 run.time_limit=0.1) ;;
    1) length=(optim.steps=999999999) ;;
    *)
        last=$(tr -dc 0-9 <run/checkpoint/latest | sed -E 's/^0+//; s/5$//')
        length=(optim.steps=$((last + 50)))
        echo "$((last + 50))" >"wanted.${OMPI_COMM_WORLD_RANK:-0}"
        ;;
esac
exec "$AVI_PROGRAM" "$@" "${length[@]}"
PROGRAM
chmod +x "$folder/program"
export AVI_JOBS=$AVI_SOURCE_DIR/jobs AVI_PROGRAM=$AVI_MPI AVI_MPI=$folder/program

# ---- stops twice, comes back twice, ends -----------------------------------------------------------------------------
job=$(sbatch --parsable --ntasks=2 --time=1 --signal=B:USR1@30 --output="$folder/job.out" "$AVI_SOURCE_DIR/jobs/run.sbatch" \
    "${run[@]}" run.output=run) || fail "sbatch refused the job"
wait_for 60 "the first log line" logged run 1
wait_for 60 "the first return to the queue" restarted "$job" 1
wait_for 120 "the second return to the queue" restarted "$job" 2
wait_for 90 "the end of the job" ended "$job"
cat job.out

[ "$(state "$job")" = COMPLETED ] || fail "the job ended as $(state "$job"), not COMPLETED"
[ "$(grep -c "ended with status 75" job.out)" -eq 2 ] || fail "not two starts of the job ended with 75"
"$AVI_PYTHON" - run "$(cat wanted.0)" <<'PYTHON' || fail "the run is not whole"
import sys, h5py
folder, steps = sys.argv[1], int(sys.argv[2])
with h5py.File(folder + "/run.h5", "r") as f:
    status = f.attrs["status"]
    status = status.decode() if isinstance(status, bytes) else str(status)
    logged = [int(s) for s in f["trace/step"][:].ravel()]
assert status == "done", status
wanted = sorted({1, *range(10, steps + 1, 10), steps})  # the first step, every tenth, the last
assert logged == wanted, "logged steps that should not be, or are missing: " + str(sorted(set(logged) ^ set(wanted)) or "some twice")
print("run.h5: done,", len(logged), "logged steps, no gap where the job went back into the queue")
PYTHON

# ---- cancelled: stays away -------------------------------------------------------------------------------------------
job=$(sbatch --parsable --ntasks=2 --time=5 --output="$folder/cancelled.out" "$AVI_SOURCE_DIR/jobs/run.sbatch" \
    "${run[@]}" run.output=cancelled) || fail "sbatch refused the second job"
wait_for 60 "the first log line of the second job" logged cancelled 1
scancel "$job"
wait_for 60 "the end of the cancelled job" ended "$job"
sleep 2
[ "$(state "$job")" = CANCELLED ] || fail "the cancelled job is $(state "$job")"
grep -q "going back into the queue" cancelled.out && fail "the cancelled job put itself back"
echo "OK: $launcher"
