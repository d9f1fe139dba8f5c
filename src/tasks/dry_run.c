/* --dry-run: the plan of a run, and its time from a few steps that are then forgotten. */
#include "output/console.h"
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

/* A pass over all rows without gradients: told when it would surprise. */
static void print_last_evaluation(const avi_session *s, double step_seconds)
{
    char a[32];
    const int64_t asked = avi_config_get_int(s->config, "log", "last_rows"),
                  rows = asked > 0 && asked < s->partition.rows ? asked : s->partition.rows;
    const double seconds = step_seconds * (double)rows / (double)s->batch;
    if (seconds > 10 && seconds > 0.1 * step_seconds * (double)s->total_steps)
        printf("  at the end   an evaluation on %" PRId64 " rows, at most %s; log.last_rows makes it shorter\n", rows,
               avi_console_time(seconds, a));
}

avi_status avi_dry_run(avi_session *s)
{
    const bool fits = !strcmp(avi_config_get_string(s->config, "run", "task"), "fit");
    avi_state *st = NULL;
    double seconds = 0;
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
    if (status == AVI_OK && avi_comm_rank(s->comm) == 0) {
        const double work = (double)avi_estimator_bytes(s->train_elbo),
                     total = work + (double)avi_data_bytes(s->train) + (double)avi_state_bytes(s);
        printf("  work space   %s; in all %s a rank; a checkpoint takes %s\n", avi_console_bytes(work, a),
               avi_console_bytes(total, b), avi_console_bytes(checkpoint_bytes(s), c));
        print_datapoint(s);
        if (s->problem.reproducible && s->partition.tile < 64)
            printf("  reproducible sums   round every tile by itself, which takes up to a fifth of a step with tiles "
                   "of %" PRId64 " rows; with optim.tile = 64 little (%" PRId64 " lanes then)\n",
                   s->partition.tile, s->batch / 64 > 0 ? s->batch / 64 : 1);
        if (s->total_steps > 0)
            printf("  time         %.3g ms a step here, %s for the run without evaluations and checkpoints\n",
                   1e3 * seconds, avi_console_time(seconds * (double)s->total_steps, a));
        if (s->total_steps > 0) print_last_evaluation(s, seconds);
        printf("Nothing was written.\n");
    }
    avi_state_destroy(&st);
    return status;
}
