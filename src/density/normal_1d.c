#include "density/normal_1d.h"
#include "tape/internal.h"
#include "tape/precise.h"

/* ---- fused densities (k_normal_1d.c) ---- */

#define FUSED(op)                                                                                                      \
    void avi_forward_##op##_f32(avi_tape *t, avi_node *n);                                                             \
    void avi_forward_##op##_f64(avi_tape *t, avi_node *n);                                                             \
    void avi_backward_##op##_f32(avi_tape *t, avi_node *n);                                                            \
    void avi_backward_##op##_f64(avi_tape *t, avi_node *n);                                                            \
    static void precise_##op(avi_tape *t, avi_node *n, double *out);                                                   \
    static const avi_custom_op op##_op = {.name = #op,                                                                 \
                                          .forward = {avi_forward_##op##_f32, avi_forward_##op##_f64},                 \
                                          .backward = {avi_backward_##op##_f32, avi_backward_##op##_f64},              \
                                          .precise = precise_##op};
FUSED(scalar_normal)
FUSED(wave)
FUSED(scalar_normal_draws)
FUSED(wave_draws)

/* ---- values in double on a tape in single precision ---- */

/* b theta of each draw. */
static double *shifts(avi_tape *t, avi_node *theta, int64_t draws, double b)
{
    double *out = avi_tape_doubles(t, draws);
    const double *value = theta ? avi_tape_precise_values(t, theta) : NULL;
    for (int64_t s = 0; s < draws; s++) out[s] = value ? b * value[theta->rows > 1 ? s : 0] : 0;
    return out;
}

static void precise_scalar_normal(avi_tape *t, avi_node *n, double *out)
{
    const avi_scalar_normal *p = n->data;
    const int64_t rows = n->in[0]->rows, draws = n->rows / rows;
    avi_precise_scalar_f64(rows, draws, avi_tape_precise_values(t, n->in[0]), avi_tape_precise_values(t, n->in[1]),
                           shifts(t, n->in[2], draws, p->b), p->a, p->sd, out);
}

static void precise_scalar_normal_draws(avi_tape *t, avi_node *n, double *out)
{
    const avi_scalar_draws *p = n->data;
    const int64_t rows = n->rows, draws = n->in[3]->rows / rows;
    bool rounded;
    const double *sd = avi_tape_precise_sd(t, n->in[1], &rounded);
    avi_precise_scalar_draws_f64(rows, draws, n->in[0]->value, n->in[1]->value, sd,
                                 p->weight ? avi_tape_precise_values(t, n->in[3]) : n->in[3]->precise, n->in[3]->value,
                                 shifts(t, n->in[2], draws, p->b), p->weight, p->a, p->sd, out);
}

/* The waves of every draw are not made again: they differ from row to row. What rows share is put right: the constant,
 * and the weights of draws, whose floats do not quite add up to 1. */
static void precise_waves(const avi_node *n, double of_weights, double *out)
{
    const double half_log_2pi = 0.91893853320467274178;
    avi_vector_to_double(AVI_PRECISION_SINGLE, n->value, n->rows, out);
    for (int64_t r = 0; r < n->rows; r++) out[r] = out[r] / of_weights + ((double)(float)half_log_2pi - half_log_2pi);
}

static void precise_wave(avi_tape *t, avi_node *n, double *out)
{
    (void)t;
    precise_waves(n, 1, out);
}

static void precise_wave_draws(avi_tape *t, avi_node *n, double *out)
{
    (void)t;
    const avi_scalar_draws *p = n->data;
    const int64_t draws = n->in[3]->rows / n->rows;
    double sum = 0;
    for (int64_t s = 0; s < draws; s++) sum += (double)(p->weight ? (float)p->weight[s] : 1 / (float)draws);
    precise_waves(n, sum, out);
}

/* ---- builders ---- */

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
