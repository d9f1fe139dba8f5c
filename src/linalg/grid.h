/* Process grids and block-cyclic matrices, and their exchange with slabs of rows. */
#ifndef AVI_LINALG_GRID_H
#define AVI_LINALG_GRID_H

#include "avi/comm.h"
#include "avi/linalg.h"

#include <stdbool.h>
#include <stdint.h>

/* Rank r < rows * cols sits at (r / cols, r % cols); ranks beyond are idle: they hold nothing and call no ScaLAPACK. */
typedef struct avi_grid {
    avi_comm *comm; /* borrowed */
    int context;    /* < 0 on idle ranks */
    int rows, cols;
    int my_row, my_col; /* -1 on idle ranks */
    bool open;
} avi_grid;

/* Collective. A grid of rows x cols <= ranks. */
avi_status avi_grid_open(avi_grid *grid, avi_comm *comm, int rows, int cols);
/* Collective. The grid nearest to a square that leaves at most a fifth of the ranks idle. */
avi_status avi_grid_open_square(avi_grid *grid, avi_comm *comm);
void avi_grid_close(avi_grid *grid);
/* The shape that avi_grid_open_square takes. Not collective. */
void avi_grid_square_shape(int ranks, int *rows, int *cols);
static inline bool avi_grid_active(const avi_grid *grid) { return grid->my_row >= 0; }

/* Collective. The extreme of all ranks' info of a ScaLAPACK routine: ranks off the grid, and now and then ranks on it,
 * do not see it. */
avi_status avi_grid_agree_on_info(avi_comm *comm, int info, int64_t *worst);

/* A block-cyclic matrix, blocks (block_rows, block_cols), first block on (0, 0). */
typedef struct avi_cyclic {
    const avi_grid *grid; /* borrowed */
    int rows, cols, block_rows, block_cols;
    int local_rows, local_cols; /* 0 on idle ranks */
    int descriptor[9];
    double *values; /* (local_rows, local_cols), column-major with leading dimension descriptor[AVI_DESC_LLD]; owned */
} avi_cyclic;

/* Collective. Zeroed. Errors: DATA (more than 2^31 values a rank), INTERNAL (memory). */
avi_status avi_cyclic_create(avi_cyclic *m, const avi_grid *grid, int64_t rows, int64_t cols, int block_rows,
                             int block_cols);
void avi_cyclic_destroy(avi_cyclic *m);
/* Collective. The lower triangle of a symmetric matrix from its entries, plus jitter on the diagonal; the rest is left
 * alone. */
avi_status avi_cyclic_fill_lower(avi_cyclic *m, avi_linalg_entry entry, void *self, double jitter);
/* Collective. Slab (own rows, cols) row-major <-> block-cyclic. */
avi_status avi_cyclic_from_slab(avi_cyclic *m, const double *slab);
avi_status avi_cyclic_to_slab(const avi_cyclic *m, double *slab);
/* Block size of a square (n, n) matrix: 64, or less where that would leave parts of the grid empty. */
int avi_cyclic_block(const avi_grid *grid, int64_t n);

/* Local index -> global index along one axis: block size, grid extent, own coordinate. */
static inline int64_t avi_cyclic_global(int local, int block, int extent, int mine)
{
    return ((int64_t)(local / block) * extent + mine) * block + local % block;
}
/* How many of n indices fall on coordinate `mine`. */
int avi_cyclic_local_count(int64_t n, int block, int extent, int mine);

#endif
