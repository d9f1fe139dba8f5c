/* The Gaussian family with the log q of the published VAE notebook of Margossian & Blei (2024), which hands the
 * standard deviation s to a density whose parameter is the variance: log q(z) = log N(z; mean, variance = s). Draws are
 * those of N(mean, s^2). Under them E[-log q] = sum (log s + s + log 2 pi) / 2 in place of the entropy
 * sum (2 log s + 1 + log 2 pi) / 2, so a log sd is pulled up by (1 + s) / 2 in place of 1. */
#include "avi/family.h"

#include <string.h>

#define LOG_2PI 1.83787706640934548356

static avi_node *log_sds(avi_tape *t, avi_node *nu) { return avi_slice(t, nu, nu->cols / 2, nu->cols / 2); }

static avi_node *entropy(const avi_family *f, avi_tape *t, avi_node *nu)
{
    (void)f;
    avi_node *log_sd = log_sds(t, nu);
    avi_node *sum = avi_row_sum(t, avi_add(t, log_sd, avi_map(t, log_sd, AVI_EXP)));
    return avi_scale(t, sum, 0.5, 0.5 * LOG_2PI * (double)(nu->cols / 2));
}

/* E[log q - log N(z; 0, 1)] with that log q: the KL divergence, plus the entropy, minus what is in its place. */
static avi_node *kl_std(const avi_family *f, avi_tape *t, avi_node *nu)
{
    return avi_sub(t, avi_add(t, avi_gaussian_kl_std(t, nu), avi_gaussian_entropy(t, nu)), entropy(f, t, nu));
}

static avi_node *log_q(const avi_family *f, avi_tape *t, avi_node *nu, avi_node *z)
{
    (void)f;
    const int64_t draws = z->rows / nu->rows, dims = nu->cols / 2;
    avi_node *mean = avi_slice(t, nu, 0, dims), *half = avi_scale(t, log_sds(t, nu), 0.5, 0);
    if (draws > 1) {
        mean = avi_repeat(t, mean, draws);
        half = avi_repeat(t, half, draws);
    }
    return avi_normal_lpdf(t, z, mean, half);
}

static avi_node *draw(const avi_family *f, avi_tape *t, avi_node *nu, avi_node *const *own, avi_node *eps,
                      avi_node **logq)
{
    (void)own;
    avi_node *z = avi_gaussian_draw(t, nu, eps);
    if (logq) *logq = log_q(f, t, nu, z);
    return z;
}

static avi_status create(avi_family *f, const avi_config *config)
{
    (void)config;
    f->width = 2 * f->latent;
    return AVI_OK;
}

static void moments(const avi_family *f, const double *nu, const double *const *own, double *mean, double *log_sd)
{
    (void)own;
    memcpy(mean, nu, (size_t)f->latent * sizeof *nu);
    memcpy(log_sd, nu + f->latent, (size_t)f->latent * sizeof *nu);
}

/* Not in the registry: objective.entropy puts it in the place of `gaussian`. */
static const avi_family_ops notebook = {
    .name = "gaussian",
    .doc = "Gaussian, independent dimensions, with the published VAE notebook's log q",
    .independent = true,
    .create = create,
    .draw = draw,
    .log_q = log_q,
    .entropy = entropy,
    .kl_std = kl_std,
    .moments = moments,
};

const avi_family_ops *avi_family_notebook(const avi_family *f)
{
    return avi_family_is(f, "gaussian") ? &notebook : NULL;
}
