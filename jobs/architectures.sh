#!/usr/bin/env bash
# Inference functions against each other: the same decoder with each of them on FashionMNIST and MNIST, series (hmm, saw) against their closed forms, and groups.
#
#   jobs/architectures.sh [fashion|mnist|series|groups|all] [--quick] [section.key=value ...]        (all unless named)
#
#   --quick    fewer rows, epochs and seeds, a smaller decoder: the shape of the table in minutes, into runs/architectures_quick
#   SEEDS=5    seeds of every function       NP=2    ranks       ARCHITECTURES_OUTPUT=runs/architectures    where results go
#   AVI_MNIST_DIR=...  folder with MNIST's IDX files; FashionMNIST is the package dataset-fashion-mnist
#   RECORD=analysis/paper_results    where architectures.md, .csv and .png go as well
#
# A fit that is done is left as it is, and so is a gap: the same command resumes where the last one stopped. At the end the table and the figure are made of what is
# there (analysis/architectures.py).
set -euo pipefail
# shellcheck source=jobs/study.sh
source "$(dirname "${BASH_SOURCE[0]}")/study.sh"

study_arguments "fashion mnist series groups" "$@"
seeds=${SEEDS:-$(either 1 5)}
study_number SEEDS "$seeds"
study_begin
output=${ARCHITECTURES_OUTPUT:-runs/architectures$(either _quick "")}
mkdir -p "$output"
: >"$output/empty.ini"

# cell NAME KEY...: one fit with the tasks behind it. A run that diverges is a result; a stop by signal ends the script.
cell() {
    local name=$1 to=$output/$1
    shift
    if grep -qs '^done' "$to.status"; then return; fi
    echo "== $name"
    wait_for_job "${launcher[@]}" -n "$ranks" "$program" -q "$output/empty.ini" "$@" "${settings[@]}" "run.output=$to" log.progress=none
    case $status in
        0 | 4) echo "done $status" >"$to.status" ;;
        *) echo "architectures.sh: $name stopped with status $status; the same command resumes from here" >&2; exit "$status" ;;
    esac
}

images() {
    local data=$1 folder=$2 seed name shape
    if [ ! -f "$folder/train-images-idx3-ubyte.gz" ]; then
        echo "architectures.sh: no train-images-idx3-ubyte.gz in '$folder'; use the package dataset-fashion-mnist, or AVI_MNIST_DIR" >&2
        exit 66
    fi
    shape=(model.name=vae model.latent=20 model.hidden=400 data.rows=10000 data.test_rows=2000 optim.epochs=100 optim.batch=200)
    if [ "$quick" = yes ]; then shape=(model.name=vae model.latent=5 model.hidden=100 data.rows=1000 data.test_rows=200 optim.epochs=10 optim.batch=100 gap.draws=50 gap.passes=30 gap.starts=1); fi
    local -A functions=(
        [constant]="inference.function=constant"
        [polynomial_1]="inference.function=polynomial inference.degree=1"
        [polynomial_2]="inference.function=polynomial inference.degree=2 inference.project=20"
        [mlp_64]="inference.function=mlp inference.hidden=64"
        [mlp_256]="inference.function=mlp inference.hidden=256"
        [mlp_1024]="inference.function=mlp inference.hidden=1024"
        [residual]="inference.function=mlp inference.hidden=256,256,256 inference.residual=yes inference.norm=layer"
        [conv]="inference.function=conv"
        [attention]="inference.function=attention inference.patch=7"
        [semi]="inference.function=semi inference.base=mlp inference.hidden=256 inference.refine_steps=5 inference.refine_rate=0.05"
        [factorized]="inference.function=factorized"
    )
    for ((seed = 1; seed <= seeds; seed++)); do
        for name in constant polynomial_1 polynomial_2 mlp_64 mlp_256 mlp_1024 residual conv attention semi factorized; do
            # shellcheck disable=SC2086
            cell "${data}_${name}_$seed" data.source=idx "data.path=$folder/train-images-idx3-ubyte.gz" "data.test_path=$folder/t10k-images-idx3-ubyte.gz" "${shape[@]}" \
                "run.seed=$seed" optim.learning_rate=1e-3 "log.eval_every=$(either 10 100)" run.after=gap ${functions[$name]}
        done
    done
}

# Windows of 4 rows on both sides of hmm, (x_n, x_{n+1}) of saw: what a function is above the optimum of F-VI by, and the least that any polynomial of degree 2 could be.
series() {
    local model name seed steps=3000 rows=1000
    if [ "$quick" = yes ]; then steps=600 rows=200; fi
    local -A domain=([hmm]=window:4 [saw]=next) functions=(
        [polynomial_1]="inference.function=polynomial optim.method=lbfgs optim.steps=300" [mlp]="inference.function=mlp inference.hidden=32,32 inference.activation=tanh"
        [conv]="inference.function=conv inference.channels=16,16 inference.kernel=3 inference.stride=1 inference.hidden=32"
        [attention]="inference.function=attention inference.width=16 inference.heads=2 inference.blocks=1 inference.feed_forward=32 inference.pool=centre")
    for model in hmm saw; do
        for ((seed = 1; seed <= seeds; seed++)); do
            for name in polynomial_1 mlp conv attention; do
                local extra=()
                if [ "$model" = saw ] && [ "$name" = attention ]; then extra=(inference.pool=mean); fi
                # shellcheck disable=SC2086
                cell "${model}_${name}_$seed" "model.name=$model" data.source=model "data.rows=$rows" "run.seed=$seed" objective.draws=0 optim.batch=0 "optim.steps=$steps" run.precision=double \
                    optim.learning_rate=3e-3 optim.schedule=cosine "inference.domain=${domain[$model]}" run.after=exact ${functions[$name]} "${extra[@]}"
            done
        done
    done
}

# Groups of any number of entries: `set` sees the entries, mlp their means and their number. mlp_padded: rows of one width, which mlp sees whole; they are data of their own.
groups() {
    local name seed sizes steps=3000 rows=2000
    if [ "$quick" = yes ]; then steps=300 rows=200; fi
    local -A functions=([set]="inference.function=set" [mlp]="inference.function=mlp inference.hidden=32,32" [mlp_padded]="inference.function=mlp inference.hidden=32,32" [factorized]="inference.function=factorized")
    for ((seed = 1; seed <= seeds; seed++)); do
        for name in set mlp mlp_padded factorized; do
            sizes=uniform
            if [ "$name" = mlp_padded ]; then sizes=padded; fi
            # shellcheck disable=SC2086
            cell "groups_${name}_$seed" model.name=hier_logistic "model.group_sizes=$sizes" data.source=model "data.rows=$rows" "run.seed=$seed" objective.draws=0 model.global=point optim.batch=0 \
                "optim.steps=$steps" optim.learning_rate=1e-2 run.after=gap ${functions[$name]}
        done
    done
}

for part in "${parts[@]}"; do
    case $part in
        fashion)
            if [ ! -d /usr/share/datasets/fashion-mnist ]; then install_packages dataset-fashion-mnist || true; fi
            images fashion /usr/share/datasets/fashion-mnist
            ;;
        mnist) images mnist "${AVI_MNIST_DIR:-$repository/../shared/data/mnist}" ;;
        series) series ;;
        groups) groups ;;
    esac
done
avi_python "$repository/analysis/architectures.py" "$output" ${RECORD:+--record "$RECORD"}
