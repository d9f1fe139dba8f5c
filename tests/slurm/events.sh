# What happens to jobs, for run.sh: source it after cluster.sh.
# shellcheck shell=bash disable=SC2154

paced=("$AVI_SOURCE_DIR/inputs/vae.ini" run.reproducible=yes run.reduction=messages data.rows=256 data.test_rows=0 model.hidden=8 model.latent=2 inference.hidden=8 inference.activation=leaky_relu optim.batch=64
    optim.tile=4 log.every=10 log.eval_every=-1 log.images=0 checkpoint.every=20 checkpoint.minutes=0)

# What jobs start as the program. Runs that are to be cut are without end in the first starts of their job, and end 20 steps after the checkpoint in start AVI_LAST_START.
write_program() {
    cat >"$folder/program" <<'PROGRAM'
#!/usr/bin/env bash
if [ "$1" = --status ]; then exec "$AVI_PROGRAM" "$@"; fi
length=()
if [ -n "${AVI_LAST_START:-}" ]; then
    output=$(printf '%s\n' "$@" | sed -n 's/^run.output=//p')
    last=$(tr -dc 0-9 2>/dev/null <"$output/checkpoint/latest" | sed -E 's/^0+//; s/5$//')
    if [ "${SLURM_RESTART_COUNT:-0}" -lt "$AVI_LAST_START" ]; then length=(optim.steps=999999999); else length=("optim.steps=$((${last:-0} + 20))"); fi
fi
export LD_PRELOAD=$AVI_PACE AVI_PACE_MS=10
exec "$AVI_PROGRAM" "$@" "${length[@]}"
PROGRAM
    chmod +x "$folder/program"
    export AVI_MPI=$folder/program AVI_PACE=$pace
}

show_of() { scontrol show job "$1" 2>/dev/null | grep -oE "$2=[^ ]+" | head -n 1 | cut -d= -f2; }
state() { show_of "$1" JobState; }
restarts() { show_of "$1" Restarts; }
ended() { case $(state "$1") in COMPLETED | FAILED | CANCELLED | TIMEOUT | NODE_FAIL | PREEMPTED) return 0 ;; *) return 1 ;; esac }
runs() { [ "$(state "$1")" = RUNNING ]; }
began() { [ "$(grep -c 'ranks by' "$1.out")" -ge "$2" ]; }
restarted() { [ "$(restarts "$1")" -ge "$2" ]; }
lines() { wc -l 2>/dev/null <"$1/metrics.csv" || echo 0; }
logged() { [ "$(lines "$1")" -gt "$2" ]; }
saved() { [ -s "$1/checkpoint/latest" ] && [ "$(cat "$1/checkpoint/latest")" != "${2:-}" ]; }
is_up() { sinfo -h -N -p main -n "$1" -o %T | grep -qxE 'idle|mixed|allocated'; }
is_down() { sinfo -h -N -p main -n "$1" -o %T | grep -q '^down'; }

# within SECONDS "what" COMMAND...    waits until the command holds
within() {
    local until=$((SECONDS + $1 * ${AVI_PATIENCE:-1})) what=$2
    shift 2
    while ! "$@"; do
        if [ "$SECONDS" -ge "$until" ]; then fail "$what did not happen in time"; fi
        sleep 0.3
    done
}

# some_time MS    a moment of at most so many milliseconds, by the seed
some_time() { sleep "$(awk -v ms=$((RANDOM % $1)) 'BEGIN { print ms / 1000 }')"; }

# submit NAME SCRIPT [OPTION OF SBATCH ...] -- ARGUMENT...    sets `job`; its output goes to NAME.out
submit() {
    local name=$1 script=$2 options=()
    shift 2
    while [ "$1" != -- ]; do options+=("$1") && shift; done
    shift
    job=$(sbatch --parsable --time=10 --output="$folder/$name.out" "${options[@]}" "$AVI_JOBS/$script" "$@") || fail "sbatch refused $name"
}

# cut_run NAME LAST_START [OPTION OF SBATCH ...]    a run of two ranks that is cut in all starts before LAST_START; sets `job`
cut_run() {
    local name=$1 last=$2
    shift 2
    AVI_LAST_START=$last submit "$name" run.sbatch --ntasks=2 "$@" -- "${paced[@]}" run.output="$name"
}

status_says() { "$AVI_PROGRAM" --status "$1" 2>/dev/null | head -n 1 | grep -q "^$1: $2"; }
# status_is FOLDER WORD    what --status says, also in the table of several
status_is() {
    "$AVI_PROGRAM" --status "$1" | head -n 1 | grep -q "^$1: $2" || fail "--status of $1 is not $2: $("$AVI_PROGRAM" --status "$1" 2>&1)"
    "$AVI_PROGRAM" --status "$1" "$1" | grep -cE "^$2 .* $1\$" | grep -qx 2 || fail "--status has no line \"$2\" for $1: $("$AVI_PROGRAM" --status "$1" "$1" 2>&1)"
}

says() { grep -qE -- "$2" "$1.out" || fail "$1.out does not say \"$2\""; }
says_not() { if grep -qE -- "$2" "$1.out"; then fail "$1.out says \"$2\""; fi; }
# ends JOB NAME STATE SECONDS
ends() {
    within "$4" "the end of $2" ended "$1"
    [ "$(state "$1")" = "$3" ] || fail "$2 ended as $(state "$1"), not $3"
}

# An array of six parts of a sweep, and the job of its table. A chain of two jobs: the first would go on for ever, and is told that its slot ends in 12 s.
sweep_and_chain() {
    local p=$1
    submit "${p}array-%a" sweep.sbatch --array=1-6 --ntasks=1 --nodelist=n1 -- "${paced[@]}" --sweep 'run.seed=1..6' optim.steps=20 run.output="${p}sweep"
    cat >"$folder/chain" <<'PROGRAM'
#!/usr/bin/env bash
if [ "$AVI_CHAIN" -eq 5 ]; then
    export AVI_LAST_START=1 SLURM_JOB_END_TIME=$(($(date +%s) + 12))
else
    export AVI_LAST_START=0
fi
exec "$(dirname "$0")/program" "$@"
PROGRAM
    chmod +x "$folder/chain"
    AVI_CHAIN=5 AVI_MPI=$folder/chain submit "${p}chain" chain.sbatch --ntasks=2 --nodelist=n1 -- "${paced[@]}" run.output="${p}chained" run.time_limit=auto
}

sweep_and_chain_end() {
    local p=$1 part
    within 90 "the table of ${p}sweep" [ -s "${p}sweep/sweep.csv" ]
    [ "$(grep -c ',done,' "${p}sweep/sweep.csv")" -eq 6 ] || fail "${p}sweep/sweep.csv has not 6 runs that are done: $(cat "${p}sweep/sweep.csv")"
    for part in 1 2 3 4 5 6; do grep -q "part $part/6" "${p}array-$part.out" || fail "${p}array-$part.out is not part $part of 6"; done
    [ "$(cat "${p}"array-*.out | grep -c 'starts on 1 rank')" -eq 6 ] || fail "the parts did not make each run once"
    [ "$(cat avi_sweep-*.out | grep -c 'was done before')" -eq 6 ] || fail "the job of the table did not take the runs of the parts"
    rm -f avi_sweep-*.out
    within 90 "the end of the chain" status_says "${p}chained" "done"
    says "${p}chain" 'ended with status 75'
    says "${p}chain" 'job [0-9]+ resumes'
}

# Everything that happens to a job once, side by side. PREFIX: of the names; TASKS: of the largest job on each of two nodes.
set_of_jobs() {
    local p=$1 per_node=$2 cut requeued cancelled again lost after bad never told scavenge once big before
    # ---- submitted at once --------------------------------------------------------------------------------------------
    "$AVI_PROGRAM" --status "${p}cut" >status.out 2>&1 && fail "--status knows a run that has not begun"
    grep -q "no such file\|No such file" status.out || fail "--status of a run that has not begun: $(cat status.out)"
    cut_run "${p}cut" 1 --nodelist=n1 --time=1 --signal=B:USR1@55
    cut=$job
    AVI_LAST_START=0 submit "${p}after" run.sbatch --ntasks=1 --dependency="afterok:$cut" --nodelist=n1 -- "${paced[@]}" run.task=encode run.from="${p}cut" run.output="${p}after"
    after=$job
    cut_run "${p}requeued" 1 --nodelist=n1
    requeued=$job
    cut_run "${p}cancelled" 1 --nodelist=n1
    cancelled=$job
    cut_run "${p}told" 1 --nodelist=n1
    told=$job
    cut_run "${p}lost" 1 --nodes=2 --nodelist=n2,n3
    lost=$job
    cut_run "${p}scavenge" 1 --nodelist=n4 --partition=scavenge
    scavenge=$job
    AVI_MAX_RESTARTS=0 cut_run "${p}once" 1 --nodelist=n1
    once=$job
    submit "${p}bad" run.sbatch --ntasks=1 -- "${paced[@]}" optim.stepz=3 run.output="${p}bad"
    bad=$job
    submit "${p}never" run.sbatch --ntasks=1 --dependency="afterok:$bad" --kill-on-invalid-dep=yes -- "${paced[@]}" run.output="${p}never"
    never=$job

    # ---- a lost node: first, since Slurm needs its time to miss it -------------------------------------------------------
    within 60 "a checkpoint of ${p}lost" saved "${p}lost"
    some_time 1000
    "$cluster_hosts" kill "$folder/hosts" n3
    before=$SECONDS

    # ---- requeued, cancelled, told to end, preempted, at random moments ----------------------------------------------------
    within 60 "the first log line of ${p}requeued" logged "${p}requeued" 1
    status_is "${p}requeued" running
    some_time 2000
    scontrol requeue "$requeued" || fail "scontrol requeue"
    within 60 "the first log line of ${p}cancelled" logged "${p}cancelled" 1
    some_time 2000
    scancel "$cancelled"
    within 60 "the first log line of ${p}told" logged "${p}told" 1
    scancel --batch --signal=TERM "$told"
    within 60 "the first log line of ${p}once" logged "${p}once" 1
    scancel --batch --signal=USR1 "$once"
    within 60 "the first log line of ${p}scavenge" logged "${p}scavenge" 1
    sbatch --parsable --nodes=1 --ntasks=64 --nodelist=n4 --output=high.out --wrap "sleep 1" >/dev/null || fail "sbatch refused the job that preempts"
    ends "$bad" "${p}bad" FAILED 60
    says "${p}bad" 'stepz'
    ends "$never" "${p}never" CANCELLED 60
    [ ! -e "${p}never" ] || fail "a job whose dependency failed has left a folder"

    sweep_and_chain "$p"
    # ---- the launcher misses the node; the job goes back ------------------------------------------------------------------
    # Under srun Slurm itself misses it, ends the job's script and puts the job back.
    if [ "$AVI_LAUNCHER" = srun ]; then
        within 60 "the return of ${p}lost after its node was lost" restarted "$lost" 1
    else
        within 60 "the end of ${p}lost after its node was lost" grep -q 'the program ended with' "${p}lost.out"
    fi
    echo "${p}lost: the node was missed within $((SECONDS - before)) s"
    if [ "$AVI_LAUNCHER" = mpirun ]; then
        [ $((SECONDS - before)) -le 30 ] || fail "the launcher missed a lost node only after $((SECONDS - before)) s"
        says "${p}lost" 'ended with status 205'
        says "${p}lost" 'a node or its connection was lost'
        within 20 "the return of ${p}lost" grep -q 'going back into the queue' "${p}lost.out"
    fi
    within 30 "that --status of ${p}lost says so" status_says "${p}lost" interrupted
    status_is "${p}lost" interrupted
    within 60 "that Slurm misses n3" is_down n3
    node_again n3

    # ---- the ends ------------------------------------------------------------------------------------------------------
    ends "$cancelled" "${p}cancelled" CANCELLED 60
    says "${p}cancelled" 'all processes of the job were told to end'
    says "${p}cancelled" 'submit again to resume \(checkpoint: step_'
    says_not "${p}cancelled" 'going back into the queue'
    AVI_LAST_START=0 submit "${p}cancelled_again" run.sbatch --ntasks=3 --nodelist=n1 -- "${paced[@]}" run.output="${p}cancelled"
    again=$job
    ends "$told" "${p}told" FAILED 60 # with exit status 75
    [ "$(show_of "$told" ExitCode)" = 75:0 ] || fail "${p}told ended with $(show_of "$told" ExitCode), not 75"
    ends "$once" "${p}once" FAILED 60
    says "${p}once" 'put back 0 times, which is the most that AVI_MAX_RESTARTS allows'
    says "${p}told" 'submit again to resume \(checkpoint: step_'
    status_is "${p}told" stopped
    AVI_LAST_START=0 submit "${p}told_again" run.sbatch --ntasks=1 --nodelist=n1 -- "${paced[@]}" run.output="${p}told"
    told=$job
    ends "$again" "${p}cancelled_again" COMPLETED 60
    ends "$told" "${p}told_again" COMPLETED 60
    within 90 "the return of ${p}cut" restarted "$cut" 1
    says "${p}cut" 'asked to stop: passing it on as USR1'
    says "${p}cut" 'ended with status 75'
    says_not "${p}cut" 'could not be put back'
    if [ "$(state "$cut")" = PENDING ]; then status_is "${p}cut" stopped; fi
    for job in "$cut ${p}cut" "$requeued ${p}requeued" "$scavenge ${p}scavenge" "$lost ${p}lost" "$after ${p}after"; do
        # shellcheck disable=SC2086
        ends $job COMPLETED 90
    done
    # Times as 2026-11-30T07:41:30 have the order of their texts.
    if [[ "$(show_of "$after" StartTime)" < "$(show_of "$cut" EndTime)" ]]; then fail "a job that depends on ${p}cut has not waited for its second start"; fi
    sweep_and_chain_end "$p"
    # Last and alone. In kernels from 6.18 on, which group the processes of a session, so many ranks that give way to each other can leave Slurm's daemons without a
    # processor for minutes; half of them do not.
    submit "${p}big" run.sbatch --nodes=2 --ntasks-per-node="$per_node" --nodelist=n1,n2 -- "${paced[@]}" optim.batch=256 optim.steps=15 run.output="${p}big"
    big=$job
    ends "$big" "${p}big" COMPLETED 120
    says "${p}big" "$((2 * per_node)) ranks by .* on n.1-2."
    status_is "${p}big" "done"
    says "${p}requeued" 'Slurm puts the job back into the queue .checkpoint: step_'
    # The grace before a preemption is for steps: ranks under srun then stop by themselves.
    says "${p}scavenge" 'DUE TO PREEMPTION|going back into the queue'
    restarted "$scavenge" 1 || fail "a job that was preempted did not come back"
    restarted "$lost" 1 || fail "a job that lost a node did not come back"
    [ -s "${p}after/rows.h5" ] || fail "the job that depended on ${p}cut has left nothing"
    status_is "${p}cut" "done"
    "$AVI_PYTHON" "$here/same_bits.py" "${p}cut" "${p}requeued" "${p}cancelled" "${p}told" "${p}scavenge" "${p}lost" "${p}chained" || exit 1
}

# many_requeues PREFIX N    one job is put back, another cancelled and submitted again, N times each, at random moments.
many_requeues() {
    local p=$1 count=$2 requeued cancelled i lines_requeued=1 lines_cancelled=1
    cut_run "${p}often" "$count" --nodelist=n1
    requeued=$job
    for i in $(seq "$count"); do
        cut_run "${p}away" 1 --nodelist=n4 --open-mode=append
        cancelled=$job
        within 90 "log lines of start $i of ${p}often" logged "${p}often" "$lines_requeued"
        some_time 3000
        scontrol requeue "$requeued" || fail "scontrol requeue"
        within 90 "log lines of job $i of ${p}away" logged "${p}away" "$lines_cancelled"
        some_time 3000
        scancel "$cancelled"
        ends "$cancelled" "${p}away" CANCELLED 60
        within 60 "start $i of ${p}often" restarted "$requeued" "$i"
        within 90 "start $i of ${p}often" began "${p}often" $((i + 1))
        # A resumed run cuts metrics.csv back to its checkpoint: a few lines more than there can be then.
        lines_requeued=$(($(lines "${p}often") + 3))
        lines_cancelled=$(($(lines "${p}away") + 3))
    done
    cut_run "${p}away" 0 --nodelist=n4 --open-mode=append
    ends "$job" "${p}away" COMPLETED 90
    ends "$requeued" "${p}often" COMPLETED 90
    "$AVI_PYTHON" "$here/same_bits.py" "${p}often" "${p}away" || exit 1
}

# The node of the batch script loses its power: Slurm puts the job back.
lost_batch_node() {
    local p=$1 lost
    cut_run "${p}batch" 1 --nodelist=n2
    lost=$job
    within 60 "a checkpoint of ${p}batch" saved "${p}batch"
    some_time 2000
    "$cluster_hosts" kill "$folder/hosts" n2
    within 90 "that Slurm misses n2" is_down n2
    status_is "${p}batch" interrupted
    node_again n2
    ends "$lost" "${p}batch" COMPLETED 120
    restarted "$lost" 1 || fail "a job that lost its node did not come back"
    "$AVI_PYTHON" "$here/same_bits.py" "${p}batch" || exit 1
}

# slurmd alone is killed: Slurm puts the job back while its ranks still run. Two jobs never write into one folder: the second start waits for the first.
lost_daemon() {
    local p=$1 blocker process
    blocker=$(sbatch --parsable --nodes=1 --ntasks=64 --nodelist=n1 --output=blocker.out --wrap "sleep 600")
    within 60 "the start of a job on n1" runs "$blocker"
    cut_run "${p}daemon" 1 --nodes=1 --exclude=n3,n4
    within 60 "a checkpoint of ${p}daemon" saved "${p}daemon"
    scancel "$blocker"
    # shellcheck disable=SC2009
    process=$(in_node n2 ps -e -o pid= -o comm= | awk '$2 == "slurmd" { print $1 }')
    in_node n2 kill -KILL "$process"
    within 120 "that a second start meets the ranks of the first" grep -q 'ranks of an earlier start of this job still run' "${p}daemon.out"
    status_is "${p}daemon" running
    "$cluster_hosts" kill "$folder/hosts" n2
    ends "$job" "${p}daemon" COMPLETED 180
    node_again n2
    within 60 "the return of n2" is_up n2
    "$AVI_PYTHON" "$here/same_bits.py" "${p}daemon" || exit 1
}

# Processes of one srun that the MPI library is not told of: Open MPI 4 ends them as it starts, others take them for single runs, which the program refuses.
singletons() {
    AVI_LAUNCHER="srun --mpi=none" submit singletons run.sbatch --ntasks=2 -- "${paced[@]}" optim.steps=5 run.output=singletons
    ends "$job" singletons FAILED 60
    says singletons '[Uu]se (srun )?--mpi=pmix'
    [[ "$(show_of "$job" ExitCode)" =~ ^(1|64):0$ ]] || fail "singletons ended with $(show_of "$job" ExitCode), not 1 or 64"
    [ ! -e singletons ] || fail "singletons have left a folder"
}
