#include "optim/lbfgs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

avi_status avi_lbfgs_create(int64_t n, int memory, avi_lbfgs *l)
{
    *l = (avi_lbfgs){.n = n, .memory = memory};
    l->history = calloc((size_t)(2 * memory) * (size_t)n + 1, sizeof *l->history);
    return l->history ? AVI_OK
                      : avi_fail_memory((size_t)(2 * memory) * (size_t)n * sizeof *l->history,
                                        "the memory of L-BFGS; use a smaller optim.memory");
}

void avi_lbfgs_free(avi_lbfgs *l)
{
    free(l->history);
    *l = (avi_lbfgs){0};
}

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static double *point(const avi_lbfgs *l, int k) { return l->history + k * l->n; }
static double *gradient(const avi_lbfgs *l, int k) { return l->history + (l->memory + k) * l->n; }

/* Of the newest pair: equation 7.20, in the metric. */
static double scale_of(const avi_lbfgs *l, const double *metric)
{
    if (!l->pairs) return 1;
    const double *s = point(l, l->pairs - 1), *y = gradient(l, l->pairs - 1);
    double square = 0;
    for (int64_t i = 0; i < l->n; i++) square += metric[i] * y[i] * y[i];
    return dot(s, y, l->n) / square;
}

avi_status avi_lbfgs_direction(const avi_lbfgs *l, const double *g, const double *metric, double *d)
{
    double *alpha = malloc((size_t)(l->memory + 1) * sizeof *alpha);
    if (!alpha) return avi_fail_memory((size_t)l->memory * sizeof *alpha, "L-BFGS");
    for (int64_t i = 0; i < l->n; i++) d[i] = -g[i];
    for (int k = l->pairs - 1; k >= 0; k--) {
        const double *s = point(l, k), *y = gradient(l, k);
        alpha[k] = dot(s, d, l->n) / dot(s, y, l->n);
        for (int64_t i = 0; i < l->n; i++) d[i] -= alpha[k] * y[i];
    }
    const double scale = scale_of(l, metric);
    for (int64_t i = 0; i < l->n; i++) d[i] *= scale * metric[i];
    for (int k = 0; k < l->pairs; k++) {
        const double *s = point(l, k), *y = gradient(l, k), beta = dot(y, d, l->n) / dot(s, y, l->n);
        for (int64_t i = 0; i < l->n; i++) d[i] += (alpha[k] - beta) * s[i];
    }
    free(alpha);
    return AVI_OK;
}

void avi_lbfgs_add(avi_lbfgs *l, const double *x0, const double *x1, const double *g0, const double *g1)
{
    double sy = 0, yy = 0;
    for (int64_t i = 0; i < l->n; i++) {
        sy += (x1[i] - x0[i]) * (g1[i] - g0[i]);
        yy += (g1[i] - g0[i]) * (g1[i] - g0[i]);
    }
    if (!(sy > 1e-10 * yy)) return; /* curvature must be positive for H to stay so */
    if (l->pairs == l->memory) {
        const size_t bytes = (size_t)(l->memory - 1) * (size_t)l->n * sizeof *l->history;
        memmove(point(l, 0), point(l, 1), bytes);
        memmove(gradient(l, 0), gradient(l, 1), bytes);
        l->pairs--;
    }
    double *s = point(l, l->pairs), *y = gradient(l, l->pairs);
    for (int64_t i = 0; i < l->n; i++) {
        s[i] = x1[i] - x0[i];
        y[i] = g1[i] - g0[i];
    }
    l->pairs++;
}
