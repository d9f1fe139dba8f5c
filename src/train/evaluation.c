#include "train/evaluation.h"
#include "train/mean_mse.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ELBO per row (its local part over the rows used, and the global part over all training rows) and mean squared error.
 */
static avi_status assess_one(const avi_session *s, avi_state *st, avi_estimator *e, const avi_data *data, void *table,
                             int64_t limit, double *elbo, double *mse)
{
    avi_row_ranges job = {0};
    double sums[AVI_SUMS], *nu = NULL;
    const bool images = s->model->ops->reconstruct != NULL,
               means = images && !strcmp(avi_config_get_string(s->config, "log", "mse_at"), "means");
    avi_status status = (means ? avi_row_ranges_rows : avi_row_ranges_pass)(
        &data->partition, avi_comm_rank(s->comm), limit, &job); /* the error at the means is taken tile by tile */
    const size_t bytes = (size_t)(avi_row_ranges_total(&job) * s->infer->outputs + 1) * sizeof *nu;
    if (status == AVI_OK && means && !(nu = malloc(bytes))) status = avi_fail_memory(bytes, "an evaluation");
    status = avi_agree(s->comm, status);
    if (status == AVI_OK)
        status =
            avi_estimator_evaluate(e, st->params, table, &job, images && !means, sums, &(avi_row_values){.nu = nu});
    if (status == AVI_OK && means) status = avi_mean_mse(s, st, e, data, &job, nu, mse);
    avi_row_ranges_free(&job);
    free(nu);
    AVI_TRY(status);
    const double rows = sums[AVI_SUM_ROWS], global = avi_estimator_kl_global(e, st->params) / (double)s->partition.rows;
    *elbo = sums[AVI_SUM_ELBO] / rows - global;
    if (!means) *mse = images ? sums[AVI_SUM_SQERR] / (rows * (double)s->shape.width * avi_data_observed(data)) : NAN;
    return AVI_OK;
}

avi_status avi_evaluation(const avi_session *s, avi_state *st, int64_t limit, double row[AVI_EVAL_COLUMNS])
{
    row[AVI_EVAL_STEP] = (double)st->step;
    row[AVI_EVAL_ELBO_TEST] = row[AVI_EVAL_MSE_TEST] = NAN;
    AVI_TRY(assess_one(s, st, s->train_elbo, s->train, st->table, limit, &row[AVI_EVAL_ELBO_TRAIN],
                       &row[AVI_EVAL_MSE_TRAIN]));
    if (!s->test_elbo || s->infer->ops->local) return AVI_OK; /* a table has no factors for rows that were never seen */
    return assess_one(s, st, s->test_elbo, s->test, NULL, limit, &row[AVI_EVAL_ELBO_TEST], &row[AVI_EVAL_MSE_TEST]);
}

void avi_evaluation_print(const avi_session *s, const avi_state *st, const double row[AVI_EVAL_COLUMNS])
{
    if (avi_comm_rank(s->comm)) return;
    printf("step %" PRId64
           "\nelbo_train %.10g nats per row\nelbo_test  %.10g nats per row\nmse_train  %.10g\nmse_test   %.10g\n",
           st->step, row[AVI_EVAL_ELBO_TRAIN], row[AVI_EVAL_ELBO_TEST], row[AVI_EVAL_MSE_TRAIN],
           row[AVI_EVAL_MSE_TEST]);
}
