#include "avi/kernel.h"
#include "optim/rules.h"

#include <math.h>

/* number: beta1, beta2, epsilon, weight decay (decoupled). Kingma & Ba 2015, algorithm 1, with epsilon outside the bias
 * correction as PyTorch has it. */
void AVI_R(avi_rule_adam)(const avi_optim *o, const avi_optim_update *u, int64_t n, void *values, const void *gradient,
                          void *const *slot)
{
    real *restrict w = values, *restrict m = slot[0], *restrict v = slot[1];
    const real *restrict g = gradient;
    const double t = (double)u->count;
    const real b1 = (real)o->number[0], b2 = (real)o->number[1], c1 = (real)(1 - o->number[0]),
               c2 = (real)(1 - o->number[1]);
    const real eps = (real)o->number[2], scale = (real)u->scale;
    const real step = (real)(u->learning_rate / (1 - pow(o->number[0], t)));
    const real root = (real)(1 / sqrt(1 - pow(o->number[1], t))), keep = (real)(1 - u->learning_rate * o->number[3]);
    for (int64_t k = 0; k < n; k++) {
        const real d = scale * g[k];
        m[k] = b1 * m[k] + c1 * d;
        v[k] = b2 * v[k] + c2 * d * d;
        w[k] = keep * w[k] - step * m[k] / (R_FN(sqrt)(v[k]) * root + eps);
    }
}

/* number: momentum, nesterov (0 or 1). Sutskever et al. 2013, in PyTorch's form: v = momentum v + g. */
void AVI_R(avi_rule_sgd)(const avi_optim *o, const avi_optim_update *u, int64_t n, void *values, const void *gradient,
                         void *const *slot)
{
    real *restrict w = values, *restrict v = slot[0];
    const real *restrict g = gradient;
    const real momentum = (real)o->number[0], scale = (real)u->scale, step = (real)u->learning_rate;
    const real look = (real)(o->number[1] != 0 ? o->number[0] : 1), own = (real)(o->number[1] != 0 ? 1 : 0);
    for (int64_t k = 0; k < n; k++) {
        const real d = scale * g[k];
        v[k] = momentum * v[k] + d;
        w[k] -= step * (look * v[k] + own * d);
    }
}
