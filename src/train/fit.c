/* The step loop: steps, trace, evaluations, checkpoints, and the reasons to stop. */
#include "train/fit_internal.h"
#include "train/evaluation.h"
#include "train/gradient_variance.h"
#include "output/run_file.h"
#include "checkpoint/checkpoint_state.h"
#include "output/console.h"
#include "train/ending.h"
#include "train/points_check.h"
#include "train/resume.h"
#include "session/time_limit.h"
#include "factors/second_start.h"
#include "factors/starts.h"
#include "train/step.h"
#include "train/dead_block.h"
#include "base/signals.h"
#include "state/best.h"
#include "state/convergence.h"
#include "train/stopping_rule.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static avi_status evaluate(fit *f, int64_t limit, bool last)
{
    double row[AVI_EVAL_COLUMNS];
    const double from = avi_seconds();
    AVI_TRY(avi_evaluation(f->s, f->st, limit, last, row));
    AVI_TRY(avi_gradient_variance_measure(f->s, f->st));
    f->paused += avi_seconds() - from;
    /* The end of a run that was killed before its results stood is reached twice. Best parameters that are taken are of
     * a step before the last lines, which stay. */
    avi_trace *t = &f->st->eval;
    if (t->rows > 0 && t->value[(t->rows - 1) * (t->columns + t->extra) + AVI_EVAL_STEP] == row[AVI_EVAL_STEP])
        t->rows--;
    return avi_agree(f->s->comm, avi_trace_add(t, row, (int)f->s->model->latent, f->st->kl_dimension));
}

/* The last evaluation, NULL when there is none. */
static const double *evaluation(const fit *f)
{
    const avi_trace *t = &f->st->eval;
    return t->rows ? t->value + (t->rows - 1) * (t->columns + t->extra) : NULL;
}

/* Whether the state is at an evaluation that meets [stop]. */
static bool at_target(const fit *f)
{
    const double *row = evaluation(f);
    return row && row[AVI_EVAL_STEP] >= (double)f->st->step && avi_stopping_rule_met(f->s->config, row);
}

/* The rule speaks of all training rows: an evaluation on some of them only says when to look. */
static avi_status look_at_target(fit *f, bool *met)
{
    *met = at_target(f);
    if (!*met || avi_config_get_int(f->s->config, "log", "eval_rows") == 0) return AVI_OK;
    AVI_TRY(evaluate(f, 0, false));
    *met = at_target(f);
    return AVI_OK;
}

/* The evaluation that is due after a step. *left: it was left for a signal, on all ranks; a run that goes on makes up
 * for it. */
static avi_status evaluate_in_loop(fit *f, bool *met, bool *left)
{
    avi_status status = evaluate(f, avi_config_get_int(f->s->config, "log", "eval_rows"), false);
    if (status == AVI_OK) {
        avi_patience_note(f->s, f->st);
        status = look_at_target(f, met);
    }
    *left = status == AVI_ERR_STOPPED;
    if (!*left) return status;
    avi_error_clear();
    return AVI_OK;
}

/* ---- checkpoints ---- */

static avi_status save(fit *f, const char *status, const char *why)
{
    const double from = avi_seconds();
    AVI_TRY(avi_checkpoint_state_save(f->s, f->st, f->folder));
    AVI_TRY(avi_run_file_write(f->s, f->st, f->folder, status, why, false, NULL));
    f->last_save = avi_seconds();
    f->save_seconds = f->last_save - from;
    f->paused += f->save_seconds;
    return AVI_OK;
}

/* What this rank asks for at the coming step: signals of any rank, the clock of rank 0. */
static void request(const fit *f, double sums[AVI_SUMS])
{
    const avi_config *c = f->s->config;
    const double now = avi_seconds(), minutes = avi_config_get_real(c, "checkpoint", "minutes");
    const bool first = avi_comm_rank(f->s->comm) == 0;
    memset(sums, 0, AVI_SUMS * sizeof *sums);
    const double since = f->s->options->started > 0 ? f->s->options->started : f->start;
    const bool late = first && avi_time_limit_is_near(f->s, since, f->save_seconds);
    sums[AVI_SUM_STOP] = avi_signals_signal() ? 1 : 0;
    if (late) sums[AVI_SUM_STOP] += 1048576; /* told apart from signals: more than there are ranks */
    if (first && minutes > 0 && now - f->last_save > 60 * minutes) sums[AVI_SUM_SAVE] = 1;
}

/* ---- the loop ---- */

static bool due(int64_t step, int64_t every) { return every > 0 && step % every == 0; }

static bool logs(const fit *f, int64_t step)
{
    return due(step, avi_config_get_int(f->s->config, "log", "every")) || step == 1 || step >= f->s->total_steps;
}

/* A step after which [stop] may end the run: the last step has its line in the trace. */
static bool may_end(const fit *f, int64_t step)
{
    return avi_evaluation_due(&f->s->evaluation, step) && avi_stopping_rule_set(f->s->config);
}

/* Parameters that are not finite any more are not saved: what was saved before them is what a rollback needs. */
static avi_status save_or_go_back(fit *f)
{
    const avi_status status = save(f, "running", "");
    if (status != AVI_ERR_DIVERGED || strcmp(avi_config_get_string(f->s->config, "nan", "policy"), "rollback") ||
        !avi_fit_can_go_back(f))
        return status;
    if (avi_comm_rank(f->s->comm) == 0) avi_warn("%s", avi_error_text());
    avi_error_clear();
    return avi_fit_go_back(f);
}

/* Why the run ends after a good step, for run.h5. A network of which nothing is active any more sits still and is no
 * optimum: it looks like one, since its gradient is 0. */
static const char *reason(const fit *f, const avi_step_result *r, bool met)
{
    const char *dead = avi_dead_block(f->s, f->st);
    if (!dead)
        return r->stalled                        ? AVI_STALLED
               : r->converged                    ? "converged"
               : met                             ? AVI_STOPPING_RULE_MET
               : avi_patience_spent(f->s, f->st) ? f->patience
                                                 : "done";
    if (avi_comm_rank(f->s->comm) == 0) {
        avi_console_break();
        avi_warn(
            "the inference function is dead: the gradient of %s is exactly 0, since no unit behind it is active for "
            "any row, so all rows have one factor. Use inference.activation = leaky_relu%s, or another run.seed",
            dead, f->s->problem.features ? "" : ", inference.standardise = yes");
    }
    return "dead inference function";
}

static avi_status after_step(fit *f, const avi_step_result *r, double step_seconds)
{
    avi_session *s = f->s;
    const int64_t step = f->st->step;
    bool last = step >= s->total_steps || r->converged, met = false, left = false;
    double elbo = NAN;
    f->st->skipped_in_a_row = 0;
    f->applied++;
    avi_elbo_bins_add(&f->st->bins, step - 1, r->sums[AVI_SUM_ELBO], r->sums[AVI_SUM_ROWS]);
    f->st->seconds = f->seconds_before + avi_seconds() - f->start - f->paused;
    if (last && avi_starts_wanted(s)) AVI_TRY(avi_starts_at_end(s, f->st, r->converged, &last));
    if (last ? avi_best_wanted(s) : avi_evaluation_due(&s->evaluation, step)) {
        AVI_TRY(evaluate_in_loop(f, &met, &left));
        last = !left && (last || met || avi_patience_spent(s, f->st));
    }
    if (met) avi_best_clear(f->st); /* the target is reached by the parameters as they are */
    /* A step that may turn out to be the last one when the evaluation is made up for has its line, too. */
    if (logs(f, step) || last || (left && may_end(f, step))) {
        AVI_TRY(avi_fit_log_step(f, r, step_seconds, &elbo));
        avi_console_progress(s, f->st, elbo, last);
    }
    if (last)
        avi_fit_end(f, AVI_OK, reason(f, r, met));
    else if (r->sums[AVI_SUM_STOP] > 0 || left)
        avi_fit_end(f, AVI_ERR_STOPPED,
                    r->sums[AVI_SUM_STOP] >= 1048576 ? "stopped at run.time_limit" : "stopped by a signal");
    else if (due(step, avi_config_get_int(s->config, "checkpoint", "every")) || r->sums[AVI_SUM_SAVE] > 0)
        return save_or_go_back(f);
    return AVI_OK;
}

static avi_status loop(fit *f)
{
    while (!f->why) {
        avi_step_result r = {.bad_value = -1, .measure = logs(f, f->st->step + 1) || may_end(f, f->st->step + 1)};
        request(f, r.sums);
        const double from = avi_seconds();
        AVI_TRY(avi_step(f->s, f->st, &f->job, &r));
        if (r.finite)
            AVI_TRY(after_step(f, &r, avi_seconds() - from));
        else
            AVI_TRY(avi_fit_handle_bad(f, &r));
        if (!r.finite && f->st->step >= f->s->total_steps && !f->why) avi_fit_end(f, AVI_OK, "done");
        if (!r.finite && r.sums[AVI_SUM_STOP] > 0 && !f->why) avi_fit_end(f, AVI_ERR_STOPPED, "stopped by a signal");
    }
    return AVI_OK;
}

/* ---- start and end ---- */

static avi_status prepare(fit *f)
{
    avi_session *s = f->s;
    AVI_TRY(avi_gradient_variance_check(s));
    AVI_TRY(avi_state_create(s, &f->st));
    avi_console_header(s);
    char *effective = avi_config_effective(s->config);
    avi_status status = avi_agree(s->comm, effective ? AVI_OK : avi_fail_memory(1, "the fit"));
    if (status == AVI_OK) status = avi_resume_open(s, f->st, &f->begun);
    f->folder = f->begun.folder;
    if (status != AVI_OK || f->begun.done) {
        free(effective);
        return status;
    }
    if (status == AVI_OK)
        status = avi_agree(
            s->comm, avi_row_ranges_step(s, f->st->step, &f->job)); /* allocates once: no step can fail alone for it */
    if (status == AVI_OK) status = avi_folder_write_text(f->folder, s->comm, "config.ini", effective);
    free(effective);
    AVI_TRY(status);
    return avi_fit_open_metrics(f);
}

static void set_up(fit *f)
{
    avi_patience_describe(f->s, f->patience);
    f->start = f->last_save = avi_seconds();
    f->save_seconds = 0.5;
    f->seconds_before = f->st->seconds;
}

/* What remains when all steps are done and saved. */
static avi_status complete(fit *f)
{
    avi_session *s = f->s;
    avi_best_take(s, f->st);
    AVI_TRY(evaluate(f, avi_config_get_int(s->config, "log", "last_rows"), true));
    if (avi_ending_diverged(s, f->st, evaluation(f), f->diverged)) {
        f->outcome = AVI_ERR_DIVERGED;
        AVI_TRY(avi_ending_advice(s, f->st, f->advice));
    }
    if (avi_evaluation_due(&s->evaluation, f->st->step) && !f->st->best.taken)
        AVI_TRY(avi_checkpoint_state_save(s, f->st, f->folder)); /* a longer run would have that evaluation too */
    AVI_TRY(avi_points_check(s, f->st));
    AVI_TRY(avi_second_start(s, f->st));
    if (avi_stopping_rule_set(s->config)) avi_stopping_rule_describe(s->config, evaluation(f), f->target);
    return AVI_OK;
}

static avi_status finish(fit *f)
{
    AVI_TRY(avi_checkpoint_state_save(f->s, f->st, f->folder)); /* first: the last evaluation takes a pass over all
                                                                   rows, and a run that is killed in it is to have its
                                                                   fit */
    if (f->outcome != AVI_OK) return AVI_OK;
    avi_signals_set(AVI_SIGNAL_AGAIN, avi_resume_command(f->s));
    const avi_status status = complete(f);
    return status == AVI_ERR_STOPPED ? avi_fit_leave(f) : status;
}

/* The evaluation that a signal did not let the run make; or the first one that stop.patience can keep the parameters
 * of, where the run had evaluations without. */
static avi_status make_up(fit *f)
{
    const avi_session *s = f->s;
    const double *row = evaluation(f);
    const bool wanted = avi_best_wanted(s), made = row && row[AVI_EVAL_STEP] >= (double)f->st->step,
               first = wanted && row && f->st->best.step == 0,
               due = f->st->step < s->total_steps ? avi_evaluation_due(&s->evaluation, f->st->step) : wanted;
    if (f->st->step == 0 || f->begun.rewrite || !(first || (due && !made))) return AVI_OK;
    AVI_TRY(evaluate(f, avi_config_get_int(s->config, "log", "eval_rows"), false));
    avi_patience_note(s, f->st);
    return AVI_OK;
}

/* Nothing is left to do of a run that a checkpoint holds to its end. */
static avi_status begin(fit *f)
{
    bool met = false;
    set_up(f);
    AVI_TRY(avi_first_results(f->s, f->st, f->folder));
    AVI_TRY(make_up(f));
    if (f->st->step >= f->s->total_steps || f->begun.rewrite)
        avi_fit_end(f, AVI_OK, f->begun.rewrite && f->begun.why ? f->begun.why : "done");
    else if (f->st->step > 0)
        AVI_TRY(look_at_target(f, &met));
    if (met) avi_best_clear(f->st);
    if (met || (!f->why && avi_patience_spent(f->s, f->st)))
        avi_fit_end(f, AVI_OK, met ? AVI_STOPPING_RULE_MET : f->patience);
    return AVI_OK;
}

/* For the screen: how it ended. */
static const char *last_words(const fit *f)
{
    if (*f->diverged) return "Diverged";
    if (*f->target) return f->target;
    return f->outcome == AVI_OK && !strcmp(f->why, "done") ? "Done" : f->why;
}

/* The status of a run whose results are written. */
static avi_status judge(const fit *f)
{
    if (f->outcome == AVI_ERR_STOPPED) return avi_fail(AVI_ERR_STOPPED, "%s; %s", f->why, avi_resume_command(f->s));
    if (f->begun.missed && avi_stopping_rule_required(f->s->config))
        return avi_fail(AVI_ERR_BUDGET, "the run had ended before the stop rule was met; use more optim.epochs");
    if (!*f->target || !avi_stopping_rule_required(f->s->config) || !avi_stopping_rule_missed(f->target)) {
        if (!*f->diverged) return AVI_OK;
        return avi_fail(AVI_ERR_DIVERGED,
                        "diverged: %s. The results are written, with status diverged. %s, with --fresh", f->diverged,
                        f->advice);
    }
    return avi_fail(AVI_ERR_BUDGET,
                    "%s before the stop rule was met%s, after %" PRId64
                    " steps; the results are written, and more optim.epochs resume from here",
                    !strcmp(f->why, "converged") || !strcmp(f->why, AVI_STALLED) ? f->why : "budget spent",
                    f->target + strlen(AVI_STOPPING_RULE_MISSED), f->st->step);
}

/* ---- what tasks see ---- */

avi_status avi_fit_open(avi_session *s, avi_fit **out)
{
    fit *f = *out = calloc(1, sizeof *f);
    AVI_TRY(avi_agree(s->comm, f ? AVI_OK : avi_fail_memory(sizeof *f, "the fit")));
    f->s = s;
    return avi_agree(s->comm, prepare(f));
}

avi_status avi_fit_train(avi_fit *f)
{
    avi_status status = begin(f);
    avi_signals_set(AVI_SIGNAL_ASKS, NULL); /* from here on there is something to save */
    if (status == AVI_OK) status = loop(f);
    avi_signals_set(AVI_SIGNAL_NOTED, NULL);
    /* A rank that failed alone between collectives would leave the others waiting: whatever returns an error here
     * returns it on all ranks. */
    if (status == AVI_OK) status = finish(f);
    if (status == AVI_ERR_DIVERGED)
        avi_run_file_write(f->s, f->st, f->folder, "diverged", avi_error_text(), false, NULL);
    return status;
}

avi_status avi_fit_leave(avi_fit *f)
{
    avi_error_clear();
    avi_signals_set(AVI_SIGNAL_NOTED, NULL);
    avi_fit_end(f, AVI_ERR_STOPPED, "stopped by a signal");
    return AVI_OK;
}

avi_status avi_fit_write(avi_fit *f, const avi_fields *extra)
{
    const bool done = avi_fit_is_done(f);
    const char *status = done ? "done" : *f->diverged ? "diverged" : "stopped";
    const char *why = *f->diverged ? f->diverged : *f->target ? f->target : f->why;
    return avi_run_file_write(f->s, f->st, f->folder, status, why, done, extra);
}

avi_status avi_fit_write_unfinished(avi_fit *f)
{
    return avi_run_file_write(f->s, f->st, f->folder, "running", "running", true, NULL);
}

void avi_fit_print(const avi_fit *f) { avi_console_summary(f->s, f->st, avi_folder_path(f->folder), last_words(f)); }

avi_status avi_fit_stand(avi_fit *f)
{
    const avi_status status = f->outcome == AVI_OK ? avi_resume_stand(f->s, &f->begun) : AVI_OK;
    f->folder = f->begun.folder;
    return status;
}

avi_status avi_fit_judge(const avi_fit *f) { return judge(f); }
bool avi_fit_was_done(const avi_fit *f) { return f->begun.done; }
bool avi_fit_is_done(const avi_fit *f) { return f->outcome == AVI_OK; }
avi_state *avi_fit_state(avi_fit *f) { return f->st; }
avi_folder *avi_fit_folder(const avi_fit *f) { return f->folder; }
const double *avi_fit_evaluation(const avi_fit *f) { return evaluation(f); }

void avi_fit_close(avi_fit **out)
{
    fit *f = *out;
    if (!f) return;
    avi_console_break();
    avi_metrics_close(&f->metrics);
    avi_resume_close(&f->begun);
    avi_state_destroy(&f->st);
    avi_row_ranges_free(&f->job);
    free(f);
    *out = NULL;
}
