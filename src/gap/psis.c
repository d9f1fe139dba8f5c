#include "gap/psis.h"

#include <math.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Profile log likelihood (per exceedance) of theta = -k / sigma, and the k that goes with it. */
static double profile(int64_t n, const double *x, double theta, double *k)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += log1p(-theta * x[i]);
    *k = -sum / (double)n;
    return log(theta / *k) + *k - 1;
}

double avi_pareto_shape(int64_t n, const double *x)
{
    enum { MOST = 1024 };
    double theta[MOST], length[MOST], k, top = -INFINITY, sum = 0, mean = 0;
    int64_t m = 30 + (int64_t)sqrt((double)n);
    if (m > MOST) m = MOST;
    const double quartile = x[(int64_t)((double)n / 4 + 0.5) - 1], last = x[n - 1];
    for (int64_t j = 0; j < m; j++) {
        theta[j] = 1 / last + (1 - sqrt((double)m / ((double)j + 0.5))) / (3 * quartile);
        length[j] = (double)n * profile(n, x, theta[j], &k);
    }
    for (int64_t j = 0; j < m; j++)
        if (length[j] > top) top = length[j]; /* NaN has no weight */
    for (int64_t j = 0; j < m; j++) {         /* posterior mean of theta under the profile likelihood */
        const double weight = length[j] <= top ? exp(length[j] - top) : 0;
        sum += weight;
        mean += weight * theta[j];
    }
    profile(n, x, mean / sum, &k);
    k = -k;
    return (k * (double)n + 0.5 * 10) / ((double)n + 10);
}

/* The shape of the largest weights: the tail has min(K / 5, 3 sqrt(K)) of them. weight: ascending logarithms less their
 * maximum; scratch (tail). */
static double tail_shape(int64_t draws, double *log_weight)
{
    const int64_t fifth = (int64_t)ceil(0.2 * (double)draws), root = (int64_t)ceil(3 * sqrt((double)draws));
    const int64_t tail = fifth < root ? fifth : root;
    if (draws < 25 || tail < 5) return NAN;
    const double cutoff = exp(log_weight[draws - tail - 1]);
    double *x = log_weight + draws - tail;
    for (int64_t i = 0; i < tail; i++) x[i] = exp(x[i]) - cutoff;
    if (!(x[0] > 0)) x[0] = x[0] < 0 ? 0 : x[0];
    int64_t skip = 0; /* weights equal to the cutoff exceed it by nothing */
    while (skip < tail && !(x[skip] > 0)) skip++;
    return tail - skip < 5 ? NAN : avi_pareto_shape(tail - skip, x + skip);
}

void avi_weights_summarise(int64_t draws, double *log_weight, avi_weights *out)
{
    const double n = (double)draws;
    double sum = 0, squares = 0, less_one = 0, variance = 0;
    *out = (avi_weights){NAN, NAN, NAN, NAN};
    for (int64_t i = 0; i < draws; i++)
        if (isnan(log_weight[i])) return;
    qsort(log_weight, (size_t)draws, sizeof *log_weight, ascending);
    const double top = log_weight[draws - 1], spread = top - log_weight[0];
    if (!isfinite(top)) return;
    /* Weights less one, and their variance about their mean: nearly equal weights would cancel to an error of 0. */
    for (int64_t i = 0; i < draws; i++) {
        log_weight[i] -= top;
        const double e = expm1(log_weight[i]);
        less_one += e / n;
        sum += 1 + e;
        squares += (1 + e) * (1 + e);
    }
    for (int64_t i = 0; i < draws; i++) {
        const double deviation = expm1(log_weight[i]) - less_one;
        variance += deviation * deviation / n;
    }
    out->log_p = top + log1p(less_one);
    out->log_p_error = draws > 1 ? sqrt(variance / (n - 1)) / (1 + less_one) : NAN;
    out->ess = sum * sum / squares;
    out->khat = spread <= 1e-9 * (1 + fabs(top)) ? 0 : tail_shape(draws, log_weight);
}
