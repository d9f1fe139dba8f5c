/* Moving rows between two layouts of the same rows over the ranks, piece by piece. Private to the data floor. */
#ifndef AVI_DATA_REDISTRIBUTE_H
#define AVI_DATA_REDISTRIBUTE_H

#include "avi/partition.h"

/* A layout is an array first[ranks + 1]: rank r holds the rows [first[r], first[r + 1]) of one numbering. Runs may be
 * empty. */
typedef struct avi_redistribution {
    avi_comm *comm;
    size_t row_bytes;
    const int64_t *from, *to; /* the two layouts, borrowed; the same on all ranks */
    /* Numbers in `to` of the rows [first, first + count) of `from`; NULL: the same. */
    void (*numbers)(const void *context, int64_t first, int64_t count, int64_t *out);
    const void *number_context;
    /* The rows [first, first + count) of `from`, which this rank holds, asked for once each in ascending order. The
     * rows must stay valid until the next call. Not collective. */
    avi_status (*piece)(void *context, int64_t first, int64_t count, const void **rows);
    void *piece_context;
} avi_redistribution;

/* Most rows that piece() is asked for at a time. Not collective. */
int64_t avi_redistribution_piece_rows(const avi_redistribution *move);

/* Collective. `into` is this rank's rows of `to`, in order. Extra memory about 3 pieces, each at most 16 MiB and 262144
 * rows (or one row). Errors: what piece() returns, INTERNAL (memory); the same on all ranks. */
avi_status avi_redistribution_rows(const avi_redistribution *move, void *into);

/* For `numbers` of a shuffled partition, the context: given rows -> positions. Not collective. */
void avi_redistribution_positions(const void *partition, int64_t first, int64_t count, int64_t *out);

/* The layouts of a partition; first has ranks + 1 numbers. Not collective. */
void avi_row_distribution_owners(const avi_partition *p, int64_t *first);
void avi_row_distribution_slabs(int64_t rows, int ranks, int64_t *first);
/* The rank whose run holds `row`: the largest r with first[r] <= row. */
int avi_row_distribution_rank(const int64_t *first, int ranks, int64_t row);

#endif
