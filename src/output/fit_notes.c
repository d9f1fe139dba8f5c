#include "output/fit_notes.h"
#include "state/state.h"
#include "session/values.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Of data whose largest value is beyond this, or whose sd is below that, models start from another scale. */
static const double LARGE = 30, SMALL = 0.03;

/* Mean over columns of the variance of the training rows in the user's units; NAN where that is not known. */
static double variance_of(const avi_data *d)
{
    double sum = 0;
    if (d->log1p || d->stats->columns == 0) return NAN;
    for (int64_t k = 0; k < d->stats->columns; k++) sum += d->stats->sd[k] * d->stats->sd[k];
    return sum / (double)d->stats->columns;
}

/* Models whose noise is a parameter have a block of that name; noise_sd is where it starts. */
static bool learns_noise(const avi_session *s)
{
    for (int k = 0; k < s->model->theta.count; k++)
        if (!strcmp(s->model->theta.block[k].name, "log_noise_sd")) return true;
    return false;
}

/* A noise above the error that remains leaves no gain to any dimension. At that error the leading direction of the data
 * has at least the variance of the noise, and pays for its KL. */
static void print_collapsed(const avi_session *s, double kl, double error)
{
    const avi_data *d = s->train;
    const bool fixed_noise =
        avi_values_are_real(s) && avi_config_has(s->config, "model", "noise_sd") && !learns_noise(s) && !d->mean;
    const double noise = fixed_noise ? avi_config_get_real(s->config, "model", "noise_sd") : 0;
    printf(
        "  note         the posterior has collapsed: q(z_n) is the prior for every row (KL %.2g nats per row), and x "
        "does not depend on z. ",
        kl);
    if (fixed_noise && noise > 1.02 * error && error > 0)
        printf("Use model.noise_sd = %.2g, the root of the squared error, in place of %g\n", 0.98 * error, noise);
    else
        printf("Use objective.kl_warmup = 0.3, or more optim.epochs\n");
}

static void print_error(const avi_session *s, double variance)
{
    double smallest, largest;
    avi_column_stats_range(s->train->stats, &smallest, &largest);
    const bool other_scale = fmax(fabs(smallest), fabs(largest)) > LARGE || variance < SMALL * SMALL,
               standardises = avi_values_are_real(s) && !s->train->mean;
    printf(
        "  note         the squared error is above the variance of the data, %.4g: the means of the columns would be "
        "nearer than this fit. Use %smore optim.epochs\n",
        variance, standardises && other_scale ? "data.standardise = yes, or " : "");
}

/* Of overfitting. Evaluations have the same draws, so that three standard errors of one are more than three of their
 * difference. */
static void print_better_before(const avi_trace *t)
{
    const int64_t width = t->columns + t->extra;
    const double *last = t->value + (t->rows - 1) * width, *best = last;
    for (const double *row = t->value; row < last; row += width)
        if (row[AVI_EVAL_ELBO_TEST] > best[AVI_EVAL_ELBO_TEST]) best = row;
    const double less = best[AVI_EVAL_ELBO_TEST] - last[AVI_EVAL_ELBO_TEST];
    const double error = fmax(best[AVI_EVAL_ELBO_TEST_ERROR], last[AVI_EVAL_ELBO_TEST_ERROR]);
    if (!(less > 0.1 && less > 3 * error)) return;
    printf(
        "  note         the ELBO on test rows was largest after %.0f steps, %.6g nats per row, and is %.3g lower now: "
        "the fit is overfitted to its training rows. Use stop.patience = 3, which keeps the best parameters\n",
        best[AVI_EVAL_STEP], best[AVI_EVAL_ELBO_TEST], less);
}

void avi_fit_notes_print(const avi_session *s, const avi_state *st, int used, double kl)
{
    const avi_trace *t = &st->eval;
    const double *evaluation = t->value + (t->rows - 1) * (t->columns + t->extra);
    const double mse = evaluation[AVI_EVAL_MSE_TRAIN], variance = variance_of(s->train);
    if (used == 0) print_collapsed(s, kl, sqrt(mse));
    /* The error is one of draws of z: without any information it is twice the variance at most. */
    if (isfinite(mse) && variance > 0 && mse > 2.1 * variance) print_error(s, variance);
    if (!st->best.taken) print_better_before(t);
}

void avi_fit_notes_gradient(const avi_state *st)
{
    const avi_trace *t = &st->gradient_variance;
    if (!t->rows) return;
    const double *row = t->value + (t->rows - 1) * t->columns;
    printf(
        "  gradient     variance %.4g +- %.2g (theta %.4g, inference %.4g), squared mean %.3g, (nats per row)^2, of a "
        "step at the end\n",
        row[AVI_VARIANCE_ALL], row[AVI_VARIANCE_ALL_ERROR], row[AVI_VARIANCE_THETA], row[AVI_VARIANCE_PHI],
        row[AVI_VARIANCE_MEAN_SQUARE]);
}
