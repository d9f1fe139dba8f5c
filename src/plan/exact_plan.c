#include "plan/exact_plan.h"

#include "closed_form/optimum.h"
#include "session/sample.h"

#include <math.h>

/* Bytes of the answer of all rows, by the shapes. */
static double bytes_of_all(const avi_session *s)
{
    avi_session all = *s;
    all.partition = s->counts.partition;
    return (double)avi_optimum_bytes(&all);
}

static avi_status try_answer(avi_session *s, avi_plan *p)
{
    avi_optimum *a = NULL;
    const double from = avi_plan_clock();
    AVI_TRY(avi_optimum_create(s, &a));
    avi_optimum_destroy(&a);
    double seconds = avi_plan_clock() - from;
    AVI_TRY(avi_comm_max_double(s->comm, &seconds, 1));
    const double rows = (double)s->counts.partition.rows / (double)s->partition.rows;
    avi_plan_add(p, "exact", seconds * (s->model->ops->coupling == AVI_DENSE ? rows * rows * rows : rows));
    return AVI_OK;
}

/* Alone there is no fit: what its parameters take in this process is not there. */
avi_status avi_exact_plan(avi_session *s, avi_state *st, avi_plan *p)
{
    (void)st;
    const double here = (double)avi_optimum_bytes(s);
    AVI_TRY(try_answer(s, p));
    const double more = avi_session_data_bytes_left_out(s) + bytes_of_all(s) - here - (double)avi_state_bytes(s);
    p->peak = fmax(p->peak, avi_memory_most() + more);
    const double rows = (double)s->counts.partition.rows;
    avi_plan_add(p, "files", avi_plan_file_seconds(s->comm, 16 * rows * (double)s->model->latent));
    return AVI_OK;
}

avi_status avi_exact_plan_after(avi_session *s, avi_state *st, avi_plan *p)
{
    (void)st;
    const double ranks = avi_comm_size(s->comm), rows = (double)s->counts.partition.rows / ranks;
    AVI_TRY(try_answer(s, p));
    avi_plan_keep_peak(p);
    /* The fit's factors in the order of the data, as doubles, to be compared with the answer's. */
    const double factors =
        8 * rows * (2 * (double)s->model->latent + (s->infer->ops->local ? 0 : (double)s->infer->outputs));
    avi_plan_hold(p, bytes_of_all(s) + factors);
    avi_plan_add(p, "files", avi_plan_file_seconds(s->comm, 16 * ranks * rows * (double)s->model->latent));
    return AVI_OK;
}
