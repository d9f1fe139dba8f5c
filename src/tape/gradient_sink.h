/* Where the gradients of global parameters leave the tape. Every leaf of avi_parameter_in_sink has a place in one flat
 * gradient, and what a block owes to it goes there by one of two ways:
 *   summed over the block (tiles = 0): operations write at the leaf's place of `gradient`. The first block of a step
 *     overwrites and later ones add, so nobody fills a gradient with zeros.
 *   tile by tile (tiles > 0): what each tile owes is handed to `values` or `products`, which round it by itself, so
 *     that a reproducible sum does not depend on how tiles are joined to blocks. avi_affine knows the tiles of its
 *     rows. Any other operation writes at the leaf's place, and avi_tape_end_sink hands that over: then the block must
 *     be one tile.
 * The owner of a sink, who takes what it gets to the reduction, is reduce/gradient_route.c. */
#ifndef AVI_TAPE_GRADIENT_SINK_H
#define AVI_TAPE_GRADIENT_SINK_H

#include "products/products.h"
#include "avi/tape.h"

typedef struct avi_gradient_sink {
    void *gradient;      /* flat, of the tape's precision */
    bool add;            /* gradient holds the sum of the blocks before; else it is not initialised */
    int tiles;           /* of the block on the tape; 0: summed over the block */
    const int64_t *rows; /* (tiles): rows of data of each; on the tape a tile has that many times the draws */
    /* place: of the leaf. Nothing is kept. */
    void (*values)(void *context, int64_t place, int64_t n, const void *gradient);
    void (*products)(void *context, int64_t place, int count, const avi_product *p);
    void *context;
} avi_gradient_sink;

/* Of the leaves to come and of avi_affine. Borrowed until it is set anew. NULL, as at the start: leaves of
 * avi_parameter_in_sink are constants. */
void avi_tape_set_sink(avi_tape *t, const avi_gradient_sink *sink);
/* The sink, when it takes gradients tile by tile; else NULL. */
const avi_gradient_sink *avi_tape_tile_sink(const avi_tape *t);
/* A leaf with borrowed values whose gradient belongs to sink->gradient[place ...]. */
avi_node *avi_parameter_in_sink(avi_tape *t, int64_t rows, int64_t cols, const void *values, int64_t place);
/* After the backward pass of a block: hands over what is left, and zeroes what no operation wrote. Returns whether an
 * operation that knows no tiles gave a gradient to a leaf of the sink. */
bool avi_tape_end_sink(avi_tape *t);

#endif
