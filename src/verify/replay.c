#include "verify/replay.h"
#include "factors/starts.h"
#include "output/console.h"
#include "train/trace_row.h"
#include "verify/same_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT = 1024, NAMED = 4 };

/* What differs, in words: the first of it with both values, others by their names. */
typedef struct finding {
    int64_t step;
    int count;
    char text[TEXT];
    size_t used;
} finding;

static void note(finding *f, int64_t step, const char *name, const char *file, uint64_t there, uint64_t here)
{
    f->step = step;
    if (f->count++ == 0)
        f->used = (size_t)snprintf(f->text, TEXT, "%s: %s has %016" PRIx64 ", the step done again has %016" PRIx64,
                                   name, file, there, here);
    else if (f->count <= NAMED && f->used < TEXT)
        f->used += (size_t)snprintf(f->text + f->used, TEXT - f->used, "; %s%s", f->count == 2 ? "then " : "", name);
}

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* The digests of the step that was just done, for the caller to free. The state keeps no line of them, since nothing is
 * written. */
static int64_t *line_here(avi_replay *v, const avi_row_ranges *job, avi_status *status)
{
    avi_state *st = v->st;
    int64_t *here = malloc((size_t)st->digests.columns * sizeof *here);
    st->digests.lines = 0;
    *status = avi_agree(v->s->comm, here ? avi_digests_add(v->s, st, job) : avi_fail_memory(1, "digests"));
    if (*status == AVI_OK) *status = avi_digests_sum(v->s, &st->digests, here);
    return here;
}

/* In the order in which a step makes them: the terms of the ELBO, then gradients. The time that it took is no result,
 * and another program only rounds otherwise where the rest says so. */
static void compare_line(avi_replay *v, const avi_record *r, int64_t line, const double *row, const int64_t *here,
                         finding *f)
{
    static const int order[] = {AVI_TRACE_EPOCH, AVI_TRACE_LOGLIK,       AVI_TRACE_KL_LOCAL, AVI_TRACE_KL_GLOBAL,
                                AVI_TRACE_ELBO,  AVI_TRACE_ELBO_PER_ROW, AVI_TRACE_RATE,     AVI_TRACE_SKIPPED};
    const avi_digests *d = &v->st->digests;
    const double *trace = r->trace + line * AVI_TRACE_COLUMNS;
    const int64_t *there = r->digest + line * d->columns;
    const int64_t step = v->st->step;
    char name[160];
    if (there[AVI_DIGEST_SETTINGS] != here[AVI_DIGEST_SETTINGS])
        note(f, step, "settings", r->name, (uint64_t)there[AVI_DIGEST_SETTINGS], (uint64_t)here[AVI_DIGEST_SETTINGS]);
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
        if (bits_of(trace[order[i]]) != bits_of(row[order[i]]))
            note(f, step, avi_trace_columns[order[i]].name, r->name, bits_of(trace[order[i]]), bits_of(row[order[i]]));
    for (int c = AVI_DIGEST_LOCAL; c < d->columns; c++) {
        if (there[c] == here[c]) continue;
        snprintf(name, sizeof name, "the gradient of %s", d->name[c]);
        note(f, step, name, r->name, (uint64_t)there[c], (uint64_t)here[c]);
    }
    if (bits_of(trace[AVI_TRACE_GRAD_NORM]) != bits_of(row[AVI_TRACE_GRAD_NORM]))
        note(f, step, "grad_norm", r->name, bits_of(trace[AVI_TRACE_GRAD_NORM]), bits_of(row[AVI_TRACE_GRAD_NORM]));
}

/* The line of the step that was just done in every file that has one. */
static avi_status compare_step(avi_replay *v, const avi_row_ranges *job, const avi_step_result *result, finding *f)
{
    double row[AVI_TRACE_COLUMNS];
    avi_status status;
    bool other = false, any = false;
    int64_t *here = line_here(v, job, &status);
    avi_trace_row(v->s, v->st, result, row);
    for (int i = 0; status == AVI_OK && i < v->records; i++) {
        const avi_record *r = &v->record[i];
        const int64_t line = avi_record_line(r, v->st->step);
        if (line < 0 || !r->digest[line * v->st->digests.columns + AVI_DIGEST_SETTINGS]) continue;
        any = true;
        other = other || r->digest[line * v->st->digests.columns + AVI_DIGEST_PROGRAM] != here[AVI_DIGEST_PROGRAM];
        compare_line(v, r, line, row, here, f);
    }
    v->lines += any && !f->count;
    v->others += any && other;
    free(here);
    return status;
}

static bool is_logged(const avi_replay *v, int64_t step)
{
    for (int i = 0; i < v->records; i++)
        if (avi_record_line(&v->record[i], step) >= 0) return true;
    return false;
}

/* A step with what a fit does behind it: the counters of skipped steps, and several starts after the last step. Without
 * these the state would differ from that of the run at its next checkpoint. */
static avi_status do_step(avi_replay *v, avi_row_ranges *job, avi_step_result *r)
{
    avi_state *st = v->st;
    bool last;
    *r = (avi_step_result){.bad_value = -1, .measure = is_logged(v, st->step + 1)};
    AVI_TRY(avi_step(v->s, st, job, r));
    if (!r->finite) {
        st->skipped++;
        st->skipped_in_a_row++;
        return AVI_OK;
    }
    st->skipped_in_a_row = 0;
    last = st->step >= v->s->total_steps || r->converged;
    return last && avi_starts_wanted(v->s) ? avi_starts_at_end(v->s, st, r->converged, &last) : AVI_OK;
}

static avi_status tell(const avi_replay *v, const finding *f, const char *advice)
{
    char others[64] = "";
    if (f->count > NAMED) snprintf(others, sizeof others, "; and %d more", f->count - NAMED);
    const char *program = v->others ? " Another program or processor made it: another instruction set, BLAS or version "
                                      "may round differently; use the program of the run on such a processor to tell"
                                    : "";
    return avi_fail(AVI_ERR_DIFFERS,
                    "%s: step %" PRId64 " differs: %s%s. %" PRId64 " logged steps before it agree.%s%s", v->folder,
                    f->step, f->text, others, v->lines, advice, program);
}

/* Goes on to the next line after one that differs: where that agrees the run went on from other bits than the file has.
 */
static avi_status look_further(avi_replay *v, avi_row_ranges *job, const finding *f)
{
    finding next = {0};
    avi_replay ahead = *v;
    avi_step_result r;
    bool met = false;
    while (ahead.st->step < ahead.last && !met) {
        AVI_TRY(do_step(&ahead, job, &r));
        met = r.finite && r.measure;
        if (met) AVI_TRY(compare_step(&ahead, job, &r, &next));
    }
    return tell(v, f, met && !next.count ? " The next logged step agrees: the file was changed, not the run." : "");
}

static avi_status compare_state(avi_replay *v, int64_t step)
{
    char path[4096], name[32], what[160];
    snprintf(name, sizeof name, "step_%09" PRId64 ".h5", step);
    snprintf(path, sizeof path, "%s/checkpoint/%s", v->folder, name);
    AVI_TRY(avi_same_state(v->s, v->st, path, what));
    if (*what)
        return avi_fail(AVI_ERR_DIFFERS,
                        "%s: step %" PRId64 ": %s of checkpoint/%s differ from those of the steps done again. %" PRId64
                        " logged steps before it agree.%s",
                        v->folder, step, what, name, v->lines,
                        v->others ? " Another program or processor made them, which may round differently" : "");
    v->states++;
    return AVI_OK;
}

static bool has_checkpoint(const avi_replay *v, int64_t step)
{
    for (int i = 0; i < v->checkpoints; i++)
        if (v->checkpoint[i] == step) return true;
    return false;
}

static avi_status run_steps(avi_replay *v, avi_row_ranges *job)
{
    while (v->st->step < v->last) {
        finding f = {0};
        avi_step_result r;
        AVI_TRY(do_step(v, job, &r));
        const int64_t step = v->st->step;
        if (r.finite && r.measure && step >= v->first) {
            AVI_TRY(compare_step(v, job, &r, &f));
            if (f.count) return look_further(v, job, &f);
            avi_console_progress(v->s, v->st, r.sums[AVI_SUM_ELBO] / r.sums[AVI_SUM_ROWS], step == v->last);
        }
        if (step >= v->first && has_checkpoint(v, step)) AVI_TRY(compare_state(v, step));
    }
    return AVI_OK;
}

avi_status avi_replay_run(avi_replay *v)
{
    avi_row_ranges job = {0};
    avi_status status = avi_agree(v->s->comm, avi_row_ranges_step(v->s, v->st->step, &job));
    if (status == AVI_OK) status = run_steps(v, &job);
    avi_row_ranges_free(&job);
    return status;
}
