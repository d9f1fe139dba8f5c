/* The evidence lower bound, E_q[log p(x | z)] - beta KL(q(z) || p(z)); beta = 1 is the ELBO itself (Higgins et al. 2017
 * for others). */
#include "avi/objective.h"

static avi_node *value(const avi_objective *o, avi_tape *t, const avi_terms *terms)
{
    (void)o;
    avi_node *kl = terms->kl_weight == 1 ? terms->minus_kl : avi_scale(t, terms->minus_kl, terms->kl_weight, 0);
    return avi_add(t, terms->loglik, kl);
}

const avi_objective_ops avi_objective_elbo = {
    .name = "elbo",
    .doc = "evidence lower bound",
    .value = value,
};
