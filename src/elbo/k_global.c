#include "base/real.h"
#include "base/vmath.h"
#include "elbo/global_kernels.h"

#include <math.h>

void AVI_R(avi_global_draw)(int64_t n, const void *mean, const void *log_sd, const void *eps, int64_t stride, void *out)
{
    const real *restrict m = mean, *restrict ls = log_sd, *restrict e = eps;
    real *restrict y = out;
    if (stride == 1)
        for (int64_t i = 0; i < n; i++) y[i] = m[i] + vm_exp(ls[i]) * e[i];
    else
        for (int64_t i = 0; i < n; i++) y[i * stride] = m[i] + vm_exp(ls[i]) * e[i * stride];
}

void AVI_R(avi_global_chain)(int64_t n, const void *log_sd, const void *eps, const void *g, int64_t stride, double f, void *dmean, void *dlog_sd)
{
    const real *restrict ls = log_sd, *restrict e = eps, *restrict d = g;
    real *restrict dm = dmean, *restrict dls = dlog_sd;
    const real factor = (real)f;
    if (stride == 1)
        for (int64_t i = 0; i < n; i++) {
            dm[i] += factor * d[i];
            dls[i] += factor * d[i] * e[i] * vm_exp(ls[i]);
        }
    else
        for (int64_t i = 0; i < n; i++) {
            dm[i] += factor * d[i * stride];
            dls[i] += factor * d[i * stride] * e[i * stride] * vm_exp(ls[i]);
        }
}

void AVI_R(avi_global_kl_gradient)(int64_t n, const void *mean, const void *log_sd, double precision, double f, void *dmean, void *dlog_sd)
{
    const real *restrict m = mean, *restrict ls = log_sd;
    real *restrict dm = dmean, *restrict dls = dlog_sd;
    const real lambda = (real)precision, factor = (real)f;
    for (int64_t i = 0; i < n; i++) dm[i] += factor * lambda * m[i];
    if (!dls) return;
    for (int64_t i = 0; i < n; i++) dls[i] += factor * (lambda * vm_exp(2 * ls[i]) - 1);
}

double AVI_R(avi_global_kl)(int64_t n, const void *mean, const void *log_sd, double precision)
{
    const double pi2 = 6.28318530717958647692;
    const real *m = mean, *ls = log_sd;
    const double constant = precision > 0 ? -0.5 * log(precision) : 0;
    double sum = 0;
    if (!ls && !(precision > 0)) return 0;
    for (int64_t i = 0; i < n; i++) {
        const double square = (double)m[i] * (double)m[i];
        if (!ls) /* -log N(m; 0, 1 / precision) */
            sum += precision > 0 ? 0.5 * precision * square + constant + 0.5 * log(pi2) : 0;
        else if (precision > 0)
            sum += constant - (double)ls[i] + 0.5 * precision * (square + exp(2 * (double)ls[i])) - 0.5;
        else
            sum -= (double)ls[i] + 0.5 + 0.5 * log(pi2);
    }
    return sum;
}
