#!/usr/bin/env bash
# The Python package in jobs of a real Slurm, under mpirun and under srun: it takes the ranks of the job, uses the fit there, knows when the job ends, and
# refuses to be started on several ranks itself.
set -uo pipefail
# shellcheck source=tests/slurm/cluster.sh
source "$AVI_SOURCE_DIR/tests/slurm/cluster.sh"

cluster_test 1
export PYTHONPATH=$AVI_SOURCE_DIR/analysis
cat >fit.py <<'FIT'
import os
import subprocess
import sys

import avi_mpi
import numpy

x = numpy.random.default_rng(1).normal(size=(200, 4))
output = sys.argv[1]
try:
    run = avi_mpi.fit(x, "ppca", output=output, model__latent=1, optim__batch=50, optim__tile=5, optim__steps=20, output__local=True)
    codes = run.encode(x)
    print(output, run.status, run.provenance["ranks"], "ranks", abs(codes["mean"] - run.local["mean"]).max() < 1e-5)
    job = os.environ["SLURM_JOB_ID"]
    said = subprocess.run(["squeue", "-h", "-j", job, "-o", "%e"], capture_output=True, text=True).stdout.strip()
    ends = int(avi_mpi.launch.environment(1)["SLURM_JOB_END_TIME"])
    print(output, "ends", subprocess.run(["date", "-d", f"@{ends}", "+%FT%T"], capture_output=True, text=True).stdout.strip() == said)
except avi_mpi.AviError as error:
    print(output, type(error).__name__, error)
FIT

# In batch jobs; and with srun in front, which starts Python on every task.
launchers=("$(cat "$AVI_BUILD_DIR/launcher")")
if srun --mpi=list 2>&1 | grep -qw pmix; then launchers+=(srun); fi
for launcher in "${launchers[@]}"; do
    AVI_LAUNCHER=$launcher sbatch --ntasks=3 --time=5 --output="${launcher##*/}.out" --wrap "$AVI_PYTHON fit.py ${launcher##*/}" >/dev/null || fail "sbatch refused the job"
done
sbatch --ntasks=2 --time=5 --output=many.out --wrap "srun --mpi=none $AVI_PYTHON fit.py many" >/dev/null || fail "sbatch refused the job"
until=$((SECONDS + 120))
while [ -n "$(squeue -h)" ]; do
    if [ "$SECONDS" -ge $until ]; then fail "jobs are left after 120 s: $(squeue -h)"; fi
    sleep 0.5
done

for launcher in "${launchers[@]}"; do
    name=${launcher##*/}
    grep -q "^$name done 3 ranks True" "$name.out" || fail "$name: no fit on the ranks of the job"
    grep -q "^$name ends True" "$name.out" || fail "$name: another end of the job than Slurm's"
done
[ "$(grep -c 'many CannotStart.*start it once' many.out)" -eq 2 ] || fail "Python on two ranks was not refused"
[ ! -e many ] || fail "a refused Python left a folder"
echo "OK: ${launchers[*]##*/}"
