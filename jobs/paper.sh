#!/usr/bin/env bash
# Reproduces Margossian & Blei (2024), "Amortized Variational Inference: When and Why?": fits its models by its methods over several seeds, and writes
# tables and figures with the paper's numbers beside.
#
#   jobs/paper.sh [linear|nonlinear|saw|hmm|vae|all] [--quick] [section.key=value ...]       (all unless named)
#
#   --quick    shorter runs, fewer draws and seeds: the shape of the results in minutes, into runs/paper/NAME_quick
#   SEEDS=5    seeds of every method          NP=4    ranks          PAPER_OUTPUT=runs/paper    where results go
#   AVI_LAUNCHER=...  another command that starts ranks; -n follows
#   AVI_MNIST_DIR=...  folder with train-images-idx3-ubyte.gz, for vae; left out: FashionMNIST, the paper's images, which Debian and Ubuntu have as a package
#                      (dataset-fashion-mnist, installed where that may be done)
#
# Into runs/paper/NAME: table.md, table.csv, *.png, and a folder for each sweep. The same command resumes where the last one stopped: runs that are
# done are kept. With 5 seeds on two cores linear, saw and hmm take minutes, nonlinear and vae hours. vae ends a run where it has arrived,
# and has seed 1 of every method first with SEEDS=1; SEEDS=5 then adds the others.
set -euo pipefail
# shellcheck source=jobs/study.sh
source "$(dirname "${BASH_SOURCE[0]}")/study.sh"

study_arguments "linear saw hmm nonlinear vae" "$@"
seeds=${SEEDS:-$(either 2 5)}
study_number SEEDS "$seeds"
study_begin
inputs=$repository/inputs/paper

# The arguments without those that the command line sets: its settings win.
without_settings() {
    local argument setting
    arguments=()
    for argument in "$@"; do
        for setting in "${settings[@]}"; do
            if [ "${argument%%=*}" = "${setting%%=*}" ]; then continue 2; fi
        done
        arguments+=("$argument")
    done
}

# launch RANKS ARGUMENT...: a run that diverged is a result and not a mistake; a stop by signal ends the script, and the same command resumes from there.
launch() {
    local number=$1 arguments
    shift
    without_settings "$@"
    wait_for_job "${launcher[@]}" -n "$number" "$program" -q "${arguments[@]}" "${settings[@]}" log.progress=none
    case $status in
        0) ;;
        4) echo "paper.sh: some runs diverged; the table tells which" >&2 ;;
        *) echo "paper.sh: stopped with status $status; the same command resumes from here" >&2; exit "$status" ;;
    esac
}

# sweep NAME KEYS ARGUMENT...: into $folder/NAME
sweep() {
    local name=$1 keys=$2
    shift 2
    echo "== $model: $name ($keys)"
    launch "$ranks" --sweep "$keys" "$inputs/$model.ini" "$@" "run.output=$folder/$name"
}

# Data that every run reads, whatever its seed.
draw_data() {
    if [ ! -f "$folder/data/data.h5" ]; then
        launch 1 "$inputs/$model.ini" run.task=simulate run.seed=1 "run.output=$folder/data"
    fi
    data=(data.source=hdf5 "data.path=$folder/data/data.h5" data.dataset=x)
}

# Expectations without noise, to convergence: what each method can reach at all.
without_noise=(objective.draws=0 optim.method=lbfgs run.precision=double)

run_linear() {
    local short=() seed="run.seed=1..$seeds"
    draw_data
    if [ "$quick" = yes ]; then short=(objective.draws=10 optim.steps=2000); fi
    sweep methods "inference.function=factorized|constant; optim.learning_rate=1e-3|1e-2; $seed" "${data[@]}" "${short[@]}"
    sweep degrees "inference.degree=1|2; optim.learning_rate=1e-3|1e-2; $seed" "${data[@]}" "${short[@]}"
    sweep optimum_methods "inference.function=factorized|constant" "${data[@]}" "${without_noise[@]}" optim.steps=3000
    sweep optimum_degrees "inference.degree=1|2" "${data[@]}" "${without_noise[@]}" optim.steps=3000
    sweep sizes "data.rows=10|100|1000|10000|100000|1000000" run.task=exact
}

run_saw() {
    local short=() seed="run.seed=1..$seeds"
    if [ "$quick" = yes ]; then short=(objective.draws=10 optim.steps=6000 optim.learning_rate=5e-3); fi
    sweep methods "inference.function=factorized|constant; $seed" "${short[@]}"
    sweep next "inference.hidden=2,2|4,4|6,6|10,10; $seed" inference.domain=next "${short[@]}"
    sweep ahead "inference.hidden=4,4|6,6|10,10|20,20; $seed" inference.domain=ahead "${short[@]}"
    sweep optimum_methods "inference.function=factorized|constant" "${without_noise[@]}" optim.steps=3000
    sweep optimum_next "inference.hidden=2,2|4,4|6,6|10,10; $seed" inference.domain=next "${without_noise[@]}" optim.steps=3000
    sweep optimum_ahead "inference.hidden=4,4|6,6|10,10|20,20; $seed" inference.domain=ahead "${without_noise[@]}" optim.steps=3000
    sweep exact "inference.domain=self|ahead|next" run.task=exact
}

run_nonlinear() {
    local short=() seed="run.seed=1..$seeds"
    if [ "$quick" = yes ]; then short=(objective.draws=10 optim.steps=2000 optim.schedule=cosine); fi
    sweep methods "inference.function=factorized|constant; $seed" "${short[@]}"
    sweep widths "inference.hidden=1,1|2,2|4,4|8,8|16,16|24,24|32,32; $seed" "${short[@]}"
    sweep optimum_methods "inference.function=factorized|constant" "${without_noise[@]}" optim.steps=3000
}

run_hmm() {
    local steps=1500
    draw_data
    if [ "$quick" = yes ]; then steps=500; fi
    sweep optimum_methods "inference.function=factorized|constant" "${data[@]}" "${without_noise[@]}" optim.steps=3000
    sweep optimum_affine "inference.domain=self|next|window:1|window:2|window:4|window:8|window:16" inference.function=polynomial inference.degree=1 \
        "${data[@]}" "${without_noise[@]}" optim.steps=3000
    sweep optimum_networks "inference.domain=self|next|window:1|window:2|window:4|window:8; run.seed=1..$seeds" inference.function=mlp inference.hidden=16,16 \
        inference.activation=tanh "${data[@]}" "${without_noise[@]}" "optim.steps=$steps"
    sweep exact "inference.domain=self|next|window:1|window:2|window:4|window:8|window:16" run.task=exact "${data[@]}"
}

# The paper's images, from the distribution, where the user names no others.
find_images() {
    local images=train-images-idx3-ubyte.gz fashion=/usr/share/datasets/fashion-mnist
    if [ -z "${AVI_MNIST_DIR:-}" ] && [ ! -f "$fashion/$images" ]; then
        install_packages dataset-fashion-mnist || true
    fi
    export AVI_MNIST_DIR=${AVI_MNIST_DIR:-$fashion}
    if [ ! -f "$AVI_MNIST_DIR/$images" ]; then
        echo "paper.sh: vae: no $images in $AVI_MNIST_DIR; use the package dataset-fashion-mnist, or AVI_MNIST_DIR = a folder with FashionMNIST or MNIST" >&2
        return 66
    fi
}

run_vae() {
    local short=() widths="64,64|128,128|256,256" seed="run.seed=1..$seeds"
    find_images || return
    if [ "$quick" = yes ]; then
        short=(data.rows=2000 optim.batch=200 optim.epochs=200 log.eval_every=50)
        widths="64,64|128,128"
    fi
    # A sweep gives every rank runs of its own while there are enough of them. Those that arrive come first, and seed 1 of them all before seed 2: SEEDS=1, then SEEDS=5,
    # has the ordering of the methods early.
    # notebook_*: the objective and the starts of the paper's notebook, whose numbers stand beside; the others maximise the ELBO.
    local notebook=(objective.entropy=notebook) starts=(inference.start_mean_sd=1 inference.start_log_sd=-1 inference.start_log_sd_sd=1)
    sweep notebook_widths "$seed; inference.hidden=$widths" "${notebook[@]}" "${short[@]}"
    sweep notebook_factorized "$seed" inference.function=factorized "${starts[@]}" "${notebook[@]}" "${short[@]}"
    sweep widths "$seed; inference.hidden=$widths" "${short[@]}"
    sweep factorized "$seed" inference.function=factorized "${short[@]}"
    sweep constant "$seed" inference.function=constant "${short[@]}"
    sweep width_1 "$seed" inference.hidden=1,1 "${short[@]}"
}

status=0
for model in "${parts[@]}"; do
    folder=${PAPER_OUTPUT:-runs/paper}/$model
    if [ "$quick" = yes ]; then folder+=_quick; fi
    mkdir -p "$folder"
    folder=$(cd "$folder" && pwd)
    case $model in
        linear) run_linear ;;
        saw) run_saw ;;
        nonlinear) run_nonlinear ;;
        hmm) run_hmm ;;
        vae) run_vae || { status=66; continue; } ;;
    esac
    avi_python "$repository/analysis/plot_paper.py" "$model" "$folder"
done
exit "$status"
