#include "avi/column_moments.h"
#include "avi/rng.h"

#include <math.h>
#include <stdlib.h>

enum { LEAST_ROWS = 4096, MOST_ROWS = 65536 };

static int64_t sample_rows(int64_t rows, int64_t width)
{
    int64_t n = AVI_MOMENT_VALUES / width;
    n = n < LEAST_ROWS ? LEAST_ROWS : n > MOST_ROWS ? MOST_ROWS : n;
    return n < rows ? n : rows;
}

/* The position taken of stratum i of n. */
static int64_t position_of(int64_t rows, int64_t n, int64_t i, uint64_t seed)
{
    const int64_t whole = rows / n, rest = rows % n; /* i * rows / n without overflow */
    const int64_t from = i * whole + i * rest / n, to = (i + 1) * whole + (i + 1) * rest / n;
    return from + (int64_t)(avi_mix64(seed, (uint64_t)i) % (uint64_t)(to - from));
}

typedef struct sample {
    const avi_data *data;
    avi_comm *comm;
    uint64_t seed;
    int64_t rows, width;
    double *row;     /* (width) */
    double *pivot;   /* (width): the first row of the sample */
    double *largest; /* (width): |value - pivot| */
    double *there;   /* (width): 1, or 0 where the row's value is missing */
    int64_t *sum;    /* (3, width): value - pivot and its square in fixed point, values that are there */
    avi_column_moments *out;
} sample;

/* Calls visit with every row of the sample that this rank owns. */
static void for_rows(const sample *s, void (*visit)(const sample *s))
{
    const avi_data *d = s->data;
    for (int64_t i = 0; i < s->rows; i++) {
        const int64_t position = position_of(d->partition.rows, s->rows, i, s->seed);
        if (position < d->first || position >= d->first + d->count) continue;
        avi_data_fetch_f64(d, position, 1, s->row);
        avi_data_fetch_mask_f64(d, position, 1, s->there);
        visit(s);
    }
}

static void take_largest(const sample *s)
{
    for (int64_t c = 0; c < s->width; c++)
        s->largest[c] = fmax(s->largest[c], s->there[c] * fabs(s->row[c] - s->pivot[c]));
}

/* Values of at most 1 times 2^shift, one of each row, add up to less than 2^62. */
static int shift_of(int64_t rows)
{
    int bits;
    frexp((double)rows, &bits);
    return 62 - bits;
}

static void add_row(const sample *s)
{
    for (int64_t c = 0; c < s->width; c++) {
        if (s->there[c] == 0) continue;
        s->sum[2 * s->width + c]++;
        const double scale = s->largest[c] > 0 ? s->largest[c] : 1, v = (s->row[c] - s->pivot[c]) / scale;
        s->sum[c] += llrint(ldexp(v, shift_of(s->rows)));
        s->sum[s->width + c] += llrint(ldexp(v * v, shift_of(s->rows)));
    }
}

/* The first row of the sample on every rank: its owner's values and zeros of the others. */
static avi_status take_pivot(const sample *s)
{
    const avi_data *d = s->data;
    const int64_t position = position_of(d->partition.rows, s->rows, 0, s->seed);
    if (position >= d->first && position < d->first + d->count) avi_data_fetch_f64(d, position, 1, s->pivot);
    return avi_comm_sum_double(s->comm, s->pivot, (size_t)s->width);
}

static void finish(const sample *s)
{
    for (int64_t c = 0; c < s->width; c++) {
        const double n = (double)(s->sum[2 * s->width + c] > 0 ? s->sum[2 * s->width + c] : 1);
        const double mean = ldexp((double)s->sum[c], -shift_of(s->rows)) / n,
                     square = ldexp((double)s->sum[s->width + c], -shift_of(s->rows)) / n;
        s->out->mean[c] = s->pivot[c] + s->largest[c] * mean;
        s->out->sd[c] = s->largest[c] > 0 ? s->largest[c] * sqrt(fmax(0, square - mean * mean)) : 0;
    }
    avi_column_moments_set_factor(s->out);
}

static avi_status measure(const sample *s)
{
    AVI_TRY(take_pivot(s));
    for_rows(s, take_largest);
    AVI_TRY(avi_comm_max_double(s->comm, s->largest, (size_t)s->width));
    for_rows(s, add_row);
    AVI_TRY(avi_agree(s->comm, avi_data_status(s->data))); /* a streamed row that could not be had? */
    AVI_TRY(avi_comm_sum_int64(s->comm, s->sum, 3 * (size_t)s->width));
    finish(s);
    return AVI_OK;
}

void avi_column_moments_set_factor(avi_column_moments *m)
{
    for (int64_t c = 0; c < m->width; c++) m->factor[c] = m->sd[c] > 0 ? 1 / m->sd[c] : 1;
}

avi_status avi_column_moments_create(const avi_data *data, avi_comm *comm, uint64_t seed, avi_column_moments **moments)
{
    const int64_t width = data->shape.width;
    avi_column_moments *m = *moments = calloc(1, sizeof *m);
    double *values = calloc((size_t)(3 * width), sizeof *values), *work = calloc((size_t)(4 * width), sizeof *work);
    int64_t *sum = calloc((size_t)(3 * width), sizeof *sum);
    avi_status status = avi_agree(comm, m && values && work && sum
                                            ? AVI_OK
                                            : avi_fail_memory((size_t)(10 * width) * sizeof *work, "column means"));
    if (status == AVI_OK) {
        *m = (avi_column_moments){width, sample_rows(data->partition.rows, width), values, values + width,
                                  values + 2 * width};
        const sample s = {data, comm, seed, m->rows, width, work, work + width, work + 2 * width, work + 3 * width,
                          sum,  m};
        status = measure(&s);
    } else {
        free(values);
    }
    free(work);
    free(sum);
    if (status != AVI_OK) avi_column_moments_destroy(moments);
    return status;
}

void avi_column_moments_destroy(avi_column_moments **moments)
{
    if (!*moments) return;
    free((*moments)->mean); /* one piece of memory */
    free(*moments);
    *moments = NULL;
}
