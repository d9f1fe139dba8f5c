#include "train/stopping_rule.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* stop.elbo_per_row from here on: none. (Zero is an ELBO like any other.) */
static const double no_elbo = 1e300;

static double mse_bound(const avi_config *c) { return avi_config_get_real(c, "stop", "mse"); }
static double elbo_bound(const avi_config *c) { return avi_config_get_real(c, "stop", "elbo_per_row"); }

bool avi_stopping_rule_set(const avi_config *config) { return mse_bound(config) > 0 || elbo_bound(config) < no_elbo; }
bool avi_stopping_rule_required(const avi_config *config) { return avi_config_get_bool(config, "stop", "required"); }

avi_status avi_stopping_rule_check(const avi_session *s)
{
    const avi_config *c = s->config;
    if (mse_bound(c) > 0 && !s->model->ops->reconstruct)
        return avi_config_fail(c, "stop", "mse",
                               "model %s has no reconstruction to measure; use 0, or stop.elbo_per_row",
                               s->model->ops->name);
    if (avi_stopping_rule_required(c) && !avi_stopping_rule_set(c))
        return avi_config_fail(c, "stop", "required",
                               "there is no stop rule to require; use stop.mse or stop.elbo_per_row, or no");
    return AVI_OK;
}

/* A bound is met beyond the standard error, which is 0 where there are no draws. An evaluation that is not finite meets
 * nothing, whichever of its values the rule asks for: the error at the means of q may be finite where the ELBO is not.
 */
static bool sound(const double *row) { return isfinite(row[AVI_EVAL_ELBO_TRAIN]); }
static bool mse_met(const avi_config *c, const double *row)
{
    return sound(row) && row[AVI_EVAL_MSE_TRAIN] + row[AVI_EVAL_MSE_TRAIN_ERROR] < mse_bound(c);
}
static bool elbo_met(const avi_config *c, const double *row)
{
    return sound(row) && elbo_bound(c) < no_elbo &&
           row[AVI_EVAL_ELBO_TRAIN] - row[AVI_EVAL_ELBO_TRAIN_ERROR] >= elbo_bound(c);
}

bool avi_stopping_rule_met(const avi_config *config, const double row[AVI_EVAL_COLUMNS])
{
    return mse_met(config, row) || elbo_met(config, row);
}

static const char *with_error(double error, char text[32])
{
    *text = 0;
    if (error > 0) snprintf(text, 32, " +- %.2g", error);
    return text;
}

void avi_stopping_rule_describe(const avi_config *config, const double row[AVI_EVAL_COLUMNS],
                                char text[AVI_STOPPING_RULE_TEXT])
{
    const bool met = avi_stopping_rule_met(config, row);
    const double mse = mse_bound(config), elbo = elbo_bound(config);
    const char *between = ": ";
    char error[32];
    int n = snprintf(text, AVI_STOPPING_RULE_TEXT, "%s", met ? AVI_STOPPING_RULE_MET : AVI_STOPPING_RULE_MISSED);
    if (!sound(row)) {
        snprintf(text + n, (size_t)(AVI_STOPPING_RULE_TEXT - n), ": elbo_train is not finite, which meets no rule");
        return;
    }
    if (met ? mse_met(config, row) : mse > 0) {
        n += snprintf(text + n, (size_t)(AVI_STOPPING_RULE_TEXT - n), "%smse_train %.6g%s is %s %.6g", between,
                      row[AVI_EVAL_MSE_TRAIN], with_error(row[AVI_EVAL_MSE_TRAIN_ERROR], error),
                      met ? "below" : "not below", mse);
        between = ", ";
    }
    if (met ? elbo_met(config, row) : elbo < no_elbo)
        snprintf(text + n, (size_t)(AVI_STOPPING_RULE_TEXT - n), "%selbo_train %.8g%s nats per row is %s %.8g", between,
                 row[AVI_EVAL_ELBO_TRAIN], with_error(row[AVI_EVAL_ELBO_TRAIN_ERROR], error),
                 met ? "at least" : "below", elbo);
}

bool avi_stopping_rule_missed(const char *why_stopped)
{
    return !strncmp(why_stopped, AVI_STOPPING_RULE_MISSED, strlen(AVI_STOPPING_RULE_MISSED));
}
