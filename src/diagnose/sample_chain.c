/* Optimal factors of a chain, all rows together, and their joint curvature. */
#include "base/signals.h"
#include "diagnose/sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SWEEPS = 20, MOST_SWEEPS = 2000 };

avi_status avi_sample_share(const avi_sample *s, double *values, int64_t count)
{
    for (int64_t i = 0; i < count; i++) values[i] += 0.0;
    return avi_comm_sum_double(s->f->s->comm, values, (size_t)count);
}

void *avi_sample_row(const avi_sample *s, void *table, int64_t position)
{
    return avi_vector_at(s->f->s->precision, table, (position - s->data->first + 1) * s->width);
}

/* The largest change of a value of the table, relative to 1 + its size. */
static avi_status change(const avi_sample *s, const double *before, double *after, double *largest)
{
    const int64_t n = s->data->count * s->width;
    *largest = 0;
    avi_vector_to_double(s->f->s->precision, avi_sample_row(s, s->table, s->data->first), n, after);
    for (int64_t i = 0; i < n; i++) *largest = fmax(*largest, fabs(after[i] - before[i]) / (1 + fabs(after[i])));
    return avi_comm_max_double(s->f->s->comm, largest, 1);
}

avi_status avi_sample_solve_chain(avi_sample *s, avi_row_ranges *tiles)
{
    const avi_session *run = s->f->s;
    const int64_t n = s->data->count * s->width;
    const double still = run->precision == AVI_PRECISION_DOUBLE ? 1e-11 : 1e-6;
    double *before = malloc((size_t)(n + 1) * sizeof *before), *after = malloc((size_t)(n + 1) * sizeof *after),
           moved = 1;
    avi_status status =
        avi_agree(run->comm, before && after ? AVI_OK : avi_fail_memory((size_t)n * sizeof *before, "factors"));
    for (int i = 0; i < MOST_SWEEPS && status == AVI_OK && moved > still; i += SWEEPS) {
        avi_vector_to_double(run->precision, avi_sample_row(s, s->table, s->data->first), n, before);
        status = avi_estimator_newton(s->refine, s->f->params_own, s->table, s->grad, tiles, SWEEPS, 0);
        if (status == AVI_OK) status = change(s, before, after, &moved);
        if (status == AVI_OK) status = avi_agree(run->comm, avi_signals_status());
    }
    free(before);
    free(after);
    s->left = moved <= still ? 0 : INFINITY;
    s->converged = moved <= still ? s->rows : 0;
    return status;
}

avi_status avi_sample_curvature(avi_sample *s)
{
    const int64_t w = s->width, square = w * w;
    int64_t rows = 0;
    for (int i = 0; i < s->job.count; i++) rows += s->job.rows[i];
    double *blocks = malloc((size_t)(2 * rows * square + 1) * sizeof *blocks);
    avi_status status = avi_agree(
        s->f->s->comm, blocks ? AVI_OK : avi_fail_memory((size_t)(2 * rows * square) * sizeof *blocks, "curvature"));
    if (status == AVI_OK)
        status = avi_estimator_curvature(s->refine, s->f->params_own, s->table, s->grad, &s->job, w, blocks,
                                         blocks + rows * square);
    for (int i = 0, at = 0; i < s->job.count && status == AVI_OK; at += (int)s->job.rows[i++]) {
        const size_t bytes = (size_t)(s->job.rows[i] * square) * sizeof *blocks;
        memcpy(s->own + s->index[i] * square, blocks + at * square, bytes);
        memcpy(s->next + s->index[i] * square, blocks + (rows + at) * square, bytes);
    }
    free(blocks);
    if (status == AVI_OK) status = avi_sample_share(s, s->own, s->rows * square);
    if (status == AVI_OK) status = avi_sample_share(s, s->next, s->rows * square);
    return status;
}
