/* Logged steps: a line of the trace, and of metrics.csv, to watch a run by. */
#include "train/fit_internal.h"
#include "train/trace_row.h"

#include <math.h>
#include <stdio.h>

_Static_assert(AVI_SHARES == AVI_SHARE_PHASES + AVI_PHASES, "shares of a rank in the trace");

#define METRICS_HEADER                                                                                                 \
    "step,epoch,seconds,elbo,elbo_per_row,log_likelihood,kl_local,kl_global,grad_norm,learning_rate,skipped"
static const char metrics_header[] = METRICS_HEADER;

static const char with_variance[] = METRICS_HEADER ",gradient_variance,gradient_variance_error";

/* ---- trace ---- */

/* What log.gradient_variance found at this step; NaN where it did not look. */
static void find_variance(const fit *f, double step, double *variance, double *error)
{
    const avi_trace *t = &f->st->gradient_variance;
    *variance = *error = NAN;
    for (int64_t r = t->rows - 1; r >= 0; r--) {
        const double *row = t->value + r * t->columns;
        if (row[AVI_VARIANCE_STEP] != step) continue;
        *variance = row[AVI_VARIANCE_ALL];
        *error = row[AVI_VARIANCE_ALL_ERROR];
        return;
    }
}

static bool has_variance(const fit *f) { return avi_config_get_int(f->s->config, "log", "gradient_variance") > 0; }

avi_status avi_fit_write_metrics(fit *f, const double *row)
{
    char line[512];
    int n = snprintf(line, sizeof line, "%.0f,%.6f,%.4f", row[0], row[1], row[2]);
    for (int c = 3; c < AVI_TRACE_COLUMNS; c++) n += snprintf(line + n, sizeof line - (size_t)n, ",%.10g", row[c]);
    if (has_variance(f)) {
        double variance, error;
        find_variance(f, row[AVI_TRACE_STEP], &variance, &error);
        snprintf(line + n, sizeof line - (size_t)n, ",%.10g,%.10g", variance, error);
    }
    return avi_metrics_line(f->metrics, line);
}

/* Written anew from the trace that the checkpoint holds: so a file that lost lines (removed, or with a node that went
 * down) is whole again. */
avi_status avi_fit_open_metrics(fit *f)
{
    const avi_trace *t = &f->st->trace;
    AVI_TRY(avi_metrics_open(f->folder, f->s->comm, has_variance(f) ? with_variance : metrics_header, &f->metrics));
    avi_status status = AVI_OK;
    for (int64_t r = 0; r < t->rows && status == AVI_OK; r++)
        status = avi_fit_write_metrics(f, t->value + r * (t->columns + t->extra));
    return avi_agree(f->s->comm, status);
}

/* Mean seconds of a step by phase since the last logged step. */
static void take_phases(fit *f, double *out)
{
    double *phase = avi_estimator_phases(f->s->train_elbo);
    const double steps = f->st->step > f->step_before ? (double)(f->st->step - f->step_before) : 1;
    phase[AVI_PHASE_OUTPUT] = f->paused;
    for (int i = 0; i < AVI_PHASES; i++) {
        out[i] = (phase[i] - f->phase_before[i]) / steps;
        f->phase_before[i] = phase[i];
    }
    f->step_before = f->st->step;
}

avi_status avi_fit_log_step(fit *f, const avi_step_result *r, double step_seconds, double *elbo_per_row)
{
    const avi_session *s = f->s;
    avi_state *st = f->st;
    double own[AVI_SHARES] = {
        [AVI_SHARE_ELBO] = r->own[AVI_SUM_ELBO] * (double)s->epoch_steps, [AVI_SHARE_SECONDS] = step_seconds};
    take_phases(f, own + AVI_SHARE_PHASES);
    double row[AVI_TRACE_COLUMNS];
    avi_trace_row(s, st, r, row);
    *elbo_per_row = row[AVI_TRACE_ELBO_PER_ROW];
    avi_status status = avi_trace_add(&st->trace, row, 0, NULL);
    if (status == AVI_OK) status = avi_shares_add(&st->shares, own);
    if (status == AVI_OK) status = avi_digests_add(s, st, &f->job);
    if (status == AVI_OK) status = avi_fit_write_metrics(f, row);
    return avi_agree(s->comm, status); /* rank 0 alone writes, and its disk may be full */
}
