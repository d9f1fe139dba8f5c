#include "train/trace_row.h"

#include <math.h>
#include <string.h>

void avi_trace_row(const avi_session *s, const avi_state *st, const avi_step_result *r, double out[AVI_TRACE_COLUMNS])
{
    /* The weight of a row is that of elbo.h: a short step counts for what it holds. */
    const double rows = (double)s->partition.rows, scale = (double)s->epoch_steps;
    const double row[AVI_TRACE_COLUMNS] = {
        [AVI_TRACE_STEP] = (double)st->step,
        [AVI_TRACE_EPOCH] = (double)st->step / (double)s->epoch_steps,
        [AVI_TRACE_SECONDS] = st->seconds,
        [AVI_TRACE_ELBO] = r->finite ? r->sums[AVI_SUM_ELBO] * scale - r->kl_global : NAN,
        /* The ELBO of the trace is unbiased over an epoch, so that a short step has little of it; per row it is the
         * mean of the step's rows, which a reader can follow from step to step. */
        [AVI_TRACE_ELBO_PER_ROW] =
            r->finite ? r->sums[AVI_SUM_ELBO] / r->sums[AVI_SUM_ROWS] - r->kl_global / rows : NAN,
        [AVI_TRACE_LOGLIK] = r->sums[AVI_SUM_LOGLIK] * scale,
        [AVI_TRACE_KL_LOCAL] = (r->sums[AVI_SUM_LOGLIK] - r->sums[AVI_SUM_ELBO]) * scale,
        [AVI_TRACE_KL_GLOBAL] = r->kl_global,
        [AVI_TRACE_GRAD_NORM] = r->grad_norm,
        [AVI_TRACE_RATE] = r->learning_rate,
        [AVI_TRACE_SKIPPED] = (double)st->skipped,
    };
    memcpy(out, row, sizeof row);
}
