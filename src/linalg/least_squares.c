#include "avi/linalg.h"

#include "linalg/grid.h"
#include "linalg/scalapack.h"

#include <math.h>
#include <stdlib.h>

static const int ONE = 1;

/* A column that depends on those before it leaves a diagonal of R of the size of rounding; columns have unit length. */
static const double DEPENDENT = 1e-12;

typedef struct problem {
    avi_comm *comm; /* borrowed */
    avi_grid grid;  /* (P, 1) */
    avi_cyclic a;   /* (P M, k): rank r holds its rows, then zero rows up to M: they change nothing */
    avi_cyclic b;   /* (P M, m) */
    int64_t rows;   /* own */
    double *scale;  /* (k) lengths of the columns of A: scaled to one, so that high powers do not look dependent */
} problem;

static avi_status check_finite(const problem *p, const double *values, int64_t cols, const char *what)
{
    for (int64_t i = 0; i < p->rows * cols; i++)
        if (!isfinite(values[i]))
            return avi_fail(AVI_ERR_DATA,
                            "least squares: row %lld of this rank, column %lld of the %s is %g: values must be finite",
                            (long long)(i / cols), (long long)(i % cols), what, values[i]);
    return AVI_OK;
}

/* Rows into the rank's block, column-major, divided by `scale` (NULL: 1). */
static void place(avi_cyclic *m, int64_t rows, const double *values, const double *scale)
{
    for (int64_t i = 0; i < rows; i++)
        for (int j = 0; j < m->cols; j++)
            m->values[(size_t)j * (size_t)m->descriptor[AVI_DESC_LLD] + (size_t)i] =
                values[i * m->cols + j] / (scale ? scale[j] : 1);
}

/* Squares of very large or very small values overflow or vanish, and then no scale can be found: refused by its column.
 */
static avi_status column_lengths(problem *p, int64_t k, const double *a)
{
    for (int64_t j = 0; j < k; j++) {
        p->scale[j] = 0;
        for (int64_t i = 0; i < p->rows; i++) p->scale[j] += a[i * k + j] * a[i * k + j];
    }
    AVI_TRY(avi_comm_sum_double(p->comm, p->scale, (size_t)k));
    for (int64_t j = 0; j < k; j++) {
        if (!(p->scale[j] > 0) || !isfinite(p->scale[j]))
            return avi_fail(AVI_ERR_DATA, "least squares: column %lld is zero in all rows, or its squares overflow",
                            (long long)j);
        p->scale[j] = sqrt(p->scale[j]);
    }
    return AVI_OK;
}

static avi_status setup(problem *p, int64_t rows, int64_t k, const double *a, int64_t m, const double *y)
{
    const int ranks = avi_comm_size(p->comm);
    p->rows = rows;
    avi_status status = k < 1 || m < 1 || rows < 0
                            ? avi_fail(AVI_ERR_INTERNAL, "least squares of %lld rows, %lld and %lld columns",
                                       (long long)rows, (long long)k, (long long)m)
                            : AVI_OK;
    if (status == AVI_OK) status = check_finite(p, a, k, "matrix");
    if (status == AVI_OK) status = check_finite(p, y, m, "right-hand side");
    if (status == AVI_OK && !(p->scale = malloc((size_t)k * sizeof(double))))
        status = avi_fail_memory((size_t)k * sizeof(double), "least squares");
    AVI_TRY(avi_agree(p->comm, status));
    int64_t total = rows, most = rows;
    AVI_TRY(avi_comm_sum_int64(p->comm, &total, 1));
    AVI_TRY(avi_comm_max_int64(p->comm, &most, 1));
    if (total < k)
        return avi_fail(AVI_ERR_DATA, "least squares: %lld rows cannot determine %lld columns", (long long)total,
                        (long long)k);
    if (most > 2147483647 / ranks)
        return avi_fail(AVI_ERR_DATA, "least squares: %lld rows on one of %d ranks; at most 2^31 in all",
                        (long long)most, ranks);
    AVI_TRY(column_lengths(p, k, a));
    AVI_TRY(avi_grid_open(&p->grid, p->comm, ranks, 1));
    AVI_TRY(avi_cyclic_create(&p->a, &p->grid, most * ranks, k, (int)most, (int)(k < 32 ? k : 32)));
    AVI_TRY(avi_cyclic_create(&p->b, &p->grid, most * ranks, m, (int)most, (int)(m < 32 ? m : 32)));
    place(&p->a, rows, a, p->scale);
    place(&p->b, rows, y, NULL);
    return AVI_OK;
}

static avi_status run_pdgels(problem *p)
{
    const int n = p->a.cols, nrhs = p->b.cols;
    int info = 0, lwork = -1;
    double size = 0;
    pdgels_("N", &p->a.rows, &n, &nrhs, p->a.values, &ONE, &ONE, p->a.descriptor, p->b.values, &ONE, &ONE,
            p->b.descriptor, &size, &lwork, &info);
    lwork = size < 2147483647.0 ? (int)size : 2147483647;
    double *work = malloc(((size_t)lwork + 1) * sizeof(double));
    avi_status status =
        avi_agree(p->comm, work ? AVI_OK : avi_fail_memory((size_t)lwork * sizeof(double), "the workspace of pdgels"));
    if (status == AVI_OK) {
        pdgels_("N", &p->a.rows, &n, &nrhs, p->a.values, &ONE, &ONE, p->a.descriptor, p->b.values, &ONE, &ONE,
                p->b.descriptor, work, &lwork, &info);
        status =
            avi_agree(p->comm, info == 0 ? AVI_OK : avi_fail(AVI_ERR_INTERNAL, "pdgels ended with info = %d", info));
    }
    free(work);
    return status;
}

/* Global row -> local row of this rank, -1 when another holds it. */
static int local_row(const problem *p, int64_t i)
{
    return i / p->a.block_rows == p->grid.my_row ? (int)(i % p->a.block_rows) : -1;
}

/* pdgels leaves R in the upper triangle of A. Each rank looks at the diagonal entries that it holds; the first column
 * that depends on those before it is named, whichever rank has it. */
static avi_status check_rank(const problem *p)
{
    int64_t worst = -(int64_t)p->a.cols;
    for (int j = p->a.cols - 1; j >= 0; j--) {
        const int i = local_row(p, j);
        if (i >= 0 && !(fabs(p->a.values[(size_t)j * (size_t)p->a.descriptor[AVI_DESC_LLD] + (size_t)i]) > DEPENDENT))
            worst = -j;
    }
    AVI_TRY(avi_comm_max_int64(p->comm, &worst, 1));
    if (-worst < p->a.cols)
        return avi_fail(AVI_ERR_DATA, "least squares: column %lld depends on the columns before it; leave it out",
                        (long long)-worst);
    return AVI_OK;
}

/* pdgels leaves the coefficients in the first k rows of B, and behind them rows whose squares sum to the residual. */
static avi_status collect(const problem *p, double *w, double *residual)
{
    const int k = p->a.cols, m = p->b.cols;
    const size_t lld = (size_t)p->b.descriptor[AVI_DESC_LLD];
    for (int j = 0; j < k; j++) {
        const int i = local_row(p, j);
        for (int c = 0; c < m; c++)
            w[(size_t)j * (size_t)m + (size_t)c] = i < 0 ? 0 : p->b.values[(size_t)c * lld + (size_t)i] / p->scale[j];
    }
    AVI_TRY(avi_comm_sum_double(p->comm, w, (size_t)k * (size_t)m));
    if (!residual) return AVI_OK;
    const int64_t first = (int64_t)p->grid.my_row * p->a.block_rows;
    for (int c = 0; c < m; c++) {
        residual[c] = 0;
        for (int i = 0; i < p->b.local_rows; i++) {
            const double v = p->b.values[(size_t)c * lld + (size_t)i];
            if (first + i >= k) residual[c] += v * v;
        }
    }
    return avi_comm_sum_double(p->comm, residual, (size_t)m);
}

avi_status avi_linalg_least_squares(avi_comm *comm, int64_t rows, int64_t k, const double *a, int64_t m,
                                    const double *y, double *w, double *residual)
{
    problem p = {.comm = comm};
    avi_status status = setup(&p, rows, k, a, m, y);
    if (status == AVI_OK) status = run_pdgels(&p);
    if (status == AVI_OK) status = check_rank(&p);
    if (status == AVI_OK) status = collect(&p, w, residual);
    avi_cyclic_destroy(&p.a);
    avi_cyclic_destroy(&p.b);
    avi_grid_close(&p.grid);
    free(p.scale);
    return status;
}
