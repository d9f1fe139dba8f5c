/* x ~ N(decoder(z), noise_sd^2). noise = learned: the standard deviation is a global parameter, as in ppca, and
 * noise_sd is where it starts. */
#include "density/learned_noise.h"
#include "density/masked.h"
#include "likelihood/likelihood.h"

#include <math.h>
#include <string.h>

static avi_status create(avi_likelihood *l, const avi_config *config, avi_params *theta)
{
    l->number = avi_config_get_real(config, "model", "noise_sd");
    l->learned = !strcmp(avi_config_get_string(config, "model", "noise"), "learned");
    if (!l->learned) return AVI_OK;
    AVI_TRY(avi_params_add(theta, "log_noise_sd", 1, 1, AVI_INIT_CONSTANT, log(l->number), NULL));
    return avi_params_describe(theta, "log_noise_sd", "value", "logarithm of the standard deviation of the noise");
}

static avi_support support(const avi_likelihood *l) { return (void)l, AVI_SUPPORT_REAL; }

static avi_node *log_density(const avi_likelihood *l, avi_tape *t, const avi_batch *b, avi_node *out,
                             avi_node *const *own)
{
    if (l->learned) return avi_learned_noise_lpdf(t, b->x, b->mask, out, own[0]);
    return b->mask ? avi_masked_normal_lpdf_sd(t, b->x, b->mask, out, l->number)
                   : avi_normal_lpdf_sd(t, b->x, out, l->number);
}

static avi_node *mean(const avi_likelihood *l, avi_tape *t, avi_node *out, avi_node *const *own)
{
    return (void)l, (void)t, (void)own, out;
}

static double draw(const avi_likelihood *l, int64_t d, double middle, const double *const *own, double noise)
{
    (void)d;
    return middle + (l->learned ? exp(own[0][0]) : l->number) * noise;
}

const avi_likelihood_ops avi_likelihood_gaussian = {
    .name = "gaussian",
    .remedy = "",
    .noise = true,
    .create = create,
    .support = support,
    .log_density = log_density,
    .mean = mean,
    .draw = draw,
};
