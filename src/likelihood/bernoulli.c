/* Independent bits: logit of p(x_d = 1) = decoder(z)_d; grey values in [0, 1] are taken as expected bits. */
#include "density/masked.h"
#include "likelihood/likelihood.h"

#include <math.h>

static avi_support support(const avi_likelihood *l) { return (void)l, AVI_SUPPORT_UNIT; }

static avi_node *log_density(const avi_likelihood *l, avi_tape *t, const avi_batch *b, avi_node *out,
                             avi_node *const *own)
{
    (void)l, (void)own;
    return b->mask ? avi_masked_bernoulli_logit_lpdf(t, b->x, b->mask, out) : avi_bernoulli_logit_lpdf(t, b->x, out);
}

static avi_node *mean(const avi_likelihood *l, avi_tape *t, avi_node *out, avi_node *const *own)
{
    (void)l, (void)own;
    return avi_map(t, out, AVI_SIGMOID);
}

/* A bit is 1 where the normal is below its quantile of the mean. */
static double draw(const avi_likelihood *l, int64_t d, double p, const double *const *own, double noise)
{
    (void)l, (void)d, (void)own;
    return 0.5 * erfc(-noise / sqrt(2.0)) < p;
}

const avi_likelihood_ops avi_likelihood_bernoulli = {
    .name = "bernoulli",
    .remedy = "use model.likelihood = gaussian for real numbers, negative_binomial for counts",
    .support = support,
    .log_density = log_density,
    .mean = mean,
    .draw = draw,
};
