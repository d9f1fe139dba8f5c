#include "density/normal_1d.h"
#include "tape/internal.h"

/* ---- fused densities (k_normal_1d.c) ---- */

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
