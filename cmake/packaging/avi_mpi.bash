# Completion of avi_mpi for bash. Written by avi_mpi --reference=bash from the tables of the program: change those,
# not this file. For the keys of plug-ins too: avi_mpi --reference=bash run.plugins=./libmine.so
# shellcheck shell=bash disable=SC2034,SC2046,SC2086,SC2207
_avi_mpi_options='
--dry-run
--check-gradient
--sweep
--groups
--part
--resume
--fresh
-q
-v
--verify
--steps
--status
--help-keys
--list
--reference
--version
--help
'
# Values behind a = of an option.
_avi_mpi_option_values='
--list data
--reference man bash
'
_avi_mpi_keys='
run.task
run.after
run.from
run.seed
run.output
run.precision
run.reproducible
run.reduction
run.time_limit
run.plugins
run.exact_degree
rows.draws
rows.passes
rows.tolerance
rows.block
objective.draws
objective.estimator
objective.kl
objective.entropy
objective.points
objective.name
objective.beta
objective.kl_warmup
stop.mse
stop.elbo_per_row
stop.patience
stop.required
log.every
log.eval_every
log.eval_draws
log.eval_rows
log.last_rows
log.second_start
log.test_factors
log.mse_at
log.progress
log.profile
log.gradient_variance
log.images
checkpoint.every
checkpoint.minutes
checkpoint.keep
checkpoint.resume
checkpoint.from
output.local
output.idata
output.idata_draws
output.idata_rows
output.idata_theta
nan.policy
nan.max_skips
nan.lr_cut
data.source
data.storage
data.holdout
data.missing
data.standardise
data.transform
data.shuffle
data.rows
data.test_rows
data.rows
data.test_rows
data.path
data.test_path
data.rows
data.test_rows
data.path
data.dataset
data.test_path
data.test_dataset
data.columns
data.group
data.transpose
data.scale
data.height
data.rows
data.test_rows
data.data_seed
model.name
model.global
model.global_rank
model.theta_from
model.theta_fixed
model.latent
model.decoder
model.hidden
model.activation
model.residual
model.norm
model.channels
model.kernel
model.stride
model.likelihood
model.noise_sd
model.noise
model.levels
model.logistic_scale
model.dispersion
model.exposure
model.prior_sd
model.global_log_sd
model.zero_means
model.tau
model.sigma
model.prior_sd
model.global_log_sd
model.simulate_theta
model.start
model.drop_log_sigma
model.simulate_z_sd
model.prior_sd
model.global_log_sd
model.simulate_theta
model.start
model.a
model.prior_sd
model.global_log_sd
model.simulate_theta
model.latent
model.A
model.C
model.Q
model.R
model.initial_sd
model.latent
model.noise_sd
model.prior_sd
model.global_log_sd
model.simulate_width
model.kernel
model.lengthscale
model.amplitude
model.jitter
model.noise_sd
model.times
model.spacing
model.trials
model.covariates
model.group_sizes
model.prior_sd
model.global_log_sd
model.simulate_alpha
model.simulate_tau
model.simulate_beta
model.covariates
model.tau
model.sigma
model.prior_sd
model.global_log_sd
model.simulate_alpha
model.simulate_beta
model.simulate_correlation
inference.function
inference.family
inference.domain
inference.theta
inference.standardise
inference.starts
inference.hidden
inference.activation
inference.residual
inference.norm
inference.networks
inference.channels
inference.kernel
inference.stride
inference.hidden
inference.activation
inference.residual
inference.norm
inference.width
inference.heads
inference.blocks
inference.feed_forward
inference.activation
inference.positions
inference.patch
inference.pool
inference.entry_hidden
inference.pool
inference.hidden
inference.activation
inference.residual
inference.norm
inference.start_mean_sd
inference.start_log_sd
inference.start_log_sd_sd
inference.degree
inference.project
inference.base
inference.refine_steps
inference.refine_rate
inference.refine_draws
inference.refine_gradient
inference.rank
inference.flow_layers
inference.flow_parameters
inference.degrees
optim.method
optim.learning_rate
optim.schedule
optim.schedule_every
optim.schedule_factor
optim.warmup
optim.clip_norm
optim.batch
optim.tile
optim.local_rows
optim.local_learning_rate
optim.local_steps
optim.epochs
optim.steps
optim.beta1
optim.beta2
optim.epsilon
optim.weight_decay
optim.momentum
optim.nesterov
optim.memory
optim.tolerance
optim.newton
gap.draws
gap.starts
gap.passes
gap.tolerance
gap.save
gap.data
diagnose.rows
diagnose.draws
diagnose.tolerance
sample.of
sample.count
'
# Values of keys; @ stands for files.
_avi_mpi_values='
run.task fit exact gap diagnose evaluate encode reconstruct sample simulate
run.after @
run.from @
run.output @
run.precision single double
run.reproducible yes no
run.reduction auto shared messages
run.plugins @
objective.estimator pathwise stl dreg
objective.kl analytic sampled
objective.entropy exact notebook
objective.name elbo iwae
stop.required yes no
log.second_start yes no
log.test_factors auto yes no
log.mse_at draws means
log.progress auto bar lines none
log.profile yes no
checkpoint.resume auto yes no
checkpoint.from @
output.local auto yes no
output.idata yes no
output.idata_rows @
output.idata_theta auto yes no
nan.policy skip rollback stop
data.source strokes idx hdf5 model
data.storage auto memory stream
data.missing refuse mask
data.standardise yes no
data.transform none log1p
data.shuffle auto yes no
data.path @
data.test_path @
data.path @
data.dataset @
data.test_path @
data.test_dataset @
data.columns @
data.group @
data.transpose auto yes no
model.name vae linear nonlinear saw hmm ppca gp hier_logistic regression
model.global point gaussian gaussian_full gaussian_lowrank
model.theta_from @
model.theta_fixed yes no
model.decoder mlp conv
model.activation relu leaky_relu tanh gelu silu softplus identity
model.residual yes no
model.norm none layer
model.likelihood bernoulli gaussian categorical poisson negative_binomial discretised_logistic
model.noise fixed learned
model.exposure none total
model.zero_means yes no
model.start mean zero
model.drop_log_sigma yes no
model.start mean zero
model.A @
model.C @
model.Q @
model.R @
model.kernel rbf matern32 exponential
model.times index column
model.group_sizes padded equal uniform geometric
inference.function mlp conv attention set factorized constant polynomial semi
inference.family gaussian gaussian_full gaussian_lowrank flow student_t tridiagonal
inference.domain @
inference.theta no mean draw
inference.standardise auto yes no
inference.activation relu leaky_relu tanh gelu silu softplus identity
inference.residual yes no
inference.norm none layer
inference.networks shared separate
inference.activation relu leaky_relu tanh gelu silu softplus identity
inference.residual yes no
inference.norm none layer
inference.activation relu leaky_relu tanh gelu silu softplus identity
inference.positions auto learned sine none
inference.pool mean centre
inference.pool mean sum
inference.activation relu leaky_relu tanh gelu silu softplus identity
inference.residual yes no
inference.norm none layer
inference.base mlp conv attention set factorized constant polynomial semi
inference.refine_gradient first_order full
inference.flow_parameters row shared
optim.method adam sgd lbfgs
optim.schedule constant step cosine
optim.local_rows batch all
optim.local_learning_rate @
optim.nesterov yes no
gap.data both train test
sample.of prior posterior
'

# _avi_mpi_words TABLE NAME    the words of the lines of TABLE that begin with NAME
_avi_mpi_words() {
    local name words
    while read -r name words; do
        if [ "$name" = "$2" ]; then printf '%s\n' $words; fi
    done <<<"$1"
}

_avi_mpi() {
    # The word at the cursor from the line itself: bash breaks its own words at = and :, which keys have.
    local line=${COMP_LINE:0:COMP_POINT} word name value before words part hidden file=no i
    word=${line##*[[:space:]]}
    before=${line%"$word"}
    before=${before%"${before##*[![:space:]]}"}
    before=${before##*[[:space:]]}
    COMPREPLY=()
    for i in ${line%"$word"}; do
        case $i in *avi_mpi | -* | *=*) ;; *) if [ -e "$i" ]; then file=yes; fi ;; esac
    done
    case $before in --sweep | --groups | --part) return ;; esac
    if [[ $line == *' --status '* ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t COMPREPLY < <(compgen -d -- "$word")
        return
    fi
    if [[ $word == *=* ]]; then
        name=${word%%=*} value=${word#*=}
        case $name in
            --help-keys) words=$(printf '%s\n' $_avi_mpi_keys | sed 's/\..*//' | sort -u) ;;
            -*) words=$(_avi_mpi_words "$_avi_mpi_option_values" "$name") ;;
            *) words=$(_avi_mpi_words "$_avi_mpi_values" "$name" | sort -u) ;;
        esac
        if [ "$words" = @ ]; then
            compopt -o filenames 2>/dev/null
            part=${value%"${value##*,}"} # of several files, those before the last comma
            mapfile -t COMPREPLY < <(compgen -P "$part" -f -- "${value##*,}")
        else
            mapfile -t COMPREPLY < <(compgen -W "$words" -- "$value")
        fi
        # Bash replaces what stands behind the = where it breaks words there, else all of the word.
        if [[ $COMP_WORDBREAKS != *=* ]]; then COMPREPLY=("${COMPREPLY[@]/#/$name=}"); fi
    elif [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$_avi_mpi_options" -- "$word")
    else
        # First the sections, so that a list fits on the screen; then the keys of one.
        if [[ $word == *.* ]]; then
            mapfile -t COMPREPLY < <(compgen -S = -W "$(printf '%s\n' $_avi_mpi_keys | sort -u)" -- "$word")
        else
            mapfile -t COMPREPLY < <(compgen -S . -W "$(printf '%s\n' $_avi_mpi_keys | sed 's/\..*//' | sort -u)" -- "$word")
        fi
        if [ ${#COMPREPLY[@]} -gt 0 ]; then compopt -o nospace 2>/dev/null; fi
        if [ $file = no ]; then
            compopt -o filenames 2>/dev/null
            while read -r i; do COMPREPLY+=("$i"); done < <(compgen -d -- "$word"; compgen -f -X '!*.ini' -- "$word")
        fi
    fi
}
complete -F _avi_mpi avi_mpi
