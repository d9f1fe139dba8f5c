#include "run/state.h"
#include "base/pages.h"

#include <stdlib.h>
#include <string.h>

int64_t avi_state_table_values(const avi_session *s)
{
    return s->infer->ops->local ? (s->train->count + 2) * s->infer->outputs : 0;
}

int64_t avi_state_bytes(const avi_session *s)
{
    const int64_t copies = 2 + s->optim.ops->slots;
    return copies * (s->layout.size + avi_state_table_values(s)) * (int64_t)avi_real_size(s->precision);
}

static void *vector_of(int64_t n, avi_precision p)
{
    const size_t bytes = (size_t)n * avi_real_size(p) + 64;
    void *v = avi_pages_alloc(bytes);
    if (v) memset(v, 0, bytes);
    return v;
}

avi_status avi_state_create(const avi_session *s, avi_state **state)
{
    avi_state *st = calloc(1, sizeof *st);
    const int64_t values = avi_state_table_values(s);
    *state = st;
    if (!st) return avi_fail_memory(sizeof *st, "the state");
    bool ok = (st->params = vector_of(s->layout.size, s->precision)) && (st->gradient = vector_of(s->layout.size, s->precision));
    for (int i = 0; ok && i < s->optim.ops->slots; i++) ok = (st->slot[i] = vector_of(s->layout.size, s->precision)) != NULL;
    if (ok && values) ok = (st->table = vector_of(values, s->precision)) && (st->table_grad = vector_of(values, s->precision));
    for (int i = 0; ok && values && i < s->optim.ops->slots; i++) ok = (st->table_slot[i] = vector_of(values, s->precision)) != NULL;
    if (!ok) {
        avi_state_destroy(state);
        return avi_fail_memory((size_t)avi_state_bytes(s), "parameters, local factors and optimizer state");
    }
    if (!s->optim.ops->update[0]) AVI_TRY(avi_lbfgs_create(s->layout.size, (int)s->optim.number[0], &st->lbfgs));
    avi_trace_create(&st->trace, avi_trace_columns);
    avi_trace_create(&st->eval, avi_eval_columns);
    return avi_state_reset(s, st);
}

void avi_state_destroy(avi_state **state)
{
    avi_state *st = *state;
    if (!st) return;
    free(st->params);
    free(st->gradient);
    free(st->table);
    free(st->table_grad);
    for (int i = 0; i < AVI_OPTIM_SLOTS; i++) {
        free(st->slot[i]);
        free(st->table_slot[i]);
    }
    avi_lbfgs_free(&st->lbfgs);
    avi_trace_free(&st->trace);
    avi_trace_free(&st->eval);
    free(st);
    *state = NULL;
}

static avi_status initial_params(const avi_session *s, void *params)
{
    const avi_precision p = s->precision;
    AVI_TRY(avi_params_initialise(&s->model->theta, s->seed, p, params));
    if (s->problem.global_gaussian)
        for (int k = 0; k < s->model->theta.count; k++) {
            const avi_block *b = &s->model->theta.block[k];
            for (int64_t i = 0; i < b->rows * b->cols; i++) avi_vector_set(p, params, s->layout.theta + b->offset + i, s->model->initial_log_sd);
        }
    return avi_params_initialise(&s->infer->phi, s->seed, p, avi_vector_at(p, params, avi_layout_phi(&s->problem, &s->layout)));
}

avi_status avi_state_reset(const avi_session *s, avi_state *st)
{
    const size_t real = avi_real_size(s->precision), values = (size_t)avi_state_table_values(s);
    for (int i = 0; i < s->optim.ops->slots; i++) {
        memset(st->slot[i], 0, (size_t)s->layout.size * real);
        if (values) memset(st->table_slot[i], 0, values * real);
    }
    if (values) memset(st->table, 0, values * real);
    st->step = st->skipped = st->skipped_in_a_row = 0;
    st->lbfgs.pairs = 0;
    st->rate_factor = 1;
    st->seconds = 0;
    st->trace.rows = st->eval.rows = 0;
    avi_estimator_set_scales(s->train_elbo, NULL);
    return initial_params(s, st->params);
}
