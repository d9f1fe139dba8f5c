#!/usr/bin/env bash
# The table of Cremer, Li & Duvenaud (2018), "Inference Suboptimality in Variational Autoencoders", for every row of MNIST and FashionMNIST: what the encoder costs, what the family costs,
# and what is lost on held-out images, for two decoders with encoders of two sizes each.
#
#   jobs/cremer.sh [mnist|fashion|all] [--quick]        (all unless named)
#
#   --quick    400 training and 100 test images, short fits, 200 importance draws: minutes on two cores, into runs/cremer_quick
#   EPOCHS=100    of a fit        ROWS=60000 TEST_ROWS=10000    images        DRAWS=5000    importance draws per image (IWAE)
#   NP=4          ranks           CREMER_OUTPUT=runs/cremer     where results go
#   AVI_MNIST_DIR=...  folder with MNIST's train-images-idx3-ubyte.gz and t10k-images-idx3-ubyte.gz        AVI_FASHION_DIR=...  the same of FashionMNIST; left out: that of
#                      Debian's and Ubuntu's package dataset-fashion-mnist, which is installed where that may be done
#   CELLS="200,200:50:200,200 ..."  decoder:latent dimensions:encoder of each cell, in place of the four        AVI_LAUNCHER=...  another command that starts ranks; -n follows
#
# Images are made binary once, pixel by pixel by a draw with the grey value as its probability. Of each cell: the fit; its ledger (ELBO amortized and with a factor of each row's own, log p(x) by
# importance weighting); and the ledger of Gaussians of full covariance with the decoder fixed. Into $CREMER_OUTPUT: table.md, table.csv, rate.md and a folder per cell. The same command resumes
# where the last one stopped, within a fit and within a ledger.
set -euo pipefail
# shellcheck source=jobs/study.sh
source "$(dirname "${BASH_SOURCE[0]}")/study.sh"

study_arguments "mnist fashion" "$@"
if [ ${#settings[@]} -gt 0 ]; then study_usage; fi
epochs=${EPOCHS:-$(either 60 100)} rows=${ROWS:-$(either 400 60000)} test_rows=${TEST_ROWS:-$(either 100 10000)} draws=${DRAWS:-$(either 200 5000)}
study_number EPOCHS "$epochs"
study_number ROWS "$rows"
study_number TEST_ROWS "$test_rows"
study_number DRAWS "$draws"
study_begin
folder=${CREMER_OUTPUT:-runs/cremer}
if [ "$quick" = yes ] && [ -z "${CREMER_OUTPUT:-}" ]; then folder+=_quick; fi
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

launch() {
    wait_for_job "${launcher[@]}" -n "$ranks" "$program" -q "$@" log.progress=none
    if [ "$status" -ne 0 ]; then
        explain_status "$status" >&2
        echo "cremer.sh: stopped with status $status; the same command resumes from here" >&2
        exit "$status"
    fi
}

# Sets `seconds` to those of processors that this script's children took, user and system. `times` knows them in this shell alone, not in a subshell.
seconds_of_children() {
    times >"$folder/times"
    seconds=$(awk 'NR == 2 { for (i = 1; i <= 2; i++) { split($i, part, "[ms]"); sum += 60 * part[1] + part[2] } print sum }' "$folder/times")
    rm -f "$folder/times"
}

# ledger FOLDER DRAWS: the gap ledger of a fit that is done, once. Its seconds, of the clock and of processors, go to FOLDER/ledger.seconds where it was not interrupted.
ledger() {
    local run=$1 began before whole=yes
    if avi_python "$repository/analysis/cremer.py" --has-ledger "$run"; then return; fi
    began=$(date +%s.%N)
    seconds_of_children
    before=$seconds
    if [ -e "$run/ledger.begun" ]; then whole=no; fi
    touch "$run/ledger.begun"
    launch "$run/config.ini" run.task=gap "gap.draws=$2" "run.output=$run"
    if [ "$whole" = yes ]; then
        seconds_of_children
        echo "$(date +%s.%N) $began $seconds $before" | awk '{ print $1 - $2, $3 - $4 }' >"$run/ledger.seconds"
    fi
}

for name in "${parts[@]}"; do
    images=${AVI_MNIST_DIR:-}
    if [ "$name" = fashion ]; then
        images=${AVI_FASHION_DIR:-/usr/share/datasets/fashion-mnist}
        if [ ! -f "$images/train-images-idx3-ubyte.gz" ]; then install_packages dataset-fashion-mnist || true; fi
    fi
    if [ ! -f "$images/train-images-idx3-ubyte.gz" ]; then
        echo "cremer.sh: $name: no train-images-idx3-ubyte.gz in '$images'; use $([ "$name" = mnist ] && echo "AVI_MNIST_DIR = a folder with MNIST" || echo "AVI_FASHION_DIR = a folder with FashionMNIST, or the package dataset-fashion-mnist")" >&2
        exit 66
    fi
    mkdir -p "$folder/$name"
    avi_python "$repository/analysis/cremer.py" --binarise "$images" "$folder/$name"
    data=(data.source=idx "data.path=$folder/$name/train.idx.gz" "data.test_path=$folder/$name/test.idx.gz" "data.rows=$rows" "data.test_rows=$test_rows")
    batch=$((rows < 400 ? (rows + 3) / 4 : rows < 1000 ? 100 : 200))
    for cell in ${CELLS:-200,200:50:200,200 200,200:50:500,500 400:20:400 400:20:1000}; do
        IFS=: read -r decoder latent encoder <<<"$cell"
        run=$folder/$name/decoder_${decoder//,/-}_encoder_${encoder//,/-}
        echo "== $name: decoder $latent-${decoder//,/-}-784, encoder 784-${encoder//,/-}-$latent"
        common=("$repository/inputs/vae.ini" "${data[@]}" "model.hidden=$decoder" "model.latent=$latent" "inference.hidden=$encoder" "optim.batch=$batch" output.local=no)
        launch "${common[@]}" "optim.epochs=$epochs" "run.output=$run"
        ledger "$run" "$draws"
        launch "${common[@]}" "model.theta_from=$run" model.theta_fixed=yes inference.family=gaussian_full "optim.epochs=$(((epochs + 3) / 4))" "run.output=${run}_full"
        ledger "${run}_full" "$((draws / 10 < 100 ? 100 : draws / 10))"
    done
done
avi_python "$repository/analysis/cremer.py" "$folder"
