#include "verify/verify.h"
#include "base/streams.h"
#include "checkpoint/checkpoint_identity.h"
#include "checkpoint/checkpoint_state.h"
#include "output/console.h"
#include "session/keys.h"
#include "session/version.h"
#include "verify/replay.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

avi_status avi_verify_read_steps(const char *text, avi_verify_steps *steps)
{
    char *end;
    const long long first = strtoll(text, &end, 10);
    long long last = first;
    bool good = end != text && first >= 1 && first <= AVI_STEP_MAX;
    if (good && !strcmp(end, ".."))
        last = 0;
    else if (good && !strncmp(end, "..", 2)) {
        const char *at = end + 2;
        last = strtoll(at, &end, 10);
        good = end != at && !*end && last >= first && last <= AVI_STEP_MAX;
    } else
        good = good && !*end;
    if (!good)
        return avi_fail(AVI_ERR_USAGE, "--steps %s: use a..b, the first and the last step, as --steps 100..200", text);
    *steps = (avi_verify_steps){first, last};
    return AVI_OK;
}

typedef struct verification {
    const avi_setup *setup;
    avi_session *s;
    avi_state *st;
    avi_record *record; /* (records): the newest checkpoint first */
    int records;
    int64_t *checkpoint; /* ascending */
    int checkpoints;
    avi_verify_steps steps;
    int64_t start;     /* of the checkpoint that it begins from; 0: from the beginning */
    const char *begin; /* checkpoint.from of the run: where its first step began; "" else */
} verification;

static void path_of(const verification *w, int64_t step, char path[4096])
{
    snprintf(path, 4096, "%s/checkpoint/step_%09" PRId64 ".h5", w->setup->folder, step);
}

/* ---- what is refused ---- */

/* The command line may say where the data are, or how the ranks add up, but not what a step computes. */
static avi_status check_keys(const verification *w)
{
    char *effective = NULL;
    AVI_TRY(avi_identity_read(w->s, w->setup->checkpoint, "/config", &effective));
    char *changes = avi_identity_changes(w->s, effective);
    free(effective);
    avi_status status = changes ? AVI_OK : avi_fail_memory(1, "a configuration");
    if (status == AVI_OK && *changes)
        status = avi_fail(AVI_ERR_USAGE,
                          "--verify does the steps of a run again as they were; leave these keys out:\n%s", changes);
    free(changes);
    return avi_agree(w->s->comm, status);
}

/* The digest of the data, of the rows themselves where both hold them, else of what they are made from. */
static avi_status check_data(const verification *w)
{
    avi_store *store = NULL;
    int64_t rows = 0, sum = 0, now = (int64_t)w->s->train->checksum;
    AVI_TRY(avi_store_open(w->s->comm, w->setup->checkpoint, &store));
    avi_status status = avi_store_attribute_int(store, "/", "rows", &rows);
    if (status == AVI_OK) status = avi_store_attribute_int(store, "/", "data_checksum", &sum);
    if (status == AVI_OK && (!sum || !now)) {
        status = avi_store_attribute_int(store, "/", "data_origin", &sum);
        now = (int64_t)w->s->train->origin;
    }
    avi_store_close(&store);
    AVI_TRY(avi_agree(w->s->comm, status));
    if (rows == w->s->partition.rows && sum == now) return AVI_OK;
    return avi_fail(AVI_ERR_DATA,
                    "%s: the data are not those of the run: it had %" PRId64 " rows with the digest %016" PRIx64
                    ", %s has %" PRId64 " rows with %016" PRIx64 ". Use data.path for where its data are now",
                    w->setup->folder, rows, (uint64_t)sum, w->s->train_source->label, w->s->partition.rows,
                    (uint64_t)now);
}

static avi_status check_run(const verification *w)
{
    if (!w->s->problem.reproducible)
        return avi_fail(AVI_ERR_DATA,
                        "%s: was made with run.reproducible = no: its sums depend on the number of ranks, and it has "
                        "no digests. Use run.reproducible = yes in runs that are to be verified",
                        w->setup->folder);
    AVI_TRY(check_keys(w));
    return check_data(w);
}

/* ---- what the files say ---- */

static avi_status has_results(const verification *w, char path[4096], bool *there)
{
    snprintf(path, 4096, "%s/run.h5", w->setup->folder);
    *there = avi_comm_rank(w->s->comm) == 0 && access(path, F_OK) == 0;
    return avi_comm_bcast(w->s->comm, there, sizeof *there, 0);
}

/* run.h5 has the digest of the data in words of its own. */
static avi_status check_results(const verification *w, const char *path)
{
    avi_store *store = NULL;
    char *text = NULL, here[32];
    const avi_data *d = w->s->train;
    snprintf(here, sizeof here, "%016" PRIx64, d->checksum ? d->checksum : d->origin);
    AVI_TRY(avi_store_open(w->s->comm, path, &store));
    avi_status status = avi_store_attribute_text(store, "/digest", "data", &text);
    if (status == AVI_OK && strcmp(text, here) != 0)
        status = avi_fail(AVI_ERR_DIFFERS,
                          "%s: the digest of the data is %s in this file, and %s of the data as they are now", path,
                          text, here);
    free(text);
    avi_store_close(&store);
    return avi_agree(w->s->comm, status);
}

static avi_status read_records(verification *w)
{
    char path[4096];
    bool results;
    AVI_TRY(avi_checkpoint_list(w->s->comm, w->setup->folder, &w->checkpoint, &w->checkpoints));
    w->record = calloc((size_t)w->checkpoints + 1, sizeof *w->record);
    AVI_TRY(avi_agree(w->s->comm, w->record ? AVI_OK : avi_fail_memory(1, "the files of a run")));
    for (int i = w->checkpoints - 1; i >= 0; i--) {
        path_of(w, w->checkpoint[i], path);
        AVI_TRY(avi_record_read(w->s, &w->st->digests, path, false, &w->record[w->records++]));
    }
    AVI_TRY(has_results(w, path, &results));
    if (!results) return AVI_OK;
    AVI_TRY(avi_store_check(w->s->comm, path));
    AVI_TRY(avi_record_read(w->s, &w->st->digests, path, true, &w->record[w->records++]));
    return check_results(w, path);
}

/* ---- from where to where ---- */

static const int64_t *digest_at(const verification *w, int64_t line)
{
    return w->record[0].digest + line * w->st->digests.columns;
}
static int64_t step_at(const verification *w, int64_t line)
{
    return (int64_t)w->record[0].trace[line * AVI_TRACE_COLUMNS];
}

static avi_status read_factor(const verification *w, double *factor)
{
    avi_store *store = NULL;
    AVI_TRY(avi_store_open(w->s->comm, w->setup->checkpoint, &store));
    const avi_status status = avi_store_attribute_real(store, "/", "rate_factor", factor);
    avi_store_close(&store);
    return avi_agree(w->s->comm, status);
}

/* Steps of other settings, or without digests, cannot be done again with these: the range must begin after them. */
static avi_status check_settings(const verification *w)
{
    double factor;
    int64_t bad = -1;
    AVI_TRY(read_factor(w, &factor));
    const int64_t settings = (int64_t)avi_digests_settings(&w->st->digests, factor);
    for (int64_t l = 0; l < w->record[0].lines; l++)
        if (step_at(w, l) >= w->steps.first && step_at(w, l) <= w->steps.last &&
            digest_at(w, l)[AVI_DIGEST_SETTINGS] != settings)
            bad = l;
    if (bad < 0) return AVI_OK;
    const bool none = digest_at(w, bad)[AVI_DIGEST_SETTINGS] == 0;
    const char *why = none ? "have no digests, since an older program made them"
                           : "were made with other settings: the run was resumed with changes, or went back to a "
                             "checkpoint with a lower learning rate";
    int next = 0; /* the first checkpoint after them */
    while (next < w->checkpoints && w->checkpoint[next] < step_at(w, bad)) next++;
    if (next < w->checkpoints && w->checkpoint[next] < w->steps.last)
        return avi_fail(AVI_ERR_DATA, "%s: steps up to %" PRId64 " %s; use --steps %" PRId64 "..%" PRId64,
                        w->setup->folder, step_at(w, bad), why, w->checkpoint[next] + 1, w->steps.last);
    return avi_fail(AVI_ERR_DATA, "%s: steps up to %" PRId64 " %s, and no checkpoint after them is left to begin from",
                    w->setup->folder, step_at(w, bad), why);
}

/* The settings at step `from` began at a checkpoint: to do steps again from one before it would be with others. */
static avi_status choose_start(verification *w)
{
    int64_t settled = 0; /* the last logged step before the range that has other settings */
    const int64_t first = w->steps.first;
    int64_t line = 0;
    while (line < w->record[0].lines && step_at(w, line) < first) line++;
    for (int64_t l = 0; l < line; l++)
        if (line < w->record[0].lines &&
            digest_at(w, l)[AVI_DIGEST_SETTINGS] != digest_at(w, line)[AVI_DIGEST_SETTINGS])
            settled = step_at(w, l);
    for (int i = 0; i < w->checkpoints; i++)
        if (w->checkpoint[i] < first && w->checkpoint[i] > w->start) w->start = w->checkpoint[i];
    if (w->start >= settled && (w->start > 0 || settled == 0)) return AVI_OK;
    return avi_fail(AVI_ERR_DATA,
                    "%s: steps up to %" PRId64
                    " were made with other settings, and there is no checkpoint from then to "
                    "step %" PRId64 " to begin from; use --steps that begin later",
                    w->setup->folder, settled, first);
}

static avi_status plan_steps(verification *w)
{
    const int64_t lines = w->record[0].lines, end = lines ? step_at(w, lines - 1) : 0;
    if (!lines) return avi_fail(AVI_ERR_DATA, "%s: no step was logged yet", w->setup->folder);
    if (w->steps.first > end)
        return avi_fail(AVI_ERR_USAGE, "--steps %" PRId64 "..: the last step of %s is %" PRId64, w->steps.first,
                        w->setup->folder, end);
    if (w->steps.last == 0 || w->steps.last > end) w->steps.last = end;
    if (w->steps.first == 0) w->steps.first = 1;
    AVI_TRY(check_settings(w));
    return choose_start(w);
}

/* The state before the first step: of a checkpoint, of the one that the run itself began from, or the initial one. */
static avi_status restore(verification *w)
{
    char path[4096];
    path_of(w, w->start, path);
    if (w->start > 0 || !*w->begin) return w->start > 0 ? avi_restore(w->s, w->st, path) : AVI_OK;
    AVI_TRY(avi_restore(w->s, w->st, w->begin));
    w->start = w->st->step;
    if (w->start >= w->steps.first) w->steps.first = w->start + 1;
    if (w->steps.first <= w->steps.last) return AVI_OK;
    return avi_fail(AVI_ERR_DATA, "%s: began at step %" PRId64 " of %s, which is after the steps to verify",
                    w->setup->folder, w->start, w->begin);
}

/* ---- what is said ---- */

static bool speaks(const verification *w) { return avi_comm_rank(w->s->comm) == 0 && w->s->options->verbosity > 0; }

static void tell_plan(const verification *w)
{
    const avi_version v = avi_version_of();
    if (!speaks(w)) return;
    printf("avi_mpi %s (%s) verifies %s\n", v.version, v.revision, w->setup->folder);
    printf("  model        %s, inference %s\n", w->s->model->ops->name, w->s->infer->ops->name);
    printf("  steps        %" PRId64 " to %" PRId64 " of %s, done again from ", w->steps.first, w->steps.last,
           w->setup->folder);
    if (w->start > 0)
        printf("step %" PRId64, w->start);
    else
        printf("the beginning");
    printf(" on %d rank%s\n", avi_comm_size(w->s->comm), avi_comm_size(w->s->comm) == 1 ? "" : "s");
    printf("  compared with %d file%s: digests of %d block%s, the terms of the ELBO, the states of checkpoints\n",
           w->records, w->records == 1 ? "" : "s", w->st->digests.columns - AVI_DIGEST_BLOCKS,
           w->st->digests.columns - AVI_DIGEST_BLOCKS == 1 ? "" : "s");
    fflush(stdout);
}

static void tell_same(const verification *w, const avi_replay *v)
{
    if (!speaks(w)) return;
    avi_console_break();
    if (v->others)
        printf("  note         %" PRId64 " of these steps were made by another program or on another processor than "
               "this one\n",
               v->others);
    printf("Agrees: %" PRId64 " logged step%s and %" PRId64 " checkpoint%s have the same bits\n", v->lines,
           v->lines == 1 ? "" : "s", v->states, v->states == 1 ? "" : "s");
}

/* ---- in all ---- */

static avi_status replay(verification *w)
{
    avi_replay v = {.s = w->s,
                    .st = w->st,
                    .record = w->record,
                    .records = w->records,
                    .folder = w->setup->folder,
                    .checkpoint = w->checkpoint,
                    .checkpoints = w->checkpoints,
                    .first = w->steps.first,
                    .last = w->steps.last};
    tell_plan(w);
    AVI_TRY(avi_replay_run(&v));
    tell_same(w, &v);
    if (v.lines > 0) return avi_agree(w->s->comm, avi_streams_flush());
    return avi_fail(AVI_ERR_DATA,
                    "%s: no step from %" PRId64 " to %" PRId64 " was logged, so that nothing was compared",
                    w->setup->folder, w->steps.first, w->steps.last);
}

static avi_status verify(verification *w)
{
    AVI_TRY(check_run(w));
    AVI_TRY(avi_state_create(w->s, &w->st));
    AVI_TRY(read_records(w));
    AVI_TRY(plan_steps(w));
    AVI_TRY(restore(w));
    return replay(w);
}

static avi_status make_config(avi_comm *comm, const avi_setup *setup, avi_config **config)
{
    static const char *const list[] = {"run.task=fit", "run.after=", "checkpoint.resume=yes", "run.time_limit=0"};
    AVI_TRY(avi_agree(comm, avi_registry_config(setup->registry, config)));
    const avi_status status = avi_config_derive(*config, setup->given, (int)(sizeof list / sizeof list[0]), list);
    AVI_TRY(avi_agree(comm, status == AVI_ERR_CONFIG ? AVI_OK : status));
    return status;
}

avi_status avi_verify(avi_comm *comm, const avi_setup *setup, const avi_options *options, avi_verify_steps steps)
{
    avi_config *config = NULL;
    verification w = {.setup = setup, .steps = steps};
    if (!setup->folder || !strcmp(setup->folder, setup->checkpoint))
        return avi_fail(AVI_ERR_USAGE, "--verify takes the folder of a run; use --verify runs/vae");
    avi_status status = make_config(comm, setup, &config);
    if (status == AVI_OK) w.begin = avi_config_get_string(config, "checkpoint", "from");
    if (status == AVI_OK) status = avi_session_open(comm, config, options, &w.s);
    if (status == AVI_OK) status = avi_agree(comm, verify(&w));
    for (int i = 0; i < w.records; i++) avi_record_free(&w.record[i]);
    free(w.record);
    free(w.checkpoint);
    avi_state_destroy(&w.st);
    avi_session_close(&w.s);
    avi_config_destroy(&config);
    return status;
}
