/* q(z) = prod_n q(z_n | z_{n-1}): a Gaussian over the rows of a chain whose precision is block tridiagonal, as that of
 * a posterior of a linear Gaussian chain is (Archer et al. 2015 amortize such a q). nu = (mean (L), rows of a lower
 * triangle M with its diagonal as logarithm, P (L, L)): density/chain_factor.h. What a row's function gives are its own
 * mean, marginal covariance M M' + P P' and what it shares with the row before it; any values make a distribution, so
 * that rows of a minibatch need their neighbours alone. */
#include "avi/family.h"
#include "density/chain_factor.h"

#include <math.h>
#include <string.h>

#define LOG_2PI_E 2.83787706640934548356

static int64_t triangle(const avi_family *f) { return f->latent * (f->latent + 1) / 2; }

static avi_status create(avi_family *f, const avi_config *config)
{
    (void)config;
    f->tied = f->latent * f->latent;
    f->width = f->latent + triangle(f) + f->tied;
    return AVI_OK;
}

static avi_node *draw(const avi_family *f, avi_tape *t, avi_node *nu, avi_node *const *own, avi_node *eps,
                      avi_node **logq)
{
    (void)own;
    avi_node *marginal = avi_chain_marginal(t, nu, f->latent), *z = avi_gaussian_full_draw(t, marginal, eps);
    if (logq) *logq = avi_gaussian_full_logq(t, marginal, z);
    return z;
}

/* log q(z_n | z_{n-1}) at a draw: log N(eps; 0, I) - log det M. */
static avi_node *draw_after(const avi_family *f, avi_tape *t, avi_node *nu, avi_node *const *own, avi_node *eps,
                            avi_node *eps_before, avi_node **logq)
{
    (void)own;
    if (logq) {
        const double constant = 0.5 * (double)f->latent * LOG_2PI_E;
        avi_node *entropy = avi_gaussian_full_entropy(t, avi_slice(t, nu, 0, f->latent + triangle(f)));
        avi_node *volume = avi_repeat(t, avi_scale(t, entropy, 1, -constant), eps->rows / nu->rows);
        *logq = avi_sub(t, avi_std_normal_lpdf(t, eps), volume);
    }
    return avi_chain_draw_after(t, nu, eps, eps_before);
}

static avi_node *entropy(const avi_family *f, avi_tape *t, avi_node *nu)
{
    return avi_gaussian_full_entropy(t, avi_slice(t, nu, 0, f->latent + triangle(f)));
}

/* Entry (i, j) of M M' + P P'. */
static double covariance_at(const avi_family *f, const double *nu, int64_t i, int64_t j)
{
    const int64_t l = f->latent, least = i < j ? i : j;
    const double *m = nu + l, *p = m + triangle(f);
    double sum = 0;
    for (int64_t k = 0; k <= least; k++) {
        const double a = m[i * (i + 1) / 2 + k], b = m[j * (j + 1) / 2 + k];
        sum += (k == i ? exp(a) : a) * (k == j ? exp(b) : b);
    }
    for (int64_t k = 0; k < l; k++) sum += p[i * l + k] * p[j * l + k];
    return sum;
}

static void moments(const avi_family *f, const double *nu, const double *const *own, double *mean, double *log_sd)
{
    (void)own;
    memcpy(mean, nu, (size_t)f->latent * sizeof *nu);
    for (int64_t i = 0; i < f->latent; i++) log_sd[i] = 0.5 * log(covariance_at(f, nu, i, i));
}

static void covariance(const avi_family *f, const double *nu, double *out)
{
    for (int64_t i = 0; i < f->latent; i++)
        for (int64_t j = 0; j < f->latent; j++) out[i * f->latent + j] = covariance_at(f, nu, i, j);
}

static double entropy_of(const avi_family *f, const double *nu)
{
    double sum = 0.5 * (double)f->latent * LOG_2PI_E;
    for (int64_t i = 0; i < f->latent; i++) sum += nu[f->latent + i * (i + 1) / 2 + i];
    return sum;
}

const avi_family_ops avi_family_tridiagonal = {
    .name = "tridiagonal",
    .doc = "for chains: a Gaussian with block tridiagonal precision, q(z_n | z_{n-1})",
    .create = create,
    .draw = draw,
    .draw_after = draw_after,
    .entropy = entropy,
    .moments = moments,
    .covariance = covariance,
    .entropy_of = entropy_of,
};
