/* Solving with a tridiagonal matrix: pdpttrf on equal blocks of rows, or LAPACK on the whole where there are too few
 * rows a rank. */
#include "linalg/tridiagonal.h"

#include "avi/partition.h"
#include "linalg/grid.h"
#include "linalg/scalapack.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { FEWEST_ROWS = 8 }; /* a rank, for pdpttrf */

/* Rows go from slabs to the layout of the solver: `block` rows a rank from rank 0 on (the last ranks may have fewer or
 * none); block = n on every rank when the matrix is solved whole. */
struct avi_pttrf {
    avi_comm *comm; /* borrowed */
    int n, block;
    bool whole;    /* every rank holds all rows */
    int held;      /* rows of the solver on this rank */
    avi_grid grid; /* (1, P), not open when whole */
    double *d, *e; /* (block): factored */
    double *fill;  /* fill-in that pdpttrf leaves for pdpttrs */
    int fill_count;
};

static const int ONE = 1;

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

static void held_range(const avi_pttrf *f, int rank, int64_t *first, int64_t *end)
{
    *first = f->whole ? 0 : least(f->n, (int64_t)rank * f->block);
    *end = f->whole ? f->n : least(f->n, *first + f->block);
}

/* Moves rows of k values between slabs (own rows, k) and what the solver holds (held, k), both row-major. The whole
 * layout needs no way back: every rank copies its own rows out. */
static avi_status move_rows(const avi_pttrf *f, int64_t k, bool to_solver, const double *from, double *to)
{
    const int ranks = avi_comm_size(f->comm), rank = avi_comm_rank(f->comm);
    int64_t *plan = calloc((size_t)ranks * 4, sizeof(int64_t));
    AVI_TRY(avi_agree_memory(f->comm, plan, (size_t)ranks * 4 * sizeof(int64_t), "the plan of a redistribution"));
    int64_t *slab_bytes = plan, *slab_at = plan + ranks, *held_bytes = plan + 2 * ranks, *held_at = plan + 3 * ranks;
    const int64_t row = k * (int64_t)sizeof(double), slab = avi_slab_first(f->n, ranks, rank),
                  slab_end = avi_slab_first(f->n, ranks, rank + 1);
    int64_t mine, mine_end;
    held_range(f, rank, &mine, &mine_end);
    for (int r = 0; r < ranks; r++) {
        int64_t first, end;
        held_range(f, r, &first, &end);
        slab_at[r] = (most(slab, first) - slab) * row;
        slab_bytes[r] = most(0, least(slab_end, end) - most(slab, first)) * row;
        first = avi_slab_first(f->n, ranks, r);
        end = avi_slab_first(f->n, ranks, r + 1);
        held_at[r] = (most(mine, first) - mine) * row;
        held_bytes[r] = most(0, least(mine_end, end) - most(mine, first)) * row;
        if (slab_bytes[r] == 0) slab_at[r] = 0;
        if (held_bytes[r] == 0) held_at[r] = 0;
    }
    const avi_status status = to_solver
                                  ? avi_comm_exchange(f->comm, from, slab_bytes, slab_at, to, held_bytes, held_at)
                                  : avi_comm_exchange(f->comm, from, held_bytes, held_at, to, slab_bytes, slab_at);
    free(plan);
    return status;
}

static void describe(const avi_pttrf *f, int type, int descriptor[9])
{
    /* The short descriptors of one-dimensional layouts: 501 by columns (the matrix), 502 by rows (right-hand sides). */
    const int d[9] = {type, f->grid.context, f->n, f->block, 0, f->block, 0, 0, 0};
    memcpy(descriptor, d, sizeof(d));
}

static avi_status factor(avi_pttrf *f)
{
    int info = 0;
    if (f->whole) {
        dpttrf_(&f->n, f->d, f->e, &info);
    } else {
        int descriptor[9];
        describe(f, 501, descriptor);
        const int lwork = 8 * f->grid.cols;
        double *work = malloc((size_t)lwork * sizeof(double));
        AVI_TRY(avi_agree_memory(f->comm, work, (size_t)lwork * sizeof(double), "the workspace of pdpttrf"));
        pdpttrf_(&f->n, f->d, f->e, &ONE, descriptor, f->fill, &f->fill_count, work, &lwork, &info);
        free(work);
    }
    return avi_agree(f->comm, info == 0 ? AVI_OK
                                        : avi_fail(info > 0 ? AVI_ERR_DATA : AVI_ERR_INTERNAL,
                                                   "%s of a tridiagonal matrix of %d rows ended with info = %d",
                                                   f->whole ? "dpttrf" : "pdpttrf", f->n, info));
}

static avi_status setup(avi_pttrf *f, int64_t n, const double *diagonal, const double *off)
{
    const int ranks = avi_comm_size(f->comm), rank = avi_comm_rank(f->comm);
    if (n > 2147483647 - ranks || 3 * (n / ranks + 1) + 12 * (int64_t)ranks > 2147483647)
        return avi_fail(AVI_ERR_DATA,
                        "a tridiagonal matrix of %lld rows on %d ranks: ScaLAPACK counts rows to 2^31, and a third of "
                        "that on one rank",
                        (long long)n, ranks);
    f->n = (int)n;
    f->whole = n < (int64_t)FEWEST_ROWS * ranks;
    f->block = f->whole ? f->n : (f->n + ranks - 1) / ranks;
    int64_t first, end;
    held_range(f, rank, &first, &end);
    f->held = (int)(end - first);
    f->fill_count = 3 * f->block + 12 * ranks; /* what pdpttrf asks for; its manual says block + 2 */
    const size_t count = (size_t)f->block + 1;
    f->d = calloc(count, sizeof(double));
    f->e = calloc(count, sizeof(double));
    f->fill = calloc((size_t)f->fill_count, sizeof(double));
    AVI_TRY(avi_agree(f->comm, f->d && f->e && f->fill
                                   ? AVI_OK
                                   : avi_fail_memory(count * 3 * sizeof(double), "a tridiagonal factor")));
    if (!f->whole) AVI_TRY(avi_grid_open(&f->grid, f->comm, 1, ranks));
    AVI_TRY(move_rows(f, 1, true, diagonal, f->d));
    AVI_TRY(move_rows(f, 1, true, off, f->e));
    return factor(f);
}

avi_status avi_pttrf_create(avi_comm *comm, int64_t n, const double *diagonal, const double *off, avi_pttrf **out)
{
    *out = NULL;
    avi_pttrf *f = calloc(1, sizeof(*f));
    AVI_TRY(avi_agree_memory(comm, f, sizeof(*f), "a tridiagonal factor"));
    f->comm = comm;
    const avi_status status = setup(f, n, diagonal, off);
    if (status != AVI_OK) avi_pttrf_destroy(&f);
    *out = f;
    return status;
}

void avi_pttrf_destroy(avi_pttrf **factor)
{
    avi_pttrf *f = *factor;
    if (!f) return;
    avi_grid_close(&f->grid);
    free(f->d);
    free(f->e);
    free(f->fill);
    free(f);
    *factor = NULL;
}

/* columns: (block, k) column-major, replaced by the solution. */
static avi_status solve_columns(avi_pttrf *f, int k, double *columns)
{
    int info = 0;
    if (f->whole) {
        dpttrs_(&f->n, &k, f->d, f->e, columns, &f->block, &info);
    } else {
        int matrix[9], sides[9];
        describe(f, 501, matrix);
        describe(f, 502, sides);
        const int lwork = (10 + 2 * (k < 100 ? k : 100)) * f->grid.cols + 4 * k;
        double *work = malloc((size_t)lwork * sizeof(double));
        AVI_TRY(avi_agree_memory(f->comm, work, (size_t)lwork * sizeof(double), "the workspace of pdpttrs"));
        pdpttrs_(&f->n, &k, f->d, f->e, &ONE, matrix, columns, &ONE, sides, f->fill, &f->fill_count, work, &lwork,
                 &info);
        free(work);
    }
    return avi_agree(f->comm, info == 0 ? AVI_OK
                                        : avi_fail(AVI_ERR_INTERNAL, "%s ended with info = %d",
                                                   f->whole ? "dpttrs" : "pdpttrs", info));
}

static void transpose(int rows, int cols, const double *from, size_t from_row, size_t from_col, double *to,
                      size_t to_row, size_t to_col)
{
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < cols; j++)
            to[(size_t)i * to_row + (size_t)j * to_col] = from[(size_t)i * from_row + (size_t)j * from_col];
}

static avi_status solve_moved(avi_pttrf *f, int64_t k, double *b, double *rows, double *columns)
{
    AVI_TRY(move_rows(f, k, true, b, rows));
    transpose(f->held, (int)k, rows, (size_t)k, 1, columns, 1, (size_t)f->block);
    AVI_TRY(solve_columns(f, (int)k, columns));
    transpose(f->held, (int)k, columns, 1, (size_t)f->block, rows, (size_t)k, 1);
    if (!f->whole) return move_rows(f, k, false, rows, b);
    const int ranks = avi_comm_size(f->comm), rank = avi_comm_rank(f->comm);
    const int64_t first = avi_slab_first(f->n, ranks, rank), end = avi_slab_first(f->n, ranks, rank + 1);
    if (end > first) memcpy(b, rows + first * k, (size_t)((end - first) * k) * sizeof(double));
    return AVI_OK;
}

avi_status avi_pttrf_solve(avi_pttrf *factor, int64_t k, double *b)
{
    const int64_t values = factor->block * k;
    if (k > 2147483647 / factor->block)
        return avi_fail(AVI_ERR_DATA,
                        "a tridiagonal system of %d rows with %lld right-hand sides is too large for so few ranks",
                        factor->n, (long long)k);
    double *rows = calloc((size_t)values * 2, sizeof(double));
    avi_status status = avi_agree(
        factor->comm, rows ? AVI_OK : avi_fail_memory((size_t)values * 2 * sizeof(double), "right-hand sides"));
    if (status == AVI_OK) status = solve_moved(factor, k, b, rows, rows + values);
    free(rows);
    return status;
}
