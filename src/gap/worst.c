/* The rows with the largest gaps, to look at: the row, and E[x] with both of its factors. */
#include "gap/ledger_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct place {
    double gap;
    int64_t row;
} place;

static int largest_first(const void *a, const void *b)
{
    const place *x = a, *y = b;
    if (x->gap != y->gap) return x->gap > y->gap ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

/* Puts a row into a list of the largest, which is full at AVI_GAP_WORST. */
static void offer(place *list, int *count, place p)
{
    if (*count == AVI_GAP_WORST && largest_first(&p, &list[*count - 1]) > 0) return;
    if (*count < AVI_GAP_WORST) ++*count;
    list[*count - 1] = p;
    qsort(list, (size_t)*count, sizeof *list, largest_first);
}

/* Collective. The largest of all ranks. */
static avi_status list_worst(const avi_session *s, avi_gap_ledger *l)
{
    const int ranks = avi_comm_size(s->comm);
    place own[AVI_GAP_WORST], best[AVI_GAP_WORST], *all = malloc((size_t)ranks * sizeof own);
    int count = 0, found = 0;
    AVI_TRY(avi_agree_memory(s->comm, all, (size_t)ranks * sizeof own, "the gap ledger"));
    memset(own, 0, sizeof own);
    for (int64_t r = 0; r < l->rows; r++) {
        const double gap = l->column[AVI_GAP_AMORTIZATION][r];
        if (isfinite(gap)) offer(own, &count, (place){gap, l->first + r});
    }
    for (int i = count; i < AVI_GAP_WORST; i++) own[i] = (place){0, -1};
    const avi_status status = avi_comm_allgather(s->comm, own, sizeof own, all);
    for (int i = 0; i < ranks * AVI_GAP_WORST && status == AVI_OK; i++)
        if (all[i].row >= 0) offer(best, &found, all[i]);
    free(all);
    l->worst_rows = found;
    for (int i = 0; i < found; i++) l->worst_row[i] = best[i].row;
    return status;
}

/* Collective. Row i of the pictures, by the rank that owns it; the others take part without rows. */
static avi_status picture(avi_ledger_work *m, avi_gap_ledger *l, int i)
{
    const avi_fixed_theta *f = m->f;
    int64_t position = avi_partition_shuffled(&m->data->partition, l->worst_row[i]), one = 1;
    const bool mine = position >= m->data->first && position < m->data->first + m->data->count;
    const avi_row_ranges job = {.count = mine, .first = &position, .rows = &one};
    double sums[AVI_SUMS], *out[AVI_WORST_PICTURES];
    for (int k = 0; k < AVI_WORST_PICTURES; k++) out[k] = l->worst[k] + i * l->values;
    if (mine) avi_data_fetch_f64(m->data, position, 1, out[AVI_WORST_ORIGINAL]);
    if (mine) avi_data_as_given(m->data, 1, out[AVI_WORST_ORIGINAL]);
    const avi_row_values function = {.reconstruction = out[AVI_WORST_FUNCTION]},
                         own = {.reconstruction = out[AVI_WORST_OWN]};
    AVI_TRY(avi_ledger_start(m, &job));
    AVI_TRY(avi_estimator_evaluate(m->weigh_own, f->params_own, m->table, &job, false, sums, &function));
    AVI_TRY(avi_agree(f->s->comm, mine ? avi_ledger_refine(m, position, 1) : AVI_OK));
    return avi_estimator_evaluate(m->weigh_own, f->params_own, m->table, &job, false, sums, &own);
}

avi_status avi_ledger_worst(avi_ledger_work *m, avi_gap_ledger *l)
{
    const avi_session *s = m->f->s;
    const avi_shape *shape = &m->data->shape;
    l->values = shape->width;
    l->height = shape->height;
    l->columns = shape->columns;
    AVI_TRY(list_worst(s, l));
    if (!s->model->ops->reconstruct || !l->worst_rows) return AVI_OK;
    const size_t values = (size_t)(l->worst_rows * l->values);
    bool good = true;
    for (int k = 0; k < AVI_WORST_PICTURES; k++) good = (l->worst[k] = calloc(values, sizeof(double))) && good;
    avi_status status = avi_agree(s->comm, good ? AVI_OK : avi_fail_memory(values * sizeof(double), "the gap ledger"));
    for (int i = 0; i < l->worst_rows && status == AVI_OK; i++) status = picture(m, l, i);
    if (status == AVI_OK) status = avi_agree(s->comm, avi_data_status(m->data));
    /* One rank has a row, the others zeros: the sum is exact. */
    for (int k = 0; k < AVI_WORST_PICTURES && status == AVI_OK; k++)
        status = avi_comm_sum_double(s->comm, l->worst[k], values);
    return status;
}
