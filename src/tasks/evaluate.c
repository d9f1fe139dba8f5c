/* Task evaluate: the ELBO of a fit, read from its last checkpoint, on all rows. */
#include "train/evaluation.h"
#include "output/checkpoint_identity.h"
#include "output/checkpoint_state.h"
#include "tasks/task.h"

#include <stdlib.h>

static avi_status load(avi_session *s, avi_state *st, avi_folder *folder)
{
    char *path = NULL;
    AVI_TRY(avi_checkpoint_to_use(s, folder, &path));
    if (!path)
        return avi_config_fail(s->config, "run", "output", "holds no checkpoint to evaluate; run.task = fit makes one");
    avi_status status = avi_restore(s, st, path);
    free(path);
    return status;
}

static avi_status run(avi_session *s)
{
    avi_state *st = NULL;
    avi_folder *folder = NULL;
    double row[AVI_EVAL_COLUMNS];
    avi_status status = avi_state_create(s, &st);
    if (status == AVI_OK) status = avi_folder_open(s->comm, avi_config_get_string(s->config, "run", "output"), &folder);
    if (status == AVI_OK) status = load(s, st, folder);
    if (status == AVI_OK) status = avi_evaluation(s, st, 0, true, row);
    if (status == AVI_OK) avi_evaluation_print(s, st, row);
    avi_folder_close(&folder);
    avi_state_destroy(&st);
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
