/* Task diagnose: whether an inference function of a domain can reach the factorized optimum, and what the best leaves.
 */
#include "diagnose/diagnose.h"
#include "plan/diagnose_plan.h"
#include "tasks/task.h"

#include <stdio.h>
#include <stdlib.h>

static const avi_key keys[] = {
    {"diagnose", "rows", AVI_KEY_INT, "2048", 24, 16384, NULL, "rows",
     "of the training data that are compared, or all where there are fewer; memory grows with the square"},
    {"diagnose", "draws", AVI_KEY_INT, "64", 2, 65536, NULL, "draws",
     "of z for each row, where no quadrature is exact"},
    {"diagnose", "tolerance", AVI_KEY_REAL, "1e-3", 1e-12, 1e3, NULL, "nats",
     "per row that count as no gap: a domain that leaves less closes it"},
};

typedef struct diagnosis {
    avi_fixed_theta problem;
    avi_diagnosis result;
} diagnosis;

static avi_status check(const avi_session *s)
{
    if (s->model->ops->coupling == AVI_DENSE)
        return avi_config_fail(s->config, "model", "name",
                               "%s couples every row with all others, so that no domain is enough; use run.task = "
                               "exact, which has the best polynomial and its gap",
                               s->model->ops->name);
    return AVI_OK;
}

static void release(void *self)
{
    diagnosis *d = self;
    if (!d) return;
    avi_fixed_theta_free(&d->problem);
    avi_diagnosis_free(&d->result);
    free(d);
}

static avi_status make(avi_session *s, avi_state *st, avi_fields *fields, diagnosis *d)
{
    const int draws = (int)avi_config_get_int(s->config, "diagnose", "draws");
    avi_diagnose_settings settings = {.sample = {.rows = avi_config_get_int(s->config, "diagnose", "rows"),
                                                 .passes = (int)avi_config_get_int(s->config, "gap", "passes"),
                                                 .tolerance = avi_config_get_real(s->config, "gap", "tolerance")},
                                      .tolerance = avi_config_get_real(s->config, "diagnose", "tolerance")};
    AVI_TRY(avi_agree(s->comm, avi_fixed_theta_create(s, st, draws, &d->problem)));
    /* With few points a pass costs little, and floors of nothing show only where the optimum has no error. */
    if (d->problem.exact) settings.sample.tolerance *= 1e-3;
    AVI_TRY(avi_diagnosis_make(&d->problem, st->table, &settings, &d->result));
    return avi_agree(s->comm, avi_diagnosis_fields(&d->result, fields));
}

static avi_status after_fit(avi_session *s, const avi_done_fit *fit, avi_fields *fields, void **self)
{
    diagnosis *d = *self = calloc(1, sizeof *d);
    AVI_TRY(avi_agree(s->comm, d ? AVI_OK : avi_fail_memory(sizeof *d, "the diagnosis")));
    return make(s, fit->st, fields, d);
}

static void print(const avi_session *s, const avi_done_fit *fit, const void *self)
{
    (void)fit;
    if (s->options->verbosity > 0 && avi_comm_rank(s->comm) == 0)
        avi_diagnosis_print(&((const diagnosis *)self)->result);
}

const avi_task_ops avi_task_diagnose = {
    .name = "diagnose",
    .doc = "whether an inference function of a domain can reach the factorized optimum, and what the best one leaves",
    .keys = keys,
    .key_count = 3,
    .check = check,
    .plan_after = avi_diagnose_plan,
    .follows_fit = true,
    .lengthy = true,
    .after_fit = after_fit,
    .print = print,
    .release = release,
};
