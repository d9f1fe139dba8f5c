/* Values that have K levels: as classes (categorical) or as the rounded values of a logistic variable. */
#include "likelihood/likelihood.h"

#include <math.h>

/* Whole numbers are levels as they are; grey values k / 255 are 256 levels. */
avi_status avi_likelihood_read_levels(avi_likelihood *l, const avi_config *config)
{
    const int64_t count = avi_config_get_int(config, "model", "levels");
    const double scale = l->shape.scale;
    const bool grey = fabs(scale * 255 - 1) < 1e-9;
    if (grey && count != 256)
        return avi_config_fail(config, "model", "levels",
                               "the data are grey values k / 255, which have 256 levels; use 256, or data.scale = 1 "
                               "for whole numbers of an HDF5 file");
    if (!grey && scale != 1)
        return avi_config_fail(config, "model", "likelihood",
                               "levels are whole numbers or grey values k / 255, and the data are stored values * %g; "
                               "use data.scale = 1, or model.likelihood = gaussian",
                               scale);
    l->levels = (avi_levels){.count = count, .step = scale};
    return AVI_OK;
}

avi_support avi_likelihood_level_support(const avi_likelihood *l)
{
    return l->levels.step == 1 ? avi_support_levels(l->levels.count) : AVI_SUPPORT_GREY;
}

#define REMEDY                                                                                                         \
    "use model.levels = the largest value + 1 where the values are whole numbers, or model.likelihood = gaussian for " \
    "others"

/* ---- categorical ---- */

static avi_node *categorical_log_density(const avi_likelihood *l, avi_tape *t, const avi_batch *b, avi_node *out,
                                         avi_node *const *own)
{
    (void)own;
    return avi_categorical_levels_lpdf(t, &l->levels, b->x, b->mask, out);
}

static avi_node *categorical_mean(const avi_likelihood *l, avi_tape *t, avi_node *out, avi_node *const *own)
{
    (void)own;
    return avi_categorical_levels_mean(t, &l->levels, out);
}

static double categorical_draw(const avi_likelihood *l, int64_t d, const double *out, const double *const *own,
                               double noise)
{
    (void)own;
    const double u = 0.5 * erfc(-noise / sqrt(2.0)), *v = out + d * l->value_stride;
    double top = v[0], sum = 0, below = 0;
    int64_t k = 0;
    for (int64_t i = 1; i < l->levels.count; i++) top = fmax(top, v[i * l->output_stride]);
    for (int64_t i = 0; i < l->levels.count; i++) sum += exp(v[i * l->output_stride] - top);
    for (; k < l->levels.count - 1; k++) {
        below += exp(v[k * l->output_stride] - top) / sum;
        if (below >= u) break;
    }
    return (double)k * l->levels.step;
}

const avi_likelihood_ops avi_likelihood_categorical = {
    .name = "categorical",
    .remedy = REMEDY,
    .support = avi_likelihood_level_support,
    .log_density = categorical_log_density,
    .mean = categorical_mean,
    .draw_of = categorical_draw,
};

/* ---- discretised logistic ---- */

static avi_status logistic_create(avi_likelihood *l, const avi_config *config, avi_params *theta)
{
    const double scale = avi_config_get_real(config, "model", "logistic_scale");
    AVI_TRY(avi_params_add(theta, "log_scale", 1, l->shape.width, AVI_INIT_CONSTANT, log(scale), NULL));
    return avi_params_describe(theta, "log_scale", "column",
                               "logarithm of the scale of the logistic variable of each column, as a part of the range "
                               "of the levels");
}

static avi_node *logistic_log_density(const avi_likelihood *l, avi_tape *t, const avi_batch *b, avi_node *out,
                                      avi_node *const *own)
{
    return avi_discretised_logistic_lpdf(t, &l->levels, b->x, b->mask, out, own[0]);
}

static avi_node *logistic_mean(const avi_likelihood *l, avi_tape *t, avi_node *out, avi_node *const *own)
{
    return avi_discretised_logistic_mean(t, &l->levels, out, own[0]);
}

/* The logistic variable whose quantile the normal has, rounded. log(u / (1 - u)) by both tails. */
static double logistic_draw(const avi_likelihood *l, int64_t d, const double *out, const double *const *own,
                            double noise)
{
    const double top = (double)(l->levels.count - 1),
                 odds = log(erfc(-noise / sqrt(2.0))) - log(erfc(noise / sqrt(2.0)));
    const double k = nearbyint(top * (out[d] + exp(own[0][d]) * odds));
    return (k < 0 ? 0 : k > top ? top : k) * l->levels.step;
}

const avi_likelihood_ops avi_likelihood_discretised_logistic = {
    .name = "discretised_logistic",
    .remedy = REMEDY,
    .create = logistic_create,
    .support = avi_likelihood_level_support,
    .log_density = logistic_log_density,
    .mean = logistic_mean,
    .draw_of = logistic_draw,
};
