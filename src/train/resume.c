#include "train/resume.h"
#include "checkpoint/checkpoint_identity.h"
#include "checkpoint/checkpoint_state.h"
#include "output/run_file.h"
#include "train/patience.h"
#include "train/stopping_rule.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *mode_of(const avi_session *s) { return avi_config_get_string(s->config, "checkpoint", "resume"); }
static const char *from_of(const avi_session *s) { return avi_config_get_string(s->config, "checkpoint", "from"); }
static bool speaks(const avi_session *s) { return avi_comm_rank(s->comm) == 0 && s->options->verbosity > 0; }

/* ---- what is printed ---- */

static void tell_lines(const char *label, const char *lines)
{
    for (size_t n; *lines; lines += n + (lines[n] == '\n')) {
        n = strcspn(lines, "\n");
        if (n) printf("  %-12s %.*s\n", label, (int)n, lines);
    }
}

/* A schedule over the length of the run is another one when the length changes: after a cosine's end it rises again. */
static void tell_schedule(const avi_session *s, const avi_state *st)
{
    const avi_trace *t = &st->trace;
    if (strcmp(avi_config_get_string(s->config, "optim", "schedule"), "cosine") || !t->rows) return;
    const double before = t->value[(t->rows - 1) * (t->columns + t->extra) + AVI_TRACE_RATE],
                 now = st->rate_factor * avi_schedule_at(&s->schedule, st->step);
    if (now > 1.05 * before)
        printf("  schedule     the cosine starts again, over %" PRId64 " steps now: the learning rate is %g from here, "
               "it was %g\n",
               s->total_steps, now, before);
}

/* That a run goes on, and what it changed. */
static avi_status tell_resumed(const avi_session *s, const avi_state *st, const avi_folder *folder, const char *path)
{
    char *effective = NULL;
    AVI_TRY(avi_identity_read(s, path, "/config", &effective));
    char *changes = avi_identity_changes(s, effective);
    if (speaks(s)) {
        printf("  resumed      at step %" PRId64 " of %s\n", st->step,
               *from_of(s) ? from_of(s) : avi_folder_path(folder));
        if (changes && st->step < s->total_steps) tell_lines("changed", changes);
        tell_schedule(s, st);
        fflush(stdout);
    }
    free(changes);
    free(effective);
    return AVI_OK;
}

static void tell_fresh(const avi_session *s, const avi_resume *r)
{
    if (r->kept && speaks(s))
        printf("  afresh       in %s; the results in %s stay until these are complete\n", avi_folder_path(r->folder),
               avi_folder_path(r->kept));
}

/* On the screen; with -q on standard error, since a command that did nothing must say so. */
static void tell_done(const avi_session *s, const avi_state *st, const avi_resume *r)
{
    if (avi_comm_rank(s->comm) != 0) return;
    FILE *out = s->options->verbosity > 0 ? stdout : stderr;
    const char *folder = avi_folder_path(r->folder);
    fprintf(out, "%sdone already: %s/run.h5 has the results after %" PRId64 " steps", out == stderr ? "avi_mpi: " : "",
            folder, st->step);
    if (st->step > s->total_steps) fprintf(out, ", more than the %" PRId64 " asked for here", s->total_steps);
    fprintf(out, ". Nothing was changed. Use %s to resume, --fresh to fit again\n",
            avi_patience_spent(s, st) ? "a larger stop.patience" : "more optim.epochs or optim.steps");
    fflush(out);
}

/* ---- results that are in the folder ---- */

/* Opens FOLDER/run.h5 when it is complete; NULL else. */
static avi_status open_results(const avi_session *s, const avi_folder *folder, char path[4096], avi_store **store)
{
    *store = NULL;
    if (snprintf(path, 4096, "%s/run.h5", avi_folder_path(folder)) >= 4096 || !avi_run_is_complete(s, folder))
        return AVI_OK;
    return avi_store_open(s->comm, path, store);
}

static bool has_dataset(avi_store *store, const char *name)
{
    avi_dtype type;
    int rank;
    int64_t dims[4];
    const bool there = avi_store_shape(store, name, &type, &rank, dims) == AVI_OK;
    if (!there) avi_error_clear();
    return there;
}

static bool lacks_local(const avi_session *s, avi_store *store)
{
    return !strcmp(avi_config_get_string(s->config, "output", "local"), "yes") && !has_dataset(store, "/local/mean");
}

/* The number of steps after which results were made, from their last evaluation. */
static avi_status steps_of_results(const avi_session *s, avi_store *store, int64_t *steps)
{
    avi_dtype type;
    int rank;
    int64_t dims[4];
    *steps = 0;
    AVI_TRY(avi_store_shape(store, "/eval/step", &type, &rank, dims));
    if (type != AVI_F64 || rank != 1 || dims[0] < 1) return AVI_OK;
    double *value = malloc((size_t)dims[0] * sizeof *value);
    avi_status status =
        avi_agree(s->comm, value ? AVI_OK : avi_fail_memory((size_t)dims[0] * sizeof *value, "results"));
    if (status == AVI_OK) status = avi_store_read(store, "/eval/step", AVI_F64, 1, dims, false, value);
    for (int64_t k = 0; status == AVI_OK && k < dims[0]; k++) /* the last one may be of best parameters before it */
        if (value[k] > (double)*steps) *steps = (int64_t)value[k];
    free(value);
    return status;
}

static bool at_target(const avi_session *s, const avi_state *st)
{
    const avi_trace *t = &st->eval;
    const double *row = t->rows ? t->value + (t->rows - 1) * (t->columns + t->extra) : NULL;
    return row && row[AVI_EVAL_STEP] >= (double)st->step && avi_stopping_rule_met(s->config, row);
}

/* Results whose checkpoints are gone: nothing resumes from them, and nothing takes their place unasked. */
static avi_status judge_alone(const avi_session *s, avi_state *st, avi_store *store, const char *path, avi_resume *r)
{
    char *effective = NULL;
    AVI_TRY(avi_store_read_text(store, "/config/effective", &effective));
    avi_status status = avi_identity_check(s, path, effective);
    free(effective);
    if (status == AVI_OK) status = steps_of_results(s, store, &st->step);
    AVI_TRY(status);
    if (st->step < s->total_steps || lacks_local(s, store))
        return avi_fail(AVI_ERR_DATA,
                        "%s has the results after %" PRId64 " steps, but its checkpoint is gone, so that nothing "
                        "resumes from there; use --fresh to fit again, another run.output to keep both, or put "
                        "step_%09" PRId64 ".h5 back into %s/checkpoint",
                        path, st->step, st->step, avi_folder_path(r->folder));
    r->done = true;
    return AVI_OK;
}

/* Whether the run in the folder, which *st was restored from (path: its checkpoint, NULL for none), is finished as it
 * is asked for here. */
static avi_status judge_finished(const avi_session *s, avi_state *st, const char *checkpoint, avi_resume *r)
{
    char path[4096], *effective = NULL, *status_text = NULL;
    avi_store *store = NULL;
    AVI_TRY(open_results(s, r->folder, path, &store));
    if (!store) return AVI_OK;
    avi_run_file_ending(s, r->folder, &status_text, &r->why);
    free(status_text);
    const bool fit = has_dataset(store, "/eval/step"); /* run.task = exact alone leaves none */
    avi_status status = fit ? avi_store_read_text(store, "/config/effective", &effective) : AVI_OK;
    if (status == AVI_OK && fit && !checkpoint) status = judge_alone(s, st, store, path, r);
    if (status == AVI_OK && fit && checkpoint &&
        (st->step >= s->total_steps || at_target(s, st) || avi_patience_spent(s, st) ||
         avi_identity_same(s, effective))) {
        r->rewrite = st->step <= s->total_steps && lacks_local(s, store);
        r->done = !r->rewrite;
    }
    r->missed = r->done && r->why && avi_stopping_rule_missed(r->why);
    free(effective);
    avi_store_close(&store);
    return status;
}

/* ---- beginning ---- */

/* checkpoint.from: where the folder has the run of another command, that stays until this one is complete. */
static avi_status begin_from(const avi_session *s, avi_state *st, int holds, avi_resume *r)
{
    char path[4096], *effective = NULL, *newest = NULL;
    avi_store *store = NULL;
    AVI_TRY(open_results(s, r->folder, path, &store));
    bool same = false;
    if (store) {
        const avi_status status =
            has_dataset(store, "/eval/step") ? avi_store_read_text(store, "/config/effective", &effective) : AVI_OK;
        same = status == AVI_OK && effective && avi_identity_same(s, effective);
        free(effective);
        avi_store_close(&store);
        AVI_TRY(status);
    }
    if (same) {
        AVI_TRY(avi_checkpoint_find(r->folder, s->comm, &newest));
        avi_status status = newest ? avi_restore(s, st, newest) : AVI_OK;
        if (status == AVI_OK && newest) status = judge_finished(s, st, newest, r);
        free(newest);
        AVI_TRY(status);
        if (r->done || r->rewrite) return AVI_OK;
    }
    if (holds & AVI_HOLDS_RESULTS) {
        r->kept = r->folder;
        r->folder = NULL;
        AVI_TRY(avi_folder_fresh(r->kept, s->comm, true, &r->folder));
        tell_fresh(s, r);
    }
    AVI_TRY(avi_restore(s, st, from_of(s)));
    return tell_resumed(s, st, r->folder, from_of(s));
}

static avi_status begin_fresh(const avi_session *s, int holds, avi_resume *r)
{
    if (!(holds & AVI_HOLDS_RESULTS)) return avi_checkpoint_clear(r->folder, s->comm);
    r->kept = r->folder;
    r->folder = NULL;
    AVI_TRY(avi_folder_fresh(r->kept, s->comm, true, &r->folder));
    tell_fresh(s, r);
    return AVI_OK;
}

/* From the newest checkpoint of the folder, or of the run that was begun afresh in it. */
static avi_status begin_again(const avi_session *s, avi_state *st, int holds, avi_resume *r)
{
    char *path = NULL;
    if (holds & AVI_HOLDS_FRESH) {
        r->kept = r->folder;
        r->folder = NULL;
        AVI_TRY(avi_folder_fresh(r->kept, s->comm, false, &r->folder));
        tell_fresh(s, r);
    }
    AVI_TRY(avi_checkpoint_find(r->folder, s->comm, &path));
    if (!path && !strcmp(mode_of(s), "yes") && !avi_run_is_complete(s, r->folder))
        return avi_config_fail(s->config, "checkpoint", "resume", "there is no checkpoint in %s; use auto or no",
                               avi_folder_path(r->folder));
    avi_status status = path ? avi_restore(s, st, path) : AVI_OK;
    if (status == AVI_OK) status = judge_finished(s, st, path, r);
    if (status == AVI_OK && path && !r->done) status = tell_resumed(s, st, r->folder, path);
    free(path);
    AVI_TRY(status);
    return st->step == 0 && !r->done ? avi_checkpoint_clear(r->folder, s->comm) : AVI_OK;
}

avi_status avi_resume_open(const avi_session *s, avi_state *st, avi_resume *r)
{
    int holds;
    *r = (avi_resume){0};
    AVI_TRY(avi_folder_open(s->comm, avi_config_get_string(s->config, "run", "output"), &r->folder));
    AVI_TRY(avi_folder_look(r->folder, s->comm, &holds));
    if (*from_of(s))
        AVI_TRY(begin_from(s, st, holds, r));
    else if (!strcmp(mode_of(s), "no"))
        AVI_TRY(begin_fresh(s, holds, r));
    else
        AVI_TRY(begin_again(s, st, holds, r));
    if (r->done) tell_done(s, st, r);
    if (r->rewrite && speaks(s))
        printf("  results      are written again, with the local factors that output.local asks for\n");
    return AVI_OK;
}

avi_status avi_resume_stand(const avi_session *s, avi_resume *r)
{
    if (!r->kept) return AVI_OK;
    const avi_status status = avi_folder_replace(r->kept, s->comm, &r->folder);
    r->folder = r->kept;
    r->kept = NULL;
    return status;
}

void avi_resume_close(avi_resume *r)
{
    avi_folder_close(&r->folder);
    avi_folder_close(&r->kept);
    free(r->why);
    r->why = NULL;
}

const char *avi_resume_command(const avi_session *s)
{
    return strcmp(mode_of(s), "no") ? "the checkpoint is written: the same command resumes it"
                                    : "the checkpoint is written: the same command without --fresh resumes it";
}

avi_status avi_first_results(const avi_session *s, avi_state *st, avi_folder *folder)
{
    char *status, *why;
    avi_run_file_ending(s, folder, &status, &why);
    const bool stays = status && (st->step > 0 || !strcmp(status, "done"));
    free(status);
    free(why);
    return stays ? AVI_OK : avi_run_file_write(s, st, folder, "running", "", false, NULL);
}
