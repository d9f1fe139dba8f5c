#include "sweep/sweep.h"
#include "avi/partition.h"
#include "output/console.h"
#include "base/signals.h"
#include "sweep/sweep_plan.h"
#include "sweep/sweep_table.h"
#include "sweep/sweep_warnings.h"
#include "train/stopping_rule.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Added to the shared counter when the job is to end: no run has such a number. */
#define END_OF_JOB ((int64_t)1 << 40)
static const double look_seconds = 0.25;

typedef struct sweep {
    avi_comm *world, *group;
    avi_sweep_part part; /* {0, 1}: all runs */
    bool whole;          /* no part of a sweep */
    avi_sweep_plan plan;
    avi_sweep_table table;
    avi_options options; /* of the runs: quiet */
    bool loud;           /* this rank speaks for its group */
    avi_task task;
    avi_shared_counter *ticket; /* of world: the number of the next run, or END_OF_JOB and more */
    double looked;              /* when the counter was last looked at, seconds */
    bool told, ending;          /* this rank has ended the job; it knows that somebody has */
} sweep;

/* Changes of these keys do not make a run another run. The length does: a sweep that asks for more steps is not done.
 */
static const char *const harmless[] = {
    "run.output",         "run.plugins",     "run.time_limit",    "log.progress",  "log.profile", "checkpoint.every",
    "checkpoint.minutes", "checkpoint.keep", "checkpoint.resume", "stop.required", NULL};

/* Runs of this job, and the number in the sweep of its run `k`. */
static int64_t runs_of_job(const sweep *w)
{
    return (w->plan.spec.runs - w->part.index + w->part.count - 1) / w->part.count;
}
static int64_t run_of_job(const sweep *w, int64_t k) { return w->part.index + k * w->part.count; }

/* ---- stopping ---- */

static void end_job(sweep *w)
{
    if (!w->told) avi_shared_counter_take(w->ticket, END_OF_JOB);
    w->told = w->ending = true;
}

/* Carries a signal to the other groups, whose runs share no reduction with this one (avi_signals_share). */
static bool share_stop(void *self, bool here)
{
    sweep *w = self;
    if (here) end_job(w);
    if (w->ending) return true;
    const double now = avi_seconds(), pause = avi_comm_rank(w->group) == 0 ? look_seconds : 4 * look_seconds;
    if (avi_comm_rank(w->world) != 0 && now - w->looked < pause)
        return false; /* rank 0 of all answers the others when it looks */
    w->looked = now;
    w->ending = avi_shared_counter_read(w->ticket) >= END_OF_JOB;
    return w->ending;
}

/* ---- one run ---- */

static const char *folder_of(const avi_config *config) { return avi_config_get_string(config, "run", "output"); }

/* Opens what a run has left, in its folder or, begun afresh, in `fresh` there; NULL when there is nothing that can be
 * read. Collective over the group. */
static avi_store *open_result(const sweep *w, const avi_config *config, bool fresh)
{
    const char *folder = folder_of(config);
    char *path = malloc(strlen(folder) + 16);
    avi_store *store = NULL;
    avi_status status = avi_agree(w->group, path ? AVI_OK : avi_fail_memory(strlen(folder), "a path"));
    if (status == AVI_OK) {
        sprintf(path, "%s/%srun.h5", folder, fresh ? "fresh/" : "");
        status = avi_store_open(w->group, path, &store);
    }
    if (status != AVI_OK) avi_error_clear();
    free(path);
    return status == AVI_OK ? store : NULL;
}

/* True when the store is of this run, done. Collective over the group. */
static avi_status is_done(const sweep *w, avi_store *store, const avi_config *config, bool *done)
{
    char *status = NULL, *effective = NULL;
    *done = false;
    AVI_TRY(avi_store_attribute_text(store, "/", "status", &status));
    *done = !strcmp(status, "done");
    free(status);
    if (!*done) return AVI_OK;
    AVI_TRY(avi_store_read_text(store, "/config/effective", &effective));
    char *difference = avi_config_difference(config, effective, harmless);
    free(effective);
    const avi_status agreed = avi_agree(w->group, difference ? AVI_OK : avi_fail_memory(1, "a configuration"));
    *done = difference && !*difference;
    free(difference);
    return agreed;
}

static void keep_message(avi_sweep_record *r, const char *text)
{
    size_t n = 0;
    for (; text[n] && n + 1 < sizeof r->message; n++) r->message[n] = (char)(text[n] == '\n' ? ' ' : text[n]);
    r->message[n] = '\0';
}

/* The code of a run that is done: 3 when it ended without what stop.required asks for. Collective over the group. */
static avi_status read_code(avi_store *store, const avi_config *config, avi_sweep_record *r)
{
    char *why = NULL;
    AVI_TRY(avi_store_attribute_text(store, "/", "why_stopped", &why));
    if (avi_stopping_rule_required(config) && avi_stopping_rule_missed(why)) {
        r->code = AVI_ERR_BUDGET;
        keep_message(r, why);
    }
    free(why);
    return AVI_OK;
}

/* Takes over what an earlier sweep has done. A file that cannot be read is no reason to stop: the run is made again.
 * Neither are results taken that a run that was begun afresh, and is not done, is to replace. */
static bool take_done(sweep *w, const avi_config *config, int holds, avi_sweep_record *r)
{
    bool done = false;
    avi_store *store = w->plan.fresh || holds & AVI_HOLDS_FRESH ? NULL : open_result(w, config, false);
    if (!store) return false;
    avi_status status = is_done(w, store, config, &done);
    if (status == AVI_OK && done) status = avi_sweep_record_read(w->group, store, r);
    if (status == AVI_OK && done) status = read_code(store, config, r);
    avi_store_close(&store);
    avi_error_clear();
    if (status != AVI_OK || !done) {
        *r = avi_sweep_record_empty();
        return false;
    }
    r->status = AVI_SWEEP_DONE;
    r->taken = 1;
    return true;
}

/* Where a run writes, by what its folder held when it began (train/resume.c): beside results that stay until it is
 * done. */
static bool writes_afresh(const sweep *w, const avi_config *config, int holds)
{
    const bool anew = w->plan.fresh || *avi_config_get_string(config, "checkpoint", "from");
    return holds & AVI_HOLDS_FRESH || (anew && holds & AVI_HOLDS_RESULTS);
}

static void record_outcome(sweep *w, const avi_config *config, int holds, avi_status status, avi_sweep_record *r)
{
    r->code = (int64_t)status;
    const bool done = status == AVI_OK || status == AVI_ERR_BUDGET; /* a fit without what it was to reach is a fit */
    r->status = done                         ? AVI_SWEEP_DONE
                : status == AVI_ERR_STOPPED  ? AVI_SWEEP_STOPPED
                : status == AVI_ERR_DIVERGED ? AVI_SWEEP_DIVERGED
                                             : AVI_SWEEP_FAILED;
    if (status != AVI_OK) keep_message(r, avi_error_text());
    avi_error_clear();
    if (r->status == AVI_SWEEP_FAILED) return; /* what lies there is of another run */
    avi_store *store = open_result(w, config, !done && writes_afresh(w, config, holds));
    if (store) avi_sweep_record_read(w->group, store, r);
    avi_store_close(&store);
    avi_error_clear();
}

/* ---- the screen: a line when a run starts and one when it ends, in one write so that lines of several groups do not
 * mix ---- */

static void tell_start(const sweep *w, int64_t run)
{
    char label[400];
    const int ranks = avi_comm_size(w->group);
    if (!w->loud) return;
    avi_sweep_spec_label(&w->plan.spec, run, label, sizeof label);
    printf("run %03" PRId64 " starts on %d rank%s: %s\n", run, ranks, ranks == 1 ? "" : "s", label);
    fflush(stdout);
}

static void tell_end(const sweep *w, int64_t run, const avi_sweep_record *r)
{
    char label[400], time[32];
    if (!w->loud) return;
    avi_sweep_spec_label(&w->plan.spec, run, label, sizeof label);
    const char *what = r->taken ? "was done before" : avi_sweep_status_text(r->status);
    if (r->status == AVI_SWEEP_FAILED)
        printf("run %03" PRId64 " failed (%" PRId64 "): %s: %s\n", run, r->code, label, r->message);
    else if (r->status == AVI_SWEEP_DONE)
        printf("run %03" PRId64 " %s: %s: ELBO %.5f nats per row after %" PRId64 " steps, %s\n", run, what, label,
               r->elbo_train, r->steps, avi_console_time(r->seconds, time));
    else
        printf("run %03" PRId64 " %s after %" PRId64 " steps: %s\n", run, what, r->steps, label);
    fflush(stdout);
}

/* ---- the group's loop ---- */

static avi_status run_one(sweep *w, int64_t run)
{
    avi_config *config = NULL;
    avi_sweep_record *mine = &w->table.record[run], r = avi_sweep_record_empty();
    int holds = 0;
    avi_status status = avi_agree(w->group, avi_sweep_plan_config(&w->plan, run, &config));
    if (status == AVI_OK) status = avi_folder_peek(folder_of(config), w->group, &holds);
    if (status == AVI_OK && take_done(w, config, holds, &r)) {
        tell_end(w, run, &r);
    } else {
        tell_start(w, run);
        avi_sweep_warnings_begin(run);
        if (status == AVI_OK) status = w->task(w->group, config, &w->options);
        avi_sweep_warnings_end();
        record_outcome(w, config, holds, status, &r);
        tell_end(w, run, &r);
    }
    avi_config_destroy(&config);
    if (avi_comm_rank(w->group) == 0) *mine = r; /* one rank has it: records are added up */
    return status;
}

static avi_status take_runs(sweep *w)
{
    for (;;) {
        int64_t run = END_OF_JOB;
        if (avi_comm_rank(w->group) == 0 && !avi_signals_signal()) run = avi_shared_counter_take(w->ticket, 1);
        AVI_TRY(avi_comm_bcast(w->group, &run, sizeof run, 0));
        if (run >= runs_of_job(w)) return AVI_OK;
        if (run_one(w, run_of_job(w, run)) == AVI_ERR_STOPPED) end_job(w);
    }
}

/* ---- the job ---- */

static avi_status split(sweep *w, int groups)
{
    const int ranks = avi_comm_size(w->world), rank = avi_comm_rank(w->world);
    const int64_t runs = runs_of_job(w);
    int most = runs < ranks ? (int)runs : ranks, mine = 0;
    if (groups > ranks)
        return avi_fail(AVI_ERR_USAGE, "--groups %d: more than the %d ranks of this job; use at most %d", groups, ranks,
                        ranks);
    w->table.groups = groups > 0 && groups < most ? groups : most;
    while (rank >= avi_slab_first(ranks, w->table.groups, mine + 1)) mine++;
    AVI_TRY(avi_comm_split(w->world, mine, &w->group));
    w->loud = w->loud && avi_comm_rank(w->group) == 0;
    return AVI_OK;
}

static avi_status join_records(sweep *w)
{
    const size_t runs = (size_t)w->plan.spec.runs, words = sizeof(avi_sweep_record) / sizeof(int64_t);
    AVI_TRY(avi_comm_sum_int64(w->world, (int64_t *)(void *)w->table.record, runs * words));
    for (size_t i = 0; i < runs; i++)
        if (w->table.record[i].status == AVI_SWEEP_WAITING) {
            w->table.record[i] = avi_sweep_record_empty();
            w->table.record[i].code = AVI_ERR_STOPPED;
        }
    return AVI_OK;
}

/* What the job ends with, and a line that says why. */
static avi_status judge(const sweep *w)
{
    int64_t count[AVI_SWEEP_FAILED + 1] = {0}, worst = 0, missed = 0;
    const int64_t runs = runs_of_job(w);
    for (int64_t k = 0; k < runs; k++) {
        const avi_sweep_record *r = &w->table.record[run_of_job(w, k)];
        count[r->status]++;
        if (r->status >= AVI_SWEEP_DIVERGED && r->code > worst) worst = r->code;
        missed += r->code == AVI_ERR_BUDGET;
    }
    char where[512] = "the output above";
    if (w->whole) snprintf(where, sizeof where, "%s/sweep.csv", w->plan.output);
    const int64_t left = count[AVI_SWEEP_WAITING] + count[AVI_SWEEP_STOPPED];
    if (left)
        return avi_fail(AVI_ERR_STOPPED,
                        "the sweep was stopped; %" PRId64 " of %" PRId64
                        " runs are left to do or to finish: the same command%s resumes them",
                        left, runs, w->plan.fresh ? " without --fresh" : "");
    if (!worst && missed)
        return avi_fail(AVI_ERR_BUDGET,
                        "%" PRId64 " of the %" PRId64 " runs ended before the stop rule was met; %s says which", missed,
                        runs, where);
    if (!worst) return AVI_OK;
    return avi_fail((avi_status)worst,
                    "%" PRId64 " of the %" PRId64 " runs diverged, %" PRId64
                    " failed; the others are done. %s says which and why",
                    count[AVI_SWEEP_DIVERGED], runs, count[AVI_SWEEP_FAILED], where);
}

/* Leaves word in the folders of all runs: whatever ends the job before it comes to one, the command that goes on
 * begins that run afresh, too. */
static avi_status ask_afresh(const sweep *w)
{
    char name[AVI_SWEEP_NAME];
    avi_status status = AVI_OK;
    char *path = malloc(strlen(w->plan.output) + sizeof name + 2);
    if (!path) return avi_fail_memory(sizeof name, "a path");
    for (int64_t k = 0; status == AVI_OK && k < runs_of_job(w); k++) {
        avi_sweep_spec_name(&w->plan.spec, run_of_job(w, k), name);
        sprintf(path, "%s/%s", w->plan.output, name);
        status = avi_folder_ask_afresh(path);
    }
    free(path);
    return status;
}

static avi_status run_all(sweep *w)
{
    avi_folder *folder = NULL;
    if (w->whole)
        AVI_TRY(avi_folder_open(w->world, w->plan.output, &folder)); /* parts share it: each run has its lock */
    avi_status status = avi_agree(w->world, w->plan.fresh && avi_comm_rank(w->world) == 0 ? ask_afresh(w) : AVI_OK);
    if (status == AVI_OK) status = avi_shared_counter_create(w->world, &w->ticket);
    if (status == AVI_OK) {
        avi_signals_share(share_stop, w);
        avi_signals_hold(true); /* other groups have steps to save */
        status = take_runs(w);  /* groups go their own ways, and meet again here */
        avi_signals_share(NULL, NULL);
        avi_shared_counter_destroy(&w->ticket);
        status = avi_agree(w->world, status);
    }
    if (status == AVI_OK) status = avi_sweep_warnings_count(w->world);
    if (status == AVI_OK) status = join_records(w);
    if (status == AVI_OK && w->whole) status = avi_sweep_table_write(&w->table, w->world, folder, &w->options);
    if (status == AVI_OK && w->loud && avi_comm_rank(w->world) == 0) {
        if (w->whole)
            avi_sweep_table_print(&w->table, w->plan.output);
        else
            printf("the same command without --part writes %s/sweep.csv, once all parts are done\n", w->plan.output);
    }
    if (w->whole) avi_folder_close(&folder);
    avi_signals_hold(false);
    return status == AVI_OK ? judge(w) : status;
}

static void tell_plan(const sweep *w, bool dry)
{
    char label[400], name[AVI_SWEEP_NAME];
    const int ranks = avi_comm_size(w->world);
    printf("sweep of %" PRId64 " runs", w->plan.spec.runs);
    if (!w->whole)
        printf(", of them %" PRId64 " (part %" PRId64 "/%" PRId64 ")", runs_of_job(w), w->part.index + 1,
               w->part.count);
    printf(" over %d group%s of %d ranks into %s\n", w->table.groups, w->table.groups == 1 ? "" : "s", ranks,
           w->plan.output);
    for (int64_t k = 0; dry && k < runs_of_job(w); k++) {
        avi_sweep_spec_label(&w->plan.spec, run_of_job(w, k), label, sizeof label);
        avi_sweep_spec_name(&w->plan.spec, run_of_job(w, k), name);
        printf("  %s  %s\n", name, label);
    }
    fflush(stdout);
}

/* More parts than runs would leave a job without any. */
static avi_status check_part(const sweep *w)
{
    if (w->part.count <= w->plan.spec.runs) return AVI_OK;
    return avi_fail(AVI_ERR_USAGE,
                    "--part %" PRId64 "/%" PRId64 ": more parts than the %" PRId64 " runs; use at most that many",
                    w->part.index + 1, w->part.count, w->plan.spec.runs);
}

avi_status avi_sweep(avi_comm *comm, const char *spec, int groups, avi_sweep_part part, const avi_options *options,
                     avi_task task)
{
    sweep w = {.world = comm, .options = *options, .task = task, .loud = options->verbosity > 0};
    w.whole = part.count == 0;
    w.part = w.whole ? (avi_sweep_part){0, 1} : part;
    w.options.verbosity = 0;
    avi_status status = avi_sweep_plan_make(comm, spec, options, &w.plan);
    if (status == AVI_OK) status = check_part(&w);
    if (status == AVI_OK) status = split(&w, groups);
    if (status == AVI_OK && avi_comm_rank(comm) == 0 && (w.loud || options->dry_run)) tell_plan(&w, options->dry_run);
    if (status == AVI_OK && !options->dry_run) {
        w.table.spec = &w.plan.spec;
        w.table.record = calloc((size_t)w.plan.spec.runs, sizeof *w.table.record);
        status = avi_agree(comm, w.table.record ? AVI_OK
                                                : avi_fail_memory((size_t)w.plan.spec.runs * sizeof *w.table.record,
                                                                  "the table of a sweep"));
        if (status == AVI_OK) status = run_all(&w);
    }
    free(w.table.record);
    avi_comm_destroy(&w.group);
    avi_sweep_plan_free(&w.plan);
    return status;
}
