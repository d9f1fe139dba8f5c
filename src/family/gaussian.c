/* q(z_n) = N(mean, diag(sd^2)): nu = (mean (L), log_sd (L)). */
#include "avi/family.h"

#include <string.h>

#define LOG_2PI_E 2.83787706640934548356

static avi_status create(avi_family *f, const avi_config *config)
{
    (void)config;
    f->width = 2 * f->latent;
    return AVI_OK;
}

static avi_node *log_q(const avi_family *f, avi_tape *t, avi_node *nu, avi_node *z)
{
    (void)f;
    return avi_gaussian_logq(t, nu, z);
}

static avi_node *draw(const avi_family *f, avi_tape *t, avi_node *nu, avi_node *const *own, avi_node *eps,
                      avi_node **logq)
{
    (void)own;
    avi_node *z = avi_gaussian_draw(t, nu, eps);
    if (logq) *logq = log_q(f, t, nu, z);
    return z;
}

static avi_node *entropy(const avi_family *f, avi_tape *t, avi_node *nu)
{
    (void)f;
    return avi_gaussian_entropy(t, nu);
}

static avi_node *kl_std(const avi_family *f, avi_tape *t, avi_node *nu)
{
    (void)f;
    return avi_gaussian_kl_std(t, nu);
}

static void moments(const avi_family *f, const double *nu, const double *const *own, double *mean, double *log_sd)
{
    (void)own;
    memcpy(mean, nu, (size_t)f->latent * sizeof *nu);
    memcpy(log_sd, nu + f->latent, (size_t)f->latent * sizeof *nu);
}

static double entropy_of(const avi_family *f, const double *nu)
{
    double sum = 0.5 * (double)f->latent * LOG_2PI_E;
    for (int64_t i = 0; i < f->latent; i++) sum += nu[f->latent + i];
    return sum;
}

const avi_family_ops avi_family_gaussian = {
    .name = "gaussian",
    .doc = "Gaussian, independent dimensions",
    .independent = true,
    .create = create,
    .draw = draw,
    .log_q = log_q,
    .entropy = entropy,
    .kl_std = kl_std,
    .moments = moments,
    .entropy_of = entropy_of,
};
