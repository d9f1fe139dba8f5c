#include "state/best.h"
#include "base/pages.h"

#include <stdlib.h>
#include <string.h>

bool avi_best_wanted(const avi_session *s)
{
    return !strcmp(avi_config_get_string(s->config, "run", "task"), "fit") &&
           avi_config_get_int(s->config, "stop", "patience") > 0;
}

static size_t bytes_of(const avi_session *s, int64_t values) { return (size_t)values * avi_real_size(s->precision); }

static void *room(const avi_session *s, int64_t values)
{
    const size_t bytes = bytes_of(s, values) + 64;
    void *v = avi_pages_alloc(bytes);
    if (v) memset(v, 0, bytes); /* its pages are there before the first step */
    return v;
}

avi_status avi_best_allocate(const avi_session *s, avi_state *st)
{
    const int64_t values = avi_state_table_values(s);
    if (!st->best.params) st->best.params = room(s, s->layout.size);
    if (!st->best.table && values) st->best.table = room(s, values);
    if (st->best.params && (st->best.table || !values)) return AVI_OK;
    return avi_fail_memory(bytes_of(s, s->layout.size + values), "the best parameters");
}

void avi_best_free(avi_state *st)
{
    if (!st->best.common) free(st->best.params);
    free(st->best.table);
    st->best = (avi_best){0};
}

/* All of a vector, or this rank's part of one that all have in common. */
static void copy_params(const avi_session *s, const avi_state *st, bool parts, void *to, const void *from)
{
    const int rank = parts ? avi_comm_rank(s->comm) : 0, ranks = parts ? avi_comm_size(s->comm) : 1;
    const int64_t first = avi_slab_first(s->layout.size, ranks, rank),
                  end = avi_slab_first(s->layout.size, ranks, rank + 1);
    if (parts) avi_shared_barrier(st->shared); /* all have done with the parameters as they were */
    if (end > first)
        memcpy((char *)to + bytes_of(s, first), (const char *)from + bytes_of(s, first), bytes_of(s, end - first));
    if (parts) avi_shared_barrier(st->shared);
}

void avi_best_keep(const avi_session *s, avi_state *st, double elbo)
{
    copy_params(s, st, st->best.common, st->best.params, st->params);
    if (st->table) memcpy(st->best.table, st->table, bytes_of(s, avi_state_table_values(s)));
    st->best.step = st->step;
    st->best.elbo = elbo;
}

void avi_best_take(const avi_session *s, avi_state *st)
{
    if (st->best.step == 0 || st->best.taken) return;
    copy_params(s, st, st->shared != NULL, st->params, st->best.params);
    if (st->table) memcpy(st->table, st->best.table, bytes_of(s, avi_state_table_values(s)));
    st->best.taken = true;
}

void avi_best_clear(avi_state *st)
{
    st->best.step = 0;
    st->best.taken = false;
}

avi_state avi_best_shown(const avi_state *st)
{
    avi_state shown = *st;
    if (st->best.step == 0 || st->best.taken) return shown;
    shown.params = st->best.params;
    if (st->table) shown.table = st->best.table;
    shown.best.taken = true;
    return shown;
}

int64_t avi_best_step_of(const avi_state *st) { return st->best.taken ? st->best.step : st->step; }
