#!/usr/bin/env bash
# The first command of the README, from another folder, with a small run: result, pictures, exit codes, going on after a stop.
set -uo pipefail
local_sh=$AVI_SOURCE_DIR/jobs/local.sh
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
fail() {
    echo "FAILED: $*" >&2
    exit 1
}

mkdir "$scratch/here" "$scratch/inputs"
cp "$AVI_SOURCE_DIR/inputs/vae.ini" "$scratch/inputs/small.ini"
cd "$scratch/here" || exit 1
small=(data.rows=256 data.test_rows=64 optim.batch=64 model.hidden=16 inference.hidden=16 model.latent=2)

# A run, its pictures, told where they are; the output is relative to where the command runs, the file's path too.
said=$("$local_sh" ../inputs/small.ini "${small[@]}" optim.steps=20) || fail "status $?: $said"
for name in run.h5 metrics.csv config.ini trace.png images.png latent.png; do
    [ -s "runs/vae/$name" ] || fail "there is no runs/vae/$name"
done
for name in trace images latent; do
    grep -q "$name.png" <<<"$said" || fail "nobody says where $name.png is: $said"
done

# Again, and longer: goes on instead of beginning anew.
"$local_sh" ../inputs/small.ini "${small[@]}" optim.steps=40 >/dev/null || fail "the second run ended with $?"
"$AVI_PYTHON" -c "
import h5py
steps = h5py.File('runs/vae/run.h5')['trace/step'][:].ravel().tolist()
assert steps[-1] == 40 and len(steps) == len(set(steps)), steps" || fail "the second run is not whole"

# Fewer lanes than this machine has cores, into another folder: it finds the number of ranks that serves. Asked for a number, it takes that.
"$local_sh" ../inputs/small.ini "${small[@]}" optim.tile=64 optim.steps=2 run.output=lane -q >/dev/null 2>&1 || fail "one lane ended with $?"
[ -s lane/trace.png ] || fail "the pictures are not in lane/"
NP=3 "$local_sh" ../inputs/small.ini "${small[@]}" optim.tile=64 optim.steps=2 run.output=lanes -q >/dev/null 2>&1
[ $? -eq 78 ] || fail "more ranks than lanes, as asked, did not end with 78"

# A mistake in the configuration: 78, told once.
said=$("$local_sh" ../inputs/small.ini optim.lerning_rate=1 2>&1)
[ $? -eq 78 ] || fail "a mistake did not end with 78: $said"
[ "$(grep -c lerning_rate <<<"$said")" -eq 1 ] || fail "the mistake is not told once: $said"

# Asked to stop (as Ctrl-C does): 75, and the run goes on later.
"$local_sh" ../inputs/small.ini "${small[@]}" optim.steps=100000000 run.output=long -q >/dev/null 2>&1 &
job=$!
started=$SECONDS
until [ -f long/metrics.csv ] && [ "$(wc -l <long/metrics.csv)" -gt 2 ]; do
    if [ $((SECONDS - started)) -gt 120 ]; then fail "the long run does not begin"; fi
    sleep 0.1
done
kill -TERM $job
wait $job
status=$?
[ $status -eq 75 ] || fail "asked to stop, it ended with $status"
[ -s long/checkpoint/latest ] || fail "asked to stop, it left no checkpoint"
echo OK
