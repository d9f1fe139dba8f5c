#include "factors/starts.h"
#include "avi/rng.h"
#include "factors/fixed_theta.h"
#include "output/console.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DRAWS = 2 /* of importance weights, which nobody asks for here */, CANDIDATES = 16, STREAM = 100000 };
static const double TOLERANCE = 1e-6, LEAST_GAIN = 1e-3; /* nats */

static int starts_of(const avi_session *s) { return (int)avi_config_get_int(s->config, "inference", "starts"); }

bool avi_starts_wanted(const avi_session *s) { return starts_of(s) > 1 && s->infer->ops->local; }

avi_status avi_starts_check(const avi_session *s)
{
    if (starts_of(s) <= 1) return AVI_OK;
    if (!s->infer->ops->local)
        return avi_config_fail(s->config, "inference", "starts",
                               "several starts need a factor for each row; use inference.function = factorized, "
                               "or inference.starts = 1");
    if (s->model->ops->coupling != AVI_INDEPENDENT || !s->family->ops->independent)
        return avi_config_fail(s->config, "inference", "starts",
                               "several starts are for independent rows with a Gaussian of independent dimensions; use "
                               "inference.starts = 1");
    return AVI_OK;
}

typedef struct work {
    const avi_session *s;
    avi_state *st;
    avi_fixed_theta fixed;
    avi_estimator *refine;
    void *table, *grad;         /* (1 + own rows + 1, width) */
    int64_t width, piece;       /* piece: rows at a time */
    double *best, *at, *second; /* (piece, width): the best optimum so far; where rows are; the best candidate */
    double *value, *least;      /* (piece): ELBO of best, of second */
    avi_refined *refined;       /* (piece) */
    avi_stream stream;
    int64_t better;
    double gain;
} work;

static avi_status make(work *w)
{
    const avi_session *s = w->s;
    AVI_TRY(avi_fixed_theta_create(s, w->st, DRAWS, &w->fixed));
    AVI_TRY(avi_estimator_create(&w->fixed.refine, s->comm, s->train, &w->refine));
    w->width = s->infer->outputs;
    w->piece = s->problem.reproducible ? s->partition.tile : w->fixed.refine.block_rows;
    w->stream = avi_stream_make(s->seed, AVI_DRAW_TEST, (uint64_t)(STREAM + w->st->step));
    const size_t n = (size_t)w->piece, width = (size_t)w->width, table = (size_t)avi_state_table_values(s);
    w->table = calloc(table, avi_real_size(s->precision));
    w->grad = calloc(table, avi_real_size(s->precision));
    w->best = malloc(n * (3 * width + 2) * sizeof *w->best);
    w->refined = malloc(n * sizeof *w->refined);
    if (!w->table || !w->grad || !w->best || !w->refined)
        return avi_fail_memory(2 * table * avi_real_size(s->precision), "several starts per datapoint");
    w->at = w->best + n * width;
    w->second = w->at + n * width;
    w->value = w->second + n * width;
    w->least = w->value + n;
    return AVI_OK;
}

static void release(work *w)
{
    avi_estimator_destroy(&w->refine);
    avi_fixed_theta_free(&w->fixed);
    free(w->table);
    free(w->grad);
    free(w->best);
    free(w->refined);
}

/* Rows of a table from own row `first` on. */
static void *rows_of(const work *w, void *table, int64_t first)
{
    return avi_vector_at(w->s->precision, table, (first + 1) * w->width);
}

/* From w->at to the optimum in at most so many passes (0: nothing moves), back into w->at; refined has the ELBOs. */
static avi_status refine(work *w, int64_t first, int64_t n, int passes)
{
    const avi_precision p = w->s->precision;
    avi_vector_from_double(p, w->at, n * w->width, rows_of(w, w->table, first));
    AVI_TRY(avi_estimator_refine(w->refine, w->fixed.params_own, w->table, w->grad, w->s->train->first + first, n,
                                 passes, TOLERANCE, w->refined));
    avi_vector_to_double(p, rows_of(w, w->table, first), n * w->width, w->at);
    return AVI_OK;
}

/* Means drawn from the prior stretched 1, 2, 4 or 8 times; sds 1, 1/e, 1/e^2 in turn. */
static void draw(work *w, int64_t first, int64_t n, int number)
{
    const int64_t l = w->s->model->latent;
    avi_normal_f64(w->stream, (uint64_t)(w->s->train->first + first), n, number * l, l, w->second);
    for (int64_t r = 0; r < n; r++)
        for (int64_t d = 0; d < l; d++) {
            w->at[r * w->width + d] = w->second[r * l + d] * (1 << number % 4);
            w->at[r * w->width + l + d] = -(number / 4 % 3);
        }
}

/* Whether row r of `at` is more than two sds away from its best optimum. */
static bool is_elsewhere(const work *w, int64_t r)
{
    const int64_t l = w->s->model->latent;
    const double *best = w->best + r * w->width, *at = w->at + r * w->width;
    for (int64_t d = 0; d < l; d++)
        if (fabs(at[d] - best[d]) > 2 * exp(best[l + d])) return true;
    return false;
}

/* The best of the candidates of a start, into w->at; where there is none elsewhere, the best optimum. */
static avi_status choose(work *w, int64_t first, int64_t n, int start)
{
    const size_t row = (size_t)w->width * sizeof(double);
    double *chosen = malloc((size_t)n * row);
    if (!chosen) return avi_fail_memory((size_t)n * row, "several starts per datapoint");
    memcpy(chosen, w->best, (size_t)n * row);
    for (int64_t r = 0; r < n; r++) w->least[r] = -INFINITY;
    avi_status status = AVI_OK;
    for (int c = 0; c < CANDIDATES && status == AVI_OK; c++) {
        draw(w, first, n, (start - 1) * CANDIDATES + c);
        status = refine(w, first, n, 0);
        for (int64_t r = 0; r < n && status == AVI_OK; r++) {
            if (!(w->refined[r].elbo > w->least[r]) || !is_elsewhere(w, r)) continue;
            w->least[r] = w->refined[r].elbo;
            memcpy(chosen + r * w->width, w->at + r * w->width, row);
        }
    }
    memcpy(w->at, chosen, (size_t)n * row);
    free(chosen);
    return status;
}

static void keep_better(work *w, int64_t n, double least)
{
    const size_t row = (size_t)w->width * sizeof(double);
    for (int64_t r = 0; r < n; r++) {
        if (!(w->refined[r].elbo > w->value[r] + least)) continue;
        w->value[r] = w->refined[r].elbo;
        memcpy(w->best + r * w->width, w->at + r * w->width, row);
    }
}

/* Own rows [first, first + n). What the optimizer knows of a row is of where it was. */
static avi_status search_piece(work *w, int64_t first, int64_t n)
{
    const avi_session *s = w->s;
    const int passes = (int)avi_config_get_int(s->config, "rows", "passes"), starts = starts_of(s);
    const avi_precision p = s->precision;
    avi_vector_to_double(p, rows_of(w, w->st->table, first), n * w->width, w->at);
    memcpy(w->best, w->at, (size_t)(n * w->width) * sizeof *w->best);
    AVI_TRY(refine(w, first, n, passes));
    for (int64_t r = 0; r < n; r++) w->value[r] = -INFINITY;
    keep_better(w, n, 0);
    double before = 0, after = 0;
    double *own = malloc((size_t)n * sizeof *own);
    if (!own) return avi_fail_memory((size_t)n * sizeof *own, "several starts per datapoint");
    memcpy(own, w->value, (size_t)n * sizeof *own);
    avi_status status = AVI_OK;
    for (int k = 1; k < starts && status == AVI_OK; k++) {
        status = choose(w, first, n, k);
        if (status == AVI_OK) status = refine(w, first, n, passes);
        if (status == AVI_OK) keep_better(w, n, LEAST_GAIN);
    }
    for (int64_t r = 0; r < n && status == AVI_OK; r++) {
        if (!(w->value[r] > own[r])) continue;
        w->better++;
        before += own[r];
        after += w->value[r];
        for (int k = 0; k < s->optim.ops->slots; k++)
            memset(avi_vector_at(p, w->st->table_slot[k], (first + r + 1) * w->width), 0,
                   (size_t)w->width * avi_real_size(p));
    }
    w->gain += after - before;
    free(own);
    if (status == AVI_OK) avi_vector_from_double(p, w->best, n * w->width, rows_of(w, w->st->table, first));
    return status;
}

static avi_status search_rows(work *w, int64_t limit)
{
    const avi_data *d = w->s->train;
    const int64_t left = limit > 0 ? limit - d->first : d->count, own = left < d->count ? left : d->count;
    for (int64_t done = 0; done < own; done += w->piece)
        AVI_TRY(search_piece(w, done, own - done < w->piece ? own - done : w->piece));
    return AVI_OK;
}

avi_status avi_starts_search(const avi_session *s, avi_state *st, int64_t limit, int64_t *better, double *gain)
{
    work w = {.s = s, .st = st};
    avi_status status = avi_agree(s->comm, make(&w));
    if (status == AVI_OK) status = avi_agree(s->comm, search_rows(&w, limit));
    *better = w.better;
    *gain = w.gain;
    if (status == AVI_OK) status = avi_comm_sum_int64(s->comm, better, 1);
    if (status == AVI_OK) status = avi_comm_sum_double(s->comm, gain, 1);
    release(&w);
    return status;
}

avi_status avi_starts_at_end(const avi_session *s, avi_state *st, bool converged, bool *last)
{
    int64_t better;
    double gain;
    AVI_TRY(avi_starts_search(s, st, 0, &better, &gain));
    *last = !(converged && better > 0 && st->step < s->total_steps);
    if (better > 0) st->lbfgs.pairs = 0; /* they are of other factors */
    if (avi_comm_rank(s->comm) != 0 || s->options->verbosity == 0) return AVI_OK;
    avi_console_break();
    printf("  starts       after step %" PRId64 " another one is better for %" PRId64 " of %" PRId64
           " rows: %.6g nats in all\n",
           st->step, better, s->partition.rows, gain);
    return AVI_OK;
}
