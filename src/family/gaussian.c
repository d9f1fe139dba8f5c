/* q(z_n) = N(mean, diag(sd^2)): nu = (mean (L), log_sd (L)). */
#include "avi/family.h"

#include <string.h>

static int64_t width(int64_t latent) { return 2 * latent; }

static void moments(const double *nu, int64_t latent, double *mean, double *log_sd)
{
    memcpy(mean, nu, (size_t)latent * sizeof *nu);
    memcpy(log_sd, nu + latent, (size_t)latent * sizeof *nu);
}

const avi_family avi_family_gaussian = {
    .name = "gaussian",
    .doc = "Gaussian, independent dimensions",
    .independent = true,
    .width = width,
    .draw = avi_gaussian_draw,
    .entropy = avi_gaussian_entropy,
    .kl_std = avi_gaussian_kl_std,
    .logq = avi_gaussian_logq,
    .moments = moments,
};
