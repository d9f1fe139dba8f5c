/* Rows as numbers of the precision of the run. */
#include "avi/column_moments.h"
#include "avi/kernel.h"
#include "data/row_stream.h"

#include <assert.h>
#include <math.h>

/* `n` values as the source gives them as numbers. */
static void convert(const avi_data *d, const void *values, int64_t n, real *out)
{
    if (d->shape.type == AVI_U8) {
        const unsigned char *v = values;
        const real scale = (real)d->shape.scale;
        for (int64_t i = 0; i < n; i++) out[i] = (real)v[i] * scale;
    } else if (d->shape.type == AVI_F32) {
        const float *v = values;
        const real scale = (real)d->shape.scale;
        for (int64_t i = 0; i < n; i++) out[i] = (real)v[i] * scale;
    } else {
        const double *v = values;
        for (int64_t i = 0; i < n; i++) out[i] = (real)(v[i] * d->shape.scale);
    }
}

/* The same of whole rows where there is more to it, with the moments of columns also centred and scaled by them; in
 * double, since what is subtracted may be large. */
static void transform(const avi_data *d, const avi_column_moments *m, const void *values, int64_t rows, real *out)
{
    const int64_t width = d->shape.width;
    for (int64_t r = 0, i = 0; r < rows; r++)
        for (int64_t k = 0; k < width; k++, i++) {
            double v = d->shape.type == AVI_U8    ? (double)((const unsigned char *)values)[i]
                       : d->shape.type == AVI_F32 ? (double)((const float *)values)[i]
                                                  : ((const double *)values)[i];
            v *= d->shape.scale;
            if (d->log1p) v = log1p(v);
            if (d->mean) v = (v - d->mean[k]) / d->sd[k];
            if (isnan(v)) v = 0;
            out[i] = (real)(m ? (v - m->mean[k]) * m->factor[k] : v);
        }
}

/* The same where values are only scaled, centred and scaled again. What is asked of a value is known for all of them
 * before the loop, so that it takes several at once; the operations on each are those of transform, in the same order.
 */
#define STANDARDISE(type)                                                                                              \
    static void standardise_##type(double scale, int64_t width, const double *restrict mean,                           \
                                   const double *restrict factor, const type *restrict values, int64_t rows,           \
                                   real *restrict out)                                                                 \
    {                                                                                                                  \
        for (int64_t r = 0; r < rows; r++)                                                                             \
            for (int64_t k = 0; k < width; k++) {                                                                      \
                double v = (double)values[r * width + k] * scale;                                                      \
                v = isnan(v) ? 0 : v;                                                                                  \
                out[r * width + k] = (real)((v - mean[k]) * factor[k]);                                                \
            }                                                                                                          \
    }                                                                                                                  \
    static void standardise_column_##type(double scale, double mean, double factor, const type *restrict values,       \
                                          int64_t rows, real *restrict out)                                            \
    {                                                                                                                  \
        for (int64_t r = 0; r < rows; r++) {                                                                           \
            double v = (double)values[r] * scale;                                                                      \
            v = isnan(v) ? 0 : v;                                                                                      \
            out[r] = (real)((v - mean) * factor);                                                                      \
        }                                                                                                              \
    }                                                                                                                  \
    static void standardise_rows_##type(const avi_data *d, const avi_column_moments *m, const void *values,            \
                                        int64_t rows, real *out)                                                       \
    {                                                                                                                  \
        if (d->shape.width == 1)                                                                                       \
            standardise_column_##type(d->shape.scale, m->mean[0], m->factor[0], values, rows, out);                    \
        else                                                                                                           \
            standardise_##type(d->shape.scale, d->shape.width, m->mean, m->factor, values, rows, out);                 \
    }

typedef unsigned char byte;
STANDARDISE(byte)
STANDARDISE(float)
STANDARDISE(double)

static void standardise(const avi_data *d, const avi_column_moments *m, const void *values, int64_t rows, real *out)
{
    if (d->shape.type == AVI_U8)
        standardise_rows_byte(d, m, values, rows, out);
    else if (d->shape.type == AVI_F32)
        standardise_rows_float(d, m, values, rows, out);
    else
        standardise_rows_double(d, m, values, rows, out);
}

static void take(const avi_data *d, const avi_column_moments *m, const void *values, int64_t rows, real *out)
{
    if (d->log1p || d->mean || d->masked)
        transform(d, m, values, rows, out);
    else if (m)
        standardise(d, m, values, rows, out);
    else
        convert(d, values, rows * d->shape.width, out);
}

static void stream(const avi_data *d, const avi_column_moments *m, int64_t position, int64_t rows, real *out)
{
    const int64_t width = d->shape.width;
    for (int64_t n, stored; rows > 0; position += n, rows -= n, out += stored * width) {
        n = rows;
        const void *values = avi_row_stream_rows(d->feed, &d->partition, position, &n);
        stored = avi_data_entries(d, position, n);
        if (values)
            take(d, m, values, stored, out);
        else
            for (int64_t i = 0; i < stored * width; i++) out[i] = (real)NAN;
    }
}

static void held(const avi_data *d, const avi_column_moments *m, int64_t position, int64_t rows, real *out)
{
    const int64_t first = d->first - d->halo_left;
    assert(position >= first && position + rows <= d->first + d->count + d->halo_right);
    const int64_t stored = d->entry ? d->entry[position - first] : position - first;
    const size_t row_bytes = (size_t)d->shape.width * avi_dtype_size(d->shape.type);
    take(d, m, (const unsigned char *)d->values + (size_t)stored * row_bytes, avi_data_entries(d, position, rows), out);
}

static void fetch(const avi_data *data, const avi_column_moments *m, int64_t position, int64_t count, real *out)
{
    const int64_t width = data->shape.width, last = data->shape.rows - 1;
    if (data->entry) {
        (data->feed ? stream : held)(data, m, position, count, out);
        return;
    }
    for (int64_t i = 0; i < count;) {
        const int64_t asked = position + i;
        const int64_t row = asked < 0 ? 0 : (asked > last ? last : asked);
        /* Rows inside the data go in one run; each one outside is a copy of the edge row. */
        int64_t rows = 1;
        if (asked >= 0 && asked < last) rows = count - i < last - asked ? count - i : last - asked;
        (data->feed ? stream : held)(data, m, row, rows, out + i * width);
        i += rows;
    }
}

/* Whether the values of rows that are held are there. */
static void held_mask(const avi_data *d, int64_t position, int64_t rows, real *out)
{
    const int64_t width = d->shape.width, at = (position - (d->first - d->halo_left)) * width;
    for (int64_t i = 0; i < rows * width; i++) {
        const bool missing = d->shape.type == AVI_F32   ? isnan(((const float *)d->values)[at + i])
                             : d->shape.type == AVI_F64 ? isnan(((const double *)d->values)[at + i])
                                                        : false;
        out[i] = missing ? 0 : 1;
    }
}

void AVI_R(avi_data_fetch_mask)(const avi_data *data, int64_t position, int64_t count, real *out)
{
    const int64_t width = data->shape.width, last = data->shape.rows - 1;
    for (int64_t i = 0; i < count; i++) {
        const int64_t asked = position + i, row = asked < 0 ? 0 : (asked > last ? last : asked);
        if (data->masked && !data->feed)
            held_mask(data, row, 1, out + i * width);
        else
            for (int64_t k = 0; k < width; k++) out[i * width + k] = 1;
    }
}

void AVI_R(avi_data_fetch)(const avi_data *data, int64_t position, int64_t count, real *out)
{
    fetch(data, NULL, position, count, out);
}

void AVI_R(avi_data_fetch_standard)(const avi_data *data, const avi_column_moments *moments, int64_t position,
                                    int64_t count, real *out)
{
    fetch(data, moments, position, count, out);
}
