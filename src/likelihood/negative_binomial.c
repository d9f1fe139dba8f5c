/* Counts that vary more than a Poisson distribution: mean mu = exp(decoder(z)_d), variance mu + mu^2 / r_d. The
 * dispersions r are learned with the decoder. */
#include "density/counts.h"
#include "likelihood/likelihood.h"

#include <math.h>

static avi_status create(avi_likelihood *l, const avi_config *config, avi_params *theta)
{
    const double r = avi_config_get_real(config, "model", "dispersion");
    AVI_TRY(avi_params_add(theta, "log_dispersion", 1, l->shape.width, AVI_INIT_CONSTANT, log(r), NULL));
    return avi_params_describe(theta, "log_dispersion", "column", "logarithm of r, the dispersion of each column");
}

static avi_support support(const avi_likelihood *l) { return (void)l, AVI_SUPPORT_COUNT; }

static avi_node *log_density(const avi_likelihood *l, avi_tape *t, const avi_batch *b, avi_node *out,
                             avi_node *const *own)
{
    (void)l;
    return avi_negative_binomial_lpdf(t, b->x, b->mask, out, own[0]);
}

static avi_node *mean(const avi_likelihood *l, avi_tape *t, avi_node *out, avi_node *const *own)
{
    (void)l, (void)own;
    return avi_map(t, out, AVI_EXP);
}

static double draw(const avi_likelihood *l, int64_t d, double mu, const double *const *own, double noise)
{
    (void)l;
    return avi_count_quantile(mu, exp(own[0][d]), noise);
}

const avi_likelihood_ops avi_likelihood_negative_binomial = {
    .name = "negative_binomial",
    .remedy = "use counts as they were taken (0, 1, 2, ...), or model.likelihood = gaussian for real numbers",
    .exposure = true,
    .create = create,
    .support = support,
    .log_density = log_density,
    .mean = mean,
    .draw = draw,
};
