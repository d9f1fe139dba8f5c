/* The saw time series (Margossian & Blei 2024, section 5.3): its F-VI optimum is affine in (x_n, x_{n+1}). */
#include "closed_form/exact_scalar.h"

static avi_status check(const avi_session *s)
{
    if (avi_config_get_real(s->config, "model", "a") != 0) return AVI_OK;
    return avi_config_fail(s->config, "model", "a",
                           "the data then say nothing about theta, and there is no optimum; use any other number");
}

static avi_status solve(avi_optimum *a)
{
    const double slope = avi_config_get_real(a->s->config, "model", "a");
    const avi_exact_scalar m = {.c = a->x, .y = a->x_next, .alpha = slope, .beta = slope, .sigma = 1};
    return avi_exact_scalar_solve(a, &m);
}

const avi_exact_ops avi_exact_saw = {
    .name = "saw",
    .doc = "saw time series",
    .check = check,
    .solve = solve,
    .residuals = avi_exact_scalar_residuals,
    .destroy = avi_exact_scalar_destroy,
};
