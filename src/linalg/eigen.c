#include "avi/linalg.h"

#include "avi/partition.h"
#include "linalg/grid.h"
#include "linalg/scalapack.h"

#include <math.h>
#include <stdlib.h>

static const int ONE = 1;

/* pdsyevd on the lower triangle of a, which it destroys. values (n) on the grid's ranks. */
static avi_status decompose(avi_cyclic *a, avi_cyclic *z, double *values)
{
    int info = 0, lwork = -1, liwork = -1, n = a->rows, small_iwork = 0;
    double small_work = 0;
    const bool active = avi_grid_active(a->grid);
    if (active)
        pdsyevd_("V", "L", &n, a->values, &ONE, &ONE, a->descriptor, values, z->values, &ONE, &ONE, z->descriptor,
                 &small_work, &lwork, &small_iwork, &liwork, &info);
    /* The answer forgets what pdormtr needs after the 4 n values kept before it; with few rows that is more, and the
     * vectors would be wrong with info = 0 (ScaLAPACK 2.2.1). */
    const double block = a->block_rows,
                 want = small_work + 4.0 * n + block * (a->local_rows + a->local_cols + 3 * block);
    lwork = want < 2147483647.0 ? (int)want : 2147483647;
    liwork = small_iwork;
    double *work = malloc(((size_t)lwork + 8) * sizeof(double));
    int *iwork = malloc(((size_t)liwork + 1) * sizeof(int));
    avi_status status =
        avi_agree(a->grid->comm,
                  work && iwork ? AVI_OK : avi_fail_memory((size_t)lwork * sizeof(double), "the workspace of pdsyevd"));
    if (status == AVI_OK) {
        if (active)
            pdsyevd_("V", "L", &n, a->values, &ONE, &ONE, a->descriptor, values, z->values, &ONE, &ONE, z->descriptor,
                     work, &lwork, iwork, &liwork, &info);
        if (info > 0)
            status = avi_fail(AVI_ERR_DATA, "pdsyevd: eigenvalue %d of a matrix of %d rows did not converge", info, n);
        if (info < 0) status = avi_fail(AVI_ERR_INTERNAL, "pdsyevd: argument %d was refused (n = %d)", -info, n);
        status = avi_agree(a->grid->comm, status);
    }
    free(work);
    free(iwork);
    return status;
}

/* An eigenvector may have either sign, and which one comes out depends on the grid of processes: so it is fixed. The
 * sign of each column: the first component whose magnitude is within 1e-6 of the largest becomes positive. scratch:
 * (3, n). */
static avi_status fix_signs(avi_comm *comm, int64_t n, double *vectors, double *scratch)
{
    const int ranks = avi_comm_size(comm), rank = avi_comm_rank(comm);
    const int64_t first = avi_slab_first(n, ranks, rank), rows = avi_slab_first(n, ranks, rank + 1) - first;
    double *largest = scratch, *chosen = scratch + n, *sign = scratch + 2 * n;
    for (int64_t k = 0; k < n; k++) {
        largest[k] = 0;
        for (int64_t i = 0; i < rows; i++) largest[k] = fmax(largest[k], fabs(vectors[i * n + k]));
    }
    AVI_TRY(avi_comm_max_double(comm, largest, (size_t)n));
    for (int64_t k = 0; k < n; k++) { /* the first such row, as a maximum of negative numbers */
        int64_t i = 0;
        while (i < rows && fabs(vectors[i * n + k]) < (1 - 1e-6) * largest[k]) i++;
        chosen[k] = i < rows ? -(double)(first + i) : -(double)n;
    }
    AVI_TRY(avi_comm_max_double(comm, chosen, (size_t)n));
    for (int64_t k = 0; k < n; k++) {
        const int64_t i = (int64_t)-chosen[k] - first;
        sign[k] = i < 0 || i >= rows ? 0 : vectors[i * n + k] < 0 ? -1 : 1;
    }
    AVI_TRY(avi_comm_sum_double(comm, sign, (size_t)n));
    for (int64_t i = 0; i < rows; i++)
        for (int64_t k = 0; k < n; k++)
            if (sign[k] < 0) vectors[i * n + k] = -vectors[i * n + k];
    return AVI_OK;
}

/* Owns a; values (n) and the slab of vectors, when not NULL, on all ranks. */
static avi_status finish(avi_cyclic *a, double *values, double *vectors)
{
    avi_comm *comm = a->grid->comm;
    const int64_t n = a->rows;
    avi_cyclic z;
    double *scratch = malloc((size_t)n * 3 * sizeof(double));
    avi_status status = avi_cyclic_create(&z, a->grid, n, n, a->block_rows, a->block_cols);
    if (status == AVI_OK)
        status = avi_agree(comm,
                           scratch ? AVI_OK : avi_fail_memory((size_t)n * 3 * sizeof(double), "signs of eigenvectors"));
    if (status == AVI_OK) status = decompose(a, &z, values);
    avi_cyclic_destroy(a);
    if (status == AVI_OK) status = avi_comm_bcast(comm, values, (size_t)n * sizeof(double), 0);
    if (status == AVI_OK && vectors) {
        status = avi_cyclic_to_slab(&z, vectors);
        if (status == AVI_OK) status = fix_signs(comm, n, vectors, scratch);
    }
    avi_cyclic_destroy(&z);
    free(scratch);
    return status;
}

/* vectors (keep, n) on all ranks from the slab of the matrix whose columns they are. */
static avi_status gather_largest(avi_comm *comm, int64_t n, const double *slab, int64_t keep, double *vectors)
{
    const int ranks = avi_comm_size(comm), rank = avi_comm_rank(comm);
    const int64_t first = avi_slab_first(n, ranks, rank), end = avi_slab_first(n, ranks, rank + 1);
    for (int64_t v = 0; v < keep * n; v++) vectors[v] = 0;
    for (int64_t i = first; i < end; i++)
        for (int64_t k = 0; k < keep; k++) vectors[k * n + i] = slab[(i - first) * n + n - 1 - k];
    return avi_comm_sum_double(comm, vectors, (size_t)(keep * n));
}

avi_status avi_linalg_eigen(avi_comm *comm, int64_t n, avi_linalg_entry entry, void *self, double *values, int64_t keep,
                            double *vectors)
{
    if (n < 1 || keep < 0 || keep > n)
        return avi_fail(AVI_ERR_INTERNAL, "eigenvalues of %lld rows with %lld vectors: wrong numbers", (long long)n,
                        (long long)keep);
    const int ranks = avi_comm_size(comm), rank = avi_comm_rank(comm);
    const size_t slab_values = (size_t)(n * (avi_slab_first(n, ranks, rank + 1) - avi_slab_first(n, ranks, rank)));
    double *slab = keep > 0 ? malloc((slab_values + 1) * sizeof(double)) : NULL;
    avi_status status =
        avi_agree(comm, slab || keep == 0 ? AVI_OK : avi_fail_memory(slab_values * sizeof(double), "eigenvectors"));
    if (status == AVI_OK) {
        avi_grid grid;
        avi_cyclic a = {.values = NULL};
        status = avi_grid_open_square(&grid, comm);
        const int block = avi_cyclic_block(&grid, n);
        if (status == AVI_OK) status = avi_cyclic_create(&a, &grid, n, n, block, block);
        if (status == AVI_OK) status = avi_cyclic_fill_lower(&a, entry, self, 0);
        if (status == AVI_OK) status = finish(&a, values, slab);
        avi_cyclic_destroy(&a);
        avi_grid_close(&grid);
    }
    if (status == AVI_OK && keep > 0) status = gather_largest(comm, n, slab, keep, vectors);
    free(slab);
    return status;
}

avi_status avi_linalg_eigen_rows(avi_comm *comm, int64_t n, const double *a, double *values, double *vectors)
{
    const int ranks = avi_comm_size(comm), rank = avi_comm_rank(comm);
    const int64_t first = avi_slab_first(n, ranks, rank), rows = avi_slab_first(n, ranks, rank + 1) - first;
    avi_status status = n < 1 ? avi_fail(AVI_ERR_INTERNAL, "eigenvalues of %lld rows", (long long)n) : AVI_OK;
    for (int64_t v = 0; v < rows * n && status == AVI_OK; v++)
        if (!isfinite(a[v]))
            status = avi_fail(AVI_ERR_DATA, "entry (%lld, %lld) of a symmetric matrix is %g: entries must be finite",
                              (long long)(first + v / n), (long long)(v % n), a[v]);
    AVI_TRY(avi_agree(comm, status));
    avi_grid grid;
    avi_cyclic m = {.values = NULL};
    status = avi_grid_open_square(&grid, comm);
    const int block = avi_cyclic_block(&grid, n);
    if (status == AVI_OK) status = avi_cyclic_create(&m, &grid, n, n, block, block);
    if (status == AVI_OK) status = avi_cyclic_from_slab(&m, a);
    if (status == AVI_OK) status = finish(&m, values, vectors);
    avi_cyclic_destroy(&m);
    avi_grid_close(&grid);
    return status;
}
