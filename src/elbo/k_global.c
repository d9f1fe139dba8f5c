#include "avi/kernel.h"
#include "avi/vmath.h"
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

void AVI_R(avi_global_chain)(int64_t n, const void *log_sd, const void *eps, const void *g, int64_t stride, double f,
                             void *dmean, void *dlog_sd)
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

void AVI_R(avi_global_kl_gradient)(int64_t n, const void *mean, const void *log_sd, double precision, bool notebook,
                                   double f, void *dmean, void *dlog_sd)
{
    const real *restrict m = mean, *restrict ls = log_sd;
    real *restrict dm = dmean, *restrict dls = dlog_sd;
    const real lambda = (real)precision, factor = (real)f;
    for (int64_t i = 0; i < n; i++) dm[i] += factor * lambda * m[i];
    if (!dls) return;
    if (notebook)
        for (int64_t i = 0; i < n; i++) {
            const real sd = vm_exp(ls[i]);
            dls[i] += factor * (lambda * sd * sd - R(0.5) * (1 + sd));
        }
    else
        for (int64_t i = 0; i < n; i++) dls[i] += factor * (lambda * vm_exp(2 * ls[i]) - 1);
}

/* Sums of squares, of log sds and of variances, in lanes; the first of them alone where theta is a point. */
static void kl_sums(int64_t n, const real *restrict m, const real *restrict ls, double *square, double *log_sds,
                    double *variance)
{
    enum { LANES = 8 };
    double sq[LANES] = {0}, logs[LANES] = {0}, var[LANES] = {0};
    for (int64_t i = 0; i < n; i += LANES) {
        real v[LANES] = {0}, l[LANES] = {0}, s[LANES] = {0};
        const int count = n - i < LANES ? (int)(n - i) : LANES;
        for (int j = 0; j < count; j++) v[j] = m[i + j];
        for (int j = 0; ls && j < count; j++) l[j] = ls[i + j];
        for (int j = 0; ls && j < LANES; j++) s[j] = vm_exp(2 * l[j]);
        for (int j = 0; j < LANES; j++) {
            sq[j] += (double)v[j] * (double)v[j];
            logs[j] += (double)l[j];
            var[j] += j < count ? (double)s[j] : 0;
        }
    }
    *square = *log_sds = *variance = 0;
    for (int j = 0; j < LANES; j++) {
        *square += sq[j];
        *log_sds += logs[j];
        *variance += var[j];
    }
}

void AVI_R(avi_global_add)(int64_t n, const void *g, double f, void *to)
{
    const real *restrict from = g;
    real *restrict sum = to;
    for (int64_t i = 0; i < n; i++) sum[i] += (real)f * from[i];
}

double AVI_R(avi_global_kl)(int64_t n, const void *mean, const void *log_sd, double precision)
{
    const double log_2pi = log(6.28318530717958647692), values = (double)n;
    double square, log_sds, variance;
    if (!log_sd && !(precision > 0)) return 0;
    kl_sums(n, mean, log_sd, &square, &log_sds, &variance);
    const double log_prior_sd = precision > 0 ? -0.5 * log(precision) : 0;
    if (!log_sd)
        return 0.5 * precision * square + values * (log_prior_sd + 0.5 * log_2pi); /* -log N(m; 0, 1 / precision) */
    if (precision > 0) return values * (log_prior_sd - 0.5) - log_sds + 0.5 * precision * (square + variance);
    return -log_sds - values * 0.5 * (1 + log_2pi);
}

double AVI_R(avi_global_notebook_excess)(int64_t n, const void *log_sd)
{
    const real *restrict ls = log_sd;
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)ls[i] + 1 - (double)vm_exp(ls[i]);
    return 0.5 * sum;
}
