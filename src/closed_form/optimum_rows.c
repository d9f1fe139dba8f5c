/* The rows that an answer works on: from the owners' order to slabs of given rows, with those that domains reach. */
#include "closed_form/optimum.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

double *avi_optimum_memory(avi_optimum *a, int64_t n, avi_status *status)
{
    double *p = avi_fields_memory(&a->fields, (size_t)(n > 0 ? n : 1) * sizeof *p);
    if (!p && *status == AVI_OK) *status = avi_fail_memory((size_t)n * sizeof *p, "exact answers");
    return p;
}

enum { BLOCK = 256 /* rows that are fetched together: streamed ones cost much more one by one */ };

/* Rows that are held beside the slab for the domains of its rows and of the row before it. */
static int64_t reach_before(const avi_optimum *a)
{
    const avi_domain *d = &a->s->problem.domain;
    return 1 + (d->only_next ? 0 : d->before);
}

static int64_t reach_after(const avi_optimum *a)
{
    const avi_domain *d = &a->s->problem.domain;
    const int64_t after = d->only_next ? 1 : d->after;
    return after > a->s->train->lookahead ? after : a->s->train->lookahead;
}

/* Own rows in order of position, then those of the slab in given order. */
static avi_status fetch(avi_optimum *a)
{
    const avi_session *s = a->s;
    const avi_data *data = s->train;
    const int64_t d = s->shape.width;
    const size_t row = (size_t)d * sizeof(double), bytes = (size_t)data->count * row;
    double *owned = malloc(bytes + 1);
    avi_status status = avi_agree(s->comm, owned ? AVI_OK : avi_fail_memory(bytes, "exact answers"));
    if (status == AVI_OK) {
        for (int64_t first = 0; first < data->count; first += BLOCK)
            avi_data_fetch_f64(data, data->first + first, data->count - first < BLOCK ? data->count - first : BLOCK,
                               owned + first * d);
        status = avi_agree(s->comm, avi_data_status(data));
    }
    if (status == AVI_OK) status = avi_partition_to_given(&s->partition, s->comm, row, owned, a->x);
    free(owned);
    return status;
}

/* The row behind the last datapoint, which models with lookahead have, to all ranks: a sum with zeros is exact. */
static avi_status fetch_row_behind(const avi_optimum *a, double *row)
{
    const avi_session *s = a->s;
    const avi_data *data = s->train;
    const int64_t n = s->partition.rows;
    if (data->count > 0 && data->first + data->count == n) avi_data_fetch_f64(data, n, 1, row);
    AVI_TRY(avi_agree(s->comm, avi_data_status(data)));
    return avi_comm_sum_double(s->comm, row, (size_t)s->shape.width);
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

typedef struct range {
    int64_t first, end;
} range;

static range slab_of(const avi_optimum *a, int rank)
{
    const int ranks = avi_comm_size(a->s->comm);
    return (range){avi_slab_first(a->s->partition.rows, ranks, rank),
                   avi_slab_first(a->s->partition.rows, ranks, rank + 1)};
}

/* Rows that `of` holds for the sake of the slab `to` next to it. */
static range common(const avi_optimum *a, range of, range to)
{
    const range reach = {to.first - reach_before(a), to.end + reach_after(a)};
    if (to.first == to.end || of.first == to.first) return (range){0, 0};
    range r = {most(of.first, reach.first), least(of.end, reach.end)};
    return r.first < r.end ? r : (range){0, 0};
}

/* Rows beside the slab, from the ranks that have them. */
static avi_status fetch_beside(avi_optimum *a)
{
    const avi_session *s = a->s;
    const int ranks = avi_comm_size(s->comm);
    const int64_t row = s->shape.width * (int64_t)sizeof(double), before = reach_before(a);
    const range own = slab_of(a, avi_comm_rank(s->comm));
    int64_t *plan = calloc((size_t)ranks * 4, sizeof *plan);
    AVI_TRY(avi_agree_memory(s->comm, plan, (size_t)ranks * 4 * sizeof *plan, "exact answers"));
    int64_t *out_bytes = plan, *out_at = plan + ranks, *in_bytes = plan + 2 * ranks, *in_at = plan + 3 * ranks;
    for (int r = 0; r < ranks; r++) {
        const range other = slab_of(a, r), out = common(a, own, other), in = common(a, other, own);
        out_bytes[r] = (out.end - out.first) * row;
        out_at[r] = out_bytes[r] ? (out.first - own.first) * row : 0;
        in_bytes[r] = (in.end - in.first) * row;
        in_at[r] = in_bytes[r] ? (in.first - own.first + before) * row : 0;
    }
    const avi_status status =
        avi_comm_exchange(s->comm, a->x, out_bytes, out_at, a->x - before * s->shape.width, in_bytes, in_at);
    free(plan);
    return status;
}

/* Own row n, counted from the slab's start, or the edge row of the data beyond its ends. */
static const double *row_at(const avi_optimum *a, int64_t n)
{
    const int64_t last = a->s->partition.rows - 1 + a->s->train->lookahead, given = a->first + n;
    return a->x + (most(0, least(last, given)) - a->first) * a->s->shape.width;
}

static void domain_of(const avi_optimum *a, int64_t n, double *out)
{
    const avi_domain *d = &a->s->problem.domain;
    const int64_t rows = avi_domain_rows(d), before = d->only_next ? -1 : d->before, width = a->s->shape.width;
    for (int64_t k = 0; k < rows; k++) memcpy(out + k * width, row_at(a, n + k - before), (size_t)width * sizeof *out);
}

void avi_optimum_domain(const avi_optimum *a, int64_t n, double *out)
{
    domain_of(a, n, out);
    for (int64_t j = 0; j < a->width; j++) out[j] = (out[j] - a->domain_mean[j]) / a->domain_sd[j];
}

/* Two passes: means first, then squares about them. A value that never changes keeps the factor 1. */
static avi_status standardise(avi_optimum *a)
{
    const int64_t w = a->width;
    const double rows = (double)a->s->partition.rows;
    avi_status status = AVI_OK;
    double *mean = a->domain_mean = avi_optimum_memory(a, w, &status),
           *square = a->domain_sd = avi_optimum_memory(a, w, &status), *x = avi_optimum_memory(a, w, &status);
    AVI_TRY(avi_agree(a->s->comm, status));
    for (int64_t n = 0; n < a->rows; n++) {
        domain_of(a, n, x);
        for (int64_t j = 0; j < w; j++) mean[j] += x[j] / rows;
    }
    AVI_TRY(avi_comm_sum_double(a->s->comm, mean, (size_t)w));
    for (int64_t n = 0; n < a->rows; n++) {
        domain_of(a, n, x);
        for (int64_t j = 0; j < w; j++) square[j] += (x[j] - mean[j]) * (x[j] - mean[j]) / rows;
    }
    AVI_TRY(avi_comm_sum_double(a->s->comm, square, (size_t)w));
    for (int64_t j = 0; j < w; j++) a->domain_sd[j] = square[j] > 0 ? sqrt(square[j]) : 1;
    return AVI_OK;
}

avi_status avi_optimum_before(const avi_optimum *a, int64_t width, double *values)
{
    const avi_session *s = a->s;
    const int ranks = avi_comm_size(s->comm);
    const size_t bytes = (size_t)width * sizeof *values;
    double *last = malloc((size_t)ranks * bytes + 1);
    AVI_TRY(avi_agree_memory(s->comm, last, (size_t)ranks * bytes, "the last rows of all ranks"));
    avi_status status = avi_comm_allgather(s->comm, values + a->rows * width, bytes,
                                           last); /* of an empty slab: row 0, which nobody asks for */
    memset(values, 0, bytes);
    for (int r = 0; status == AVI_OK && a->rows > 0 && r < ranks; r++) {
        const int64_t end = avi_slab_first(s->partition.rows, ranks, r + 1);
        if (end == a->first && end > avi_slab_first(s->partition.rows, ranks, r))
            memcpy(values, last + r * width, bytes);
    }
    free(last);
    return status;
}

static avi_status allocate(avi_optimum *a)
{
    const avi_session *s = a->s;
    const int rank = avi_comm_rank(s->comm), ranks = avi_comm_size(s->comm);
    const int64_t d = s->shape.width;
    avi_status status = AVI_OK;
    a->first = avi_slab_first(s->partition.rows, ranks, rank);
    a->rows = avi_slab_first(s->partition.rows, ranks, rank + 1) - a->first;
    a->latent = s->model->latent;
    a->width = avi_domain_rows(&s->problem.domain) * d;
    double *x = avi_optimum_memory(a, (reach_before(a) + a->rows + reach_after(a)) * d, &status);
    if (x) a->x = x + reach_before(a) * d;
    if (x && s->train->lookahead) a->x_next = a->x + d;
    a->mean = avi_optimum_memory(a, (1 + a->rows) * a->latent, &status);
    a->log_sd = avi_optimum_memory(a, a->rows * a->latent, &status);
    return status;
}

avi_status avi_optimum_rows(avi_optimum *a)
{
    const avi_session *s = a->s;
    avi_status status = allocate(a);
    double *behind = status == AVI_OK ? avi_optimum_memory(a, s->shape.width, &status) : NULL;
    AVI_TRY(avi_agree(s->comm, status));
    AVI_TRY(fetch(a));
    AVI_TRY(fetch_beside(a));
    if (s->train->lookahead) {
        AVI_TRY(fetch_row_behind(a, behind));
        const int64_t at =
            s->partition.rows - a->first; /* of the row behind the last datapoint, from the slab's start */
        if (a->rows > 0 && at < a->rows + reach_after(a))
            memcpy(a->x + at * s->shape.width, behind, (size_t)s->shape.width * sizeof *behind);
    }
    return standardise(a);
}

/* ---- rows of J, a block at a time ---- */

/* Enough that a block is several times as tall as wide where there are many columns, and fits a cache where few. */
int64_t avi_optimum_block_rows(const avi_optimum *a, int64_t cols)
{
    const int64_t all = (a->rows > 0 ? a->rows : 1) * (a->residuals > 0 ? a->residuals : 1),
                  wanted = cols > 256 ? 2 * cols : 512;
    return all < wanted ? all : wanted;
}

static avi_status one_block(const avi_optimum *a, const avi_optimum_blocks *b, int64_t first, int64_t count, double *z,
                            double *out)
{
    const bool start = a->first + first == 0; /* there is no datapoint before */
    if (start)
        memset(z, 0, (size_t)(a->latent * b->cols) * sizeof *z);
    else
        b->fill(b->self, first - 1, 1, z);
    b->fill(b->self, first, count, z + a->latent * b->cols);
    AVI_TRY(a->ops->residuals(a, first, count, b->cols, z, b->theta, out));
    return b->take(b->self, first, count, count * a->residuals, out);
}

avi_status avi_optimum_residuals(const avi_optimum *a, const avi_optimum_blocks *b)
{
    const int64_t rows = a->rows > 0 ? a->rows : 1, part = avi_optimum_block_rows(a, b->cols) / a->residuals;
    const int64_t block = a->ops->whole ? rows : part > 0 ? part : 1;
    const int64_t values = ((1 + block) * a->latent + block * a->residuals) * b->cols;
    double *z = malloc((size_t)values * sizeof *z), *out = z ? z + (1 + block) * a->latent * b->cols : NULL;
    avi_status status =
        avi_agree(a->s->comm, z ? AVI_OK : avi_fail_memory((size_t)values * sizeof *z, "residuals of exact answers"));
    if (status == AVI_OK && a->ops->whole)
        status = one_block(a, b, 0, a->rows, z, out); /* collective: also on a rank without rows */
    for (int64_t first = 0; status == AVI_OK && !a->ops->whole && first < a->rows; first += block)
        status = one_block(a, b, first, least(block, a->rows - first), z, out);
    if (status == AVI_OK && a->theta_prior > 0 && avi_comm_rank(a->s->comm) == 0) {
        for (int64_t c = 0; c < b->cols; c++) out[c] = sqrt(a->theta_prior) * b->theta[c];
        status = b->take(b->self, a->rows, 0, 1, out);
    }
    free(z);
    return avi_agree(a->s->comm, status);
}
