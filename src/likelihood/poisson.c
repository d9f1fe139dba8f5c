/* Counts: x_d ~ Poisson(exp(decoder(z)_d)). */
#include "density/counts.h"
#include "likelihood/likelihood.h"

#include <math.h>

static avi_support support(const avi_likelihood *l) { return (void)l, AVI_SUPPORT_COUNT; }

static avi_node *log_density(const avi_likelihood *l, avi_tape *t, const avi_batch *b, avi_node *out,
                             avi_node *const *own)
{
    (void)l, (void)own;
    return avi_poisson_counts_lpdf(t, b->x, b->mask, out);
}

static avi_node *mean(const avi_likelihood *l, avi_tape *t, avi_node *out, avi_node *const *own)
{
    (void)l, (void)own;
    return avi_map(t, out, AVI_EXP);
}

static double draw(const avi_likelihood *l, int64_t d, double rate, const double *const *own, double noise)
{
    (void)l, (void)d, (void)own;
    return avi_count_quantile(rate, INFINITY, noise);
}

const avi_likelihood_ops avi_likelihood_poisson = {
    .name = "poisson",
    .remedy = "use counts as they were taken (0, 1, 2, ...), or model.likelihood = gaussian for real numbers",
    .exposure = true,
    .support = support,
    .log_density = log_density,
    .mean = mean,
    .draw = draw,
};
