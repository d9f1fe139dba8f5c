/* The importance-weighted bound log (1/S) sum_s p(x, z_s) / q(z_s), z_s from q (Burda, Grosse & Salakhutdinov 2016): it
 * rises with S to log p(x), and is the ELBO where S = 1. */
#include "avi/objective.h"

#include <math.h>

static avi_node *value(const avi_objective *o, avi_tape *t, const avi_terms *terms)
{
    (void)o;
    if (terms->draws == 1) return terms->log_weight;
    return avi_scale(t, avi_draw_logsumexp(t, terms->log_weight, terms->draws), 1, -log(terms->draws));
}

static avi_status create(avi_objective *o, const avi_config *config)
{
    if (o->beta != 1)
        return avi_config_fail(config, "objective", "beta",
                               "the importance-weighted bound has no KL to weigh; use 1, or objective.name = elbo");
    if (avi_config_get_real(config, "objective", "kl_warmup") > 0)
        return avi_config_fail(config, "objective", "kl_warmup",
                               "the importance-weighted bound has no KL to weigh; use 0, or objective.name = elbo");
    return AVI_OK;
}

const avi_objective_ops avi_objective_iwae = {
    .name = "iwae",
    .doc = "importance-weighted bound with objective.draws draws (Burda et al. 2016)",
    .needs_weights = true,
    .log_mean_weight = true,
    .create = create,
    .value = value,
    .reported = value,
};
