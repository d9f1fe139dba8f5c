#include "verify/same_state.h"
#include "checkpoint/checkpoint_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PARTS = 2 * (AVI_OPTIM_SLOTS + 1) + 5 };

/* A piece of the state, in the order in which it is said. */
typedef struct part {
    char name[96];
    uint64_t digest;
} part;

static void add(part *p, int *n, const char *of, const char *name, const void *values, size_t bytes)
{
    snprintf(p[*n].name, sizeof p[*n].name, "%s%s%s", name, *of ? " of " : "", of);
    p[(*n)++].digest = avi_digest_of(values, bytes);
}

static uint64_t scales_of(const avi_session *s)
{
    const int n = avi_estimator_scales(s->train_elbo, NULL);
    double *scale = malloc((size_t)(n + 1) * sizeof *scale);
    if (!scale) return 0;
    avi_estimator_scales(s->train_elbo, scale);
    const uint64_t digest = avi_digest_of(scale, (size_t)n * sizeof *scale);
    free(scale);
    return digest;
}

static int list(const avi_session *s, const avi_state *st, part p[PARTS])
{
    const size_t real = avi_real_size(s->precision), global = (size_t)s->layout.size * real,
                 local = (size_t)(s->train->count * s->infer->outputs) * real;
    const double counters[] = {(double)st->step, (double)st->skipped, (double)st->skipped_in_a_row, st->rate_factor};
    int n = 0;
    add(p, &n, "", "the global parameters", st->params, global);
    if (st->table)
        add(p, &n, "", "the local factors", avi_vector_at(s->precision, st->table, s->infer->outputs), local);
    for (int k = 0; k < s->optim.ops->slots; k++)
        add(p, &n, "the global parameters", s->optim.ops->slot_name[k], st->slot[k], global);
    for (int k = 0; st->table && k < s->optim.ops->slots; k++)
        add(p, &n, "the local factors", s->optim.ops->slot_name[k],
            avi_vector_at(s->precision, st->table_slot[k], s->infer->outputs), local);
    if (st->lbfgs.history)
        add(p, &n, "", "the pairs of L-BFGS", st->lbfgs.history,
            st->lbfgs.pairs ? (size_t)(2 * st->lbfgs.memory) * (size_t)st->lbfgs.n * sizeof(double) : 0);
    add(p, &n, "", "the scales of reproducible sums", "", 0);
    p[n - 1].digest = scales_of(s);
    if (s->problem.features) {
        const size_t columns = (size_t)s->moments->width * sizeof(double);
        add(p, &n, "what the inference function sees", "means", s->moments->mean, columns);
        add(p, &n, "what the inference function sees", "standard deviations", s->moments->sd, columns);
    }
    add(p, &n, "", "the counters of steps and skipped steps, and the factor of the learning rate", counters,
        sizeof counters);
    return n;
}

avi_status avi_same_state(const avi_session *s, avi_state *st, const char *path, char what[160])
{
    part before[PARTS], after[PARTS];
    int64_t differs[PARTS] = {0};
    what[0] = '\0';
    const int n = list(s, st, before);
    AVI_TRY(avi_restore(s, st, path)); /* which begins when all ranks are here: parameters may be common memory */
    list(s, st, after);
    for (int i = 0; i < n; i++) differs[i] = before[i].digest != after[i].digest;
    AVI_TRY(avi_comm_max_int64(s->comm, differs, PARTS)); /* local factors are those of this rank */
    for (int i = 0; i < n; i++) {
        if (!differs[i]) continue;
        snprintf(what, 160, "%s", before[i].name);
        break;
    }
    return AVI_OK;
}
