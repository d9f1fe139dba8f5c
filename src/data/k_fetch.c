/* Rows as numbers of the precision of the run. */
#include "avi/data.h"
#include "base/real.h"
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

static void stream(const avi_data *d, int64_t position, int64_t rows, real *out)
{
    const int64_t width = d->shape.width;
    for (int64_t n; rows > 0; position += n, rows -= n, out += n * width) {
        n = rows;
        const void *values = avi_row_stream_rows(d->feed, &d->partition, position, &n);
        if (values)
            convert(d, values, n * width, out);
        else
            for (int64_t i = 0; i < n * width; i++) out[i] = (real)NAN;
    }
}

static void held(const avi_data *d, int64_t position, int64_t rows, real *out)
{
    const int64_t first = d->first - d->halo_left, width = d->shape.width;
    assert(position >= first && position + rows <= d->first + d->count + d->halo_right);
    const int64_t at = (position - first) * width * (int64_t)avi_dtype_size(d->shape.type);
    convert(d, (const unsigned char *)d->values + at, rows * width, out);
}

void AVI_R(avi_data_fetch)(const avi_data *data, int64_t position, int64_t count, real *out)
{
    const int64_t width = data->shape.width, last = data->shape.rows - 1;
    for (int64_t i = 0; i < count;) {
        const int64_t asked = position + i;
        const int64_t row = asked < 0 ? 0 : (asked > last ? last : asked);
        /* Rows inside the data go in one run; each one outside is a copy of the edge row. */
        int64_t rows = 1;
        if (asked >= 0 && asked < last) rows = count - i < last - asked ? count - i : last - asked;
        (data->feed ? stream : held)(data, row, rows, out + i * width);
        i += rows;
    }
}
