/* --dry-run: the plan of a run, and its time from a few steps that are then forgotten. */
#include "run/screen.h"
#include "run/step.h"
#include "run/tasks.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TIMED_STEPS = 5 };

/* Seconds of a step: the fastest of a few after one to warm up. */
static avi_status time_steps(avi_session *s, avi_state *st, double *seconds)
{
    avi_job job = {0};
    avi_status status = AVI_OK;
    *seconds = 1e300;
    for (int i = 0; i <= TIMED_STEPS && status == AVI_OK && i < s->total_steps; i++) {
        avi_step_result r;
        memset(&r, 0, sizeof r);
        AVI_TRY(avi_comm_barrier(s->comm));
        const double from = avi_seconds();
        status = avi_step(s, st, &job, &r);
        const double took = avi_seconds() - from;
        if ((i || s->total_steps == 1) && took < *seconds) *seconds = took;
    }
    avi_job_free(&job);
    return status;
}

static double checkpoint_bytes(const avi_session *s)
{
    const double values = (double)s->layout.size + (s->infer->ops->local ? (double)s->partition.rows * (double)s->infer->outputs : 0);
    return (1 + s->optim.ops->slots) * values * (double)avi_real_size(s->precision);
}

avi_status avi_task_plan(avi_session *s)
{
    avi_state *st = NULL;
    double seconds = 0;
    char a[32], b[32], c[32];
    avi_screen_header(s);
    avi_status status = avi_agree(s->comm, avi_state_create(s, &st));
    if (status == AVI_OK) status = time_steps(s, st, &seconds);
    if (status == AVI_OK && avi_comm_rank(s->comm) == 0) {
        const double work = (double)avi_estimator_bytes(s->train_elbo), total = work + (double)avi_data_bytes(s->train) + (double)avi_state_bytes(s);
        printf("  work space   %s; in all %s a rank; a checkpoint takes %s\n", avi_screen_bytes(work, a), avi_screen_bytes(total, b), avi_screen_bytes(checkpoint_bytes(s), c));
        if (s->problem.exact && s->partition.tile < 64)
            printf("  exact sums   take tiles one by one: tiles of %" PRId64 " rows lose time in GEMM; optim.tile of 64 or more is faster (%" PRId64 " lanes then)\n", s->partition.tile,
                   s->batch / 64 > 0 ? s->batch / 64 : 1);
        if (s->total_steps > 0) printf("  time         %.3g ms a step here, %s for the run without evaluations and checkpoints\n", 1e3 * seconds, avi_screen_time(seconds * (double)s->total_steps, a));
        printf("Nothing was written.\n");
    }
    avi_state_destroy(&st);
    return status;
}
