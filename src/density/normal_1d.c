#include "density/normal_1d.h"
#include "avi/rng.h"
#include "tape/internal.h"

avi_status avi_model_need_width(const avi_model *m, int64_t width, const char *why)
{
    if (m->shape.width == width) return AVI_OK;
    return avi_fail(AVI_ERR_DATA, "model %s: rows of the data hold %lld values; it explains rows of %lld (%s)",
                    m->ops->name, (long long)m->shape.width, (long long)width, why);
}

avi_status avi_scalar_create(avi_model *m, const avi_config *config)
{
    AVI_TRY(avi_model_need_width(m, 1, "one number x_n"));
    m->prior_sd = avi_config_get_real(config, "model", "prior_sd");
    m->initial_log_sd = avi_config_get_real(config, "model", "global_log_sd");
    return avi_params_add(&m->theta, "theta", 1, 1, AVI_INIT_CONSTANT, 0, NULL);
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

/* ---- fused densities (k_scalar.c) ---- */

#define FUSED(op)                                                                                                      \
    void avi_forward_##op##_f32(avi_tape *t, avi_node *n);                                                             \
    void avi_forward_##op##_f64(avi_tape *t, avi_node *n);                                                             \
    void avi_backward_##op##_f32(avi_tape *t, avi_node *n);                                                            \
    void avi_backward_##op##_f64(avi_tape *t, avi_node *n);                                                            \
    static const avi_custom_op op##_op = {.name = #op,                                                                 \
                                          .forward = {avi_forward_##op##_f32, avi_forward_##op##_f64},                 \
                                          .backward = {avi_backward_##op##_f32, avi_backward_##op##_f64}};
FUSED(scalar_normal)
FUSED(wave)
FUSED(scalar_normal_draws)
FUSED(wave_draws)

static void check_shapes(const char *op, const avi_node *x, const avi_node *z, const avi_node *theta)
{
    avi_tape_require(x->cols == 1 && z->cols == 1 && z->rows % x->rows == 0, op, "operands are not (B, 1) and (B*S, 1)",
                     x, z);
    avi_tape_require(!theta || theta->rows == 1 || theta->rows == z->rows / x->rows, op,
                     "theta has neither one row nor one a draw", theta, z);
}

avi_node *avi_scalar_normal_lpdf(avi_tape *t, const avi_scalar_normal *p, avi_node *y, avi_node *u, avi_node *theta)
{
    check_shapes("scalar_normal", y, u, theta);
    return avi_custom(t, &scalar_normal_op, u->rows, 1, theta ? 3 : 2, (avi_node *[]){y, u, theta}, p);
}

avi_node *avi_wave_lpdf(avi_tape *t, const bool *drop_log_sigma, avi_node *x, avi_node *z, avi_node *theta)
{
    check_shapes("wave", x, z, theta);
    return avi_custom(t, &wave_op, z->rows, 1, 3, (avi_node *[]){x, z, theta}, drop_log_sigma);
}

static avi_node *draws_node(avi_tape *t, const avi_custom_op *op, avi_scalar_draws p, avi_node *x, avi_node *nu,
                            avi_node *theta, avi_node *eps)
{
    avi_tape_require(x->cols == 1 && nu->cols == 2 && nu->rows == x->rows, op->name,
                     "operands are not (B, 1) and (B, 2)", x, nu);
    check_shapes(op->name, x, eps, theta);
    avi_scalar_draws *data = avi_tape_alloc(t, (int64_t)(sizeof *data / sizeof(float)));
    *data = p;
    return avi_custom(t, op, x->rows, 1, 4, (avi_node *[]){x, nu, theta, eps}, data);
}

avi_node *avi_scalar_normal_draws(avi_tape *t, const avi_scalar_normal *p, avi_node *y, avi_node *nu, avi_node *eps,
                                  avi_node *theta, const double *weight)
{
    const avi_scalar_draws data = {.a = p->a, .b = p->b, .sd = p->sd, .weight = weight};
    return draws_node(t, &scalar_normal_draws_op, data, y, nu, theta, eps);
}

avi_node *avi_wave_draws(avi_tape *t, bool drop_log_sigma, avi_node *x, avi_node *nu, avi_node *eps, avi_node *theta,
                         const double *weight)
{
    const avi_scalar_draws data = {.b = 1, .drop_log_sigma = drop_log_sigma, .weight = weight};
    return draws_node(t, &wave_draws_op, data, x, nu, theta, eps);
}
