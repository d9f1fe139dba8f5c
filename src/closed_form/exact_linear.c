/* The linear probabilistic model (Margossian & Blei 2024, section 5.1): its F-VI optimum is affine in x_n. */
#include "closed_form/exact_scalar.h"

static avi_status check(const avi_session *s)
{
    (void)s;
    return AVI_OK;
}

static avi_status solve(avi_optimum *a)
{
    const avi_config *c = a->s->config;
    const avi_exact_scalar m = {.y = a->x,
                                .alpha = avi_config_get_real(c, "model", "tau"),
                                .beta = 1,
                                .sigma = avi_config_get_real(c, "model", "sigma")};
    return avi_exact_scalar_solve(a, &m);
}

const avi_exact_ops avi_exact_linear = {
    .name = "linear",
    .doc = "linear probabilistic model",
    .check = check,
    .solve = solve,
    .residuals = avi_exact_scalar_residuals,
    .destroy = avi_exact_scalar_destroy,
};
