/* --dry-run: the plan of a run, and its time from a few steps that are then forgotten. */
#include "output/console.h"
#include "tasks/memory_plan.h"
#include "train/evaluation.h"
#include "train/step.h"
#include "tasks/task.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TIMED_STEPS = 5 };

/* Seconds of a step: the fastest of a few after one to warm up. */
static avi_status time_steps(avi_session *s, avi_state *st, double *seconds)
{
    avi_row_ranges job = {0};
    avi_status status =
        avi_agree(s->comm, avi_row_ranges_step(s, 0, &job)); /* allocates once: no step can fail alone for it */
    *seconds = 1e300;
    for (int i = 0; i <= TIMED_STEPS && status == AVI_OK && i < s->total_steps; i++) {
        avi_step_result r;
        memset(&r, 0, sizeof r);
        status = avi_comm_barrier(s->comm);
        const double from = avi_seconds();
        if (status == AVI_OK) status = avi_step(s, st, &job, &r);
        const double took = avi_seconds() - from;
        if ((i || s->total_steps == 1) && took < *seconds) *seconds = took;
    }
    avi_row_ranges_free(&job);
    return status;
}

static double checkpoint_bytes(const avi_session *s)
{
    const double values =
        (double)s->layout.size + (s->infer->ops->local ? (double)s->partition.rows * (double)s->infer->outputs : 0);
    return (1 + s->optim.ops->slots) * values * (double)avi_real_size(s->precision);
}

/* What each datapoint adds to the memory of the rank that owns it. */
static void print_datapoint(const avi_session *s)
{
    char a[32];
    const double data = s->train->feed ? 0 : (double)(s->shape.width * (int64_t)avi_dtype_size(s->train->shape.type));
    const double local = s->infer->ops->local ? (2 + s->optim.ops->slots) * (double)s->infer->outputs *
                                                    (double)avi_real_size(s->precision)
                                              : 0;
    printf("  a datapoint  takes %g bytes: %g of data%s", data + local, data, s->train->feed ? " (streamed)" : "");
    if (local > 0) printf(", %g of its factor, with gradient and optimizer state", local);
    printf("; all %" PRId64 " take %s\n", s->partition.rows,
           avi_console_bytes((data + local) * (double)s->partition.rows, a));
}

/* Rows of one data set that a trial evaluation takes: enough for the largest block of rows that a rank passes at once,
 * whose memory is that of a whole evaluation. */
static int64_t trial_rows(const avi_session *s)
{
    const int64_t asked = avi_config_get_int(s->config, "log", "last_rows"),
                  block = s->problem.block_rows * avi_comm_size(s->comm), rows = block > s->batch ? block : s->batch;
    return asked > 0 && asked < rows ? asked : rows;
}

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static avi_status time_evaluation(avi_session *s, avi_state *st, double *seconds_a_row)
{
    double row[AVI_EVAL_COLUMNS];
    const int64_t rows = trial_rows(s);
    const double from = avi_seconds();
    AVI_TRY(avi_evaluation(s, st, rows, true, row));
    *seconds_a_row = (avi_seconds() - from) /
                     (double)(least(rows, s->partition.rows) + (s->test ? least(rows, s->test->partition.rows) : 0));
    return AVI_OK;
}

static void print_last_evaluation(const avi_session *s, double seconds_a_row)
{
    char a[32];
    const int64_t asked = avi_config_get_int(s->config, "log", "last_rows"),
                  test = s->test ? s->test->partition.rows : 0,
                  rows = asked > 0 && asked < s->partition.rows ? asked : s->partition.rows,
                  tested = asked > 0 && asked < test ? asked : test;
    printf("  at the end   an evaluation on %" PRId64 " rows%s, %s; log.last_rows makes it shorter\n", rows,
           tested ? " and test rows" : "", avi_console_time(seconds_a_row * (double)(rows + tested), a));
}

/* run.task = exact is worked out from its shapes: nothing is solved. */
static avi_status plan_exact(avi_session *s)
{
    char a[32];
    double bytes;
    const double now = avi_memory_now();
    avi_console_header(s);
    AVI_TRY(avi_memory_of_exact(s, now, &bytes));
    if (avi_comm_rank(s->comm) == 0)
        printf("  peak memory  about %s a rank, everything included\nNothing was written.\n",
               avi_console_bytes(bytes, a));
    return AVI_OK;
}

avi_status avi_dry_run(avi_session *s)
{
    const bool fits = !strcmp(avi_config_get_string(s->config, "run", "task"), "fit");
    avi_state *st = NULL;
    double seconds = 0, evaluation = 0, peak = 0;
    if (!strcmp(avi_config_get_string(s->config, "run", "task"), "exact")) return plan_exact(s);
    char a[32], b[32], c[32];
    avi_status status = avi_state_create(s, &st);
    if (status == AVI_OK) avi_console_header(s);
    if (status == AVI_OK && !fits) {
        if (avi_comm_rank(s->comm) == 0)
            printf("Nothing was written; what run.task = %s takes is not foreseen.\n",
                   avi_config_get_string(s->config, "run", "task"));
        avi_state_destroy(&st);
        return AVI_OK;
    }
    if (status == AVI_OK) status = time_steps(s, st, &seconds);
    if (status == AVI_OK) status = time_evaluation(s, st, &evaluation);
    if (status == AVI_OK) status = avi_memory_of_fit(s, &peak);
    if (status == AVI_OK && avi_comm_rank(s->comm) == 0) {
        printf("  work space   %s; a checkpoint takes %s\n",
               avi_console_bytes((double)avi_estimator_bytes(s->train_elbo), a),
               avi_console_bytes(checkpoint_bytes(s), c));
        if (peak > 0)
            printf("  peak memory  about %s a rank, with the last evaluation, results and all that the program needs\n",
                   avi_console_bytes(peak, b));
        print_datapoint(s);
        if (s->problem.reproducible && s->partition.tile < 64)
            printf("  reproducible sums   round every tile by itself, which takes up to a fifth of a step with tiles "
                   "of %" PRId64 " rows; with optim.tile = 64 little (%" PRId64 " lanes then)\n",
                   s->partition.tile, s->batch / 64 > 0 ? s->batch / 64 : 1);
        if (s->total_steps > 0)
            printf("  time         %.3g ms a step here, %s for the run without evaluations and checkpoints\n",
                   1e3 * seconds, avi_console_time(seconds * (double)s->total_steps, a));
        if (s->total_steps > 0) print_last_evaluation(s, evaluation);
        printf("Nothing was written.\n");
    }
    avi_state_destroy(&st);
    return status;
}
