/* Whether a state is one that a run can resume from. */
#include "state/state.h"

enum { FINE, OPTIMIZER, LOCAL, PARAMETERS };

static bool bad(const avi_session *s, const void *v, int64_t n)
{
    return v && avi_vector_nonfinite(s->precision, v, n, NULL) > 0;
}

/* Values of this rank's rows; the halo beside them is the neighbours'. */
static const void *own_rows(const avi_session *s, void *table)
{
    return avi_vector_at(s->precision, table, s->infer->outputs);
}

static bool bad_rows(const avi_session *s, void *table)
{
    return table && bad(s, own_rows(s, table), s->train->count * s->infer->outputs);
}

avi_status avi_state_nonfinite(const avi_session *s, const avi_state *st, const char **what)
{
    static const char *const name[] = {NULL, "values of the optimizer's state", "parameters of local factors",
                                       "global parameters"};
    int64_t found = FINE;
    for (int i = 0; i < s->optim.ops->slots; i++)
        if (bad(s, st->slot[i], s->layout.size) || bad_rows(s, st->table_slot[i])) found = OPTIMIZER;
    if (st->lbfgs.pairs && avi_vector_nonfinite(AVI_PRECISION_DOUBLE, st->lbfgs.history,
                                                2 * (int64_t)st->lbfgs.memory * st->lbfgs.n, NULL) > 0)
        found = OPTIMIZER;
    if (bad_rows(s, st->table)) found = LOCAL;
    if (bad(s, st->params, s->layout.size)) found = PARAMETERS;
    AVI_TRY(avi_comm_max_int64(s->comm, &found, 1));
    *what = name[found];
    return AVI_OK;
}

avi_status avi_state_below_zero(const avi_session *s, const avi_state *st, bool *found)
{
    int64_t count = 0;
    for (int i = 0; i < s->optim.ops->slots; i++) {
        if (!s->optim.ops->slot_of_squares[i]) continue;
        count += avi_vector_below_zero(s->precision, st->slot[i], s->layout.size);
        if (st->table)
            count += avi_vector_below_zero(s->precision, own_rows(s, st->table_slot[i]),
                                           s->train->count * s->infer->outputs);
    }
    AVI_TRY(avi_comm_max_int64(s->comm, &count, 1));
    *found = count > 0;
    return AVI_OK;
}
