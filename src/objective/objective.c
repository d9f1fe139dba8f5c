#include "avi/objective.h"

#include <math.h>
#include <stdlib.h>

static const avi_key keys[] = {
    {"objective", "name", AVI_KEY_CHOICE, "elbo", 0, 0, AVI_CHOICES_OBJECTIVE, NULL,
     "what a fit maximises (--list prints what each is)"},
    {"objective", "beta", AVI_KEY_REAL, "1", 0, 1e6, NULL, NULL,
     "weight of the KL of q(z_n) in the gradient; 1 is the ELBO. The reported ELBO always has weight 1"},
    {"objective", "kl_warmup", AVI_KEY_REAL, "0", 0, 1, NULL, "part of the run",
     "part of the run over which the weight of the KL rises linearly from 0 to beta, against posterior collapse; 0 = "
     "none"},
};

avi_status avi_objective_register(avi_registry *registry, const avi_objective_ops *ops)
{
    if (!ops->value)
        return avi_fail(AVI_ERR_INTERNAL, "objective %s has no value", ops->name ? ops->name : "without a name");
    return avi_registry_add(registry, AVI_KIND_OBJECTIVE, ops);
}

avi_status avi_objective_register_keys(avi_registry *registry)
{
    return avi_registry_add_keys(registry, keys, (int)(sizeof keys / sizeof keys[0]));
}

avi_status avi_objective_create(const avi_config *config, avi_objective **objective)
{
    avi_objective *o = *objective = calloc(1, sizeof *o);
    if (!o) return avi_fail_memory(sizeof *o, "the objective");
    o->ops = avi_registry_find(avi_config_registry(config), AVI_KIND_OBJECTIVE,
                               avi_config_get_string(config, "objective", "name"));
    o->beta = avi_config_get_real(config, "objective", "beta");
    const avi_status status =
        avi_plugin_status(AVI_KIND_OBJECTIVE, o->ops, o->ops->create ? o->ops->create(o, config) : AVI_OK);
    if (status != AVI_OK) avi_objective_destroy(objective);
    return status;
}

void avi_objective_destroy(avi_objective **objective)
{
    if (!*objective) return;
    free((*objective)->self);
    free(*objective);
    *objective = NULL;
}

avi_status avi_objective_plan(avi_objective *o, const avi_config *config, int64_t total_steps)
{
    const double part = avi_config_get_real(config, "objective", "kl_warmup");
    o->warmup = (int64_t)ceil(part * (double)total_steps);
    if (part > 0 && o->warmup >= total_steps)
        return avi_config_fail(config, "objective", "kl_warmup",
                               "the warm-up would not end before the run does; use a part below 1");
    return AVI_OK;
}

double avi_objective_kl_weight(const avi_objective *o, int64_t step)
{
    return step < o->warmup ? o->beta * (double)(step + 1) / (double)(o->warmup + 1) : o->beta;
}
