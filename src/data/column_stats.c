#include "data/column_stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The private part of the statistics: sums of integers, which any number of ranks adds up to the same. */
enum { SUM, SQUARES_LOW, SQUARES_HIGH, SUMS };
#define POINTS ((double)(1 << 30)) /* of half a range */

struct avi_column_sums {
    int64_t *sum; /* (columns, SUMS) */
};

avi_status avi_column_stats_create(int64_t columns, avi_column_stats **stats)
{
    const size_t n = (size_t)columns, bytes = n * (4 * sizeof(double) + (2 + SUMS) * sizeof(int64_t));
    avi_column_stats *s = *stats = calloc(1, sizeof *s);
    if (!s) return avi_fail_memory(sizeof *s, "the ranges of the columns");
    *s = (avi_column_stats){.columns = columns, .first_missing = {INT64_MAX, 0}, .first_infinite = {INT64_MAX, 0}};
    s->smallest = malloc(n * sizeof *s->smallest);
    s->largest = malloc(n * sizeof *s->largest);
    s->mean = calloc(n, sizeof *s->mean);
    s->sd = calloc(n, sizeof *s->sd);
    s->finite = calloc(n, sizeof *s->finite);
    s->whole = calloc(n, sizeof *s->whole);
    s->sums = calloc(n * SUMS, sizeof *s->sums);
    if (!s->smallest || !s->largest || !s->mean || !s->sd || !s->finite || !s->whole || !s->sums) {
        avi_column_stats_destroy(stats);
        return avi_fail_memory(bytes, "the ranges of the columns");
    }
    for (int64_t k = 0; k < columns; k++) {
        s->smallest[k] = INFINITY;
        s->largest[k] = -INFINITY;
    }
    return AVI_OK;
}

void avi_column_stats_destroy(avi_column_stats **stats)
{
    avi_column_stats *s = *stats;
    if (!s) return;
    free(s->smallest);
    free(s->largest);
    free(s->mean);
    free(s->sd);
    free(s->finite);
    free(s->whole);
    free(s->sums);
    free(s);
    *stats = NULL;
}

/* ---- ranges and counts ---- */

static void add_bytes(avi_column_stats *s, const unsigned char *v)
{
    for (int64_t k = 0; k < s->columns; k++) {
        s->smallest[k] = v[k] < s->smallest[k] ? v[k] : s->smallest[k];
        s->largest[k] = v[k] > s->largest[k] ? v[k] : s->largest[k];
    }
}

static void note_bad(avi_column_stats *s, double value, int64_t row, int64_t column)
{
    const bool missing = isnan(value);
    avi_place *first = missing ? &s->first_missing : &s->first_infinite;
    *(missing ? &s->missing : &s->infinite) += 1;
    if (row < first->row) *first = (avi_place){row, column};
}

static void add_numbers(avi_column_stats *s, avi_dtype type, const void *values, int64_t row)
{
    const float *single = values;
    const double *wide = values;
    const int64_t before = s->missing + s->infinite;
    for (int64_t k = 0; k < s->columns; k++) {
        const double v = type == AVI_F32 ? (double)single[k] : wide[k];
        if (!(fabs(v) <= 1.7976931348623157e308)) {
            note_bad(s, v, row, k);
            continue;
        }
        s->finite[k]++;
        s->whole[k] += v == nearbyint(v);
        s->smallest[k] = v < s->smallest[k] ? v : s->smallest[k];
        s->largest[k] = v > s->largest[k] ? v : s->largest[k];
    }
    s->bad_rows += s->missing + s->infinite > before;
}

void avi_column_stats_add(avi_column_stats *s, avi_dtype type, const void *rows, int64_t first, const int64_t *given,
                          int64_t count)
{
    const size_t row_bytes = (size_t)s->columns * avi_dtype_size(type);
    for (int64_t i = 0; i < count; i++) {
        const unsigned char *row = (const unsigned char *)rows + (size_t)i * row_bytes;
        if (type == AVI_U8)
            add_bytes(s, row);
        else
            add_numbers(s, type, row, given ? given[i] : first + i);
    }
    for (int64_t k = 0; type == AVI_U8 && k < s->columns; k++) {
        s->finite[k] += count;
        s->whole[k] += count;
    }
    s->rows += count;
}

/* The place of the smallest row over ranks, with the column that its finder saw first. */
static avi_status reduce_place(avi_place *place, avi_comm *comm)
{
    int64_t row = -place->row, column;
    AVI_TRY(avi_comm_max_int64(comm, &row, 1));
    column = -row == place->row ? -place->column : INT64_MIN;
    AVI_TRY(avi_comm_max_int64(comm, &column, 1));
    *place = (avi_place){-row, -row == INT64_MAX ? 0 : -column};
    return AVI_OK;
}

avi_status avi_column_stats_reduce(avi_column_stats *s, avi_comm *comm)
{
    const size_t n = (size_t)s->columns;
    int64_t counts[] = {s->rows, s->missing, s->infinite, s->bad_rows};
    for (size_t k = 0; k < n; k++) s->smallest[k] = -s->smallest[k];
    AVI_TRY(avi_comm_max_double(comm, s->smallest, n));
    AVI_TRY(avi_comm_max_double(comm, s->largest, n));
    for (size_t k = 0; k < n; k++) {
        s->smallest[k] = 0.0 - s->smallest[k];
        s->largest[k] += 0.0; /* -0 becomes 0: which of the two a maximum is depends on the order of the ranks */
    }
    AVI_TRY(avi_comm_sum_int64(comm, s->finite, n));
    AVI_TRY(avi_comm_sum_int64(comm, s->whole, n));
    AVI_TRY(avi_comm_sum_int64(comm, counts, sizeof counts / sizeof counts[0]));
    s->rows = counts[0];
    s->missing = counts[1];
    s->infinite = counts[2];
    s->bad_rows = counts[3];
    AVI_TRY(reduce_place(&s->first_missing, comm));
    return reduce_place(&s->first_infinite, comm);
}

void avi_column_stats_range(const avi_column_stats *s, double *smallest, double *largest)
{
    *smallest = INFINITY;
    *largest = -INFINITY;
    for (int64_t k = 0; k < s->columns; k++) {
        *smallest = fmin(*smallest, s->smallest[k]);
        *largest = fmax(*largest, s->largest[k]);
    }
}

/* ---- moments ---- */

void avi_column_stats_as_numbers(avi_column_stats *s, double scale, bool log1p_of)
{
    for (int64_t k = 0; k < s->columns; k++) {
        double a = s->smallest[k] * scale, b = s->largest[k] * scale;
        if (scale != 1) s->whole[k] = 0;
        if (scale < 0) { /* the key takes any number */
            const double c = a;
            a = b;
            b = c;
        }
        s->smallest[k] = log1p_of ? log1p(a) : a;
        s->largest[k] = log1p_of ? log1p(b) : b;
    }
}

static void middle_of(const avi_column_stats *s, int64_t k, double *middle, double *half)
{
    *middle = 0.5 * s->smallest[k] + 0.5 * s->largest[k];
    *half = 0.5 * s->largest[k] - 0.5 * s->smallest[k];
}

void avi_column_stats_add_moments(avi_column_stats *s, const double *numbers, int64_t count)
{
    for (int64_t k = 0; k < s->columns; k++) {
        double middle, half;
        int64_t sum = 0, low = 0, high = 0;
        middle_of(s, k, &middle, &half);
        if (!(half > 0)) continue;
        for (int64_t i = 0; i < count; i++) {
            const double at = (numbers[i * s->columns + k] - middle) / half;
            if (!(fabs(at) <= 1.5)) continue; /* missing */
            const int64_t q = (int64_t)lrint(at * POINTS), square = q * q;
            sum += q;
            low += square & ((1 << 30) - 1);
            high += square >> 30;
        }
        s->sums[k * SUMS + SUM] += sum;
        s->sums[k * SUMS + SQUARES_LOW] += low;
        s->sums[k * SUMS + SQUARES_HIGH] += high;
    }
}

avi_status avi_column_stats_finish(avi_column_stats *s, avi_comm *comm)
{
    if (comm) AVI_TRY(avi_comm_sum_int64(comm, s->sums, (size_t)s->columns * SUMS));
    for (int64_t k = 0; k < s->columns; k++) {
        const int64_t *sum = s->sums + k * SUMS;
        const long double n = (long double)(s->finite[k] ? s->finite[k] : 1);
        double middle = 0, half = 0;
        if (s->finite[k]) middle_of(s, k, &middle, &half);
        const long double mean = (long double)sum[SUM] / n,
                          square = ((long double)sum[SQUARES_HIGH] * (1 << 30) + (long double)sum[SQUARES_LOW]) / n,
                          variance = square - mean * mean;
        s->mean[k] = middle + half * (double)(mean / POINTS);
        s->sd[k] = variance > 0 ? half * (double)(sqrtl(variance) / POINTS) : 0;
    }
    return AVI_OK;
}
