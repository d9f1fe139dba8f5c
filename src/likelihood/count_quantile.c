/* Quantiles of counts: the distribution function is summed from the mode downwards, and the count is looked for from
 * there, so that the work is that of a few standard deviations whatever the mean is. */
#include "likelihood/likelihood.h"

#include <math.h>

/* log p(k); r infinite: Poisson. */
static double log_mass(double k, double mean, double r)
{
    if (mean <= 0) return k == 0 ? 0 : -INFINITY;
    if (isinf(r)) return k * log(mean) - mean - lgamma(k + 1);
    return lgamma(k + r) - lgamma(r) - lgamma(k + 1) + k * log(mean / (mean + r)) - r * log1p(mean / r);
}

/* p(k + 1) / p(k). */
static double ratio(double k, double mean, double r)
{
    return isinf(r) ? mean / (k + 1) : (k + r) / (k + 1) * (mean / (mean + r));
}

double avi_count_quantile(double mean, double r, double noise)
{
    if (!(mean >= 0) || isinf(mean)) return NAN;
    double k = isinf(r) ? floor(mean) : r > 1 ? floor((r - 1) / r * mean) : 0;
    const double u = 0.5 * erfc(-noise / sqrt(2.0)), middle = exp(log_mass(k, mean, r));
    double mass = middle, below = middle; /* p(k); p(0) + .. + p(k) */
    for (double j = k; j > 0 && mass > 1e-18 * below; j--) {
        mass /= ratio(j - 1, mean, r);
        below += mass;
    }
    mass = middle;
    while (below < u && mass > 1e-300) {
        mass *= ratio(k, mean, r);
        below += mass;
        k++;
    }
    while (k > 0 && below - mass >= u) {
        below -= mass;
        mass /= ratio(k - 1, mean, r);
        k--;
    }
    return k;
}
