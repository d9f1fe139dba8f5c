/* Columns of a row of the ledger, from its weights with the function's factor and with its own. */
#include "gap/ledger_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

avi_status avi_ledger_exact_rows(avi_ledger_work *m, const avi_row_ranges *job, double *elbo)
{
    double sums[AVI_SUMS];
    const avi_row_values values = {.elbo = elbo};
    if (!m->f->exact) return AVI_OK;
    return avi_estimator_evaluate(m->refine, m->f->params_own, m->table, job, false, sums, &values);
}

/* Mean and standard error of b - a over draws, and the means of both. */
static void compare_draws(int64_t k, const double *a, const double *b, double out[AVI_GAP_COLUMNS])
{
    double mean_a = 0, mean_b = 0, squares = 0;
    for (int64_t i = 0; i < k; i++) {
        mean_a += a[i] / (double)k;
        mean_b += b[i] / (double)k;
    }
    for (int64_t i = 0; i < k; i++) squares += (b[i] - a[i] - mean_b + mean_a) * (b[i] - a[i] - mean_b + mean_a);
    out[AVI_GAP_ELBO_AVI] = mean_a;
    out[AVI_GAP_ELBO_FVI] = mean_b;
    out[AVI_GAP_AMORTIZATION] = mean_b - mean_a;
    out[AVI_GAP_AMORTIZATION_ERROR] = sqrt(squares / ((double)k * (double)(k - 1)));
}

avi_status avi_ledger_fill_row(avi_ledger_work *m, int64_t r, double out[AVI_GAP_COLUMNS])
{
    const int64_t k = m->settings->draws;
    const bool function = !(m->f->s->infer->ops->local && !m->given);
    avi_weights a, b;
    compare_draws(k, m->weight_function + r * k, m->weight_own + r * k, out);
    if (m->f->exact) {
        out[AVI_GAP_ELBO_AVI] = function ? m->before[r] : NAN;
        out[AVI_GAP_ELBO_FVI] = m->after[r];
        out[AVI_GAP_AMORTIZATION] = out[AVI_GAP_ELBO_FVI] - out[AVI_GAP_ELBO_AVI];
        out[AVI_GAP_AMORTIZATION_ERROR] = 0;
    }
    double *sorted = malloc((size_t)k * sizeof *sorted);
    if (!sorted) return avi_fail_memory((size_t)k * sizeof *sorted, "the gap ledger");
    memcpy(sorted, m->weight_function + r * k, (size_t)k * sizeof *sorted);
    avi_weights_summarise(k, sorted, &a);
    memcpy(sorted, m->weight_own + r * k, (size_t)k * sizeof *sorted);
    avi_weights_summarise(k, sorted, &b);
    free(sorted);
    out[AVI_GAP_LOG_P] = b.log_p;
    out[AVI_GAP_LOG_P_ERROR] = b.log_p_error;
    out[AVI_GAP_APPROXIMATION] = b.log_p - out[AVI_GAP_ELBO_FVI];
    out[AVI_GAP_KHAT_AVI] = a.khat;
    out[AVI_GAP_KHAT] = b.khat;
    out[AVI_GAP_ESS] = b.ess;
    out[AVI_GAP_RUNG] = a.khat <= AVI_KHAT_LIMIT   ? AVI_RUNG_FUNCTION
                        : b.khat <= AVI_KHAT_LIMIT ? AVI_RUNG_FACTOR
                                                   : AVI_RUNG_NONE;
    out[AVI_GAP_KHAT_SERVED] = a.khat <= AVI_KHAT_LIMIT ? a.khat : b.khat;
    out[AVI_GAP_STEPS] = m->refined[r].steps;
    out[AVI_GAP_CONVERGED] = m->refined[r].converged;
    return AVI_OK;
}
