#include "model/scalar.h"
#include "avi/rng.h"

#include <stdio.h>
#include <string.h>

avi_status avi_model_need_width(const avi_model *m, int64_t width, const char *why)
{
    if (m->shape.width == width) return AVI_OK;
    char remedy[96] = "";
    if (m->shape.width > width)
        snprintf(remedy, sizeof remedy, "; use data.columns to choose %lld of them", (long long)width);
    return avi_fail(AVI_ERR_DATA, "model %s: rows of the data hold %lld values; it explains rows of %lld (%s)%s",
                    m->ops->name, (long long)m->shape.width, (long long)width, why, remedy);
}

avi_status avi_scalar_create(avi_model *m, const avi_config *config, const char *meaning)
{
    AVI_TRY(avi_model_need_width(m, 1, "one number x_n"));
    m->prior_sd = avi_config_get_real(config, "model", "prior_sd");
    m->initial_log_sd = avi_config_get_real(config, "model", "global_log_sd");
    AVI_TRY(avi_params_add(&m->theta, "theta", 1, 1, AVI_INIT_CONSTANT, 0, NULL));
    return avi_params_describe(&m->theta, "theta", "value", meaning);
}

void avi_scalar_start(avi_model *m, const avi_config *config)
{
    if (!strcmp(avi_config_get_string(config, "model", "start"), "mean")) m->theta.block[0].init = AVI_INIT_DATA_MEAN;
}

void avi_simulate_normals(uint64_t seed, int64_t row, int64_t first, int64_t cols, double *out)
{
    avi_normal_f64(avi_stream_make(seed, AVI_DRAW_DATA, 0), (uint64_t)row, 1, first, cols, out);
}

void avi_simulate_normals_rows(uint64_t seed, const int64_t *row, int64_t count, int64_t first, int64_t cols,
                               double *out)
{
    avi_normal_rows_f64(avi_stream_make(seed, AVI_DRAW_DATA, 0), row, count, first, cols, out);
}

avi_node *avi_model_constant(avi_tape *t, int64_t rows, int64_t cols, const double *values)
{
    avi_node *n = avi_constant_new(t, rows, cols);
    avi_vector_from_double(avi_tape_precision(t), values, rows * cols, n->value);
    return n;
}
