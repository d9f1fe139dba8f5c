#include "likelihood/likelihood.h"

#include <math.h>
#include <string.h>

extern const avi_likelihood_ops avi_likelihood_bernoulli, avi_likelihood_gaussian, avi_likelihood_categorical,
    avi_likelihood_poisson, avi_likelihood_negative_binomial, avi_likelihood_discretised_logistic;

static const avi_likelihood_ops *const table[] = {
    &avi_likelihood_bernoulli, &avi_likelihood_gaussian,          &avi_likelihood_categorical,
    &avi_likelihood_poisson,   &avi_likelihood_negative_binomial, &avi_likelihood_discretised_logistic,
};

/* Keys of other likelihoods, where they ask for something that this one has not. */
static avi_status refuse_keys(const avi_likelihood *l, const avi_config *config)
{
    if (!l->ops->noise && !strcmp(avi_config_get_string(config, "model", "noise"), "learned"))
        return avi_config_fail(config, "model", "noise",
                               "likelihood %s has no standard deviation to learn; use model.likelihood = gaussian, or "
                               "model.noise = fixed",
                               l->ops->name);
    if (!l->ops->exposure && l->exposure)
        return avi_config_fail(config, "model", "exposure",
                               "likelihood %s has no counts; use model.likelihood = poisson or negative_binomial, or "
                               "model.exposure = none",
                               l->ops->name);
    return AVI_OK;
}

avi_status avi_likelihood_create(avi_likelihood *l, const avi_config *config, const avi_shape *shape)
{
    const char *name = avi_config_get_string(config, "model", "likelihood");
    *l = (avi_likelihood){.shape = *shape, .outputs = 1, .block = -1, .value_stride = 1, .output_stride = shape->width};
    for (size_t i = 0; i < sizeof table / sizeof table[0] && !l->ops; i++)
        if (!strcmp(table[i]->name, name)) l->ops = table[i];
    if (!l->ops) return avi_fail(AVI_ERR_INTERNAL, "likelihood %s is a choice, but not in the table", name);
    l->exposure = !strcmp(avi_config_get_string(config, "model", "exposure"), "total");
    AVI_TRY(refuse_keys(l, config));
    if (l->ops == &avi_likelihood_categorical || l->ops == &avi_likelihood_discretised_logistic)
        AVI_TRY(avi_likelihood_read_levels(l, config));
    /* A class has an output of its own, and every other likelihood has one for each value. */
    if (l->ops == &avi_likelihood_categorical) l->outputs = l->levels.count;
    return AVI_OK;
}

avi_status avi_likelihood_declare(avi_likelihood *l, const avi_config *config, avi_params *theta)
{
    l->block = theta->count;
    l->levels.level_stride = l->output_stride;
    l->levels.value_stride = l->value_stride;
    return l->ops->create ? l->ops->create(l, config, theta) : AVI_OK;
}

avi_support avi_likelihood_support(const avi_likelihood *l) { return l->ops->support(l); }

/* log(mean) + log(total of the row). A row without counts has the total 1/2, since it has no logarithm else. */
static avi_node *expose(const avi_likelihood *l, avi_tape *t, const avi_batch *b, avi_node *out)
{
    if (!l->exposure || !b->x) return out; /* without rows: shares of a total of 1 */
    avi_node *total = avi_row_sum(t, b->x), *none = avi_constant_new(t, total->rows, 1);
    const avi_precision p = avi_tape_precision(t);
    for (int64_t r = 0; r < total->rows; r++) {
        double v;
        avi_vector_to_double(p, avi_vector_at(p, total->value, r), 1, &v);
        avi_vector_set(p, none->value, r, log(v > 0 ? v : 0.5));
    }
    return avi_add(t, out, avi_repeat(t, none, b->draws));
}

avi_node *avi_likelihood_log_density(const avi_likelihood *l, avi_tape *t, const avi_batch *b, avi_node *out,
                                     avi_node *const *theta)
{
    return l->ops->log_density(l, t, b, expose(l, t, b, out), theta + l->block);
}

avi_node *avi_likelihood_mean(const avi_likelihood *l, avi_tape *t, const avi_batch *b, avi_node *out,
                              avi_node *const *theta)
{
    return l->ops->mean(l, t, expose(l, t, b, out), theta + l->block);
}

bool avi_likelihood_needs_outputs(const avi_likelihood *l) { return l->ops->draw_of != NULL; }

void avi_likelihood_draw(const avi_likelihood *l, const double *out, const double *const *theta, const double *noise,
                         double *x)
{
    const double *const *own = theta + l->block;
    for (int64_t d = 0; d < l->shape.width; d++)
        x[d] = l->ops->draw_of ? l->ops->draw_of(l, d, out, own, noise[d]) : l->ops->draw(l, d, x[d], own, noise[d]);
}
