/* Rows in memory through a fit: factors, ELBO, importance weights. Each rank by itself, on a communicator of its own.
 */
#include "run/internal.h"
#include "gap/psis.h"
#include "session/values.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 1024 /* rows at a time */ };

/* ---- the rows as a source and as data ---- */

typedef struct memory {
    const double *x; /* (rows, width), borrowed */
    double scale;    /* of stored values: the fit's */
} memory;

static avi_status read_memory(avi_source *s, int64_t first, int64_t count, void *out)
{
    const memory *m = s->self;
    const int64_t width = s->shape.width;
    for (int64_t i = 0; i < count * width; i++) ((double *)out)[i] = m->x[first * width + i] / m->scale;
    return AVI_OK;
}

static const avi_source_ops memory_source = {
    .name = "memory", .doc = "rows of a program", .read = read_memory, .any_rank = true};

typedef struct rows {
    avi_session local; /* the run's session, of this rank alone */
    memory memory;
    avi_source source;
    avi_data *data;
    avi_estimator *estimator;
} rows;

static avi_status load(avi_run *run, int64_t count, const double *x, rows *r)
{
    const avi_session *s = run->session;
    const avi_source *train = s->train_source;
    const avi_domain *d = &s->problem.domain;
    const int64_t factors = count - s->model->ops->lookahead, reach = d->before > d->after ? d->before : d->after;
    avi_partition p;
    *r = (rows){.local = *s, .memory = {.x = x, .scale = s->train->shape.scale}};
    r->local.comm = run->self;
    if (s->infer->ops->local)
        return avi_config_fail(s->config, "inference", "function",
                               "has factors for the rows of its fit alone; use an amortized function, such as mlp, for "
                               "new rows");
    if (s->model->ops->coupling == AVI_DENSE)
        return avi_fail(AVI_ERR_CONFIG,
                        "model %s couples new rows with those of its fit; use a model with rows that "
                        "are independent or a chain",
                        s->model->ops->name);
    if (factors < 1)
        return avi_fail(AVI_ERR_DATA, "model %s needs at least %d rows; pass more", s->model->ops->name,
                        1 + s->model->ops->lookahead);
    r->source = (avi_source){.ops = &memory_source,
                             .shape = s->shape,
                             .self = &r->memory,
                             .missing_allowed = train->missing_allowed,
                             .log1p = train->log1p,
                             .standardise = train->standardise,
                             .like = s->train,
                             .label = "rows of the program"};
    r->source.shape.rows = count;
    r->source.shape.type = AVI_F64;
    const int64_t tile = s->partition.tile < factors ? s->partition.tile : factors;
    AVI_TRY(avi_partition_make(factors, tile, (factors + tile - 1) / tile, 1, s->seed, false, &p));
    AVI_TRY(avi_data_load(&r->source, run->self, &p, s->model->ops->lookahead,
                          (int)(reach + (s->model->ops->coupling == AVI_CHAIN)), &r->data));
    return avi_values_check(&r->local, r->data, &r->source);
}

static void release(rows *r)
{
    avi_estimator_destroy(&r->estimator);
    avi_data_destroy(&r->data);
}

/* Loads the rows, with an estimator of `draws` draws. */
static avi_status open_rows(avi_run *run, int64_t count, const double *x, int draws, rows *r)
{
    avi_problem p = run->fixed.weigh_function;
    p.draws = draws;
    p.block_rows = 32768 / draws + 1;
    AVI_TRY(load(run, count, x, r));
    return avi_estimator_create(&p, run->self, r->data, &r->estimator);
}

static avi_status loaded(const avi_run *r)
{
    avi_error_clear();
    return r->session ? AVI_OK : avi_fail(AVI_ERR_INTERNAL, "no fit is loaded; use avi_run_load first");
}

/* ---- encode ---- */

static avi_status encode(avi_run *run, rows *r, double *mean, double *log_sd)
{
    const int64_t latent = run->session->model->latent, width = run->session->family->width,
                  all = r->data->partition.rows;
    double *nu = malloc((size_t)(BLOCK * (width + 2 * latent)) * sizeof *nu);
    if (!nu) return avi_fail_memory((size_t)(BLOCK * width) * sizeof *nu, "factors");
    double *m = nu + BLOCK * width, *l = m + BLOCK * latent;
    avi_status status = AVI_OK;
    for (int64_t at = 0; at < all && status == AVI_OK; at += BLOCK) {
        const int64_t n = all - at < BLOCK ? all - at : BLOCK;
        const size_t bytes = (size_t)(n * latent) * sizeof *m;
        status = avi_estimator_factors(r->estimator, run->fixed.params_function, NULL, at, n, nu);
        if (status != AVI_OK) break;
        avi_moments_rows(&run->moments, n, nu, m, l);
        if (mean) memcpy(mean + at * latent, m, bytes);
        if (log_sd) memcpy(log_sd + at * latent, l, bytes);
    }
    free(nu);
    return status;
}

avi_status avi_run_encode(avi_run *run, int64_t count, const double *x, double *mean, double *log_sd)
{
    rows r;
    AVI_TRY(loaded(run));
    if (count == 0) return AVI_OK;
    avi_status status = open_rows(run, count, x, 2, &r);
    if (status == AVI_OK) status = encode(run, &r, mean, log_sd);
    release(&r);
    return status;
}

/* ---- evaluate ---- */

static void set(double *out, int64_t i, double value)
{
    if (out) out[i] = value;
}

/* One row from its log weights (K), which are sorted on the way. */
static void summarise(int64_t i, int draws, double *weight, const avi_run_values *out)
{
    double mean = 0, squares = 0;
    avi_weights w;
    for (int k = 0; k < draws; k++) mean += weight[k] / draws;
    for (int k = 0; k < draws; k++) squares += (weight[k] - mean) * (weight[k] - mean);
    avi_weights_summarise(draws, weight, &w);
    set(out->elbo, i, mean);
    set(out->elbo_error, i, sqrt(squares / ((double)draws * (draws - 1))));
    set(out->log_p, i, w.log_p);
    set(out->log_p_error, i, w.log_p_error);
    set(out->khat, i, w.khat);
    set(out->ess, i, w.ess);
}

static avi_status evaluate(avi_run *run, rows *r, int draws, const avi_run_values *out)
{
    const int64_t all = r->data->partition.rows, most = all < BLOCK ? all : BLOCK;
    double sums[AVI_SUMS], *weight = malloc((size_t)(most * draws) * sizeof *weight);
    if (!weight) return avi_fail_memory((size_t)(most * draws) * sizeof *weight, "importance weights");
    avi_status status = AVI_OK;
    for (int64_t at = 0; at < all && status == AVI_OK; at += BLOCK) {
        int64_t n = all - at < BLOCK ? all - at : BLOCK;
        const avi_row_ranges job = {.count = 1, .first = &at, .rows = &n};
        const avi_row_values values = {.log_weight = weight};
        status = avi_estimator_evaluate(r->estimator, run->fixed.params_function, NULL, &job, false, sums, &values);
        for (int64_t i = 0; i < n && status == AVI_OK; i++) summarise(at + i, draws, weight + i * draws, out);
    }
    free(weight);
    return status;
}

avi_status avi_run_evaluate(avi_run *run, int64_t count, const double *x, int draws, const avi_run_values *values)
{
    rows r;
    AVI_TRY(loaded(run));
    if (draws < 2 || draws > 65536) return avi_fail(AVI_ERR_USAGE, "avi_run_evaluate: %d draws; use 2 to 65536", draws);
    if (run->session->model->ops->coupling != AVI_INDEPENDENT)
        return avi_fail(AVI_ERR_CONFIG,
                        "rows of model %s depend on each other, so a row has no log p(x) of its own; use a model with "
                        "independent rows",
                        run->session->model->ops->name);
    if (count == 0) return AVI_OK;
    avi_status status = open_rows(run, count, x, draws, &r);
    if (status == AVI_OK) status = evaluate(run, &r, draws, values);
    release(&r);
    return status;
}

/* ---- decode ---- */

avi_status avi_run_decode(avi_run *run, int64_t count, const double *z, double *x)
{
    AVI_TRY(loaded(run));
    const avi_session *s = run->session;
    for (int64_t at = 0; at < count; at += BLOCK) {
        const int64_t n = count - at < BLOCK ? count - at : BLOCK;
        double *out = x + at * s->shape.width;
        AVI_TRY(avi_estimator_decode(run->decoder, run->fixed.params_function, n, z + at * s->model->latent, out));
        avi_data_as_given(s->train, n, out);
    }
    return AVI_OK;
}
