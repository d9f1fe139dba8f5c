/* Rows as numbers of the precision of the run. */
#include "avi/data.h"
#include "base/real.h"

#include <assert.h>

/* `n` stored values from place `at` as numbers. */
static void convert(const avi_data *d, int64_t at, int64_t n, real *out)
{
    if (d->shape.type == AVI_U8) {
        const unsigned char *v = (const unsigned char *)d->values + at;
        const real scale = (real)d->shape.scale;
        for (int64_t i = 0; i < n; i++) out[i] = (real)v[i] * scale;
    } else if (d->shape.type == AVI_F32) {
        const float *v = (const float *)d->values + at;
        const real scale = (real)d->shape.scale;
        for (int64_t i = 0; i < n; i++) out[i] = (real)v[i] * scale;
    } else {
        const double *v = (const double *)d->values + at;
        for (int64_t i = 0; i < n; i++) out[i] = (real)(v[i] * d->shape.scale);
    }
}

void AVI_R(avi_data_fetch)(const avi_data *data, int64_t position, int64_t count, real *out)
{
    const int64_t width = data->shape.width, last = data->shape.rows - 1;
    const int64_t held = data->first - data->halo_left;
    for (int64_t i = 0; i < count;) {
        const int64_t asked = position + i;
        const int64_t row = asked < 0 ? 0 : (asked > last ? last : asked);
        /* Rows inside the data go in one run; each one outside is a copy of the edge row. */
        int64_t rows = 1;
        if (asked >= 0 && asked < last) rows = count - i < last - asked ? count - i : last - asked;
        assert(row >= held && row + rows <= data->first + data->count + data->halo_right);
        convert(data, (row - held) * width, rows * width, out + i * width);
        i += rows;
    }
}
