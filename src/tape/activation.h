/* Activations and their derivatives, over flat arrays: of layers that have them in one pass with what comes before
 * (k_affine.c, nn/k_conv.c) and of avi_activate. For k_*.c files alone. */
#ifndef AVI_TAPE_ACTIVATION_H
#define AVI_TAPE_ACTIVATION_H

#include "avi/kernel.h"
#include "avi/tape.h"
#include "avi/vmath.h"

/* Whether the derivative needs the value before the activation; the others' follow from the value behind it. */
static inline bool activation_keeps(avi_activation act) { return act == AVI_ACT_GELU || act == AVI_ACT_SILU; }

/* The standard normal distribution function, by the error function: the gelu of Hendrycks & Gimpel 2016, not its
 * approximation by tanh. */
static inline real activation_normal_cdf(real x) { return R(0.5) * R_FN(erfc)(-x * R(0.70710678118654752440)); }

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
        for (int64_t k = 0; k < n; k++) y[k] *= activation_normal_cdf(y[k]);
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
        for (int64_t k = 0; k < n; k++)
            g[k] *=
                activation_normal_cdf(pre[k]) + pre[k] * R(0.39894228040143267794) * vm_exp(R(-0.5) * pre[k] * pre[k]);
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
