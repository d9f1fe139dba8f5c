/* Inside the reduction. */
#ifndef AVI_REDUCE_REDUCE_INTERNAL_H
#define AVI_REDUCE_REDUCE_INTERNAL_H

#include "avi/fixed_point.h"
#include "reduce/reduce.h"

struct avi_reducer {
    avi_precision precision;
    bool reproducible;
    int blocks;
    int64_t *offset;  /* (blocks + 1) */
    int64_t size;     /* offset[blocks] */
    int extra_bits;   /* of headroom, for very many tiles */
    double *largest;  /* (blocks): magnitude that sets the scale; 0: not known yet */
    double *tile_max; /* (blocks): largest magnitude of any tile of this step on this rank */
    avi_shared
        *shared;    /* where gradients are summed by the ranks of a node themselves: reduce_shared.c; NULL: messages */
    void *gradient; /* (size + room for scalars) of the precision; with reproducible sums one tile's gradient */
    int64_t *fixed; /* reproducible: (size + AVI_SUMS * AVI_WIDE_LIMBS) */
    void *total;    /* (size) after the reduction: where it is depends on the plan; borrowed */
    bool owns_gradient, owns_fixed;
    int parts; /* avi_reducer_shard; 0: an even share, `then` NULL */
    const int64_t *part_first, *part_end;
    void (*then)(void *context, const double sums[AVI_SUMS]);
    void *context;
    double scalar[AVI_SUMS];
    int64_t overflow;
    bool *written; /* reproducible, (blocks): `fixed` holds sums of this step; else it is not initialised */
    void *scratch; /* of products */
    size_t scratch_bytes;
};

/* ---- encoding.c ---- */
int64_t *avi_reducer_limbs(const avi_reducer *r, int i);
/* A block of the fixed-point sums that no tile wrote in this step is zero. */
void avi_reducer_zero_unless_written(avi_reducer *r, int block);
/* The summed fixed point to the gradient, and the scales of the next step. */
void avi_reducer_read_fixed_point(avi_reducer *r);
/* Of a block's fixed point. */
int avi_reducer_shift(const avi_reducer *r, int block);
/* Scalars of single precision as digits behind the gradient (fixed_point.h). */
void avi_reducer_put_digits(avi_reducer *r);

/* reduce_shared.c. Collective: shared memory for the reducer's buffers, if it can be had (r->shared stays NULL else).
 */
avi_status avi_reducer_share(avi_reducer *r, avi_comm *comm);
/* Collective: sums over ranks -> r->total and sums. With reproducible sums *redo as in avi_reducer_finish, before any
 * scale is set anew. */
void avi_reducer_finish_shared(avi_reducer *r, avi_comm *comm, double sums[AVI_SUMS]);

#endif
