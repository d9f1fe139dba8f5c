/* Task fit: training, then the tasks of run.after, then one run.h5 with the results of all. */
#include "base/signals.h"
#include "idata/idata.h"
#include "plan/fit_plan.h"
#include "tasks/post_fit.h"
#include "tasks/stored_fit.h"
#include "train/patience.h"
#include "factors/starts.h"
#include "train/stopping_rule.h"

#include <stdio.h>

static avi_status check(const avi_session *s)
{
    AVI_TRY(avi_stopping_rule_check(s));
    AVI_TRY(avi_patience_check(s));
    AVI_TRY(avi_starts_check(s));
    AVI_TRY(avi_post_fit_check(s));
    if (!avi_idata_wanted(s)) return AVI_OK;
    avi_idata_plan p; /* mistakes in its keys are told before the fit */
    const avi_status status = avi_idata_plan_make(s, s->counts.partition.rows, &p);
    avi_idata_plan_free(&p);
    return status;
}

/* output.idata, when the results stand: posterior.nc takes nothing from them, and the same command makes it where it is
 * missing. */
static avi_status write_idata(avi_session *s, avi_state *st, avi_folder *folder)
{
    if (!avi_idata_wanted(s)) return avi_idata_tell_older(s, st, folder);
    avi_signals_set(AVI_SIGNAL_AGAIN, "the fit is done and its results are written: the same command resumes with "
                                      "posterior.nc");
    const avi_status status = avi_idata_write(s, st, folder);
    avi_signals_set(AVI_SIGNAL_NOTED, NULL);
    return status;
}

/* Of a fit that was done before. */
static avi_status write_missing_idata(avi_session *s)
{
    avi_stored_fit stored = {0};
    if (!avi_idata_wanted(s)) return AVI_OK;
    avi_status status = avi_stored_fit_open(s, &stored);
    if (status == AVI_OK) status = write_idata(s, stored.st, stored.folder);
    avi_stored_fit_close(&stored);
    return status;
}

static avi_done_fit done_fit(avi_fit *f)
{
    return (avi_done_fit){.st = avi_fit_state(f), .folder = avi_fit_folder(f), .evaluation = avi_fit_evaluation(f)};
}

/* A failure after which there is more to do, which may ask what is there and forget the failure of asking. */
typedef struct kept_failure {
    avi_status status;
    char text[4096];
} kept_failure;

static void keep_failure(avi_status status, kept_failure *k)
{
    k->status = status;
    snprintf(k->text, sizeof k->text, "%s", avi_error_text());
}

static avi_status fail_again(const kept_failure *k)
{
    avi_error_clear();
    return avi_fail(k->status, "%s", k->text);
}

/* A fit whose run.after fails has its results all the same. */
static avi_status finish(avi_session *s, avi_fit *f, avi_post_fit *p)
{
    avi_status after = AVI_OK;
    avi_done_fit done;
    kept_failure kept;
    if (avi_fit_is_done(f)) {
        avi_post_fit_read(s, p);
        if (avi_post_fit_is_lengthy(p)) AVI_TRY(avi_fit_write_unfinished(f));
        done = done_fit(f);
        after = avi_post_fit_run(s, &done, p);
        if (after == AVI_ERR_STOPPED) after = avi_fit_leave(f);
    }
    keep_failure(after, &kept);
    AVI_TRY(avi_fit_write(f, after == AVI_OK && avi_fit_is_done(f) ? &p->fields : NULL));
    done = done_fit(f);
    if (after == AVI_OK && avi_fit_is_done(f)) avi_post_fit_written(s, &done, p);
    AVI_TRY(avi_fit_stand(f));
    avi_signals_set(AVI_SIGNAL_NOTED, NULL); /* all is written: a signal comes too late */
    if (after != AVI_OK) return fail_again(&kept);
    avi_fit_print(f);
    if (avi_fit_is_done(f)) {
        avi_post_fit_print(s, &done, p);
        AVI_TRY(write_idata(s, avi_fit_state(f), avi_fit_folder(f)));
    }
    return avi_fit_judge(f);
}

static avi_status run(avi_session *s)
{
    avi_fit *f = NULL;
    avi_post_fit p = {0};
    avi_status status = avi_fit_open(s, &f);
    if (status == AVI_OK && avi_fit_was_done(f)) {
        kept_failure kept;
        keep_failure(avi_fit_judge(f), &kept);
        avi_fit_close(&f);
        status = write_missing_idata(s);
        return kept.status == AVI_OK ? status : fail_again(&kept);
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
