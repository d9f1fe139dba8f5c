#include "reduce/gradient_route.h"

enum { JOINED = 64 }; /* most tiles of a block with reproducible sums */

static void take_values(void *context, int64_t place, int64_t n, const void *gradient)
{
    avi_gradient_route *g = context;
    avi_reducer_add_values(g->reducer, place, n, gradient);
}

/* The tape has no way to return a failure from here: it is kept for the end of the block. */
static void take_products(void *context, int64_t place, int count, const avi_product *p)
{
    avi_gradient_route *g = context;
    const avi_status status = avi_reducer_add_products(g->reducer, place, count, p);
    if (status != AVI_OK) g->failed = status;
}

void avi_gradient_route_init(avi_gradient_route *g, avi_reducer *reducer, bool reproducible)
{
    *g = (avi_gradient_route){.reducer = reducer, .reproducible = reproducible};
    g->sink = (avi_gradient_sink){.values = take_values, .products = take_products, .context = g};
}

/* Tiles are joined only after a block has shown that all its operations keep the tiles apart (avi_gradient_route_end).
 */
int avi_gradient_route_join(const avi_gradient_route *g, const avi_row_ranges *job, int at, int64_t block_rows)
{
    int64_t rows = job->rows[at];
    int n = 1;
    while (g->joins && n < JOINED && at + n < job->count && rows + job->rows[at + n] <= block_rows)
        rows += job->rows[at + n++];
    return n;
}

const avi_gradient_sink *avi_gradient_route_begin(avi_gradient_route *g, int runs, const int64_t *rows, bool first)
{
    g->failed = AVI_OK;
    g->sink.gradient = avi_reducer_gradient(g->reducer);
    /* The first block of a step writes, the others add. Reproducible sums do this themselves, block by block. */
    g->sink.add = !g->reproducible && !first;
    g->sink.tiles = g->reproducible ? runs : 0;
    g->sink.rows = rows;
    return &g->sink;
}

avi_status avi_gradient_route_end(avi_gradient_route *g, avi_tape *tape, bool independent)
{
    const bool untiled = avi_tape_end_sink(tape);
    AVI_TRY(g->failed);
    if (untiled && g->sink.tiles > 1)
        return avi_fail(AVI_ERR_INTERNAL,
                        "an operation that knows no tiles gave a gradient to a parameter in a block of %d tiles",
                        g->sink.tiles);
    /* What one block of the run is like, all are: the graph is the model's. */
    g->joins = !untiled && independent;
    return AVI_OK;
}
