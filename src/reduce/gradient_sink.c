/* Gradients of blocks on their way to the reduction.
 *   fast sums    the first block of a step overwrites, later ones add: nobody zeroes a gradient
 *   reproducible sums   what every tile owes is rounded and added up by itself. avi_affine hands it over tile by tile
 * (tape/outlet.h), so that a block may be several tiles; other operations write to the leaf, and where there are such
 * the block is one tile */
#include "elbo/internal.h"

#include <string.h>

static void take_values(void *context, int64_t place, int64_t n, const void *gradient)
{
    avi_estimator *e = context;
    avi_reducer_add_values(e->reducer, place, n, gradient);
}

static void take_products(void *context, int64_t place, int count, const avi_product *p)
{
    avi_estimator *e = context;
    const avi_status status = avi_reducer_add_products(e->reducer, place, count, p);
    if (status != AVI_OK) e->failed = status;
}

void avi_apart_prepare(avi_estimator *e)
{
    e->outlet = (avi_outlet){.values = take_values, .products = take_products, .context = e};
}

int avi_apart_joined(const avi_estimator *e, const avi_row_ranges *job, int at)
{
    int64_t rows = job->rows[at];
    int n = 1;
    while (e->joins && n < AVI_JOINED && at + n < job->count && rows + job->rows[at + n] <= e->p.block_rows)
        rows += job->rows[at + n++];
    return n;
}

void avi_apart_begin(avi_estimator *e, int tiles, const int64_t *rows)
{
    e->outlet.tiles = tiles;
    e->outlet.rows = rows;
    avi_tape_set_outlet(e->tape, e->p.reproducible ? &e->outlet : NULL);
}

static void zero_if_untouched(void *context, const avi_node *leaf)
{
    const avi_estimator *e = context;
    if (!leaf->grad_set) memset(leaf->grad, 0, (size_t)(leaf->rows * leaf->cols) * avi_real_size(e->p.precision));
}

static void take_if_touched(void *context, const avi_node *leaf)
{
    if (leaf->grad_set) take_values(context, leaf->size[0], leaf->rows * leaf->cols, leaf->grad);
}

avi_status avi_apart_take(avi_estimator *e)
{
    avi_tape_each_apart(e->tape, e->p.reproducible ? take_if_touched : zero_if_untouched, e);
    const bool mixed = avi_tape_mixed(e->tape);
    if (!e->p.reproducible) return AVI_OK;
    if (mixed && e->outlet.tiles > 1)
        return avi_fail(AVI_ERR_INTERNAL,
                        "an operation that knows no tiles gave a gradient to a parameter in a block of %d tiles",
                        e->outlet.tiles);
    /* What the first block of the run is like, all are: the graph is the model's. */
    if (!e->joins_known) e->joins = !mixed && e->p.model->ops->coupling == AVI_INDEPENDENT;
    e->joins_known = true;
    return AVI_OK;
}
