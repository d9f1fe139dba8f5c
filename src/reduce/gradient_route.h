/* The way of a gradient from the tape to the reduction: the sink of a step's blocks (tape/gradient_sink.h) into the
 * reducer (reduce.h). */
#ifndef AVI_REDUCE_GRADIENT_ROUTE_H
#define AVI_REDUCE_GRADIENT_ROUTE_H

#include "reduce/reduce.h"
#include "tape/gradient_sink.h"

typedef struct avi_gradient_route {
    avi_gradient_sink sink;
    avi_reducer *reducer; /* borrowed */
    bool reproducible;
    bool joins;        /* reproducible sums: several tiles may make a block; false until a block showed it */
    avi_status failed; /* of the block on the tape */
} avi_gradient_route;

/* Not collective, as all below. Borrows the reducer. The route must not be moved afterwards. */
void avi_gradient_route_init(avi_gradient_route *g, avi_reducer *reducer, bool reproducible);
/* Reproducible sums: how many of the tiles of `job` from `at` make one block of at most `block_rows` rows. */
int avi_gradient_route_join(const avi_gradient_route *g, const avi_row_ranges *job, int at, int64_t block_rows);
/* Before a block is built: the sink for its tape. `runs` and `rows` are the block's tiles; first: of this step. */
const avi_gradient_sink *avi_gradient_route_begin(avi_gradient_route *g, int runs, const int64_t *rows, bool first);
/* After its backward pass. independent: rows are not coupled, so that later blocks may join tiles. Errors: INTERNAL. */
avi_status avi_gradient_route_end(avi_gradient_route *g, avi_tape *tape, bool independent);

#endif
