/* The parameters of a fit, for tasks on rows; theta from another run where model.theta_from names one. */
#include "fitted/fitted.h"
#include "fitted/theta_from.h"

#include <stdlib.h>
#include <string.h>

/* Whether the key names another run than the one that the fit itself began from. */
static avi_status wants_other_theta(const avi_fitted *f, const avi_config *config, bool *wants)
{
    char *lines = avi_config_difference(config, f->effective, NULL);
    *wants = lines && strstr(lines, "[model] theta_from:") && *avi_config_get_string(config, "model", "theta_from");
    if (!lines) return avi_fail_memory(1, "the configuration of a fit");
    free(lines);
    return AVI_OK;
}

static bool same_values(const double *a, const double *b, int64_t n)
{
    if (!a || !b) return a == b;
    return !memcmp(a, b, (size_t)n * sizeof *a);
}

/* theta is of values in the units of the run that it was fitted to. */
static avi_status check_units(const avi_fitted *f, const avi_fitted *other, const avi_session *s)
{
    const int64_t n = s->shape.width;
    AVI_TRY(avi_fitted_check_model(other, s->config));
    if (strcmp(f->columns, other->columns) != 0 || other->shape.width != n)
        return avi_config_fail(s->config, "model", "theta_from",
                               "the columns of that run are not those of the fit; use a run on the same columns");
    if (same_values(other->like->mean, s->train->mean, n) && same_values(other->like->sd, s->train->sd, n))
        return AVI_OK;
    return avi_config_fail(
        s->config, "model", "theta_from",
        "the columns of that run have another mean or sd; use a run that began with model.theta_from "
        "too, which takes them over, or data.standardise = no in both");
}

static avi_status replace_theta(const avi_fitted *f, const avi_session *s, void *params)
{
    avi_fitted other;
    avi_status status = avi_fitted_open(s->comm, avi_config_get_string(s->config, "model", "theta_from"), &other);
    if (status == AVI_OK) status = avi_agree(s->comm, check_units(f, &other, s));
    if (status == AVI_OK) status = avi_theta_from_read(&other, s, params);
    avi_fitted_close(&other);
    return status;
}

avi_status avi_fitted_params(const avi_fitted *f, const avi_session *s, void *params)
{
    avi_status status =
        avi_store_read(f->store, avi_fitted_vector(f), s->precision == AVI_PRECISION_SINGLE ? AVI_F32 : AVI_F64, 1,
                       (int64_t[4]){s->layout.size}, false, params);
    if (status == AVI_OK && avi_vector_nonfinite(s->precision, params, s->layout.size, NULL) > 0)
        status = avi_fail(AVI_ERR_DATA, "%s: its parameters are not finite; use an earlier checkpoint", f->path);
    bool other = false;
    if (status == AVI_OK) status = avi_agree(s->comm, wants_other_theta(f, s->config, &other));
    return status == AVI_OK && other ? replace_theta(f, s, params) : status;
}
