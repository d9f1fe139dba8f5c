#include "avi/linalg.h"

#include "avi/partition.h"
#include "linalg/grid.h"
#include "linalg/scalapack.h"
#include "linalg/spd_alone.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct avi_linalg_spd {
    avi_comm *comm; /* borrowed */
    avi_grid grid;
    int n;
    avi_cyclic factor; /* lower triangle: L */
    double log_det;
};

enum { ALONE_COLUMNS = 128 /* of L^-1 at a time on one rank: dtrsm is as fast as with more */ };

static const int ONE = 1;

/* One rank: the share of the matrix is the matrix, and slabs are the vectors themselves. */
static bool alone(const avi_linalg_spd *s) { return avi_comm_size(s->comm) == 1; }

double avi_linalg_dense_entry(void *self, int64_t i, int64_t j)
{
    const avi_linalg_dense *a = self;
    return a->values[i * a->n + j];
}

/* Ranks off the grid, and now and then ranks on it, do not see `info`: all take the extreme one. */
static avi_status agree_on_info(avi_comm *comm, int info, int64_t *worst)
{
    int64_t ends[2] = {info, -(int64_t)info};
    AVI_TRY(avi_comm_max_int64(comm, ends, 2));
    *worst = ends[1] > 0 ? -ends[1] : ends[0];
    return AVI_OK;
}

static avi_status factor(avi_linalg_spd *s, double jitter)
{
    int info = 0;
    if (alone(s))
        info = avi_spd_alone_factor(s->n, s->factor.values);
    else if (avi_grid_active(&s->grid))
        pdpotrf_("L", &s->n, s->factor.values, &ONE, &ONE, s->factor.descriptor, &info);
    int64_t worst;
    AVI_TRY(agree_on_info(s->comm, info, &worst));
    if (worst > 0)
        return avi_fail(AVI_ERR_DATA,
                        "a matrix of %d rows is not positive definite: pivot %lld (of 1..%d) is not positive with "
                        "jitter %g; a larger jitter may serve",
                        s->n, (long long)worst, s->n, jitter);
    if (worst < 0)
        return avi_fail(AVI_ERR_INTERNAL, "pdpotrf: argument %lld was refused (n = %d)", (long long)-worst, s->n);
    return AVI_OK;
}

/* The part of log det A on this rank: of the entries of L's diagonal that lie here. */
static double own_log_det(const avi_cyclic *m)
{
    const avi_grid *g = m->grid;
    double sum = 0;
    for (int li = 0; li < m->local_rows; li++) {
        const int64_t i = avi_cyclic_global(li, m->block_rows, g->rows, g->my_row);
        const int64_t block = i / m->block_cols;
        if (block % g->cols != g->my_col) continue;
        const int64_t lj = block / g->cols * m->block_cols + i % m->block_cols;
        sum += 2 * log(m->values[(size_t)lj * (size_t)m->descriptor[AVI_DESC_LLD] + (size_t)li]);
    }
    return sum;
}

avi_status avi_linalg_spd_create(avi_comm *comm, int64_t n, avi_linalg_entry entry, void *self, double jitter,
                                 avi_linalg_spd **spd)
{
    *spd = NULL;
    if (n < 1) return avi_fail(AVI_ERR_INTERNAL, "a symmetric matrix needs at least one row, not %lld", (long long)n);
    avi_linalg_spd *s = calloc(1, sizeof(*s));
    AVI_TRY(avi_agree_memory(comm, s, sizeof(*s), "a symmetric matrix"));
    s->comm = comm;
    avi_status status = avi_grid_open_square(&s->grid, comm);
    if (status == AVI_OK) {
        const int block = avi_cyclic_block(&s->grid, n);
        status = avi_cyclic_create(&s->factor, &s->grid, n, n, block, block);
        s->n = s->factor.rows;
    }
    if (status == AVI_OK) status = avi_cyclic_fill_lower(&s->factor, entry, self, jitter);
    if (status == AVI_OK) status = factor(s, jitter);
    if (status == AVI_OK) {
        s->log_det = own_log_det(&s->factor);
        status = avi_comm_sum_double(comm, &s->log_det, 1);
    }
    if (status != AVI_OK) avi_linalg_spd_destroy(&s);
    *spd = s;
    return status;
}

void avi_linalg_spd_destroy(avi_linalg_spd **spd)
{
    avi_linalg_spd *s = *spd;
    if (!s) return;
    avi_cyclic_destroy(&s->factor);
    avi_grid_close(&s->grid);
    free(s);
    *spd = NULL;
}

double avi_linalg_spd_log_det(const avi_linalg_spd *spd) { return spd->log_det; }

typedef enum operation { SOLVE, ROOT, WHITEN } operation;

/* A vector goes through pdtrsv, which takes less than half the time of pdpotrs with a matrix of one column. */
static int apply_local(avi_linalg_spd *s, operation what, avi_cyclic *b)
{
    int info = 0;
    const double one = 1;
    const avi_cyclic *l = &s->factor;
    if (what == ROOT)
        pdtrmm_("L", "L", "N", "N", &s->n, &b->cols, &one, l->values, &ONE, &ONE, l->descriptor, b->values, &ONE, &ONE,
                b->descriptor);
    else if (b->cols == 1)
        for (int pass = 0; pass < (what == SOLVE ? 2 : 1); pass++)
            pdtrsv_("L", pass ? "T" : "N", "N", &s->n, l->values, &ONE, &ONE, l->descriptor, b->values, &ONE, &ONE,
                    b->descriptor, &ONE);
    else if (what == SOLVE)
        pdpotrs_("L", &s->n, &b->cols, l->values, &ONE, &ONE, l->descriptor, b->values, &ONE, &ONE, b->descriptor,
                 &info);
    else
        pdtrsm_("L", "L", "N", "N", &s->n, &b->cols, &one, l->values, &ONE, &ONE, l->descriptor, b->values, &ONE, &ONE,
                b->descriptor);
    return info;
}

static avi_status apply_alone(const avi_linalg_spd *s, operation what, int64_t k, double *b)
{
    if (k > INT_MAX) return avi_fail(AVI_ERR_INTERNAL, "at most 2^31 right-hand sides, not %lld", (long long)k);
    (what == SOLVE  ? avi_spd_alone_solve
     : what == ROOT ? avi_spd_alone_root
                    : avi_spd_alone_whiten)(s->n, s->factor.values, (int)k, b);
    return AVI_OK;
}

static avi_status apply(avi_linalg_spd *s, operation what, int64_t k, double *b)
{
    if (k < 1) return avi_fail(AVI_ERR_INTERNAL, "at least one right-hand side is needed, not %lld", (long long)k);
    if (alone(s)) return apply_alone(s, what, k, b);
    avi_cyclic c;
    avi_status status = avi_cyclic_create(&c, &s->grid, s->n, k, s->factor.block_rows, s->factor.block_cols);
    if (status == AVI_OK) status = avi_cyclic_from_slab(&c, b);
    if (status == AVI_OK) {
        int64_t worst;
        const int info = avi_grid_active(&s->grid) ? apply_local(s, what, &c) : 0;
        status = agree_on_info(s->comm, info, &worst);
        if (status == AVI_OK && worst != 0)
            status = avi_fail(AVI_ERR_INTERNAL, "pdpotrs: argument %lld was refused", (long long)-worst);
    }
    if (status == AVI_OK) status = avi_cyclic_to_slab(&c, b);
    avi_cyclic_destroy(&c);
    return status;
}

avi_status avi_linalg_spd_solve(avi_linalg_spd *spd, int64_t k, double *b) { return apply(spd, SOLVE, k, b); }

avi_status avi_linalg_spd_root(avi_linalg_spd *spd, int64_t k, double *b) { return apply(spd, ROOT, k, b); }

avi_status avi_linalg_spd_whiten(avi_linalg_spd *spd, int64_t k, double *b) { return apply(spd, WHITEN, k, b); }

/* Sums of squares of the columns of L^-1, a block of columns on each column of ranks at a time: L^-1 takes half the
 * operations of the inverse, and no more memory than those columns. */
static avi_status sum_columns(avi_linalg_spd *s, double *all)
{
    const avi_cyclic *l = &s->factor;
    const avi_grid *g = &s->grid;
    const int width = l->block_cols * g->cols;
    const double one = 1;
    avi_cyclic x;
    AVI_TRY(avi_cyclic_create(&x, g, s->n, width, l->block_rows, l->block_cols));
    const size_t lld = (size_t)x.descriptor[AVI_DESC_LLD];
    for (int first = 0; first < s->n && avi_grid_active(g); first += width) {
        const int left = s->n - first, cols = width < left ? width : left, place = first + 1;
        const int skip = avi_cyclic_local_count(first, x.block_rows, g->rows, g->my_row);
        memset(x.values, 0, lld * (size_t)x.local_cols * sizeof *x.values);
        for (int lj = 0; lj < x.local_cols; lj++) {
            const int64_t j = first + avi_cyclic_global(lj, x.block_cols, g->cols, g->my_col);
            if (j / x.block_rows % g->rows == g->my_row)
                x.values[(size_t)lj * lld + (size_t)avi_cyclic_local_count(j, x.block_rows, g->rows, g->my_row)] = 1;
        }
        pdtrsm_("L", "L", "N", "N", &left, &cols, &one, l->values, &place, &place, l->descriptor, x.values, &place,
                &ONE, x.descriptor);
        for (int lj = 0; lj < x.local_cols; lj++) {
            const int64_t j = first + avi_cyclic_global(lj, x.block_cols, g->cols, g->my_col);
            for (int li = skip; li < x.local_rows && j < s->n; li++)
                all[j] += x.values[(size_t)lj * lld + (size_t)li] * x.values[(size_t)lj * lld + (size_t)li];
        }
    }
    avi_cyclic_destroy(&x);
    return avi_comm_sum_double(s->comm, all, (size_t)s->n);
}

static avi_status diagonal_alone(const avi_linalg_spd *s, double *diagonal)
{
    const size_t bytes = (size_t)s->n * ALONE_COLUMNS * sizeof(double);
    double *work = malloc(bytes);
    if (!work) return avi_fail_memory(bytes, "the diagonal of an inverse");
    avi_spd_alone_inverse_diagonal(s->n, s->factor.values, ALONE_COLUMNS, work, diagonal);
    free(work);
    return AVI_OK;
}

avi_status avi_linalg_spd_inverse_diagonal(avi_linalg_spd *spd, double *diagonal)
{
    if (alone(spd)) return diagonal_alone(spd, diagonal);
    const int ranks = avi_comm_size(spd->comm), rank = avi_comm_rank(spd->comm);
    double *all = calloc((size_t)spd->n, sizeof(double));
    avi_status status =
        avi_agree(spd->comm, all ? AVI_OK : avi_fail_memory((size_t)spd->n * sizeof(double), "a diagonal"));
    if (status == AVI_OK) status = sum_columns(spd, all);
    const int64_t first = avi_slab_first(spd->n, ranks, rank), end = avi_slab_first(spd->n, ranks, rank + 1);
    for (int64_t i = first; i < end && status == AVI_OK; i++) diagonal[i - first] = all[i];
    free(all);
    return status;
}

static avi_status invert(avi_linalg_spd *s, avi_cyclic *inverse)
{
    const avi_cyclic *l = &s->factor;
    AVI_TRY(avi_cyclic_create(inverse, &s->grid, s->n, s->n, l->block_rows, l->block_cols));
    memcpy(inverse->values, l->values, (size_t)l->local_rows * (size_t)l->local_cols * sizeof(double));
    int info = 0;
    if (avi_grid_active(&s->grid)) pdpotri_("L", &s->n, inverse->values, &ONE, &ONE, inverse->descriptor, &info);
    int64_t worst;
    avi_status status = agree_on_info(s->comm, info, &worst);
    if (status == AVI_OK && worst != 0)
        status = avi_fail(AVI_ERR_INTERNAL, "pdpotri ended with info = %lld", (long long)worst);
    return status;
}

/* Keeps of m the entries below the diagonal, and those on it when `diagonal`. */
static void keep_lower(avi_cyclic *m, bool diagonal)
{
    const avi_grid *g = m->grid;
    for (int lj = 0; lj < m->local_cols; lj++) {
        const int64_t j = avi_cyclic_global(lj, m->block_cols, g->cols, g->my_col) + (diagonal ? 0 : 1);
        double *column = m->values + (size_t)lj * (size_t)m->descriptor[AVI_DESC_LLD];
        for (int li = 0; li < m->local_rows; li++)
            if (avi_cyclic_global(li, m->block_rows, g->rows, g->my_row) < j) column[li] = 0;
    }
}

avi_status avi_linalg_spd_inverse_rows(avi_linalg_spd *spd, double *rows)
{
    const double one = 1;
    avi_cyclic strict = {.values = NULL}, full = {.values = NULL};
    avi_status status = invert(spd, &full);
    if (status == AVI_OK)
        status = avi_cyclic_create(&strict, &spd->grid, spd->n, spd->n, full.block_rows, full.block_cols);
    if (status == AVI_OK) {
        memcpy(strict.values, full.values, (size_t)full.local_rows * (size_t)full.local_cols * sizeof(double));
        keep_lower(&strict, false);
        keep_lower(&full, true);
        if (avi_grid_active(&spd->grid)) /* full = lower triangle with diagonal + (strictly lower triangle)' */
            pdtran_(&spd->n, &spd->n, &one, strict.values, &ONE, &ONE, strict.descriptor, &one, full.values, &ONE, &ONE,
                    full.descriptor);
        avi_cyclic_destroy(&strict);
        status = avi_cyclic_to_slab(&full, rows);
    }
    avi_cyclic_destroy(&strict);
    avi_cyclic_destroy(&full);
    return status;
}
