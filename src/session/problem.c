/* What is to be estimated, from the keys: which model, family, inference function and objective, and what they ask of
 * each other. */
#include "session/build.h"
#include "session/values.h"

#include <string.h>

/* Held parameters of log q need log q at any z. Of the importance-weighted bound sticking the landing leaves out a term
 * whose mean is not 0 (Tucker et al. 2018, section 4), unless there is one draw. */
static avi_status check_gradient(const avi_session *s)
{
    const avi_config *c = s->config;
    const avi_problem *p = &s->problem;
    const avi_objective_ops *o = s->objective->ops;
    if (p->gradient == AVI_GRADIENT_PATHWISE) return AVI_OK;
    if (!s->family->ops->log_q)
        return avi_config_fail(c, "objective", "estimator",
                               "it holds the parameters of log q, and needs log q at any z, which family %s does not "
                               "give; use pathwise",
                               s->family->ops->name);
    if (p->gradient == AVI_GRADIENT_DREG && !o->log_mean_weight)
        return avi_config_fail(c, "objective", "estimator",
                               "dreg is a gradient of the importance-weighted bound, and the objective is %s; use stl, "
                               "or objective.name = iwae",
                               o->name);
    if (p->gradient == AVI_GRADIENT_STL && o->needs_weights && p->draws > 1)
        return avi_config_fail(c, "objective", "estimator",
                               "the gradient of %s without its score term is biased; use dreg, or pathwise", o->name);
    return AVI_OK;
}

/* What an objective or an estimator asks of model, family and draws. */
static avi_status check_objective(const avi_session *s)
{
    const avi_config *c = s->config;
    const avi_problem *p = &s->problem;
    const char *name = s->objective->ops->name;
    if (s->family->ops->draw_after && s->model->ops->coupling != AVI_CHAIN)
        return avi_config_fail(c, "inference", "family",
                               "%s ties every row to the one before it, and the rows of model %s are no chain; use "
                               "gaussian, or gaussian_full",
                               s->family->ops->name, s->model->ops->name);
    AVI_TRY(check_gradient(s));
    if ((p->rule || p->moments_rule) && !s->family->ops->entropy)
        return avi_config_fail(c, "objective", "draws",
                               "0 needs an entropy in closed form, which family %s does not have; use 1 or more",
                               s->family->ops->name);
    if (!s->objective->ops->needs_weights) return AVI_OK;
    if (s->model->ops->coupling != AVI_INDEPENDENT)
        return avi_config_fail(c, "objective", "name",
                               "%s weighs the draws of a row, and the rows of model %s depend on each other; use elbo",
                               name, s->model->ops->name);
    if (p->global_gaussian)
        return avi_config_fail(c, "objective", "name",
                               "%s bounds log p(x | theta) for a point theta; use model.global = point, or elbo", name);
    if (p->rule || p->moments_rule)
        return avi_config_fail(c, "objective", "draws",
                               "%s needs draws; use 1 or more (0 stands for expectations without draws)", name);
    if (s->infer->ops->local && !strcmp(avi_config_get_string(c, "optim", "local_rows"), "all"))
        return avi_config_fail(c, "optim", "local_rows", "%s has no KL of rows outside the batch; use batch", name);
    return AVI_OK;
}

/* objective.entropy = notebook is there to reproduce published numbers: where the program takes second derivatives or
 * closed forms of the ELBO, it has no meaning. */
static avi_status read_entropy(avi_session *s)
{
    const avi_config *c = s->config;
    avi_problem *p = &s->problem;
    p->notebook = !strcmp(avi_config_get_string(c, "objective", "entropy"), "notebook");
    if (!p->notebook) return AVI_OK;
    if (!avi_family_notebook(s->family))
        return avi_config_fail(c, "objective", "entropy",
                               "the notebook's log q has independent dimensions; use inference.family = gaussian");
    if (p->global_family)
        return avi_config_fail(c, "objective", "entropy",
                               "the notebook's q(theta) has independent values; use model.global = gaussian");
    if (!strcmp(avi_config_get_string(c, "optim", "method"), "lbfgs"))
        return avi_config_fail(c, "objective", "entropy",
                               "lbfgs is for the ELBO; use optim.method = adam with the notebook's objective");
    return AVI_OK;
}

/* objective.draws = 0: points in place of draws, or the model's own expectation. */
static avi_status read_quadrature(avi_session *s)
{
    const avi_config *c = s->config;
    avi_problem *p = &s->problem;
    AVI_TRY(avi_quadrature_create(s->model, avi_theta_form_of(p), (int)avi_config_get_int(c, "objective", "points"),
                                  s->precision, &s->rule));
    if (!avi_quadrature_is_of_model(s->model, avi_theta_form_of(p))) {
        p->rule = s->rule;
        p->draws = s->rule->count;
        return AVI_OK;
    }
    if (p->gradient != AVI_GRADIENT_PATHWISE || p->kl_sampled || !p->family->ops->independent)
        return avi_config_fail(c, "objective", "draws",
                               "0 with model %s and global = gaussian has no draws of z; use objective.estimator = "
                               "pathwise, objective.kl = analytic and inference.family = gaussian",
                               s->model->ops->name);
    p->moments_rule = s->rule;
    p->draws = 1;
    return AVI_OK;
}

static avi_gradient gradient_of(const char *name)
{
    return !strcmp(name, "stl") ? AVI_GRADIENT_STL : !strcmp(name, "dreg") ? AVI_GRADIENT_DREG : AVI_GRADIENT_PATHWISE;
}

/* The steps behind an inference function are on the ELBO of a row by itself. Their gradient to first order is no
 * derivative of the objective that a line search could follow. */
static avi_status check_refinement(const avi_session *s)
{
    const avi_config *c = s->config;
    const char *base = s->infer->ops->name;
    if (s->infer->refine.steps == 0) return AVI_OK;
    if (s->model->ops->coupling != AVI_INDEPENDENT)
        return avi_config_fail(c, "inference", "function",
                               "%s moves the factor of a row on the ELBO of that row by itself, and the rows of model "
                               "%s depend on each other; use %s",
                               s->infer->named->name, s->model->ops->name, base);
    if (!s->infer->refine.full && !strcmp(avi_config_get_string(c, "optim", "method"), "lbfgs"))
        return avi_config_fail(c, "optim", "method",
                               "lbfgs searches along the derivative of the ELBO, and %s has it to first order alone; "
                               "use adam, or inference.refine_gradient = full",
                               s->infer->named->name);
    return AVI_OK;
}

enum { MOST_SEEN = 1024 /* values of theta beside those of the data, in every row of a block */ };

/* How many values of theta the inference function sees: all or none. */
static avi_status count_seen(const avi_session *s, int64_t *values)
{
    const avi_config *c = s->config;
    const avi_problem *p = &s->problem;
    const avi_theta_view view = avi_theta_view_read(c);
    *values = 0;
    if (view == AVI_THETA_UNSEEN) return AVI_OK;
    *values = avi_params_values(&s->model->theta);
    if (*values == 0)
        return avi_config_fail(c, "inference", "theta", "model %s has no global parameters; use no",
                               s->model->ops->name);
    if (*values > MOST_SEEN)
        return avi_config_fail(c, "inference", "theta",
                               "model %s has %lld values of global parameters, and a function sees at most %d; use no",
                               s->model->ops->name, (long long)*values, MOST_SEEN);
    if (view != AVI_THETA_DRAW || !p->global_gaussian) return AVI_OK;
    if (p->rule || p->moments_rule)
        return avi_config_fail(c, "inference", "theta",
                               "the function sees each draw of theta, and with objective.draws = 0 there are none; use "
                               "mean, or objective.draws = 1");
    if (s->model->ops->coupling != AVI_DENSE) return AVI_OK;
    return avi_config_fail(c, "inference", "theta",
                           "the prior of model %s ties the factors of all rows, which are made once a step; use mean",
                           s->model->ops->name);
}

avi_status avi_session_make_problem(avi_session *s)
{
    const avi_config *c = s->config;
    avi_problem *p = &s->problem;
    AVI_TRY(avi_model_create(c, &s->shape, &s->model));
    AVI_TRY(avi_family_create(c, s->model->latent, &s->family));
    AVI_TRY(avi_family_create_global(c, avi_params_values(&s->model->theta), &s->global_family));
    AVI_TRY(avi_objective_create(c, &s->objective));
    *p = (avi_problem){
        .precision = s->precision,
        .seed = s->seed,
        .reproducible = avi_config_get_bool(c, "run", "reproducible"),
        .model = s->model,
        .family = s->family,
        .objective = s->objective,
        .global_gaussian = s->model->theta.count && strcmp(avi_config_get_string(c, "model", "global"), "point") != 0,
        .global_family = s->global_family,
        .draws = (int)avi_config_get_int(c, "objective", "draws"),
        .gradient = gradient_of(avi_config_get_string(c, "objective", "estimator")),
        .kl_sampled = !strcmp(avi_config_get_string(c, "objective", "kl"), "sampled"),
    };
    AVI_TRY(read_entropy(s));
    AVI_TRY(avi_domain_read(c, &p->domain));
    if (p->draws == 0) AVI_TRY(read_quadrature(s));
    if (s->shape.ragged && (avi_domain_rows(&p->domain) > 1 || p->domain.only_next))
        return avi_config_fail(c, "inference", "domain",
                               "groups of any number of entries have no window of neighbours; use self");
    avi_feature_shape seen = avi_feature_shape_of(&s->shape, &p->domain, avi_values_masked(s));
    AVI_TRY(count_seen(s, &seen.theta));
    AVI_TRY(avi_infer_create(c, &seen, s->family->width, s->model->latent, &s->infer));
    AVI_TRY(avi_family_declare(s->family, &s->infer->phi));
    AVI_TRY(check_objective(s));
    AVI_TRY(check_refinement(s));
    p->infer = s->infer;
    p->block_rows = p->draws > 1 ? 32768 / p->draws + 1 : 512; /* with draws: what stays in the second-level cache */
    s->layout = avi_parameter_layout_of(p);
    return AVI_OK;
}
