#include "tasks/stored_fit.h"
#include "fitted/missing.h"
#include "checkpoint/checkpoint_identity.h"
#include "checkpoint/checkpoint_state.h"
#include "output/run_file.h"
#include "state/best.h"
#include "train/evaluation.h"
#include "factors/second_start.h"

#include <stdlib.h>
#include <string.h>

static avi_status restore(avi_session *s, avi_stored_fit *f)
{
    char *path = NULL;
    AVI_TRY(avi_checkpoint_to_use(s, f->folder, &path));
    if (!path) return AVI_OK;
    avi_status status = avi_state_create(s, &f->st);
    if (status == AVI_OK) status = avi_restore_results(s, f->st, path);
    free(path);
    return status;
}

static avi_status open_folder(avi_session *s, avi_stored_fit *f)
{
    *f = (avi_stored_fit){0};
    return avi_folder_open(s->comm, avi_config_get_string(s->config, "run", "output"), &f->folder);
}

avi_status avi_stored_fit_open(avi_session *s, avi_stored_fit *f)
{
    AVI_TRY(open_folder(s, f));
    AVI_TRY(restore(s, f));
    if (f->st) return AVI_OK;
    if (avi_run_is_complete(s, f->folder)) return avi_fitted_missing(s->comm, avi_folder_path(f->folder));
    return avi_config_fail(s->config, "run", "output",
                           "there is no fit in %s; use run.task = fit first, or name the folder of a fit",
                           avi_folder_path(f->folder));
}

avi_status avi_stored_fit_look(avi_session *s, avi_stored_fit *f)
{
    AVI_TRY(open_folder(s, f));
    return strcmp(avi_config_get_string(s->config, "checkpoint", "resume"), "no") ? restore(s, f) : AVI_OK;
}

avi_status avi_stored_fit_evaluate(avi_session *s, avi_stored_fit *f, double row[AVI_EVAL_COLUMNS])
{
    avi_trace *t = &f->st->eval;
    const double *last = t->rows ? t->value + (t->rows - 1) * (t->columns + t->extra) : NULL;
    /* A checkpoint may have its last evaluation, but not what only results tell of it: halves and second starts. */
    if (last && last[AVI_EVAL_STEP] == (double)avi_best_step_of(f->st)) t->rows--;
    AVI_TRY(avi_evaluation(s, f->st, avi_config_get_int(s->config, "log", "last_rows"), true, row));
    AVI_TRY(avi_second_start(s, f->st));
    return avi_agree(s->comm, avi_trace_add(t, row, (int)s->model->latent, f->st->kl_dimension));
}

void avi_stored_fit_close(avi_stored_fit *f)
{
    avi_folder_close(&f->folder);
    avi_state_destroy(&f->st);
}
