#include "train/evaluation.h"
#include "state/best.h"
#include "train/mean_mse.h"
#include "factors/test_factors.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ELBO per row (its local part over the rows used, and the global part over all training rows) and mean squared error,
 * with their errors. */
typedef struct values {
    double elbo, elbo_error, mse, mse_error;
} values;

/* The KL of q(theta) belongs to all training rows: every row, also a test row, bears an equal part of it. */
static avi_status evaluate_one(const avi_session *s, avi_state *st, avi_estimator *e, const avi_data *data, void *table,
                               int64_t limit, bool last, values *v, double half[AVI_EVAL_GROUPS], double *kl)
{
    const bool images = s->model->ops->reconstruct != NULL,
               means = images && !strcmp(avi_config_get_string(s->config, "log", "mse_at"), "means");
    const avi_evaluation_plan *plan = &s->evaluation;
    const avi_estimation how = {
        .rule = plan->rule, .draws = last ? plan->last_draws : plan->draws, .rows = limit, .squares = images && !means};
    avi_estimate sum;
    AVI_TRY(avi_estimator_estimate(e, st->params, table, &how, &sum, kl));
    const double global = avi_estimator_kl_global(e, st->params) / (double)s->partition.rows;
    *v = (values){
        .elbo = sum.elbo / sum.rows - global, .elbo_error = sum.error / sum.rows, .mse = NAN, .mse_error = NAN};
    for (int g = 0; g < AVI_EVAL_GROUPS; g++) half[g] = sum.half[g] / sum.rows;
    for (int64_t d = 0; kl && d < s->model->latent; d++) kl[d] /= sum.rows;
    if (how.squares) {
        const double count = sum.rows * (double)s->shape.width * avi_data_observed(data);
        v->mse = sum.squares / count;
        v->mse_error = sum.squares_error / count;
    }
    if (!means) return AVI_OK;
    v->mse_error = 0;
    return avi_mean_mse(s, st, e, data, table, limit, &v->mse);
}

avi_status avi_evaluation(const avi_session *s, avi_state *st, int64_t limit, bool last, double row[AVI_EVAL_COLUMNS])
{
    const values none = {NAN, NAN, NAN, NAN};
    values train, test = none;
    void *factors = NULL;
    for (int g = 0; g < AVI_EVAL_GROUPS; g++) st->half[1][g] = NAN;
    st->test_factors = (avi_test_factors){0};
    AVI_TRY(
        evaluate_one(s, st, s->train_elbo, s->train, st->table, limit, last, &train, st->half[0], st->kl_dimension));
    if (avi_evaluation_has_test(s, last)) {
        avi_status status = AVI_OK; /* a table has no factors for rows that were never seen */
        if (s->infer->ops->local) status = avi_test_factors_fit(s, st, limit, &factors, &st->test_factors);
        if (status == AVI_OK)
            status = evaluate_one(s, st, s->test_elbo, s->test, factors, limit, last, &test, st->half[1], NULL);
        free(factors);
        AVI_TRY(status);
    }
    /* With patience the parameters may be those of an earlier step, which the line then names. */
    row[AVI_EVAL_STEP] = (double)avi_best_step_of(st);
    row[AVI_EVAL_ELBO_TRAIN] = train.elbo;
    row[AVI_EVAL_ELBO_TEST] = test.elbo;
    row[AVI_EVAL_MSE_TRAIN] = train.mse;
    row[AVI_EVAL_MSE_TEST] = test.mse;
    row[AVI_EVAL_ELBO_TRAIN_ERROR] = train.elbo_error;
    row[AVI_EVAL_ELBO_TEST_ERROR] = test.elbo_error;
    row[AVI_EVAL_MSE_TRAIN_ERROR] = train.mse_error;
    row[AVI_EVAL_MSE_TEST_ERROR] = test.mse_error;
    return AVI_OK;
}

static void print_value(const char *name, double value, double error, const char *units)
{
    printf("%s %.10g", name, value);
    if (error > 0) printf(" +- %.2g", error);
    printf("%s\n", units);
}

void avi_evaluation_print(const avi_session *s, const avi_state *st, const double row[AVI_EVAL_COLUMNS])
{
    if (avi_comm_rank(s->comm)) return;
    printf("step %" PRId64 "\n", avi_best_step_of(st));
    print_value("elbo_train", row[AVI_EVAL_ELBO_TRAIN], row[AVI_EVAL_ELBO_TRAIN_ERROR], " nats per row");
    const bool test = s->test_elbo && !isnan(row[AVI_EVAL_ELBO_TEST]);
    if (test) print_value("elbo_test ", row[AVI_EVAL_ELBO_TEST], row[AVI_EVAL_ELBO_TEST_ERROR], " nats per row");
    if (!s->model->ops->reconstruct) return;
    print_value("mse_train ", row[AVI_EVAL_MSE_TRAIN], row[AVI_EVAL_MSE_TRAIN_ERROR], " per value");
    if (test) print_value("mse_test  ", row[AVI_EVAL_MSE_TEST], row[AVI_EVAL_MSE_TEST_ERROR], " per value");
}
