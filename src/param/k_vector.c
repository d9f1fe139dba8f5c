/* Loops over flat vectors of either precision; sums in double. */
#include "avi/kernel.h"
#include "param/vector.h"

#include <math.h>

void AVI_R(avi_vector_to_double)(const void *v, int64_t n, double *out)
{
    for (int64_t k = 0; k < n; k++) out[k] = (double)((const real *)v)[k];
}

void AVI_R(avi_vector_from_double)(const double *v, int64_t n, void *out)
{
    for (int64_t k = 0; k < n; k++) ((real *)out)[k] = (real)v[k];
}

double AVI_R(avi_vector_sumsq)(const void *v, int64_t n)
{
    const real *x = v;
    double acc[8] = {0}, sum = 0;
    int64_t k = 0;
    for (; k + 8 <= n; k += 8)
        for (int j = 0; j < 8; j++) acc[j] += (double)x[k + j] * (double)x[k + j];
    for (; k < n; k++) sum += (double)x[k] * (double)x[k];
    for (int j = 0; j < 8; j++) sum += acc[j];
    return sum;
}

void AVI_R(avi_vector_scaled)(const void *v, int64_t n, double factor, void *out)
{
    const real f = (real)factor, *restrict from = v;
    real *restrict to = out;
    for (int64_t k = 0; k < n; k++) to[k] = f * from[k];
}

int64_t AVI_R(avi_vector_nonfinite)(const void *v, int64_t n, int64_t *first)
{
    const real *x = v;
    int64_t count = 0;
    for (int64_t k = 0; k < n; k++) count += x[k] - x[k] == 0 ? 0 : 1; /* vectorises; isfinite does not */
    for (int64_t k = 0; count && first && k < n; k++)
        if (!isfinite(x[k])) {
            *first = k;
            break;
        }
    return count;
}

int64_t AVI_R(avi_vector_below_zero)(const void *v, int64_t n)
{
    const real *x = v;
    int64_t count = 0;
    for (int64_t k = 0; k < n; k++) count += x[k] < 0 ? 1 : 0;
    return count;
}
