/* What a fit takes: steps and an evaluation are tried, the rest is counted. */
#include "plan/fit_plan.h"
#include "plan/idata_plan.h"

#include "output/console.h"
#include "output/run_file.h"
#include "session/sample.h"
#include "tasks/post_fit.h"
#include "factors/second_start.h"
#include "factors/starts.h"
#include "train/step.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { LEAST_STEPS = 3, MOST_STEPS = 60, ROWS_OF_POINTS_CHECK = 3 * 512 };
static const double TRY_SECONDS = 0.15;

/* A step: where nobody reads its ELBO, and where the trace does; and what only the first one takes. */
typedef struct steps {
    double plain, logged, first;
    double apart; /* part of a step that does not depend on its rows: reduction and optimizer */
} steps;

static avi_status try_step(avi_session *s, avi_state *st, avi_row_ranges *job, bool measure, double *seconds)
{
    avi_step_result r = {.bad_value = -1, .measure = measure};
    AVI_TRY(avi_comm_barrier(s->comm));
    const double from = avi_plan_clock();
    AVI_TRY(avi_step(s, st, job, &r));
    *seconds = avi_plan_clock() - from;
    return avi_comm_max_double(s->comm, seconds, 1); /* so that all ranks try as many */
}

/* Steps of L-BFGS differ: the mean of them. Others are alike: the shortest. */
static avi_status try_steps(avi_session *s, avi_state *st, avi_row_ranges *job, steps *t)
{
    const bool alike = s->optim.ops->update[s->precision] != NULL;
    double sum[2] = {0}, shortest[2] = {HUGE_VAL, HUGE_VAL}, one;
    int count[2] = {0};
    AVI_TRY(try_step(s, st, job, true, &t->first));
    const double *phase = avi_estimator_phases(s->train_elbo),
                 before = phase[AVI_PHASE_REDUCTION] + phase[AVI_PHASE_OPTIMIZER];
    for (int i = 0; i < MOST_STEPS && (i < 2 * LEAST_STEPS || sum[0] + sum[1] < TRY_SECONDS); i++) {
        if (s->total_steps > 1 && i + 1 >= s->total_steps && !alike) break;
        AVI_TRY(try_step(s, st, job, i % 2, &one));
        sum[i % 2] += one;
        count[i % 2]++;
        shortest[i % 2] = fmin(shortest[i % 2], one);
    }
    for (int k = 0; k < 2; k++) {
        const double mean = count[0] + count[1] ? (sum[0] + sum[1]) / (count[0] + count[1]) : t->first,
                     value = alike ? shortest[k] : mean;
        *(k ? &t->logged : &t->plain) = value;
    }
    t->logged = fmax(t->logged, t->plain);
    if (count[0] + count[1])
        t->apart = (phase[AVI_PHASE_REDUCTION] + phase[AVI_PHASE_OPTIMIZER] - before) / (count[0] + count[1]);
    t->apart = fmin(t->apart, t->plain);
    return AVI_OK;
}

/* From the rows that were tried to those of the mean step of a run. A dense model's step is two solves with a matrix,
 * and its first factors it. */
static void scale_steps(const avi_session *s, steps *t)
{
    const int64_t tried = s->batch < s->partition.rows ? s->batch : s->partition.rows;
    const double rows = avi_partition_step_rows(&s->counts.partition) / (double)tried;
    const bool dense = s->model->ops->coupling == AVI_DENSE;
    const double by = dense ? rows * rows : rows, apart = s->infer->ops->local ? 0 : t->apart;
    t->first = fmax(t->first - t->logged, 0) * (dense ? by * rows : 1);
    t->plain = apart + (t->plain - apart) * by;
    t->logged = apart + (t->logged - apart) * by;
}

static int64_t logged_steps(const avi_session *s)
{
    const int64_t every = avi_config_get_int(s->config, "log", "every"), n = s->total_steps / every + (every > 1);
    return n < s->total_steps ? n : s->total_steps;
}

static avi_status plan_steps(avi_session *s, avi_state *st, avi_plan *p)
{
    steps t = {0};
    char a[32], b[32];
    avi_row_ranges job = {0};
    avi_status status = avi_agree(s->comm, avi_row_ranges_step(s, 0, &job)); /* allocates once */
    if (status == AVI_OK) status = try_steps(s, st, &job, &t);
    avi_row_ranges_free(&job);
    AVI_TRY(status);
    avi_plan_keep_peak(p);
    scale_steps(s, &t);
    const double logged = (double)logged_steps(s), plain = (double)s->total_steps - logged;
    avi_plan_add(p, "steps", t.first + plain * t.plain + logged * t.logged);
    if (avi_comm_rank(s->comm)) return AVI_OK;
    printf("  work space   %s; a checkpoint takes %s\n",
           avi_console_bytes((double)avi_estimator_bytes(s->train_elbo), a),
           avi_console_bytes(avi_plan_checkpoint_bytes(s), b));
    if (s->problem.reproducible && s->partition.tile < 64)
        printf("  reproducible sums   round every tile by itself, which takes up to a fifth of a step with tiles "
               "of %" PRId64 " rows; with optim.tile = 64 little (%" PRId64 " lanes then)\n",
               s->partition.tile, s->counts.batch / 64 > 0 ? s->counts.batch / 64 : 1);
    printf("  time         %.3g ms a step here, %.3g ms where it has a line in the trace\n", 1e3 * t.plain,
           1e3 * t.logged);
    return AVI_OK;
}

static avi_status try_starts(avi_session *s, avi_state *st, int64_t rows, double *seconds)
{
    int64_t better;
    double gain;
    AVI_TRY(avi_comm_barrier(s->comm));
    const double from = avi_plan_clock();
    AVI_TRY(avi_starts_search(s, st, rows, &better, &gain));
    *seconds = avi_plan_clock() - from;
    return avi_comm_max_double(s->comm, seconds, 1);
}

/* One search of several starts: of a few rows, and of more where these are quick, since a search also takes what does
 * not depend on its rows. */
static avi_status plan_starts(avi_session *s, avi_state *st, avi_plan *p)
{
    enum { TRIED = 64 /* rows of a rank */, MORE = 8 };
    static const double QUICK = 0.05;
    const int64_t all = s->partition.rows, few = avi_plan_least(all, TRIED * avi_comm_size(s->comm));
    double first, second, each, fixed = 0;
    if (!avi_starts_wanted(s)) return AVI_OK;
    AVI_TRY(try_starts(s, st, few, &first));
    each = first / (double)few;
    if (first < QUICK && all >= 2 * few) {
        const int64_t more = avi_plan_least(all, MORE * few);
        AVI_TRY(try_starts(s, st, more, &second));
        each = fmin(fmax(second - first, 0) / (double)(more - few), second / (double)more);
        fixed = fmax(second - each * (double)more, 0);
    }
    avi_plan_add(p, "starts", fixed + each * (double)s->counts.partition.rows);
    return AVI_OK;
}

static avi_status plan_evaluations(avi_session *s, avi_state *st, avi_plan *p)
{
    char a[32];
    const avi_evaluation_plan *e = &s->evaluation;
    const int64_t asked = avi_config_get_int(s->config, "log", "last_rows"), rows = avi_plan_evaluated_rows(s, asked);
    AVI_TRY(avi_plan_try_evaluation(s, st, true, &p->last_seconds_per_row));
    p->seconds_per_row = p->last_seconds_per_row * avi_evaluation_passes(s, false) / avi_evaluation_passes(s, true);
    avi_plan_keep_peak(p);
    const double last = p->last_seconds_per_row * (double)rows,
                 others = p->seconds_per_row * (double)avi_evaluation_count(e, s->total_steps) *
                          (double)avi_plan_evaluated_rows(s, avi_config_get_int(s->config, "log", "eval_rows"));
    double checks = p->last_seconds_per_row / avi_evaluation_passes(s, true) * avi_second_start_passes(s);
    if (e->rule && s->model->ops->quadratic != 2)
        checks += p->last_seconds_per_row * fmin(ROWS_OF_POINTS_CHECK, 3 * (double)s->counts.partition.rows);
    avi_plan_add(p, "evaluations", last + others + checks);
    AVI_TRY(plan_starts(s, st, p));
    AVI_TRY(avi_plan_add_test_factors(s, st, p, asked,
                                      1 + (e->test_factors[0] ? (double)avi_evaluation_count(e, s->total_steps) : 0)));
    if (avi_comm_rank(s->comm) == 0)
        printf("  at the end   an evaluation on %" PRId64 " rows%s, %s; log.last_rows makes it shorter\n",
               asked > 0 && asked < s->counts.partition.rows ? asked : s->counts.partition.rows,
               rows > s->counts.partition.rows || (asked > 0 && rows > asked) ? " and test rows" : "",
               avi_console_time(last, a));
    return AVI_OK;
}

/* Images and examples are made as at the end of a run, and forgotten. */
static avi_status plan_examples(avi_session *s, avi_state *st, avi_plan *p)
{
    avi_fields fields = {0};
    const double from = avi_plan_clock();
    if (!avi_run_file_examples(s)) return AVI_OK;
    const avi_status status = avi_agree(s->comm, avi_run_file_images(s, st, &fields));
    avi_plan_keep_peak(p);
    avi_plan_hold(p, 0);
    avi_fields_free(&fields);
    avi_plan_add(p, "files", avi_plan_clock() - from);
    return status;
}

static int64_t checkpoints(const avi_session *s)
{
    const int64_t every = avi_config_get_int(s->config, "checkpoint", "every");
    return every > 0 ? (s->total_steps - 1) / every : 0;
}

avi_status avi_fit_plan(avi_session *s, avi_state *st, avi_plan *p)
{
    avi_post_fit after = {0};
    AVI_TRY(plan_steps(s, st, p));
    AVI_TRY(plan_evaluations(s, st, p));
    AVI_TRY(plan_examples(s, st, p));
    AVI_TRY(avi_idata_plan_add(s, st, p));
    const int64_t saved = checkpoints(s), again = avi_evaluation_due(&s->evaluation, s->total_steps) ? 1 : 0;
    avi_plan_checkpoints(p, 1 + again + saved);
    avi_post_fit_read(s, &after);
    for (int64_t i = 0; i < 1 + saved + avi_post_fit_is_lengthy(&after); i++) avi_plan_results(p);
    for (int i = 0; i < after.count; i++) {
        if (after.task[i]->plan_after)
            AVI_TRY(after.task[i]->plan_after(s, st, p));
        else if (after.task[i]->after_fit && avi_comm_rank(s->comm) == 0)
            printf("  What %s takes after the fit is not predicted.\n", after.task[i]->name);
    }
    return AVI_OK;
}
