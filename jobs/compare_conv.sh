#!/usr/bin/env bash
# A VAE of convolutions on MNIST, here and in PyTorch: the same network, rows, batches and learning rate; the ELBO on test rows over seeds.
#
#   jobs/compare_conv.sh [--quick]
#
#   --quick    1000 rows, 2 epochs and 1 seed: that both sides work
#   SEEDS=5    seeds of each       NP=2    ranks of avi_mpi       EPOCHS=20       COMPARE_OUTPUT=runs/compare_conv    where results go
#   AVI_MNIST_DIR=...  folder with MNIST's IDX files
#   RECORD=analysis/paper_results    where compare_conv.md goes as well
#
# A seed that is done is left as it is: the same command resumes. PyTorch is python3-torch (apt-get install python3-torch).
set -euo pipefail
# shellcheck source=jobs/study.sh
source "$(dirname "${BASH_SOURCE[0]}")/study.sh"

study_arguments "" "$@"
if [ ${#settings[@]} -gt 0 ]; then study_usage; fi
rows=$(either 1000 60000) test_rows=$(either 500 10000) epochs=${EPOCHS:-$(either 2 20)} seeds=${SEEDS:-$(either 1 5)}
study_number EPOCHS "$epochs"
study_number SEEDS "$seeds"
folder=${AVI_MNIST_DIR:-$repository/../shared/data/mnist}
if [ ! -f "$folder/train-images-idx3-ubyte.gz" ]; then
    echo "compare_conv.sh: no train-images-idx3-ubyte.gz in '$folder'; use AVI_MNIST_DIR = a folder with MNIST" >&2
    exit 66
fi
study_begin
output=${COMPARE_OUTPUT:-runs/compare_conv$(either _quick "")}
mkdir -p "$output"
for ((seed = 1; seed <= seeds; seed++)); do
    echo "== seed $seed, avi_mpi"
    wait_for_job "${launcher[@]}" -n "$ranks" "$program" -q "$repository/tests/bench/vae.ini" data.source=idx "data.path=$folder/train-images-idx3-ubyte.gz" \
        "data.test_path=$folder/t10k-images-idx3-ubyte.gz" "data.rows=$rows" "data.test_rows=$test_rows" optim.batch=250 "optim.epochs=$epochs" "run.seed=$seed" inference.function=conv \
        inference.channels=32,64 inference.hidden=256 model.decoder=conv model.channels=64,32 model.hidden=256 log.progress=none "run.output=$output/avi_$seed"
    if [ "$status" != 0 ]; then echo "compare_conv.sh: stopped with status $status; the same command resumes from here" >&2; exit "$status"; fi
    if [ ! -s "$output/torch_$seed.json" ]; then
        echo "== seed $seed, PyTorch"
        OMP_NUM_THREADS=$ranks OPENBLAS_NUM_THREADS=$ranks avi_python "$repository/analysis/conv_torch.py" train --folder "$folder" --rows "$rows" --test-rows "$test_rows" --batch 250 --epochs "$epochs" \
            --seed "$seed" --threads "$ranks" --out "$output/torch_$seed.json"
    fi
done
avi_python "$repository/analysis/conv_torch.py" table "$output" ${RECORD:+--record "$RECORD"}
