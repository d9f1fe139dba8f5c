#include "avi/column_moments.h"

#include <stdlib.h>

void avi_column_moments_set_factor(avi_column_moments *m)
{
    for (int64_t c = 0; c < m->width; c++) m->factor[c] = m->sd[c] > 0 ? 1 / m->sd[c] : 1;
}

avi_status avi_column_moments_create(const avi_data *data, avi_column_moments **moments)
{
    const int64_t width = data->shape.width;
    avi_column_moments *m = *moments = calloc(1, sizeof *m);
    double *values = calloc((size_t)(3 * width), sizeof *values);
    if (!m || !values) {
        free(values);
        return avi_fail_memory((size_t)(3 * width) * sizeof *values, "column means");
    }
    *m = (avi_column_moments){width, values, values + width, values + 2 * width};
    for (int64_t c = 0; c < width; c++) {
        const double sd = data->stats->sd[c];
        m->mean[c] = data->mean ? 0 : data->stats->mean[c];
        m->sd[c] = data->mean ? sd > 0 : sd;
    }
    avi_column_moments_set_factor(m);
    return AVI_OK;
}

void avi_column_moments_destroy(avi_column_moments **moments)
{
    if (!*moments) return;
    free((*moments)->mean); /* one piece of memory */
    free(*moments);
    *moments = NULL;
}
