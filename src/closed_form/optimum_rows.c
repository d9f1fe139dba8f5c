/* The rows that an answer works on: from the owners' order to slabs of given rows. */
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

/* Values of a row as it travels: its domain, itself, and the row after it. */
static int64_t travel_width(const avi_optimum *a)
{
    return a->width + (1 + a->s->train->lookahead) * a->s->shape.width;
}

enum { BLOCK = 256 /* rows that are fetched together: streamed ones cost much more one by one */ };

/* Rows `shift` after own rows [first, first + count), to column `column` of what travels. */
static void pack_shifted(const avi_optimum *a, int64_t first, int64_t count, int64_t shift, int64_t column,
                         double *block, double *out)
{
    const int64_t d = a->s->shape.width, travel = travel_width(a);
    avi_data_fetch_f64(a->s->train, a->s->train->first + first + shift, count, block);
    for (int64_t i = 0; i < count; i++)
        memcpy(out + (first + i) * travel + column, block + i * d, (size_t)d * sizeof *out);
}

static void pack(const avi_optimum *a, double *block, double *out)
{
    const avi_data *data = a->s->train;
    const avi_domain *d = &a->s->problem.domain;
    const int64_t domain = avi_domain_rows(d), before = d->only_next ? -1 : d->before, width = a->s->shape.width;
    for (int64_t first = 0; first < data->count; first += BLOCK) {
        const int64_t count = data->count - first < BLOCK ? data->count - first : BLOCK;
        for (int64_t k = 0; k < domain; k++) pack_shifted(a, first, count, k - before, k * width, block, out);
        for (int k = 0; k <= data->lookahead; k++) pack_shifted(a, first, count, k, a->width + k * width, block, out);
    }
}

static void unpack(avi_optimum *a, const double *in)
{
    const int64_t d = a->s->shape.width;
    const size_t bytes = (size_t)d * sizeof *in;
    for (int64_t i = 0; i < a->rows; i++, in += travel_width(a)) {
        memcpy(a->domain + (1 + i) * a->width, in, (size_t)a->width * sizeof *in);
        memcpy(a->x + i * d, in + a->width, bytes);
        if (a->x_next) memcpy(a->x_next + i * d, in + a->width + d, bytes);
    }
}

static avi_status fetch(avi_optimum *a)
{
    const avi_session *s = a->s;
    const size_t row = (size_t)travel_width(a) * sizeof(double);
    double *owned = malloc((size_t)s->train->count * row + 1), *slab = malloc((size_t)a->rows * row + 1),
           *block = malloc((size_t)(BLOCK * s->shape.width) * sizeof *block);
    avi_status status = avi_agree(
        s->comm,
        owned && slab && block ? AVI_OK : avi_fail_memory((size_t)(s->train->count + a->rows) * row, "exact answers"));
    if (status == AVI_OK) {
        pack(a, block, owned);
        status = avi_agree(s->comm, avi_data_status(s->train));
    }
    if (status == AVI_OK) status = avi_partition_to_given(&s->partition, s->comm, row, owned, slab);
    if (status == AVI_OK) unpack(a, slab);
    free(owned);
    free(slab);
    free(block);
    return status;
}

/* Two passes: means first, then squares about them. A value that never changes keeps the factor 1. */
static avi_status standardise(avi_optimum *a)
{
    const int64_t w = a->width;
    const double n = (double)a->s->partition.rows;
    avi_status status = AVI_OK;
    double *mean = a->domain_mean = avi_optimum_memory(a, w, &status),
           *square = a->domain_sd = avi_optimum_memory(a, w, &status), *x = a->domain + w;
    AVI_TRY(avi_agree(a->s->comm, status));
    for (int64_t i = 0; i < a->rows * w; i++) mean[i % w] += x[i] / n;
    AVI_TRY(avi_comm_sum_double(a->s->comm, mean, (size_t)w));
    for (int64_t i = 0; i < a->rows * w; i++) {
        x[i] -= mean[i % w];
        square[i % w] += x[i] * x[i] / n;
    }
    AVI_TRY(avi_comm_sum_double(a->s->comm, square, (size_t)w));
    for (int64_t j = 0; j < w; j++) a->domain_sd[j] = square[j] > 0 ? sqrt(square[j]) : 1;
    for (int64_t i = 0; i < a->rows * w; i++) x[i] /= a->domain_sd[i % w];
    return AVI_OK;
}

avi_status avi_optimum_before(const avi_optimum *a, int64_t width, double *values)
{
    const avi_session *s = a->s;
    const int ranks = avi_comm_size(s->comm);
    const size_t bytes = (size_t)width * sizeof *values;
    double *last = malloc((size_t)ranks * bytes + 1);
    AVI_TRY(avi_agree(s->comm, last ? AVI_OK : avi_fail_memory((size_t)ranks * bytes, "the last rows of all ranks")));
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

avi_status avi_optimum_rows(avi_optimum *a)
{
    const avi_session *s = a->s;
    const int rank = avi_comm_rank(s->comm), ranks = avi_comm_size(s->comm);
    const int64_t d = s->shape.width;
    avi_status status = AVI_OK;
    a->first = avi_slab_first(s->partition.rows, ranks, rank);
    a->rows = avi_slab_first(s->partition.rows, ranks, rank + 1) - a->first;
    a->latent = s->model->latent;
    a->width = avi_domain_rows(&s->problem.domain) * d;
    a->domain = avi_optimum_memory(a, (1 + a->rows) * a->width, &status);
    a->x = avi_optimum_memory(a, a->rows * d, &status);
    if (s->train->lookahead) a->x_next = avi_optimum_memory(a, a->rows * d, &status);
    a->mean = avi_optimum_memory(a, (1 + a->rows) * a->latent, &status);
    a->log_sd = avi_optimum_memory(a, a->rows * a->latent, &status);
    AVI_TRY(avi_agree(s->comm, status));
    AVI_TRY(fetch(a));
    AVI_TRY(standardise(a));
    return avi_optimum_before(a, a->width, a->domain);
}
