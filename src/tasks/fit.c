/* Task fit: training, then the tasks of run.after, then one run.h5 with the results of all. */
#include "base/signals.h"
#include "plan/fit_plan.h"
#include "tasks/post_fit.h"
#include "train/patience.h"
#include "factors/starts.h"
#include "train/stopping_rule.h"

static avi_status check(const avi_session *s)
{
    AVI_TRY(avi_stopping_rule_check(s));
    AVI_TRY(avi_patience_check(s));
    AVI_TRY(avi_starts_check(s));
    return avi_post_fit_check(s);
}

static avi_done_fit done_fit(avi_fit *f)
{
    return (avi_done_fit){.st = avi_fit_state(f), .folder = avi_fit_folder(f), .evaluation = avi_fit_evaluation(f)};
}

/* A fit whose run.after fails has its results all the same. */
static avi_status finish(avi_session *s, avi_fit *f, avi_post_fit *p)
{
    avi_status after = AVI_OK;
    avi_done_fit done;
    if (avi_fit_is_done(f)) {
        avi_post_fit_read(s, p);
        if (avi_post_fit_is_lengthy(p)) AVI_TRY(avi_fit_write_unfinished(f));
        done = done_fit(f);
        after = avi_post_fit_run(s, &done, p);
        if (after == AVI_ERR_STOPPED) after = avi_fit_leave(f);
    }
    AVI_TRY(avi_fit_write(f, after == AVI_OK && avi_fit_is_done(f) ? &p->fields : NULL));
    done = done_fit(f);
    if (after == AVI_OK && avi_fit_is_done(f)) avi_post_fit_written(s, &done, p);
    AVI_TRY(avi_fit_stand(f));
    avi_signals_set(AVI_SIGNAL_NOTED, NULL); /* all is written: a signal comes too late */
    AVI_TRY(after);
    avi_fit_print(f);
    if (avi_fit_is_done(f)) avi_post_fit_print(s, &done, p);
    return avi_fit_judge(f);
}

static avi_status run(avi_session *s)
{
    avi_fit *f = NULL;
    avi_post_fit p = {0};
    avi_status status = avi_fit_open(s, &f);
    if (status == AVI_OK && avi_fit_was_done(f)) {
        status = avi_fit_judge(f);
        avi_fit_close(&f);
        return status;
    }
    if (status == AVI_OK) status = avi_fit_train(f);
    if (status == AVI_OK) status = finish(s, f, &p);
    avi_fit_close(&f);
    avi_post_fit_free(&p);
    return status;
}

const avi_task_ops avi_task_fit = {
    .name = "fit",
    .doc = "fit the model; the tasks of run.after follow",
    .check = check,
    .run = run,
    .plan = avi_fit_plan,
    .resumable = true,
};
