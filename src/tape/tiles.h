/* The rows of an operation that belong to each tile of a sink that takes gradients tile by tile (gradient_sink.h). */
#ifndef AVI_TAPE_TILES_H
#define AVI_TAPE_TILES_H

#include "tape/gradient_sink.h"
#include "tape/internal.h"

/* How many rows a node with `rows` rows has for a row of data: the draws. */
static inline int64_t tiles_draws(const avi_gradient_sink *sink, int64_t rows, const char *op)
{
    int64_t data = 0;
    for (int i = 0; i < sink->tiles; i++) data += sink->rows[i];
    if (data == 0) return 0; /* a block without rows has none of any tile */
    avi_tape_require(sink->tiles == 1 || rows % data == 0, op,
                     "rows are no multiple of the rows of a block of several tiles", NULL, NULL);
    return rows / data;
}

/* Rows of such a node that belong to tile i of the block. A block of one tile may have nodes with other rows, all of
 * which are the tile's: a chain computes z of rows beside the block, and transitions of all rows but the first. */
static inline int64_t tiles_rows(const avi_gradient_sink *sink, int64_t rows, int64_t draws, int64_t i)
{
    return sink->tiles == 1 ? rows : sink->rows[i] * draws;
}

#endif
