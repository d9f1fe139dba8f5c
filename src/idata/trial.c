/* A few rows of posterior.nc without a file, for --dry-run. */
#include "idata/internal.h"

#include <stdlib.h>

struct avi_idata_trial {
    avi_idata_plan plan; /* of the rows and draws that are tried; its rows are owned */
    avi_idata_index at;
    avi_fields fields;
    avi_idata_work work;
};

int64_t avi_idata_batches(const avi_session *s, const avi_idata_plan *p)
{
    const int64_t rows = avi_idata_batch_rows(s, p);
    return (p->rows.total + rows - 1) / rows;
}

int64_t avi_idata_trial_size(const avi_session *s, const avi_idata_plan *p)
{
    enum { VALUES = 1 << 22, DRAWS = 1 << 17 }; /* a block of the estimator (factors/fixed_theta.c), or four of them */
    const int64_t wide = VALUES / (s->shape.width > 0 ? s->shape.width : 1), most = wide < DRAWS ? wide : DRAWS;
    return s->problem.global_gaussian ? avi_idata_batch_rows(s, p)
                                      : (most / p->draws + 1) * (int64_t)avi_comm_size(s->comm);
}

avi_status avi_idata_trial_create(avi_session *s, const avi_state *st, const avi_idata_plan *p, int64_t rows, int draws,
                                  avi_idata_trial **trial)
{
    avi_idata_trial *t = *trial = calloc(1, sizeof *t);
    AVI_TRY(avi_agree_memory(s->comm, t, sizeof *t, "the plan of posterior.nc"));
    t->plan = *p;
    if (draws < p->draws) t->plan.draws = draws;
    if (rows > p->rows.total) rows = p->rows.total;
    if (rows > s->partition.rows) rows = s->partition.rows;
    avi_status status = avi_idata_rows_first(rows, &t->plan.rows);
    if (status == AVI_OK) status = avi_idata_fields(s, &t->plan, st->params, &t->fields, &t->at);
    AVI_TRY(avi_agree(s->comm, status));
    return avi_idata_work_create(s, st, &t->plan, &t->at, &t->work);
}

void avi_idata_trial_destroy(avi_idata_trial **trial)
{
    avi_idata_trial *t = *trial;
    *trial = NULL;
    if (!t) return;
    avi_idata_work_free(&t->work);
    avi_fields_free(&t->fields);
    avi_idata_rows_free(&t->plan.rows);
    free(t);
}

avi_status avi_idata_trial_rows(avi_idata_trial *t)
{
    const avi_session *s = t->work.s;
    for (int64_t done = 0, n; done < t->plan.rows.total; done += n) {
        avi_idata_batch b;
        avi_status status = avi_agree(s->comm, avi_idata_batch_make(s, &t->plan, done, &b));
        n = b.count;
        if (status == AVI_OK) status = avi_idata_work_batch(&t->work, &b);
        avi_idata_batch_free(&b);
        AVI_TRY(status);
    }
    return AVI_OK;
}

avi_status avi_idata_trial_theta(avi_idata_trial *trial, int t, bool densities)
{
    double log_p, log_q;
    const avi_idata_work *w = &trial->work;
    if (densities) return avi_idata_work_theta(w, t, &log_p, &log_q);
    return avi_theta_draw(w->s, w->st->params, t, w->drawn);
}
