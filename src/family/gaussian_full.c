/* q(z_n) = N(mean, C C'): nu = (mean (L), rows of the lower triangle C, its diagonal as logarithm). */
#include "avi/family.h"

#include <math.h>
#include <string.h>

static int64_t width(int64_t latent) { return latent + latent * (latent + 1) / 2; }

static void moments(const double *nu, int64_t latent, double *mean, double *log_sd)
{
    const double *row = nu + latent;
    memcpy(mean, nu, (size_t)latent * sizeof *nu);
    for (int64_t i = 0; i < latent; row += ++i) {
        double variance = exp(2 * row[i]);
        for (int64_t j = 0; j < i; j++) variance += row[j] * row[j];
        log_sd[i] = 0.5 * log(variance);
    }
}

const avi_family avi_family_gaussian_full = {
    .name = "gaussian_full",
    .doc = "Gaussian with full covariance of the dimensions of a datapoint",
    .width = width,
    .draw = avi_gaussian_full_draw,
    .entropy = avi_gaussian_full_entropy,
    .logq = avi_gaussian_full_logq,
    .moments = moments,
};
