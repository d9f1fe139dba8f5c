#include "state/best.h"
#include "fitted/theta_from.h"
#include "base/pages.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_SHARED = 4096 /* parameters */ };

int64_t avi_state_bytes(const avi_session *s)
{
    const int64_t copies = 2 + s->optim.ops->slots + avi_best_wanted(s),
                  ranks = avi_estimator_is_shared_out(s->train_elbo) ? avi_comm_size(s->comm) : 1;
    return copies * (s->layout.size / ranks + avi_state_table_values(s)) * (int64_t)avi_real_size(s->precision);
}

static void *vector_of(int64_t n, avi_precision p)
{
    const size_t bytes = (size_t)n * avi_real_size(p) + 64;
    void *v = avi_pages_alloc(bytes);
    if (v) memset(v, 0, bytes);
    return v;
}

/* ---- one state for all ranks ---- */

/* L-BFGS takes the whole vector at once, a q(theta) whose values are correlated is one factor, a check of gradients
 * moves parameters that are each rank's own, and a few parameters are moved faster than ranks meet. */
static bool may_share(const avi_session *s)
{
    return avi_estimator_is_shared(s->train_elbo) && s->optim.ops->update[s->precision] &&
           !s->options->check_gradient && !s->problem.global_family && s->layout.size >= LEAST_SHARED;
}

static size_t shared_bytes(const avi_session *s, int64_t values)
{
    return ((size_t)values * avi_real_size(s->precision) + 127) / 64 * 64;
}

/* Collective. st->shared stays NULL where there is no room. */
static avi_status share_vectors(const avi_session *s, avi_state *st)
{
    const size_t vector = shared_bytes(s, s->layout.size),
                 draws = s->problem.global_gaussian ? shared_bytes(s, s->layout.theta_draws * s->layout.theta) : 0;
    const int slots = s->optim.ops->slots, best = avi_best_wanted(s);
    AVI_TRY(avi_shared_create(s->comm, AVI_SHARE_BYTES, (size_t)(2 + slots + best) * vector + draws, &st->shared));
    if (!st->shared) return AVI_OK;
    char *at = avi_shared_total(st->shared);
    st->params = at;
    st->gradient = at += vector;
    for (int i = 0; i < slots; i++) st->slot[i] = at += vector;
    if (best) st->best = (avi_best){.params = at += vector, .common = true};
    return avi_estimator_share_out(s->train_elbo, st->shared, draws ? at + vector : NULL);
}

/* Values of st->kept: of the rows that a step can have on this rank. */
static int64_t kept_values(const avi_session *s)
{
    const avi_partition *p = &s->partition;
    const int rank = avi_comm_rank(s->comm);
    const int64_t lanes = avi_partition_first_lane(p, rank + 1) - avi_partition_first_lane(p, rank);
    return s->local_steps > 1 && s->infer->ops->local ? (1 + s->optim.ops->slots) * lanes * p->tile * s->infer->outputs
                                                      : 0;
}

static avi_status allocate(const avi_session *s, avi_state *st)
{
    const int64_t values = avi_state_table_values(s), size = s->layout.size;
    const avi_precision p = s->precision;
    const bool own = !st->shared; /* vectors of no values are there, too: places in them are worked out from them */
    bool ok = !own || ((st->params = vector_of(size, p)) && (st->gradient = vector_of(size, p)));
    for (int i = 0; ok && own && i < s->optim.ops->slots; i++) ok = (st->slot[i] = vector_of(size, p)) != NULL;
    if (ok && values) ok = (st->table = vector_of(values, p)) && (st->table_grad = vector_of(values, p));
    for (int i = 0; ok && values && i < s->optim.ops->slots; i++)
        ok = (st->table_slot[i] = vector_of(values, p)) != NULL;
    if (ok && kept_values(s)) ok = (st->kept = vector_of(kept_values(s), p)) != NULL;
    if (ok && s->local_own && s->family->ops->independent)
        ok = (st->own_means = vector_of(AVI_OWN_ROWS * s->model->latent, p)) != NULL;
    ok = ok && (st->kl_dimension = calloc((size_t)s->model->latent + 1, sizeof *st->kl_dimension));
    if (!ok) return avi_fail_memory((size_t)avi_state_bytes(s), "parameters, local factors and optimizer state");
    if (avi_best_wanted(s)) AVI_TRY(avi_best_allocate(s, st));
    return s->optim.ops->update[0] ? AVI_OK : avi_lbfgs_create(s->layout.size, (int)s->optim.number[0], &st->lbfgs);
}

avi_status avi_state_create(const avi_session *s, avi_state **state)
{
    avi_state *st = calloc(1, sizeof *st);
    *state = st;
    avi_status status = avi_agree(s->comm, st ? AVI_OK : avi_fail_memory(sizeof *st, "the state"));
    if (status == AVI_OK && may_share(s)) status = share_vectors(s, st);
    if (status == AVI_OK) status = avi_agree(s->comm, allocate(s, st));
    if (status != AVI_OK) {
        avi_state_destroy(state);
        return status;
    }
    for (int i = 0; i < 2 * AVI_EVAL_GROUPS; i++) st->half[i / AVI_EVAL_GROUPS][i % AVI_EVAL_GROUPS] = NAN;
    avi_trace_create(&st->trace, avi_trace_columns);
    avi_trace_create(&st->eval, avi_eval_columns);
    avi_trace_create(&st->gradient_variance, avi_variance_columns);
    avi_shares_create(&st->shares, s->comm, avi_config_get_bool(s->config, "log", "profile"));
    status = avi_agree(s->comm, avi_digests_create(s, &st->digests));
    if (status == AVI_OK) return avi_state_reset(s, st);
    avi_state_destroy(state);
    return status;
}

void avi_state_destroy(avi_state **state)
{
    avi_state *st = *state;
    if (!st) return;
    for (int i = 0; i < AVI_OPTIM_SLOTS; i++) {
        if (!st->shared) free(st->slot[i]);
        free(st->table_slot[i]);
    }
    if (!st->shared) {
        free(st->params);
        free(st->gradient);
    }
    avi_best_free(st);
    avi_shared_destroy(&st->shared);
    free(st->kl_dimension);
    free(st->kept);
    free(st->own_means);
    free(st->table);
    free(st->table_grad);
    avi_lbfgs_free(&st->lbfgs);
    avi_trace_free(&st->trace);
    avi_trace_free(&st->eval);
    avi_trace_free(&st->gradient_variance);
    avi_shares_free(&st->shares);
    avi_digests_free(&st->digests);
    free(st);
    *state = NULL;
}

/* Independent values with the model's log sd. */
static void initial_factor(const avi_session *s, void *params)
{
    const avi_family *f = s->problem.global_family;
    const int64_t beside = avi_parameter_layout_log_sd(&s->problem, &s->layout);
    for (int64_t k = f->latent; k < f->width; k++)
        avi_vector_set(s->precision, params, beside + k - f->latent,
                       f->ops->scale_of(f, k) == k ? s->model->initial_log_sd : 0);
}

static avi_status initial_params(const avi_session *s, void *params)
{
    const avi_precision p = s->precision;
    AVI_TRY(avi_params_initialise(&s->model->theta, s->seed, p, params));
    for (int k = 0; s->moments && k < s->model->theta.count; k++) {
        const avi_block *b = &s->model->theta.block[k];
        if (b->init == AVI_INIT_DATA_MEAN && b->rows * b->cols == s->moments->width)
            avi_vector_from_double(p, s->moments->mean, s->moments->width, avi_vector_at(p, params, b->offset));
    }
    if (s->problem.global_family)
        initial_factor(s, params);
    else if (s->problem.global_gaussian)
        for (int k = 0; k < s->model->theta.count; k++) {
            const avi_block *b = &s->model->theta.block[k];
            for (int64_t i = 0; i < b->rows * b->cols; i++)
                avi_vector_set(p, params, s->layout.theta + b->offset + i, s->model->initial_log_sd);
        }
    return avi_params_initialise(&s->infer->phi, s->seed, p,
                                 avi_vector_at(p, params, avi_parameter_layout_phi(&s->problem, &s->layout)));
}

/* The local factors of own rows; halo rows come from their owners. */
static avi_status initial_table(const avi_session *s, void *table)
{
    enum { BLOCK = 1024 }; /* rows whose places in the data are looked up together, which is much faster */
    const avi_infer *f = s->infer;
    const avi_partition *p = &s->partition;
    const size_t bytes = (size_t)f->outputs * sizeof(double);
    int64_t given[BLOCK];
    memset(table, 0, (size_t)avi_state_table_values(s) * avi_real_size(s->precision));
    if (!f->ops->start) return AVI_OK;
    double *nu = malloc(bytes);
    if (!nu) return avi_fail_memory(bytes, "the start of a local factor");
    for (int64_t i = 0; i < s->train->count; i++) {
        const int64_t left = s->train->count - i, at = s->train->first + i;
        if (i % BLOCK == 0) avi_partition_originals(p, at, left < BLOCK ? left : BLOCK, given);
        f->ops->start(f, s->seed, given[i % BLOCK], nu);
        avi_vector_from_double(s->precision, nu, f->outputs, avi_vector_at(s->precision, table, (i + 1) * f->outputs));
    }
    free(nu);
    return AVI_OK;
}

avi_status avi_state_reset(const avi_session *s, avi_state *st)
{
    const size_t real = avi_real_size(s->precision), values = (size_t)avi_state_table_values(s);
    for (int i = 0; i < s->optim.ops->slots; i++) {
        if (s->layout.size > 0) memset(st->slot[i], 0, (size_t)s->layout.size * real);
        if (values) memset(st->table_slot[i], 0, values * real);
    }
    if (values) AVI_TRY(avi_agree(s->comm, initial_table(s, st->table)));
    st->step = st->skipped = st->skipped_in_a_row = 0;
    st->lbfgs.pairs = 0;
    avi_best_clear(st);
    avi_elbo_bins_clear(&st->bins, s->epoch_steps);
    st->rate_factor = 1;
    st->seconds = 0;
    st->trace.rows = st->eval.rows = st->gradient_variance.rows = st->digests.lines = 0;
    avi_shares_clear(&st->shares);
    avi_estimator_set_scales(s->train_elbo, NULL);
    AVI_TRY(avi_agree(s->comm, initial_params(s, st->params)));
    AVI_TRY(avi_theta_from_take(s, st->params));
    if (st->shared)
        avi_shared_barrier(st->shared); /* every rank writes the same; none may go on while another still does */
    return AVI_OK;
}
