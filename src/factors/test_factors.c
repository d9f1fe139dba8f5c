#include "factors/test_factors.h"
#include "base/signals.h"
#include "factors/fixed_theta.h"

#include <stdlib.h>

enum { DRAWS = 2 /* of importance weights, which nobody asks for here */ };
/* Far below the errors of an evaluation, and a third fewer passes than 1e-6. */
static const double TOLERANCE = 1e-3;

typedef struct work {
    const avi_session *s;
    const avi_data *data;
    avi_fixed_theta fixed;
    avi_estimator *refine;
    void *table, *grad;
    double *nu;           /* (width) */
    avi_refined *refined; /* (own rows) */
    int64_t rows;         /* own rows that are asked for */
} work;

static avi_status make(work *w, const avi_state *st, int64_t limit)
{
    const avi_session *s = w->s;
    const int64_t left = limit > 0 ? limit - w->data->first : w->data->count;
    const size_t width = (size_t)s->infer->outputs, values = ((size_t)w->data->count + 2) * width;
    w->rows = left < 0 ? 0 : left < w->data->count ? left : w->data->count;
    w->table = calloc(values, avi_real_size(s->precision));
    w->grad = calloc(values, avi_real_size(s->precision));
    w->nu = calloc(width, sizeof *w->nu);
    w->refined = calloc((size_t)w->rows + 1, sizeof *w->refined);
    if (!w->table || !w->grad || !w->nu || !w->refined)
        return avi_fail_memory(2 * values * avi_real_size(s->precision), "factors of test rows");
    AVI_TRY(avi_fixed_theta_create(s, st, DRAWS, &w->fixed));
    return avi_estimator_create(&w->fixed.refine, s->comm, w->data, &w->refine);
}

static void release(work *w)
{
    avi_estimator_destroy(&w->refine);
    avi_fixed_theta_free(&w->fixed);
    free(w->grad);
    free(w->nu);
    free(w->refined);
}

static void start(work *w)
{
    const avi_session *s = w->s;
    const avi_infer *f = s->infer;
    for (int64_t r = 0; f->ops->start && r < w->rows; r++) {
        f->ops->start(f, s->seed, avi_partition_original(&w->data->partition, w->data->first + r), w->nu);
        avi_vector_from_double(s->precision, w->nu, f->outputs,
                               avi_vector_at(s->precision, w->table, (r + 1) * f->outputs));
    }
}

/* A tile at a time where bits must not depend on the ranks. */
static avi_status refine(work *w)
{
    const avi_session *s = w->s;
    const int passes = (int)avi_config_get_int(s->config, "rows", "passes");
    const int64_t piece = s->problem.reproducible ? w->data->partition.tile : w->fixed.refine.block_rows;
    for (int64_t done = 0; done < w->rows && avi_signals_status() == AVI_OK; done += piece) {
        const int64_t n = w->rows - done < piece ? w->rows - done : piece;
        AVI_TRY(avi_estimator_refine(w->refine, w->fixed.params_own, w->table, w->grad, w->data->first + done, n,
                                     passes, TOLERANCE, w->refined + done));
    }
    return avi_signals_status();
}

avi_status avi_test_factors_fit(const avi_session *s, const avi_state *st, int64_t limit, void **table,
                                avi_test_factors *count)
{
    work w = {.s = s, .data = s->test};
    int64_t sum[2] = {0, 0};
    *count = (avi_test_factors){0};
    avi_status status = avi_agree(s->comm, make(&w, st, limit));
    if (status == AVI_OK) {
        start(&w);
        status = avi_agree(s->comm, refine(&w));
    }
    for (int64_t r = 0; status == AVI_OK && r < w.rows; r++) sum[1] += w.refined[r].converged;
    sum[0] = w.rows;
    if (status == AVI_OK) status = avi_comm_sum_int64(s->comm, sum, 2);
    if (status == AVI_OK) *count = (avi_test_factors){.rows = sum[0], .converged = sum[1]};
    *table = w.table;
    release(&w);
    return status;
}
