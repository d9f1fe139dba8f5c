#!/usr/bin/env bash
# The open questions of Margossian & Blei (2024), section 6, as fits of this program: how large is the amortization gap for finite N, what do the optimizer and its starts do to it,
# which classes of functions close it and how fast, does the width that is needed grow with N, how far does a window help where the prior is not factored, and what happens on held-out rows.
#
#   jobs/questions.sh [sizes|optimizers|classes|widths|priors|heldout|all] [--quick] [section.key=value ...]       (all unless named)
#
#   --quick    fewer sizes, steps and seeds: minutes on two cores, into runs/questions/NAME_quick
#   SEEDS=5    seeds of every method          NP=4    ranks          QUESTIONS_OUTPUT=runs/questions    where results go
#   AVI_LAUNCHER=...  another command that starts ranks; -n follows
#
# Into runs/questions/NAME: table.md, table.csv, runs.csv, NAME.png, and a folder for each sweep. The same command resumes where the last one stopped: runs that are done are kept.
# analysis/plot_questions.py NAME runs/questions/NAME --record analysis/questions keeps the tables and figures.
set -euo pipefail
# shellcheck source=jobs/study.sh
source "$(dirname "${BASH_SOURCE[0]}")/study.sh"

study_arguments "priors sizes classes widths optimizers heldout" "$@"
seeds=${SEEDS:-$(either 2 5)}
study_number SEEDS "$seeds"
seed="run.seed=1..$seeds"
study_begin
inputs=$repository/inputs

# sweep NAME KEYS FILE ARGUMENT...: into $folder/NAME. A run that diverged is a result; a stop by signal ends the script, and the same command resumes from there.
sweep() {
    local name=$1 keys=$2 file=$3 argument setting arguments=() over=()
    shift 3
    # Settings of the command line win over those here, and leave alone what is swept.
    for setting in "${settings[@]}"; do
        case "; $keys" in *"; ${setting%%=*}="*) ;; *) over+=("$setting") ;; esac
    done
    for argument in "$@"; do
        for setting in "${over[@]}"; do
            if [ "${argument%%=*}" = "${setting%%=*}" ]; then continue 2; fi
        done
        arguments+=("$argument")
    done
    echo "== $question: $name ($keys)"
    wait_for_job "${launcher[@]}" -n "$ranks" "$program" -q --sweep "$keys" "$inputs/$file" "${arguments[@]}" "${over[@]}" "run.output=$folder/$name" log.progress=none
    case $status in
        0) ;;
        4) echo "questions.sh: some runs diverged; the table leaves them out" >&2 ;;
        *) echo "questions.sh: stopped with status $status; the same command resumes from here" >&2; exit "$status" ;;
    esac
}

# Expectations by quadrature: no Monte Carlo noise in steps, ELBOs and gaps.
noiseless=(objective.draws=0 run.precision=double)
# The nonlinear model with all of its density; the function sees standardised x, since factors that a network extrapolates become too wide for quadrature; 64 points of quadrature, since its likelihood swings where factors are wide.
nonlinear=(paper/nonlinear.ini data.source=model model.drop_log_sigma=no objective.points=64 inference.standardise=yes)
# The optimum of F-VI for one start of each factor.
optimum=("${noiseless[@]}" inference.function=factorized optim.method=lbfgs optim.batch=0 optim.steps=400)
# An amortized fit whose steps look at 1000 rows at most, and its gap row by row, theta fixed.
amortized() { # ROWS STEPS
    fitted=("${noiseless[@]}" "data.rows=$1" "data.test_rows=$(either 200 500)" "optim.batch=$(($1 < 1000 ? 0 : 1000))" "optim.steps=$2" optim.schedule=cosine optim.learning_rate=1e-2
        run.after=gap gap.draws=25)
}

# Gap against N. Closed forms where there are any (task exact), else fits and the ledger.
run_sizes() {
    local rows dense size
    rows=$(either "100|1000|10000|100000" "100|1000|10000|100000|1000000")
    dense=$(either "100|300" "100|300|1000|3000")
    sweep exact_linear "data.rows=$rows" paper/linear.ini run.task=exact
    sweep exact_saw "data.rows=$rows; inference.domain=self|ahead|next" paper/saw.ini data.source=model run.task=exact
    sweep exact_hmm "data.rows=$rows; inference.domain=self|window:1|window:4" paper/hmm.ini model.A=0.9 run.task=exact
    sweep exact_gp "data.rows=$dense; inference.domain=self|window:4|window:16" paper/gp.ini run.task=exact
    sweep exact_ppca "data.rows=$(either "300|1000" "300|1000|10000|100000")" paper/ppca.ini run.task=exact
    for size in $(either "100 1000 4000" "100 1000 10000 100000 1000000"); do
        amortized "$size" "$(either 800 5000)"
        sweep "nonlinear_$size" "$seed" "${nonlinear[@]}" "${fitted[@]}"
        if [ "$size" -gt 100000 ]; then continue; fi
        sweep "hier_logistic_$size" "$seed" paper/hier_logistic.ini "${fitted[@]}"
    done
    for size in $(either "200 1000" "200 2000 20000 60000"); do
        sweep "vae_$size" "$seed" vae.ini "data.rows=$size" data.test_rows=200 "optim.batch=$(either 100 200)" "optim.steps=$(either 400 20000)" run.after=gap gap.draws=25
    done
}

# Robustness: what starts, schedules and estimators make of one problem. The best optimum known is that of F-VI with many starts and without noise.
run_optimizers() {
    local rows=() short=(objective.draws=10 "optim.steps=$(either 600 5000)")
    if [ "$quick" = yes ]; then rows=(data.rows=500); fi
    sweep best "inference.starts=1|$(either 16 64)" paper/nonlinear.ini "${rows[@]}" "${optimum[@]}" model.start=mean
    sweep factorized "optim.schedule=constant|cosine; objective.estimator=pathwise|stl; inference.starts=1|4|16; $seed" paper/nonlinear.ini "${rows[@]}" "${short[@]}" inference.function=factorized
    sweep networks "optim.schedule=constant|cosine; objective.estimator=pathwise|stl; optim.learning_rate=1e-3|1e-2; $seed" paper/nonlinear.ini "${rows[@]}" "${short[@]}"
}

# Which classes of functions reach the optimum, and after how many steps. Every seed draws data of its own, whose optimum is found too.
run_classes() {
    local rows steps
    rows=$(either 500 2000)
    steps=$(either 1000 5000)
    amortized "$rows" "$steps"
    local all=("${fitted[@]/#optim.batch=*/optim.batch=0}")
    local factorized=("${noiseless[@]}" "data.rows=$rows" optim.batch=0 optim.schedule=cosine optim.learning_rate=1e-2 "optim.steps=$steps" inference.function=factorized)
    sweep nonlinear_optimum "$seed" "${nonlinear[@]}" "data.rows=$rows" "${optimum[@]}"
    sweep nonlinear_factorized "$seed" "${nonlinear[@]}" "${factorized[@]}"
    sweep nonlinear_polynomials "inference.degree=1|3|5|9; $seed" "${nonlinear[@]}" "${all[@]/#optim.learning_rate=*/optim.learning_rate=1e-3}" inference.function=polynomial
    sweep nonlinear_widths "inference.hidden=1,1|2,2|4,4|8,8|16,16|32,32; $seed" "${nonlinear[@]}" "${all[@]}"
    sweep nonlinear_depths "inference.hidden=16|16,16|16,16,16|16,16,16,16; $seed" "${nonlinear[@]}" "${all[@]}"
    sweep nonlinear_tanh "inference.hidden=8,8|32,32; $seed" "${nonlinear[@]}" "${all[@]}" inference.activation=tanh
    amortized "$rows" "$(either 400 3000)"
    all=("${fitted[@]/#optim.batch=*/optim.batch=0}")
    sweep groups_optimum "$seed" paper/hier_logistic.ini "data.rows=$rows" "${optimum[@]}"
    sweep groups_factorized "$seed" paper/hier_logistic.ini "${factorized[@]}"
    sweep groups_polynomials "inference.degree=1|2; $seed" paper/hier_logistic.ini "${all[@]}" inference.function=polynomial
    sweep groups_mlp "inference.hidden=|8|32,32; $seed" paper/hier_logistic.ini "${all[@]}"
    sweep groups_set "inference.entry_hidden=8|32,32; $seed" paper/hier_logistic.ini "${all[@]}" model.group_sizes=equal inference.function=set
    sweep groups_attention "inference.width=8|32; $seed" paper/hier_logistic.ini "${all[@]}" model.group_sizes=equal inference.function=attention inference.heads=2 inference.blocks=1 inference.feed_forward=32
}

# Does the width that is needed grow with N?
run_widths() {
    local size
    for size in $(either "100 1000 4000" "100 1000 10000 100000"); do
        amortized "$size" "$(either 1000 10000)"
        sweep "nonlinear_$size" "inference.hidden=1,1|2,2|4,4|8,8|16,16$(either "" "|32,32|64,64"); $seed" "${nonlinear[@]}" "${fitted[@]}"
    done
}

# Priors that are not factored: the best affine function of a window, in closed form, for chains and Gaussian processes with shorter and longer memory.
run_priors() {
    local windows="inference.domain=self|window:1|window:2|window:4|window:8|window:16"
    sweep hmm "model.A=0.5|0.9|1; $windows" paper/hmm.ini "data.rows=$(either 20000 100000)" run.task=exact
    sweep gp "model.lengthscale=3|10|30; $windows" paper/gp.ini "data.rows=$(either 300 1000)" run.task=exact
}

# Held-out rows: width, N and early stopping.
run_heldout() {
    local size
    for size in $(either "200 800" "500 2000 8000 32000"); do
        sweep "vae_$size" "inference.hidden=$(either "16|256" "16|64|256|1024"); stop.patience=0|5; $seed" vae.ini "data.rows=$size" "data.test_rows=$(either 200 1000)" model.hidden=100 model.latent=10 \
            optim.batch=100 "optim.steps=$(either 800 20000)" "log.eval_every=$(either 20 200)" run.after=gap gap.draws=25
    done
}

for question in "${parts[@]}"; do
    folder=${QUESTIONS_OUTPUT:-runs/questions}/$question
    if [ "$quick" = yes ]; then folder+=_quick; fi
    mkdir -p "$folder"
    folder=$(cd "$folder" && pwd)
    "run_$question"
    avi_python "$repository/analysis/plot_questions.py" "$question" "$folder"
done
