/* Task evaluate: the ELBO of a fit on the rows of any data, row by row, with log p(x) by importance weighting; without
 * run.from the ELBO of the fit in run.output on all of its rows, which is printed. */
#include "tasks/rows_task.h"
#include "tasks/stored_fit.h"
#include "plan/plan.h"
#include "tasks/task.h"
#include "train/evaluation.h"

static avi_status run(avi_session *s)
{
    avi_stored_fit fit;
    double row[AVI_EVAL_COLUMNS];
    avi_status status = avi_stored_fit_open(s, &fit);
    if (status == AVI_OK) status = avi_evaluation(s, fit.st, 0, true, row);
    if (status == AVI_OK) avi_evaluation_print(s, fit.st, row);
    avi_stored_fit_close(&fit);
    return status;
}

static avi_status run_alone(avi_comm *comm, const avi_config *config, const avi_options *options)
{
    return avi_rows_task(comm, config, options, AVI_ROWS_SCORES);
}

static avi_status plan(avi_session *s, avi_state *st, avi_plan *p)
{
    avi_plan_take_parameters(s, st);
    AVI_TRY(avi_plan_try_evaluation(s, st, true, &p->last_seconds_per_row));
    avi_plan_keep_peak(p);
    avi_plan_add(p, "evaluation", p->last_seconds_per_row * (double)avi_plan_evaluated_rows(s, 0));
    AVI_TRY(avi_plan_add_test_factors(s, st, p, 0, 1));
    avi_plan_restore(p);
    return AVI_OK;
}

/* The evaluation at the end of the fit is printed: nothing is to be done. */
static avi_status plan_after(avi_session *s, avi_state *st, avi_plan *p)
{
    (void)s, (void)st, (void)p;
    return AVI_OK;
}

static void print(const avi_session *s, const avi_done_fit *fit, const void *self)
{
    (void)self;
    avi_evaluation_print(s, fit->st, fit->evaluation);
}

const avi_task_ops avi_task_evaluate = {
    .name = "evaluate",
    .doc =
        "with run.from: ELBO, its parts and log p(x) of the rows of any data, by that fit, into rows.h5; else the ELBO "
        "of the fit in run.output on all rows, printed",
    .run = run,
    .run_alone = run_alone,
    .plans = true,
    .plan = plan,
    .plan_after = plan_after,
    .printed = true,
    .no_steps = true,
    .follows_fit = true,
    .print = print,
};
