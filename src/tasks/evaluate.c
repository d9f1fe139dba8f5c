/* Task evaluate: the ELBO of a fit, read from its last checkpoint, on all rows. */
#include "tasks/stored_fit.h"
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

static void print(const avi_session *s, const avi_fit *fit, const void *self)
{
    (void)self;
    avi_evaluation_print(s, avi_fit_state((avi_fit *)fit), avi_fit_evaluation(fit));
}

const avi_task_ops avi_task_evaluate = {
    .name = "evaluate",
    .doc = "the ELBO of a fit, read from its last checkpoint, on all rows",
    .run = run,
    .printed = true,
    .no_steps = true,
    .follows_fit = true,
    .print = print,
};
