/* Rows of a block: where their factors start, the refinement, and the columns of the ledger from their weights. */
#include "gap/ledger_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Collective. Where the refinement starts: the function's factors, or those of a factorized run, with their weights. A
 * factorized run has no factors for rows that it was not fitted to: these start at nu = 0, and L_A is not there. */
avi_status avi_ledger_start(avi_ledger_work *m, const avi_row_ranges *job)
{
    const avi_fixed_theta *f = m->f;
    const int64_t rows = avi_row_ranges_total(job), width = f->family->width, k = m->settings->draws;
    double sums[AVI_SUMS];
    if (f->s->infer->ops->local && !m->given) {
        for (int64_t i = 0; i < rows * k; i++) m->weight_function[i] = NAN;
        return AVI_OK;
    }
    const avi_row_values values = {.log_weight = m->weight_function, .nu = m->nu};
    AVI_TRY(avi_estimator_evaluate(m->weigh_function, f->params_function, (void *)(uintptr_t)m->given, job, false, sums,
                                   &values));
    if (rows)
        avi_vector_from_double(f->s->precision, m->nu, rows * width, avi_ledger_row(m, m->table, width, job->first[0]));
    return AVI_OK;
}

/* Own rows of the block to their optimum: a tile at a time where bits must not depend on the ranks. */
avi_status avi_ledger_refine(avi_ledger_work *m, int64_t first, int64_t rows)
{
    const avi_fixed_theta *f = m->f;
    const int64_t piece = f->s->problem.reproducible ? m->data->partition.tile : f->refine.block_rows;
    for (int64_t done = 0; done < rows; done += piece) {
        const int64_t n = rows - done < piece ? rows - done : piece;
        AVI_TRY(avi_estimator_refine(m->refine, f->params_own, m->table, m->grad, first + done, n, m->settings->passes,
                                     m->settings->tolerance, m->refined + done));
    }
    return AVI_OK;
}

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
