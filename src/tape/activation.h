/* Activations and their derivatives, over flat arrays: of layers that have them in one pass with what comes before
 * (k_affine.c, nn/k_conv.c) and of avi_activate. For k_*.c files alone. */
#ifndef AVI_TAPE_ACTIVATION_H
#define AVI_TAPE_ACTIVATION_H

#include "avi/kernel.h"
#include "avi/tape.h"
#include "avi/vmath.h"

/* Whether the derivative needs the value before the activation; the others' follow from the value behind it. */
static inline bool activation_keeps(avi_activation act) { return act == AVI_ACT_GELU || act == AVI_ACT_SILU; }

/* Phi(-u) exp(u^2 / 2) / t for u >= 0 by its Chebyshev series in t = 1 / (1 + 0.3 u), whose coefficients are those of
 * this function in 50 digits, as powers of 2 t - 1. */
#if AVI_SINGLE
static const real activation_tail[] = {-8.877314093e-6f,  -2.889905543e-5f, 8.725423554e-5f, 0.0002653205781f,
                                       -0.0005740814507f, -0.002416392571f, 0.001816763076f, 0.02775907704f,
                                       0.08654966967f,    0.1645795469f,    0.2219706134f};
#else
static const real activation_tail[] = {
    8.94656650712298438e-10,   1.60076010744911867e-9,   -1.073937041922307e-8,    -6.90514175020354696e-9,
    6.31369087582898457e-8,    -2.33705528823473684e-8,  -2.34381193948227827e-7,  3.67010242039120812e-7,
    5.20252364076364419e-7,    -2.25767435517776612e-6,  2.43867826421784224e-7,   0.0000107343578193896023,
    -0.0000111253971510989293, -0.000049747113102627298, 0.0000901398913738425599, 0.000283637031493767499,
    -0.000575642513455472687,  -0.00242389655762833026,  0.00181713579535872542,   0.0277603654740921389,
    0.0865496374184645738,     0.164579484086158592,     0.221970613834432787};
#endif

/* The standard normal distribution function of the gelu (Hendrycks & Gimpel 2016), not its approximation by tanh; it
 * vectorises. *density: exp(-x^2 / 2). Errors of a few units in the last place of 1. */
static inline real activation_normal_cdf(real x, real *density)
{
    const real u = vm_abs(x), t = 1 / (1 + R(0.3) * u), s = 2 * t - 1;
    real p = activation_tail[0];
#pragma GCC unroll 32 /* before loops over values are vectorised */
    for (int i = 1; i < (int)(sizeof activation_tail / sizeof *activation_tail); i++)
        p = vm_fma(p, s, activation_tail[i]);
    *density = vm_exp(R(-0.5) * u * u);
    const real tail = t * p * *density;
    return vm_pick(x < 0, tail, 1 - tail);
}

/* y becomes act(y). pre (n): takes the values before, where activation_keeps; may be NULL then when nobody derives. */
static inline void activation_apply(avi_activation act, real *restrict y, real *restrict pre, int64_t n)
{
    if (activation_keeps(act) && pre) memcpy(pre, y, (size_t)n * sizeof *y);
    switch (act) {
    case AVI_IDENTITY:
        break;
    case AVI_RELU: /* NaN stays NaN: the comparison is false for it */
        for (int64_t k = 0; k < n; k++) y[k] = y[k] < 0 ? 0 : y[k];
        break;
    case AVI_LEAKY_RELU:
        for (int64_t k = 0; k < n; k++) y[k] = y[k] < 0 ? R(0.2) * y[k] : y[k];
        break;
    case AVI_TANH:
        for (int64_t k = 0; k < n; k++) y[k] = vm_tanh(y[k]);
        break;
    case AVI_ACT_GELU:
        for (int64_t k = 0; k < n; k++) {
            real density;
            y[k] *= activation_normal_cdf(y[k], &density);
        }
        break;
    case AVI_ACT_SILU:
        for (int64_t k = 0; k < n; k++) y[k] *= vm_sigmoid(y[k]);
        break;
    case AVI_ACT_SOFTPLUS:
        for (int64_t k = 0; k < n; k++) y[k] = vm_softplus(y[k]);
        break;
    }
}

/* g *= act'(pre). y = act(pre); pre is read only where activation_keeps. */
static inline void activation_derive(avi_activation act, const real *restrict y, const real *restrict pre,
                                     real *restrict g, int64_t n)
{
    switch (act) {
    case AVI_IDENTITY:
        break;
    case AVI_RELU:
        for (int64_t k = 0; k < n; k++) g[k] = y[k] > 0 ? g[k] : 0;
        break;
    case AVI_LEAKY_RELU:
        for (int64_t k = 0; k < n; k++) g[k] = y[k] < 0 ? R(0.2) * g[k] : g[k];
        break;
    case AVI_TANH:
        for (int64_t k = 0; k < n; k++) g[k] *= 1 - y[k] * y[k];
        break;
    case AVI_ACT_GELU: /* Phi(x) + x phi(x) */
        for (int64_t k = 0; k < n; k++) {
            real density;
            const real cdf = activation_normal_cdf(pre[k], &density);
            g[k] *= cdf + pre[k] * R(0.39894228040143267794) * density;
        }
        break;
    case AVI_ACT_SILU: /* s (1 + x (1 - s)) */
        for (int64_t k = 0; k < n; k++) {
            const real s = vm_sigmoid(pre[k]);
            g[k] *= s + pre[k] * s * (1 - s);
        }
        break;
    case AVI_ACT_SOFTPLUS: /* sigmoid(x) = 1 - exp(-softplus(x)) */
        for (int64_t k = 0; k < n; k++) g[k] *= 1 - vm_exp(-y[k]);
        break;
    }
}

#endif
