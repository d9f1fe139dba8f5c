#include "linalg/grid.h"

#include "avi/partition.h"
#include "base/blas.h"
#include "base/comm_mpi.h"
#include "linalg/scalapack.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>

static void end_blacs(void) { Cblacs_exit(1); /* 1: MPI goes on, its owner ends it */ }

void avi_grid_square_shape(int ranks, int *rows, int *cols)
{
    int p = (int)floor(sqrt((double)ranks) + 1e-9);
    while (p > 1 && 5 * (p * (ranks / p)) < 4 * ranks) p--;
    *rows = p;
    *cols = ranks / p;
}

avi_status avi_grid_open(avi_grid *grid, avi_comm *comm, int rows, int cols)
{
    *grid = (avi_grid){.comm = comm, .rows = rows, .cols = cols, .my_row = -1, .my_col = -1, .context = -1};
    AVI_TRY(avi_comm_at_finish(end_blacs));
    avi_blas_one_thread(); /* one rank a core: threads of several ranks would fight for it */
    const int handle = Csys2blacs_handle(avi_comm_mpi(comm));
    grid->context = handle;
    Cblacs_gridinit(&grid->context, "Row", rows, cols);
    Cfree_blacs_system_handle(
        handle); /* the grid has its own communicators; two grids would be given the same handle */
    grid->open = true;
    const int rank = avi_comm_rank(comm);
    if (rank < rows * cols) {
        grid->my_row = rank / cols;
        grid->my_col = rank % cols;
    }
    return AVI_OK;
}

avi_status avi_grid_open_square(avi_grid *grid, avi_comm *comm)
{
    int rows, cols;
    avi_grid_square_shape(avi_comm_size(comm), &rows, &cols);
    return avi_grid_open(grid, comm, rows, cols);
}

void avi_grid_close(avi_grid *grid)
{
    if (!grid->open) return;
    if (avi_grid_active(grid)) Cblacs_gridexit(grid->context);
    grid->open = false;
}

int avi_cyclic_local_count(int64_t n, int block, int extent, int mine)
{
    const int64_t blocks = n / block, turns = blocks / extent, left = blocks % extent;
    int64_t count = turns * block;
    if (mine < left) count += block;
    if (mine == left) count += n % block;
    return (int)count;
}

int avi_cyclic_block(const avi_grid *grid, int64_t n)
{
    const int64_t extent = grid->rows > grid->cols ? grid->rows : grid->cols;
    const int64_t fair = (n + extent - 1) / extent;
    return (int)(fair < 1 ? 1 : fair > 64 ? 64 : fair);
}

avi_status avi_cyclic_create(avi_cyclic *m, const avi_grid *grid, int64_t rows, int64_t cols, int block_rows,
                             int block_cols)
{
    *m = (avi_cyclic){
        .grid = grid, .rows = (int)rows, .cols = (int)cols, .block_rows = block_rows, .block_cols = block_cols};
    const int64_t most_rows = (rows / grid->rows / block_rows + 1) * block_rows,
                  most_cols = (cols / grid->cols / block_cols + 1) * block_cols;
    if (rows > INT_MAX || cols > INT_MAX || most_rows > INT_MAX / most_cols)
        return avi_fail(AVI_ERR_DATA,
                        "a dense matrix of %lld x %lld is too large for a grid of %d x %d ranks: a rank holds at most "
                        "2^31 values; use more ranks",
                        (long long)rows, (long long)cols, grid->rows, grid->cols);
    if (avi_grid_active(grid)) {
        m->local_rows = avi_cyclic_local_count(rows, block_rows, grid->rows, grid->my_row);
        m->local_cols = avi_cyclic_local_count(cols, block_cols, grid->cols, grid->my_col);
    }
    const int lld = m->local_rows > 1 ? m->local_rows : 1;
    const int descriptor[9] = {
        1, avi_grid_active(grid) ? grid->context : -1, m->rows, m->cols, block_rows, block_cols, 0, 0, lld};
    for (int i = 0; i < 9; i++) m->descriptor[i] = descriptor[i];
    const size_t count = (size_t)m->local_rows * (size_t)m->local_cols;
    /* Never NULL, since an empty share is passed to Fortran all the same; and longer than needed, since OpenBLAS's SSE3
     * dsymv reads up to 16 bytes past the end of its operands. */
    m->values = calloc(count + 8, sizeof(double));
    return avi_agree(grid->comm,
                     m->values ? AVI_OK : avi_fail_memory(count * sizeof(double), "a rank's share of a dense matrix"));
}

void avi_cyclic_destroy(avi_cyclic *m)
{
    free(m->values);
    m->values = NULL;
}

avi_status avi_cyclic_fill_lower(avi_cyclic *m, avi_linalg_entry entry, void *self, double jitter)
{
    const avi_grid *g = m->grid;
    avi_status status = AVI_OK;
    for (int lj = 0; lj < m->local_cols && status == AVI_OK; lj++) {
        const int64_t j = avi_cyclic_global(lj, m->block_cols, g->cols, g->my_col);
        double *column = m->values + (size_t)lj * (size_t)m->descriptor[AVI_DESC_LLD];
        for (int li = 0; li < m->local_rows; li++) {
            const int64_t i = avi_cyclic_global(li, m->block_rows, g->rows, g->my_row);
            if (i < j) continue;
            const double v = entry(self, i, j) + (i == j ? jitter : 0);
            if (!isfinite(v)) {
                status =
                    avi_fail(AVI_ERR_DATA, "entry (%lld, %lld) of a symmetric matrix is %g: entries must be finite",
                             (long long)i, (long long)j, v);
                break;
            }
            column[li] = v;
        }
    }
    return avi_agree(g->comm, status);
}

/* ---- slabs <-> block-cyclic ----
 * Both sides walk the values that two ranks have in common in the same order (by global row, then by global column), so
 * no index is sent. */
typedef struct exchange {
    int ranks;
    int64_t *slab_bytes, *slab_at;     /* what this rank's slab has in common with each rank's share */
    int64_t *cyclic_bytes, *cyclic_at; /* what this rank's share has in common with each rank's slab */
    double *slab_buffer, *cyclic_buffer;
    int64_t *cursor; /* values */
} exchange;

static void exchange_free(exchange *x)
{
    free(x->slab_bytes);
    free(x->slab_buffer);
    free(x->cyclic_buffer);
}

/* Global rows of [first, end) that fall on grid row `mine`. */
static int64_t rows_between(const avi_cyclic *m, int64_t first, int64_t end, int mine)
{
    return avi_cyclic_local_count(end, m->block_rows, m->grid->rows, mine) -
           avi_cyclic_local_count(first, m->block_rows, m->grid->rows, mine);
}

static avi_status exchange_plan(exchange *x, const avi_cyclic *m)
{
    const avi_grid *g = m->grid;
    const int ranks = avi_comm_size(g->comm), rank = avi_comm_rank(g->comm);
    *x = (exchange){.ranks = ranks};
    x->slab_bytes = calloc((size_t)ranks * 5, sizeof(int64_t));
    if (!x->slab_bytes) return avi_fail_memory((size_t)ranks * 5 * sizeof(int64_t), "the plan of a redistribution");
    x->slab_at = x->slab_bytes + ranks;
    x->cyclic_bytes = x->slab_at + ranks;
    x->cyclic_at = x->cyclic_bytes + ranks;
    x->cursor = x->cyclic_at + ranks;
    const int64_t word = (int64_t)sizeof(double);
    int64_t slab_total = 0, cyclic_total = 0;
    for (int r = 0; r < ranks; r++) {
        x->slab_at[r] = slab_total;
        x->cyclic_at[r] = cyclic_total;
        if (r < g->rows * g->cols)
            x->slab_bytes[r] = word *
                               rows_between(m, avi_slab_first(m->rows, ranks, rank),
                                            avi_slab_first(m->rows, ranks, rank + 1), r / g->cols) *
                               avi_cyclic_local_count(m->cols, m->block_cols, g->cols, r % g->cols);
        if (avi_grid_active(g))
            x->cyclic_bytes[r] =
                word *
                rows_between(m, avi_slab_first(m->rows, ranks, r), avi_slab_first(m->rows, ranks, r + 1), g->my_row) *
                m->local_cols;
        slab_total += x->slab_bytes[r];
        cyclic_total += x->cyclic_bytes[r];
    }
    x->slab_buffer = malloc((size_t)slab_total + 1);
    x->cyclic_buffer = malloc((size_t)cyclic_total + 1);
    if (!x->slab_buffer || !x->cyclic_buffer)
        return avi_fail_memory((size_t)(slab_total + cyclic_total), "buffers of a redistribution");
    return AVI_OK;
}

/* Between the slab (row-major) and the buffer ordered by rank of the grid; `pack`: slab -> buffer, else buffer -> slab.
 */
static void slab_copy(exchange *x, const avi_cyclic *m, double *slab, bool pack)
{
    const avi_grid *g = m->grid;
    const int rank = avi_comm_rank(g->comm);
    const int64_t first = avi_slab_first(m->rows, x->ranks, rank), end = avi_slab_first(m->rows, x->ranks, rank + 1);
    for (int r = 0; r < x->ranks; r++) x->cursor[r] = x->slab_at[r] / (int64_t)sizeof(double);
    for (int64_t i = first; i < end; i++) {
        int64_t *cursor = x->cursor + (i / m->block_rows) % g->rows * g->cols;
        double *row = slab + (i - first) * m->cols;
        for (int j = 0; j < m->cols; j++) {
            double *place = x->slab_buffer + cursor[j / m->block_cols % g->cols]++;
            if (pack)
                *place = row[j];
            else
                row[j] = *place;
        }
    }
}

/* Between the own share and the buffer ordered by slab: local rows are in ascending global order, so slabs follow each
 * other. */
static void cyclic_copy(exchange *x, const avi_cyclic *m, bool pack)
{
    const size_t lld = (size_t)m->descriptor[AVI_DESC_LLD];
    double *place = x->cyclic_buffer;
    for (int li = 0; li < m->local_rows; li++) {
        for (int lj = 0; lj < m->local_cols; lj++, place++) {
            double *value = m->values + (size_t)lj * lld + (size_t)li;
            if (pack)
                *place = *value;
            else
                *value = *place;
        }
    }
}

avi_status avi_cyclic_from_slab(avi_cyclic *m, const double *slab)
{
    exchange x;
    avi_status status = avi_agree(m->grid->comm, exchange_plan(&x, m));
    if (status == AVI_OK) {
        slab_copy(&x, m, (double *)slab, true); /* packing only reads it */
        status = avi_comm_exchange(m->grid->comm, x.slab_buffer, x.slab_bytes, x.slab_at, x.cyclic_buffer,
                                   x.cyclic_bytes, x.cyclic_at);
        if (status == AVI_OK) cyclic_copy(&x, m, false);
    }
    exchange_free(&x);
    return status;
}

avi_status avi_cyclic_to_slab(const avi_cyclic *m, double *slab)
{
    exchange x;
    avi_status status = avi_agree(m->grid->comm, exchange_plan(&x, m));
    if (status == AVI_OK) {
        cyclic_copy(&x, m, true);
        status = avi_comm_exchange(m->grid->comm, x.cyclic_buffer, x.cyclic_bytes, x.cyclic_at, x.slab_buffer,
                                   x.slab_bytes, x.slab_at);
        if (status == AVI_OK) slab_copy(&x, m, slab, false);
    }
    exchange_free(&x);
    return status;
}

avi_status avi_grid_agree_on_info(avi_comm *comm, int info, int64_t *worst)
{
    int64_t ends[2] = {info, -(int64_t)info};
    AVI_TRY(avi_comm_max_int64(comm, ends, 2));
    *worst = ends[1] > 0 ? -ends[1] : ends[0];
    return AVI_OK;
}
