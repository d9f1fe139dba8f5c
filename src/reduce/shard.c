/* Steps that are shared out among ranks with common memory: what of the global parameters each rank draws, derives and
 * moves. Bits do not depend on it: every value is made by the same operations, whoever makes it. */
#include "elbo/internal.h"

#include <stdlib.h>

enum { UNIT = 16 /* values: parts begin at cache lines */ };

typedef struct avi_shard {
    avi_shared *shared; /* borrowed, as draws */
    void *draws;
    avi_global_part part;
    int parts; /* of the summed gradient: theta_draws for theta (1 where draws ride), 1 for phi, 1 for means that are
                  seen */
    int64_t *first, *end; /* (parts) */
    const void *params;   /* of the step that is under way */
    void *gradient;
} avi_shard;

/* How a rank tells the others of its part of the gradient. */
typedef struct note {
    int64_t bad_value;
} note;
_Static_assert(sizeof(note) <= AVI_SHARE_BYTES, "a rank's own memory");

static int64_t boundary(int64_t n, int rank, int ranks)
{
    const int64_t units = (n + UNIT - 1) / UNIT, at = units * rank / ranks * UNIT;
    return at < n ? at : n;
}

static avi_global_part part_of(const avi_estimator *e)
{
    const int rank = avi_comm_rank(e->comm), ranks = avi_comm_size(e->comm);
    const avi_parameter_layout *l = &e->layout;
    return (avi_global_part){boundary(l->theta, rank, ranks), boundary(l->theta, rank + 1, ranks),
                             boundary(l->phi, rank, ranks), boundary(l->phi, rank + 1, ranks)};
}

/* The part in the layout of the summed gradient (global.c). */
static avi_status list_parts(const avi_estimator *e, avi_shard *h)
{
    const avi_parameter_layout *l = &e->layout;
    const avi_global_part *p = &h->part;
    const bool rides = avi_theta_rides(&e->p);
    const int groups = rides ? 1 : l->theta_draws;
    const int64_t step = rides ? l->theta_draws : 1;
    h->parts = groups + (l->seen ? 2 : 1);
    h->first = malloc((size_t)h->parts * sizeof *h->first);
    h->end = malloc((size_t)h->parts * sizeof *h->end);
    if (!h->first || !h->end) return avi_fail_memory((size_t)h->parts * sizeof *h->first, "the parts of the gradient");
    for (int s = 0; s < groups; s++) {
        h->first[s] = s * l->theta + p->theta * step;
        h->end[s] = s * l->theta + p->theta_end * step;
    }
    h->first[groups] = l->theta_draws * l->theta + p->phi;
    h->end[groups] = l->theta_draws * l->theta + p->phi_end;
    if (l->seen) {
        h->first[groups + 1] = l->theta_draws * l->theta + l->phi + p->theta;
        h->end[groups + 1] = l->theta_draws * l->theta + l->phi + p->theta_end;
    }
    return AVI_OK;
}

/* This rank's part of the gradient, as soon as its sum is there. */
static void make_gradient(void *context, const double sums[AVI_SUMS])
{
    const avi_estimator *e = context;
    const avi_shard *h = e->share;
    (void)sums;
    note *own = avi_shared_of(h->shared, avi_comm_rank(e->comm));
    avi_global_gradient(e, h->params, avi_reducer_total(e->reducer), &h->part, h->gradient);
    own->bad_value = avi_global_bad_value(e, &h->part, h->gradient);
}

avi_status avi_estimator_share_out(avi_estimator *e, avi_shared *shared, void *draws)
{
    avi_shard_destroy(&e->share);
    avi_shard *h = calloc(1, sizeof *h);
    avi_status status = h ? AVI_OK : avi_fail_memory(sizeof *h, "the parts of the gradient");
    if (h) {
        *h = (avi_shard){.shared = shared, .draws = draws, .part = part_of(e)};
        status = list_parts(e, h);
    }
    status = avi_agree(e->comm, status);
    if (status != AVI_OK) {
        avi_shard_destroy(&h);
        return status;
    }
    e->share = h;
    avi_reducer_shard(e->reducer, h->parts, h->first, h->end, make_gradient, e);
    return AVI_OK;
}

void avi_shard_destroy(avi_shard **share)
{
    if (!*share) return;
    free((*share)->first);
    free((*share)->end);
    free(*share);
    *share = NULL;
}

bool avi_estimator_is_shared_out(const avi_estimator *e) { return e->share != NULL; }

int avi_estimator_parts(const avi_estimator *e, int64_t first[AVI_PARTS], int64_t end[AVI_PARTS])
{
    first[0] = 0;
    end[0] = e->layout.size;
    if (!e->share) return 1;
    const avi_global_part *p = &e->share->part;
    const int64_t phi = avi_parameter_layout_phi(&e->p, &e->layout);
    int n = 0;
    for (int i = 0; i < (e->p.global_gaussian ? 2 : 1); i++, n++) {
        first[n] = i * e->layout.theta + p->theta;
        end[n] = i * e->layout.theta + p->theta_end;
    }
    first[n] = phi + p->phi;
    end[n] = phi + p->phi_end;
    return n + 1;
}

void avi_shard_draw(avi_estimator *e, const void *params, avi_stream stream)
{
    const avi_shard *h = e->share;
    e->graph.theta_draws = e->p.global_gaussian ? h->draws : params; /* a point is its own draw */
    if (!e->p.global_gaussian) return;
    avi_global_draw_into(e, params, stream, false, &h->part, h->draws);
    avi_shared_barrier(h->shared);
}

void avi_shard_prepare(avi_estimator *e, const void *params, void *gradient)
{
    e->share->params = params;
    e->share->gradient = gradient;
}

int64_t avi_shard_bad_value(const avi_estimator *e)
{
    for (int k = 0; k < avi_comm_size(e->comm); k++) {
        const note *of = avi_shared_of(e->share->shared, k);
        if (of->bad_value >= 0) return of->bad_value;
    }
    return -1;
}
