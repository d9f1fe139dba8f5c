/* The ladder: rows whose weights cannot be relied on with a factor of their own get more, a rung at a time: a full
 * covariance, more starts, a wider factor to draw from. What is done for a row depends on that row alone. */
#include "gap/ledger_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* How much wider a factor is that is drawn from for importance weights only: its tails are those of the posterior where
 * those of the best Gaussian are too light. */
static const double wider[] = {1.3, 1.7, 2.5};

typedef struct climb {
    avi_ledger_work *m;
    int64_t first, rows;  /* of the block */
    avi_row_ranges job;   /* rows that still climb, in runs within tiles */
    int64_t *row;         /* (rows of the job): their numbers in the block */
    int64_t count;        /* rows of the job */
    double *nu;           /* (2 rows, width) and more: own factors before a start, and after it */
    double *elbo;         /* (rows) */
    avi_refined *refined; /* (rows) */
    double *blocks;       /* (rows, width, width): curvature; NULL without a wider family */
} climb;

static void release(climb *c)
{
    avi_row_ranges_free(&c->job);
    free(c->row);
    free(c->nu);
    free(c->elbo);
    free(c->refined);
    free(c->blocks);
}

static avi_status allocate(climb *c)
{
    const avi_fixed_theta *f = c->m->f;
    const int64_t n = c->rows + 1, own = f->family->width, w = f->full ? 2 * own + f->full->width : 2 * own;
    c->job.first = malloc((size_t)n * sizeof *c->job.first);
    c->job.rows = malloc((size_t)n * sizeof *c->job.rows);
    c->row = malloc((size_t)n * sizeof *c->row);
    c->nu = malloc((size_t)(n * w) * sizeof *c->nu);
    c->elbo = malloc((size_t)n * sizeof *c->elbo);
    c->refined = malloc((size_t)n * sizeof *c->refined);
    if (c->job.first && c->job.rows && c->row && c->nu && c->elbo && c->refined) return AVI_OK;
    return avi_fail_memory((size_t)(n * w) * sizeof *c->nu, "the ladder of the gap");
}

/* Rows of the block that no rung serves so far. A run ends at its tile, so that runs are the same on any number of
 * ranks. */
static void list_rows(climb *c)
{
    const int64_t tile = c->m->data->partition.tile;
    c->job.count = 0;
    c->count = 0;
    for (int64_t r = 0; r < c->rows; r++) {
        const int64_t position = c->first + r, last = c->job.count - 1;
        if ((int)avi_ledger_owned(c->m, position)[AVI_GAP_RUNG] != AVI_RUNG_NONE) continue;
        c->row[c->count++] = r;
        if (c->job.count && c->job.first[last] + c->job.rows[last] == position && position % tile)
            c->job.rows[last]++;
        else {
            c->job.first[c->job.count] = position;
            c->job.rows[c->job.count++] = 1;
        }
    }
}

/* Weights of a rung for row i of the job: it takes the row when they can be relied on. */
static void judge(climb *c, int64_t i, const double *weight, avi_gap_rung rung)
{
    const int64_t k = c->m->settings->draws;
    double *out = avi_ledger_owned(c->m, c->first + c->row[i]);
    double *copy = c->m->weight_other + i * k;
    avi_weights w;
    if (copy != weight) memcpy(copy, weight, (size_t)k * sizeof *copy);
    avi_weights_summarise(k, copy, &w);
    if (!(w.khat <= AVI_KHAT_LIMIT)) return;
    out[AVI_GAP_RUNG] = rung;
    out[AVI_GAP_KHAT_SERVED] = w.khat;
    out[AVI_GAP_LOG_P] = w.log_p;
    out[AVI_GAP_LOG_P_ERROR] = w.log_p_error;
    out[AVI_GAP_ESS] = w.ess;
    out[AVI_GAP_APPROXIMATION] = w.log_p - out[AVI_GAP_ELBO_FVI];
}

/* Collective. Draws from what a table has for the job's rows, and the verdict on them. */
static avi_status weigh(climb *c, avi_estimator *e, void *params, void *table, avi_gap_rung rung)
{
    double sums[AVI_SUMS];
    const avi_row_values values = {.log_weight = c->m->weight_other};
    AVI_TRY(avi_estimator_evaluate(e, params, table, &c->job, false, sums, &values));
    for (int64_t i = 0; i < c->count; i++) judge(c, i, c->m->weight_other + i * c->m->settings->draws, rung);
    return AVI_OK;
}

static void get(const climb *c, void *table, int64_t width, int64_t i, double *out)
{
    avi_vector_to_double(c->m->f->s->precision, avi_ledger_row(c->m, table, width, c->first + c->row[i]), width, out);
}

static void put(const climb *c, void *table, int64_t width, int64_t i, const double *nu)
{
    avi_vector_from_double(c->m->f->s->precision, nu, width, avi_ledger_row(c->m, table, width, c->first + c->row[i]));
}

/* ---- a full covariance ---- */

/* The lower triangle c (l, l) of the inverse's root: h = r r' with r upper triangular, so that h^-1 = r'^-1 r^-1 and
 * r'^-1 is lower triangular. False where h is not positive definite. */
static bool root_of_inverse(int64_t l, const double *h, double *r, double *c)
{
    for (int64_t j = l - 1; j >= 0; j--) {
        double sum = h[j * l + j];
        for (int64_t k = j + 1; k < l; k++) sum -= r[j * l + k] * r[j * l + k];
        if (!(sum > 1e-10 * (1 + h[j * l + j]))) return false;
        r[j * l + j] = sqrt(sum);
        for (int64_t i = 0; i < j; i++) {
            sum = 0.5 * (h[i * l + j] + h[j * l + i]);
            for (int64_t k = j + 1; k < l; k++) sum -= r[i * l + k] * r[j * l + k];
            r[i * l + j] = sum / r[j * l + j];
        }
    }
    for (int64_t j = 0; j < l; j++) /* column j of the inverse of r', which is lower triangular */
        for (int64_t i = 0; i < l; i++) {
            double sum = i == j;
            for (int64_t k = j; k < i; k++) sum -= r[k * l + i] * c[k * l + j];
            c[i * l + j] = i < j ? 0 : sum / r[i * l + i];
        }
    return true;
}

/* By Price's theorem the best covariance of a Gaussian is the inverse of -E[second derivatives of log p(x, z)], which
 * is the curvature of the ELBO in the means. A row where that is not positive definite keeps its own factor's. */
static void set_full(const climb *c, int64_t i, double *nu, double *full, double *scratch)
{
    const avi_fixed_theta *f = c->m->f;
    const int64_t l = f->s->model->latent, w = f->family->width;
    double *h = scratch, *r = h + l * l, *root = r + l * l, *out = full + l;
    get(c, c->m->table, w, i, nu);
    for (int64_t a = 0; a < l; a++)
        for (int64_t b = 0; b < l; b++) h[a * l + b] = c->blocks[(i * w + a) * w + b];
    const bool good = root_of_inverse(l, h, r, root);
    memcpy(full, nu, (size_t)l * sizeof *full);
    for (int64_t a = 0; a < l; a++)
        for (int64_t b = 0; b <= a; b++)
            *out++ = a == b ? (good ? log(root[a * l + a]) : nu[l + a]) : good ? root[a * l + b] : 0;
    put(c, c->m->full, f->full->width, i, full);
}

/* Collective. */
static avi_status full_covariance(climb *c, avi_gap_rung rung)
{
    avi_ledger_work *m = c->m;
    const avi_fixed_theta *f = m->f;
    if (!f->full) return AVI_OK;
    const int64_t l = f->s->model->latent, w = f->family->width, values = w + f->full->width + 3 * l * l;
    const size_t bytes = (size_t)(c->count * w * w + values) * sizeof *c->blocks;
    free(c->blocks);
    c->blocks = malloc(bytes);
    AVI_TRY(avi_agree(f->s->comm, c->blocks ? AVI_OK : avi_fail_memory(bytes, "the ladder of the gap")));
    double *nu = c->blocks + c->count * w * w, *full = nu + w, *scratch = full + f->full->width;
    AVI_TRY(avi_estimator_curvature(m->refine, f->params_own, m->table, m->grad, &c->job, l, c->blocks, NULL));
    for (int64_t i = 0; i < c->count; i++) set_full(c, i, nu, full, scratch);
    return weigh(c, m->weigh_full, f->params_own, m->full, rung);
}

/* ---- more starts ---- */

/* Means from the prior, which knows of modes that the first start is far from; scales as they are. */
static void start(const climb *c, int number)
{
    const avi_fixed_theta *f = c->m->f;
    const int64_t l = f->s->model->latent, w = f->family->width;
    const avi_stream stream = avi_stream_make(f->s->seed, AVI_DRAW_TEST, (uint64_t)(1000 + number));
    for (int64_t i = 0; i < c->count; i++) {
        double *nu = c->nu + (c->count + i) * w; /* behind what is kept */
        memcpy(nu, c->nu + i * w, (size_t)w * sizeof *nu);
        avi_normal_f64(stream, (uint64_t)(c->first + c->row[i]), 1, 0, l, nu);
        put(c, c->m->table, w, i, nu);
    }
}

/* Own rows of the job from where the table has them. */
static avi_status refine(climb *c)
{
    avi_ledger_work *m = c->m;
    int64_t at = 0;
    for (int i = 0; i < c->job.count; at += c->job.rows[i++])
        AVI_TRY(avi_estimator_refine(m->refine, m->f->params_own, m->table, m->grad, c->job.first[i], c->job.rows[i],
                                     m->settings->passes, m->settings->tolerance, c->refined + at));
    return AVI_OK;
}

/* Whether the new factor of row i is better for certain: by the same draws, or under the exact rule. */
static bool is_better(const climb *c, int64_t i)
{
    const int64_t k = c->m->settings->draws;
    const double *a = c->m->weight_own + c->row[i] * k, *b = c->m->weight_other + i * k;
    double sum = 0, squares = 0;
    if (c->m->f->exact) return c->elbo[i] > c->m->after[c->row[i]] + c->m->settings->tolerance;
    for (int64_t s = 0; s < k; s++) sum += b[s] - a[s];
    for (int64_t s = 0; s < k; s++) squares += (b[s] - a[s] - sum / (double)k) * (b[s] - a[s] - sum / (double)k);
    return sum > 2 * sqrt(squares);
}

/* A better factor takes the place of the row's own one, in the ledger too. */
static avi_status keep(climb *c, int64_t i)
{
    avi_ledger_work *m = c->m;
    const int64_t k = m->settings->draws, r = c->row[i];
    double *out = avi_ledger_owned(m, c->first + r);
    memcpy(m->weight_own + r * k, m->weight_other + i * k, (size_t)k * sizeof *m->weight_own);
    if (m->f->exact) m->after[r] = c->elbo[i];
    c->refined[i].steps += m->refined[r].steps;
    m->refined[r] = c->refined[i];
    AVI_TRY(avi_ledger_fill_row(m, r, out));
    if ((int)out[AVI_GAP_RUNG] == AVI_RUNG_FACTOR) out[AVI_GAP_RUNG] = AVI_RUNG_STARTS;
    return AVI_OK;
}

/* Collective. One more start of the job's rows; the better factor stays. */
static avi_status start_again(climb *c, int number)
{
    avi_ledger_work *m = c->m;
    const int64_t w = m->f->family->width;
    double sums[AVI_SUMS];
    const avi_row_values values = {.log_weight = m->weight_other};
    for (int64_t i = 0; i < c->count; i++) get(c, m->table, w, i, c->nu + i * w);
    start(c, number);
    AVI_TRY(avi_agree(m->f->s->comm, refine(c)));
    AVI_TRY(avi_estimator_evaluate(m->weigh_own, m->f->params_own, m->table, &c->job, false, sums, &values));
    AVI_TRY(avi_ledger_exact_rows(m, &c->job, c->elbo));
    avi_status status = AVI_OK;
    for (int64_t i = 0; i < c->count && status == AVI_OK; i++)
        if (is_better(c, i))
            status = keep(c, i);
        else
            put(c, m->table, w, i, c->nu + i * w);
    return avi_agree(m->f->s->comm, status);
}

/* ---- wider factors to draw from ---- */

static void widen(const climb *c, double factor)
{
    const avi_fixed_theta *f = c->m->f;
    const avi_family *family = f->full ? f->full : f->family;
    const int64_t l = f->s->model->latent, w = family->width;
    void *table = f->full ? c->m->full : c->m->table;
    for (int64_t i = 0; i < c->count; i++) {
        double *nu = c->nu, *at = nu + l;
        get(c, table, w, i, nu);
        for (int64_t a = 0; a < l; a++) {
            for (int64_t b = 0; b < a && !family->ops->independent; b++) *at++ *= factor;
            *at++ += log(factor);
        }
        put(c, table, w, i, nu);
    }
}

/* Collective. The table of the rows' factors is not needed any more: it takes the wider ones, each from the one
 * before. */
static avi_status resample(climb *c)
{
    avi_ledger_work *m = c->m;
    const avi_fixed_theta *f = m->f;
    double now = 1;
    if (!f->family->ops->independent && !avi_family_is(f->family, "gaussian_full")) return AVI_OK;
    for (size_t i = 0; i < sizeof wider / sizeof wider[0]; i++) {
        widen(c, wider[i] / now);
        now = wider[i];
        AVI_TRY(weigh(c, f->full ? m->weigh_full : m->weigh_own, f->params_own, f->full ? m->full : m->table,
                      AVI_RUNG_RESAMPLING));
        list_rows(c);
    }
    return AVI_OK;
}

static avi_status climb_rungs(climb *c)
{
    list_rows(c);
    AVI_TRY(full_covariance(c, AVI_RUNG_FULL));
    list_rows(c);
    for (int number = 1; number < c->m->settings->starts; number++) {
        AVI_TRY(start_again(c, number));
        list_rows(c);
    }
    if (c->m->settings->starts > 1) AVI_TRY(full_covariance(c, AVI_RUNG_STARTS));
    list_rows(c);
    return resample(c);
}

avi_status avi_ledger_climb(avi_ledger_work *m, int64_t first, int64_t rows)
{
    climb c = {.m = m, .first = first, .rows = rows};
    avi_status status = avi_agree(m->f->s->comm, allocate(&c));
    if (status == AVI_OK) status = climb_rungs(&c);
    release(&c);
    return status;
}
