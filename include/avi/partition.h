/* Who owns which rows, and which rows a step uses: closed formulas of (rows, tile, lanes, ranks, seed), no tables.
 *
 * Rows have two numbers. The GIVEN row is the place in the data as the user has it. The POSITION is the place after the
 * keyed shuffle (the same when the data are not shuffled). Positions are cut into tiles of `tile` rows (the last may be
 * short); lane k owns tiles [floor(k T / K), floor((k+1) T / K)), rank r lanes [floor(r K / P), floor((r+1) K / P)):
 * contiguous positions, balanced to one tile a lane; ranks with no lane are legal here. A step uses one tile of each
 * lane. Nothing but the ownership depends on the number of ranks P. */
#ifndef AVI_PARTITION_H
#define AVI_PARTITION_H

#include "avi/comm.h"
#include "avi/rng.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct avi_partition {
    int64_t rows;  /* N, of the whole data set */
    int64_t tile;  /* rows of a tile */
    int64_t tiles; /* T = ceil(N / tile) */
    int64_t lanes; /* K <= T */
    int ranks;     /* P */
    uint64_t seed;
    bool shuffled;
    avi_permutation permutation; /* position -> given row, when shuffled */
} avi_partition;

/* Errors: INTERNAL for rows, tile, lanes or ranks < 1. lanes is cut to T. Not collective (nor are the following). */
avi_status avi_partition_make(int64_t rows, int64_t tile, int64_t lanes, int ranks, uint64_t seed, bool shuffled,
                              avi_partition *out);

int64_t avi_partition_first_lane(const avi_partition *p, int rank);     /* rank = P: K */
int64_t avi_partition_first_tile(const avi_partition *p, int64_t lane); /* lane = K: T */
int64_t avi_partition_first_row(const avi_partition *p, int rank);      /* position; rank = P: N */
int avi_partition_owner(const avi_partition *p, int64_t position);      /* rank */
int64_t avi_partition_tile_first(const avi_partition *p, int64_t tile); /* position of its first row */
int64_t avi_partition_tile_rows(const avi_partition *p, int64_t tile);

int64_t avi_partition_original(const avi_partition *p, int64_t position);
/* The same of positions first, first + 1, ...: out (count). Several times as fast as one by one. */
void avi_partition_originals(const avi_partition *p, int64_t first, int64_t count, int64_t *out);
int64_t avi_partition_shuffled(const avi_partition *p, int64_t given);

/* Steps of an epoch: the tiles of the longest lane. */
int64_t avi_partition_epoch_steps(const avi_partition *p);
/* Rows of a step in the mean over an epoch: N / E with E = avi_partition_epoch_steps. A sum over the rows of any one
 * step divided by it estimates the mean over all rows without bias: see elbo.h. */
double avi_partition_step_rows(const avi_partition *p);
/* The tile that `lane` gives to step `index` of `epoch` (keyed order, each of the lane's tiles once an epoch), -1 when
 * the lane has none left. When lanes have unequal numbers of tiles, the short lanes miss the last step of the epoch. */
int64_t avi_partition_step_tile(const avi_partition *p, int64_t lane, int64_t epoch, int64_t index);

/* Slabs: rank r of P holds GIVEN rows [avi_slab_first(N, P, r), avi_slab_first(N, P, r + 1)) = floor(r N / P): how
 * files are read and written. */
int64_t avi_slab_first(int64_t rows, int ranks, int rank);

/* Collective. Moves rows of `row_bytes` bytes between slabs of given order and owners in order of position; both arrays
 * are the caller's: slab (own slab rows, row_bytes), owned (own rows, row_bytes). Works in pieces: extra memory at most
 * about 64 MiB a rank. */
avi_status avi_partition_to_owner(const avi_partition *p, avi_comm *comm, size_t row_bytes, const void *slab,
                                  void *owned);
avi_status avi_partition_to_given(const avi_partition *p, avi_comm *comm, size_t row_bytes, const void *owned,
                                  void *slab);

/* Rows in given order from their owners, a window of each rank at a time: for who writes them in that order and needs
 * no slab of all. */
typedef struct avi_file_order avi_file_order;
enum { AVI_PULL_COLUMNS = 8 };
/* Collective. columns: arrays of own rows in order of position, (own rows, row_bytes) each, and p: borrowed. most: rows
 * of a window at most. Extra memory about most * (columns * row_bytes * 2 + 32) bytes. Owner: caller,
 * avi_file_order_destroy. Errors: INTERNAL. */
avi_status avi_file_order_create(const avi_partition *p, avi_comm *comm, size_t row_bytes, int columns,
                                 const void *const *owned, int64_t most, avi_file_order **pull);
void avi_file_order_destroy(avi_file_order **pull);
/* Collective. Given rows [first, first + count), 0 <= count <= most, as this rank wants them (others want others):
 * out[k] (count, row_bytes) of column k. Errors: INTERNAL (memory); the same on all ranks. */
avi_status avi_file_order_rows(avi_file_order *pull, int64_t first, int64_t count, void *const *out);

#endif
