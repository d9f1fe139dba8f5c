/* q(z_n) = N(mean, C C'): nu = (mean (L), rows of the lower triangle C, its diagonal as logarithm). */
#include "avi/family.h"
#include "density/full_square.h"

#include <math.h>
#include <string.h>

#define LOG_2PI   1.83787706640934548356
#define LOG_2PI_E 2.83787706640934548356

static avi_status create(avi_family *f, const avi_config *config)
{
    (void)config;
    f->width = f->latent + f->latent * (f->latent + 1) / 2;
    return AVI_OK;
}

static avi_node *log_q(const avi_family *f, avi_tape *t, avi_node *nu, avi_node *z)
{
    (void)f;
    return avi_gaussian_full_logq(t, nu, z);
}

static avi_node *draw(const avi_family *f, avi_tape *t, avi_node *nu, avi_node *const *own, avi_node *eps,
                      avi_node **logq)
{
    (void)own;
    avi_node *z = avi_gaussian_full_draw(t, nu, eps);
    if (logq) *logq = log_q(f, t, nu, z);
    return z;
}

static avi_node *entropy(const avi_family *f, avi_tape *t, avi_node *nu)
{
    (void)f;
    return avi_gaussian_full_entropy(t, nu);
}

static avi_node *second_moment(const avi_family *f, avi_tape *t, avi_node *nu)
{
    return avi_gaussian_full_square(t, nu, f->latent);
}

/* E |z|^2 / 2 + log(2 pi) L / 2 - entropy. */
static avi_node *kl_std(const avi_family *f, avi_tape *t, avi_node *nu)
{
    avi_node *cross = avi_scale(t, second_moment(f, t, nu), 0.5, 0.5 * (double)f->latent * LOG_2PI);
    return avi_sub(t, cross, entropy(f, t, nu));
}

/* A row of the triangle has the scale that its diagonal says. */
static int64_t scale_of(const avi_family *f, int64_t k)
{
    const int64_t l = f->latent;
    int64_t row = k < l ? k : (int64_t)((sqrt(8.0 * (double)(k - l) + 1) - 1) / 2);
    while (k >= l && (row + 1) * (row + 2) / 2 <= k - l) row++; /* the root is rounded */
    while (k >= l && row * (row + 1) / 2 > k - l) row--;
    return l + row * (row + 1) / 2 + row;
}

static void moments(const avi_family *f, const double *nu, const double *const *own, double *mean, double *log_sd)
{
    (void)own;
    const double *row = nu + f->latent;
    memcpy(mean, nu, (size_t)f->latent * sizeof *nu);
    for (int64_t i = 0; i < f->latent; row += ++i) {
        double variance = exp(2 * row[i]);
        for (int64_t j = 0; j < i; j++) variance += row[j] * row[j];
        log_sd[i] = 0.5 * log(variance);
    }
}

/* Row i of C, its diagonal as it is. */
static double factor_at(const avi_family *f, const double *nu, int64_t i, int64_t j)
{
    const double value = nu[f->latent + i * (i + 1) / 2 + j];
    return i == j ? exp(value) : value;
}

static void covariance(const avi_family *f, const double *nu, double *out)
{
    const int64_t l = f->latent;
    for (int64_t i = 0; i < l; i++)
        for (int64_t j = 0; j <= i; j++) {
            double sum = 0;
            for (int64_t k = 0; k <= j; k++) sum += factor_at(f, nu, i, k) * factor_at(f, nu, j, k);
            out[i * l + j] = out[j * l + i] = sum;
        }
}

static double entropy_of(const avi_family *f, const double *nu)
{
    double sum = 0.5 * (double)f->latent * LOG_2PI_E;
    for (int64_t i = 0; i < f->latent; i++) sum += nu[f->latent + i * (i + 1) / 2 + i];
    return sum;
}

const avi_family_ops avi_family_gaussian_full = {
    .name = "gaussian_full",
    .doc = "Gaussian with full covariance of the dimensions of a datapoint",
    .create = create,
    .draw = draw,
    .log_q = log_q,
    .entropy = entropy,
    .kl_std = kl_std,
    .second_moment = second_moment,
    .scale_of = scale_of,
    .moments = moments,
    .covariance = covariance,
    .entropy_of = entropy_of,
};
