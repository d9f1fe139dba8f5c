/* The draws of a batch of rows, and what follows from them. */
#include "gap/psis.h"
#include "idata/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LOG_2PI 1.83787706640934548356

/* Of own rows of the batch, in order of position. K draws. */
typedef struct values {
    double *memory;
    double *z, *x;                   /* (own, K, L), (own, K, D): x is NULL where there are no draws of it */
    double *log_p, *log_q, *loglik;  /* (own, K) */
    double *nu, *observed;           /* (own, width), (own, D) or NULL */
    double *one;                     /* a draw of everything, where theta is drawn anew for each */
    double *mean, *log_sd;           /* (own, L) */
    double *score[AVI_IDATA_SCORES]; /* (own) */
    double *sorted;                  /* (K) */
    double *mask;                    /* (D) */
    int64_t *row;                    /* (own): numbers in the data */
} values;

/* ---- the estimator ---- */

avi_status avi_idata_work_create(avi_session *s, const avi_state *st, const avi_idata_plan *p,
                                 const avi_idata_index *at, avi_idata_work *w)
{
    *w = (avi_idata_work){.s = s, .st = st, .plan = p, .at = at};
    avi_status status = avi_fixed_theta_create(s, st, s->problem.global_gaussian ? 1 : p->draws, &w->fixed);
    if (status == AVI_OK) status = avi_moments_take(s, st, &w->moments);
    if (status == AVI_OK) status = avi_theta_values_create(s, &w->theta);
    if (status == AVI_OK && s->problem.global_gaussian) {
        const size_t bytes = ((size_t)s->layout.theta + (size_t)s->infer->phi.size + 16) * avi_real_size(s->precision);
        w->drawn = malloc(bytes);
        if (w->drawn) memcpy(w->drawn, w->fixed.params_function, bytes);
        if (!w->drawn) status = avi_fail_memory(bytes, "a draw of the global parameters");
    }
    AVI_TRY(avi_agree(s->comm, status));
    return avi_agree(s->comm, avi_estimator_create(&w->fixed.weigh_function, s->comm, s->train, &w->weigh));
}

void avi_idata_work_free(avi_idata_work *w)
{
    avi_estimator_destroy(&w->weigh);
    avi_fixed_theta_free(&w->fixed);
    avi_moments_free(&w->moments);
    avi_theta_values_free(&w->theta);
    free(w->drawn);
    free(w->values.memory);
    free(w->out.memory);
    free(w->in.memory);
    free(w->sorted.memory);
    *w = (avi_idata_work){0};
}

/* ---- draws of theta ---- */

/* Normal log density of a draw of theta under q, sum over its values. */
static double log_q_theta(const avi_idata_work *w)
{
    const avi_session *s = w->s;
    const int64_t log_sd = avi_parameter_layout_log_sd(&s->problem, &s->layout);
    double sum = 0;
    for (int k = 0; k < s->model->theta.count; k++) {
        const avi_block *b = &s->model->theta.block[k];
        for (int64_t i = b->offset; i < b->offset + b->rows * b->cols; i++) {
            const double ls = avi_vector_get(s->precision, w->st->params, log_sd + i),
                         e = (avi_vector_get(s->precision, w->drawn, i) -
                              avi_vector_get(s->precision, w->st->params, i)) *
                             exp(-ls);
            sum -= 0.5 * (LOG_2PI + e * e) + ls;
        }
    }
    return sum;
}

avi_status avi_idata_work_theta(const avi_idata_work *w, int t, double *log_p, double *log_q)
{
    AVI_TRY(avi_theta_draw(w->s, w->st->params, t, w->drawn));
    *log_p = -avi_estimator_kl_global(w->weigh, w->drawn);
    *log_q = log_q_theta(w);
    return AVI_OK;
}

/* This rank's share of the draws of theta: each is a function of its number, and any rank can make it. */
static avi_status put_theta(const avi_idata_work *w)
{
    const avi_session *s = w->s;
    const int ranks = avi_comm_size(s->comm), rank = avi_comm_rank(s->comm);
    const int64_t end = avi_slab_first(w->plan->draws, ranks, rank + 1);
    for (int64_t t = avi_slab_first(w->plan->draws, ranks, rank); w->drawn && t < end; t++) {
        double log_p, log_q;
        AVI_TRY(avi_idata_work_theta(w, (int)t, &log_p, &log_q));
        AVI_TRY(avi_row_file_put(w->file, w->at->log_p_theta, t, 1, &log_p));
        AVI_TRY(avi_row_file_put(w->file, w->at->log_q_theta, t, 1, &log_q));
        for (int k = 0; w->plan->theta && k < s->model->theta.count; k++)
            AVI_TRY(avi_row_file_put(w->file, w->at->theta + k, t, 1,
                                     avi_vector_at(s->precision, w->drawn, s->model->theta.block[k].offset)));
    }
    return AVI_OK;
}

/* ---- draws of rows ---- */

/* One block of memory for all arrays: the next n values of it, from *at on; counts alone while memory is NULL. */
static double *part(double *memory, size_t *at, int64_t n)
{
    double *p = memory ? memory + *at : NULL;
    *at += (size_t)n;
    return p;
}

static size_t lay_out(const avi_idata_work *w, int64_t own, values *v)
{
    const avi_session *s = w->s;
    const int64_t k = w->plan->draws, l = s->model->latent, d = s->shape.width, width = s->infer->outputs;
    const bool x = w->plan->predictive;
    size_t at = 0;
    v->z = part(v->memory, &at, own * k * l);
    v->x = x ? part(v->memory, &at, own * k * d) : NULL;
    v->log_p = part(v->memory, &at, own * k);
    v->log_q = part(v->memory, &at, own * k);
    v->loglik = part(v->memory, &at, own * k);
    v->nu = part(v->memory, &at, own * width);
    v->observed = w->plan->observed ? part(v->memory, &at, own * d) : NULL;
    v->one = w->drawn ? part(v->memory, &at, own * (l + (x ? d : 0) + 3)) : NULL;
    v->mean = part(v->memory, &at, own * l);
    v->log_sd = part(v->memory, &at, own * l);
    for (int i = 0; i < AVI_IDATA_SCORES; i++) v->score[i] = part(v->memory, &at, own);
    v->sorted = part(v->memory, &at, k);
    v->mask = part(v->memory, &at, d);
    v->row = (int64_t *)part(v->memory, &at, own); /* as wide as a double */
    return at + 1;
}

static void spread(int64_t own, int64_t k, int64_t t, int64_t width, const double *one, double *all)
{
    for (int64_t r = 0; r < own; r++) memcpy(all + (r * k + t) * width, one + r * width, (size_t)width * sizeof *all);
}

/* From E[x | z, theta] to draw t of x in the units of the data. */
static void draw_data(const avi_idata_work *w, avi_data_draws to, int64_t t)
{
    avi_theta_draw_data(w->s, &w->theta, &to, t);
    for (int64_t r = 0; r < to.rows; r++) avi_data_as_given(w->s->train, 1, to.x + r * to.x_stride);
}

/* All draws of x of a few rows before those of the next ones, so that they stay in the cache. */
static void draw_all_data(avi_idata_work *w, const avi_idata_batch *b, const values *v)
{
    enum { ROWS = 64 };
    const int64_t k = w->plan->draws, l = w->s->model->latent, d = w->s->shape.width;
    avi_theta_values_take(w->s, w->fixed.params_function, &w->theta);
    for (int64_t r = 0, n; r < b->own; r += n) {
        n = b->own - r < ROWS ? b->own - r : ROWS;
        for (int64_t t = 0; t < k; t++)
            draw_data(w, (avi_data_draws){v->row + r, n, v->z + (r * k + t) * l, v->x + (r * k + t) * d, k * l, k * d},
                      t);
    }
}

/* Collective. A draw of the rows with each draw of theta. */
static avi_status draw_with_theta(avi_idata_work *w, const avi_idata_batch *b, values *v)
{
    const avi_session *s = w->s;
    const int64_t k = w->plan->draws, l = s->model->latent, d = s->shape.width, own = b->own;
    double sums[AVI_SUMS], *z = v->one, *log_p = z + own * l, *log_q = log_p + own, *loglik = log_q + own,
                           *x = v->x ? loglik + own : NULL;
    for (int64_t t = 0; t < k; t++) {
        AVI_TRY(avi_agree(s->comm, avi_theta_draw(s, w->st->params, (int)t, w->drawn)));
        const avi_row_values rows = {.z = z,
                                     .draw_x = x,
                                     .log_weight = log_p,
                                     .draw_loglik = loglik,
                                     .draw_log_q = log_q,
                                     .nu = t ? NULL : v->nu,
                                     .set = (uint64_t)t + 1};
        AVI_TRY(avi_estimator_evaluate(w->weigh, w->drawn, w->st->table, &b->job, false, sums, &rows));
        spread(own, k, t, l, z, v->z);
        spread(own, k, t, 1, log_p, v->log_p);
        spread(own, k, t, 1, log_q, v->log_q);
        spread(own, k, t, 1, loglik, v->loglik);
        if (x) {
            avi_theta_values_take(s, w->drawn, &w->theta);
            draw_data(w, (avi_data_draws){v->row, own, z, x, l, d}, t);
            spread(own, k, t, d, x, v->x);
        }
    }
    return AVI_OK;
}

/* Collective. The weights are in v->log_p. */
static avi_status draw_rows(avi_idata_work *w, const avi_idata_batch *b, values *v)
{
    double sums[AVI_SUMS];
    if (w->drawn) return draw_with_theta(w, b, v);
    const avi_row_values rows = {.z = v->z,
                                 .draw_x = v->x,
                                 .log_weight = v->log_p,
                                 .draw_loglik = v->loglik,
                                 .draw_log_q = v->log_q,
                                 .nu = v->nu};
    AVI_TRY(avi_estimator_evaluate(w->weigh, w->fixed.params_function, w->st->table, &b->job, false, sums, &rows));
    if (v->x) draw_all_data(w, b, v);
    return AVI_OK;
}

/* ---- what follows ---- */

static void summarise_row(const avi_idata_work *w, int64_t r, values *v)
{
    const int64_t k = w->plan->draws;
    avi_weights weights;
    double *log_p = v->log_p + r * k, sum = 0;
    for (int64_t i = 0; i < k; i++) sum += log_p[i];
    memcpy(v->sorted, log_p, (size_t)k * sizeof *log_p);
    avi_weights_summarise(k, v->sorted, &weights);
    const double score[AVI_IDATA_SCORES] = {sum / (double)k, weights.log_p, weights.log_p_error, weights.khat,
                                            weights.ess};
    for (int i = 0; i < AVI_IDATA_SCORES; i++) v->score[i][r] = score[i];
}

static void observe_row(const avi_idata_work *w, int64_t position, double *out, double *mask)
{
    const avi_data *data = w->s->train;
    avi_data_fetch_f64(data, position, 1, out);
    avi_data_as_given(data, 1, out);
    if (!data->masked) return;
    avi_data_fetch_mask_f64(data, position, 1, mask);
    for (int64_t c = 0; c < w->s->shape.width; c++)
        if (!(mask[c] > 0)) out[c] = NAN;
}

static void follow(avi_idata_work *w, const avi_idata_batch *b, values *v)
{
    const int64_t k = w->plan->draws, l = w->s->model->latent, width = w->s->shape.width;
    for (int64_t r = 0; r < b->own; r++) {
        if (w->plan->scores) summarise_row(w, r, v);
        avi_moments_rows(&w->moments, 1, v->nu + r * w->s->infer->outputs, v->mean + r * l, v->log_sd + r * l);
        if (v->observed) observe_row(w, b->position[r], v->observed + r * width, v->mask);
    }
    for (int64_t i = 0; i < b->own * k; i++) v->log_p[i] += v->log_q[i]; /* from weights to log p */
}

static avi_status put_all(avi_idata_work *w, const avi_idata_batch *b, const values *v)
{
    const avi_idata_index *at = w->at;
    const int64_t k = w->plan->draws, l = w->s->model->latent, d = w->s->shape.width;
    AVI_TRY(avi_idata_batch_put(w, b, at->z, k, l, true, v->z));
    AVI_TRY(avi_idata_batch_put(w, b, at->log_p, k, 1, false, v->log_p));
    AVI_TRY(avi_idata_batch_put(w, b, at->log_q, k, 1, false, v->log_q));
    AVI_TRY(avi_idata_batch_put(w, b, at->loglik, k, 1, false, v->loglik));
    AVI_TRY(avi_idata_batch_put(w, b, at->x, k, d, true, v->x));
    AVI_TRY(avi_idata_batch_put(w, b, at->observed, 1, d, false, v->observed));
    AVI_TRY(avi_idata_batch_put(w, b, at->mean, 1, l, true, v->mean));
    AVI_TRY(avi_idata_batch_put(w, b, at->log_sd, 1, l, true, v->log_sd));
    for (int i = 0; i < AVI_IDATA_SCORES; i++)
        AVI_TRY(avi_idata_batch_put(w, b, at->score[i], 1, 1, false, v->score[i]));
    return AVI_OK;
}

avi_status avi_idata_work_batch(avi_idata_work *w, const avi_idata_batch *b)
{
    values v = {0};
    const size_t n = lay_out(w, b->own, &v);
    avi_status status = avi_agree(w->s->comm, avi_idata_room_make(&w->values, n * sizeof *v.memory));
    if (status == AVI_OK) {
        v.memory = w->values.memory;
        lay_out(w, b->own, &v);
        for (int64_t r = 0; r < b->own; r++) v.row[r] = avi_idata_row(&w->plan->rows, b->index[r]);
        status = draw_rows(w, b, &v);
    }
    if (status == AVI_OK) {
        follow(w, b, &v);
        status = avi_agree(w->s->comm, avi_data_status(w->s->train));
    }
    return status == AVI_OK ? put_all(w, b, &v) : status;
}

avi_status avi_idata_work_rows(avi_idata_work *w, int64_t done)
{
    avi_status theta = done == 0 ? put_theta(w) : AVI_OK;
    while (done < w->plan->rows.total) {
        avi_idata_batch b;
        avi_status status = avi_agree(w->s->comm, avi_idata_batch_make(w->s, w->plan, done, &b));
        const int64_t n = b.count;
        if (status == AVI_OK) status = avi_idata_work_batch(w, &b);
        avi_idata_batch_free(&b);
        AVI_TRY(status);
        done += n;
        AVI_TRY(avi_row_file_commit(w->file, done, theta));
        theta = AVI_OK;
    }
    return AVI_OK;
}
