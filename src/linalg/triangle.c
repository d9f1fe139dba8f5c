/* R of a tall matrix whose rows come in blocks: blocked QR (Golub & Van Loan 2013, section 5.2; Demmel et al. 2012 for
 * many ranks). A block in row-major order is its transpose in column-major order, so that LQ of the transpose gives R
 * without a copy: A' = L Q, R = L'. */
#include "avi/linalg.h"

#include "base/blas.h"
#include "linalg/scalapack.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct avi_linalg_triangle {
    int64_t k, most; /* columns; rows of a block */
    double *values;  /* (k + most, k) row-major: R above the block */
    double *tau;     /* (k) */
    double *work;
    int work_count;
    int64_t below; /* rows that wait below R */
};

avi_status avi_linalg_triangle_create(int64_t k, int64_t most, avi_linalg_triangle **triangle)
{
    *triangle = NULL;
    if (k < 1 || most < 1 || k + most > 2147483647)
        return avi_fail(AVI_ERR_INTERNAL, "a triangle of %lld columns from blocks of %lld rows", (long long)k,
                        (long long)most);
    avi_linalg_triangle *t = calloc(1, sizeof *t);
    if (!t) return avi_fail_memory(sizeof *t, "least squares");
    *t = (avi_linalg_triangle){.k = k, .most = most, .work_count = (int)(k * 64)};
    avi_blas_one_thread();
    t->values = calloc((size_t)((k + most) * k), sizeof *t->values);
    t->tau = malloc((size_t)k * sizeof *t->tau);
    t->work = malloc((size_t)t->work_count * sizeof *t->work);
    if (!t->values || !t->tau || !t->work) avi_linalg_triangle_destroy(&t);
    *triangle = t;
    return t ? AVI_OK : avi_fail_memory((size_t)((k + most) * k) * sizeof(double), "least squares");
}

void avi_linalg_triangle_destroy(avi_linalg_triangle **triangle)
{
    avi_linalg_triangle *t = *triangle;
    if (!t) return;
    free(t->values);
    free(t->tau);
    free(t->work);
    free(t);
    *triangle = NULL;
}

static avi_status reduce(avi_linalg_triangle *t)
{
    if (!t->below) return AVI_OK;
    int info = 0;
    const int k = (int)t->k, rows = (int)(t->k + t->below);
    dgelqf_(&k, &rows, t->values, &k, t->tau, t->work, &t->work_count, &info);
    if (info != 0) return avi_fail(AVI_ERR_INTERNAL, "dgelqf ended with info = %d", info);
    for (int64_t i = 1; i < t->k; i++) memset(t->values + i * t->k, 0, (size_t)i * sizeof *t->values);
    t->below = 0;
    return AVI_OK;
}

avi_status avi_linalg_triangle_room(avi_linalg_triangle *t, int64_t rows, double **block)
{
    if (rows < 0 || rows > t->most)
        return avi_fail(AVI_ERR_INTERNAL, "a block of %lld rows where %lld are the most", (long long)rows,
                        (long long)t->most);
    if (t->below + rows > t->most) AVI_TRY(reduce(t));
    *block = t->values + (t->k + t->below) * t->k;
    t->below += rows;
    return AVI_OK;
}

avi_status avi_linalg_triangle_solve(avi_linalg_triangle *t, avi_comm *comm, int64_t first, double *w, double *residual)
{
    const int64_t k = t->k;
    avi_status status = reduce(t);
    double *design = malloc((size_t)(k * first + 1) * sizeof *design), *target = malloc((size_t)k * sizeof *target);
    if (status == AVI_OK && (!design || !target))
        status = avi_fail_memory((size_t)(k * first) * sizeof *design, "least squares");
    status = avi_agree(comm, status);
    const double *r = t->values;
    for (int64_t i = 0; status == AVI_OK && i < k; i++) {
        memcpy(design + i * first, r + i * k, (size_t)first * sizeof *design);
        target[i] = r[i * k + k - 1];
    }
    if (status == AVI_OK) status = avi_linalg_least_squares(comm, k, first, design, 1, target, w, residual);
    free(design);
    free(target);
    return status;
}

void avi_linalg_add_gram(int64_t rows, int64_t k, const double *a, double *gram)
{
    const int n = (int)k, count = (int)rows;
    const double one = 1;
    if (rows > 0) dsyrk_("U", "N", &n, &count, &one, a, &n, &one, gram, &n); /* column-major upper: row-major lower */
}
