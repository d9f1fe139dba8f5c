/* The one reduction of a step: a flat gradient and a few scalars, in one message.
 *   double:  all as doubles
 *   single:  the gradient as floats; each scalar to 2^-40, as floats of 10 bits each (fixed_point.h)
 *   fixed:   all as 64-bit integers; the gradient with a power-of-two scale for each block, from the magnitude of the
 * step before */
#ifndef AVI_REDUCE_REDUCE_H
#define AVI_REDUCE_REDUCE_H

#include "avi/comm.h"
#include "avi/elbo.h"
#include "products/products.h"

typedef struct avi_reducer avi_reducer;

/* `blocks` + 1 offsets cut the gradient into blocks of common scale; tiles: most tiles that a sum may have. Copies the
 * offsets. Collective over comm; the ranks of one node then sum in shared memory where there is room (2 to 4 times as
 * fast as MPI_Allreduce: tests/bench/README.md). comm NULL: by messages, and not collective. */
avi_status avi_reducer_create(avi_precision precision, bool reproducible, int blocks, const int64_t *offset,
                              int64_t tiles, avi_comm *comm, avi_reducer **reducer);
void avi_reducer_destroy(avi_reducer **reducer);

/* Starts a step. The gradient is not zeroed: the first block writes it, or avi_reducer_zero does. */
void avi_reducer_begin(avi_reducer *r);
/* Where a block writes its gradient. Reproducible sums: one tile's, to be taken before the next tile. Else: the sum of
 * this rank's blocks. */
void *avi_reducer_gradient(avi_reducer *r);
/* The sum over ranks, after avi_reducer_finish and until the next one. */
const void *avi_reducer_total(const avi_reducer *r);
bool avi_reducer_is_shared(const avi_reducer *r);
/* In shared memory: this rank adds up parts [first[i], end[i]) of the gradient, which with those of the others are all
 * of it, and calls `then` between that and the return of avi_reducer_finish on any rank, unless the step is bad or to
 * be done again. avi_reducer_total holds this rank's parts then, and all on return. Borrows first and end. */
void avi_reducer_shard(avi_reducer *r, int parts, const int64_t *first, const int64_t *end,
                       void (*then)(void *context, const double sums[AVI_SUMS]), void *context);
/* Of a rank without rows: a gradient of zeros. */
void avi_reducer_zero(avi_reducer *r);
/* Reproducible sums: takes what one tile owes to the block that starts at `place`, n values. */
void avi_reducer_add_values(avi_reducer *r, int64_t place, int64_t n, const void *values);
/* Reproducible sums: the same for up to AVI_PRODUCTS tiles and a weight. Errors: INTERNAL (memory). */
avi_status avi_reducer_add_products(avi_reducer *r, int64_t place, int count, const avi_product *p);
/* Adds to the scalars. */
void avi_reducer_add_scalars(avi_reducer *r, const double values[AVI_SUMS]);
/* Collective: sums over ranks. scalars_only: evaluation. After it avi_reducer_total is the gradient, in the run's
 * precision. *redo is true when reproducible sums overflowed: scales are then set anew, the same on all ranks, and the
 * step is to be done again. */
avi_status avi_reducer_finish(avi_reducer *r, avi_comm *comm, bool scalars_only, double sums[AVI_SUMS], bool *redo);
/* Sums so far of this rank alone. */
void avi_reducer_own(const avi_reducer *r, double sums[AVI_SUMS]);
int avi_reducer_scales(const avi_reducer *r, double *out);
/* NULL: as at the start, unknown. */
void avi_reducer_set_scales(avi_reducer *r, const double *in);
size_t avi_reducer_bytes(const avi_reducer *r);

#endif
