/* --dry-run: the plan of a run, from its counts and from a few steps with a part of its rows, which are forgotten. */
#include "output/console.h"
#include "output/run_file.h"
#include "session/sample.h"
#include "plan/plan.h"
#include "tasks/task.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What each datapoint adds to the memory of the rank that owns it. */
static void print_datapoint(const avi_session *s)
{
    char a[32];
    const double data = avi_session_row_bytes(s);
    const double local = s->infer->ops->local ? (2 + s->optim.ops->slots) * (double)s->infer->outputs *
                                                    (double)avi_real_size(s->precision)
                                              : 0;
    printf("  a datapoint  takes %g bytes: %g of data%s", data + local, data, s->train->feed ? " (streamed)" : "");
    if (local > 0) printf(", %g of its factor, with gradient and optimizer state", local);
    printf("; all %" PRId64 " take %s\n", s->counts.partition.rows,
           avi_console_bytes((data + local) * (double)s->counts.partition.rows, a));
}

/* Rows come in the order of the data, and each costs as much as another. */
static void add_start(avi_plan *p, double processor)
{
    const avi_session *s = p->s;
    const double here = (double)(s->partition.rows + (s->test ? s->test->partition.rows : 0)),
                 all = (double)(s->counts.partition.rows + s->counts.test_rows);
    avi_plan_add(p, "start", processor - s->load_seconds);
    avi_plan_add(p, "data", s->load_seconds * (s->train->feed ? 1 : all / here));
}

static void print_sample(const avi_session *s)
{
    if (s->sampled)
        printf("  plan         from %" PRId64 " rows: it is the first of them whose values were looked at\n",
               s->partition.rows);
}

/* A task on the fit in run.output, which is read, evaluated, and written again with what the task adds. */
static avi_status plan_on_fit(avi_session *s, const avi_task_ops *task, avi_state *st, avi_plan *p)
{
    const int64_t rows = avi_plan_evaluated_rows(s, avi_config_get_int(s->config, "log", "last_rows"));
    avi_plan_take_parameters(s, st);
    /* First, as in a run: the estimator keeps its memory while the task works. */
    AVI_TRY(avi_plan_try_evaluation(s, st, true, &p->last_seconds_per_row));
    avi_plan_keep_peak(p);
    AVI_TRY(task->plan_after(s, st, p));
    avi_plan_add(p, "evaluation", p->last_seconds_per_row * (double)rows);
    AVI_TRY(avi_plan_add_test_factors(s, st, p, avi_config_get_int(s->config, "log", "last_rows"), 1));
    avi_plan_restore(p);
    avi_plan_results(p);
    return AVI_OK;
}

avi_status avi_dry_run(avi_session *s, const avi_task_ops *task)
{
    const double processor = avi_plan_clock();
    avi_state *st = NULL;
    avi_plan p = {.comm = s->comm, .s = s};
    const bool root = avi_comm_rank(s->comm) == 0;
    if (s->sampled && !s->train->feed) s->train->stats->sampled = true;
    avi_status status = avi_state_create(s, &st);
    if (status == AVI_OK) avi_console_header(s);
    if (status == AVI_OK && root) print_sample(s);
    if (status == AVI_OK && (task->plan || task->plan_after)) {
        add_start(&p, processor);
        status = task->plan ? task->plan(s, st, &p) : plan_on_fit(s, task, st, &p);
        if (status == AVI_OK && root) print_datapoint(s);
        if (status == AVI_OK) status = avi_plan_print(&p);
    } else if (status == AVI_OK && root) {
        printf("  What run.task = %s takes is not predicted.\n", task->name);
    }
    if (status == AVI_OK && root) printf("Nothing was written.\n");
    avi_state_destroy(&st);
    return status;
}
