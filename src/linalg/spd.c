#include "avi/linalg.h"

#include "avi/partition.h"
#include "linalg/scalapack.h"
#include "linalg/spd.h"
#include "linalg/spd_alone.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const int ONE = 1;

double avi_linalg_dense_entry(void *self, int64_t i, int64_t j)
{
    const avi_linalg_dense *a = self;
    return a->values[i * a->n + j];
}

/* A pivot is found by the rank that holds it, and idle ranks find none: all must learn of it before they go on. */
static avi_status factor(avi_linalg_spd *s, double jitter)
{
    int info = 0;
    if (avi_spd_is_alone(s))
        info = avi_spd_alone_factor(s->n, s->factor.values);
    else if (avi_grid_active(&s->grid))
        pdpotrf_("L", &s->n, s->factor.values, &ONE, &ONE, s->factor.descriptor, &info);
    int64_t worst;
    AVI_TRY(avi_grid_agree_on_info(s->comm, info, &worst));
    if (worst > 0)
        return avi_fail(AVI_ERR_DATA,
                        "a matrix of %d rows is not positive definite: pivot %lld (of 1..%d) is not positive with "
                        "jitter %g; use a larger jitter",
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

static int multiply_triangle(const avi_cyclic *t, const char *transposed, avi_cyclic *b)
{
    const double one = 1;
    pdtrmm_("L", "L", transposed, "N", &t->rows, &b->cols, &one, t->values, &ONE, &ONE, t->descriptor, b->values, &ONE,
            &ONE, b->descriptor);
    return 0;
}

/* A vector goes through pdtrsv, which takes less than half the time of pdpotrs with a matrix of one column. */
static int solve_triangle(const avi_cyclic *t, avi_cyclic *b)
{
    const double one = 1;
    if (b->cols == 1)
        pdtrsv_("L", "N", "N", &t->rows, t->values, &ONE, &ONE, t->descriptor, b->values, &ONE, &ONE, b->descriptor,
                &ONE);
    else
        pdtrsm_("L", "L", "N", "N", &t->rows, &b->cols, &one, t->values, &ONE, &ONE, t->descriptor, b->values, &ONE,
                &ONE, b->descriptor);
    return 0;
}

static int apply_local(avi_linalg_spd *s, operation what, avi_cyclic *b)
{
    int info = 0;
    const avi_cyclic *t = &s->factor;
    if (what == ROOT) return s->inverted ? solve_triangle(t, b) : multiply_triangle(t, "N", b);
    if (what == WHITEN) return s->inverted ? multiply_triangle(t, "N", b) : solve_triangle(t, b);
    if (s->inverted) return multiply_triangle(t, "N", b) + multiply_triangle(t, "T", b);
    pdpotrs_("L", &s->n, &b->cols, t->values, &ONE, &ONE, t->descriptor, b->values, &ONE, &ONE, b->descriptor, &info);
    return info;
}

static avi_status apply_alone(const avi_linalg_spd *s, operation what, int64_t k, double *b)
{
    if (k > INT_MAX) return avi_fail(AVI_ERR_INTERNAL, "at most 2^31 right-hand sides, not %lld", (long long)k);
    if (what == SOLVE)
        (s->inverted ? avi_spd_alone_multiply : avi_spd_alone_solve)(s->n, s->factor.values, (int)k, b);
    else
        ((what == ROOT) == s->inverted ? avi_spd_alone_whiten : avi_spd_alone_root)(s->n, s->factor.values, (int)k, b);
    return AVI_OK;
}

static avi_status apply(avi_linalg_spd *s, operation what, int64_t k, double *b)
{
    if (k < 1) return avi_fail(AVI_ERR_INTERNAL, "at least one right-hand side is needed, not %lld", (long long)k);
    if (avi_spd_is_alone(s)) return apply_alone(s, what, k, b);
    if (s->inverted && what == SOLVE && k == 1) return avi_spd_multiply_inverse(s, b);
    avi_cyclic c;
    avi_status status = avi_cyclic_create(&c, &s->grid, s->n, k, s->factor.block_rows, s->factor.block_cols);
    if (status == AVI_OK) status = avi_cyclic_from_slab(&c, b);
    if (status == AVI_OK) {
        int64_t worst;
        const int info = avi_grid_active(&s->grid) ? apply_local(s, what, &c) : 0;
        status = avi_grid_agree_on_info(s->comm, info, &worst);
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

static avi_status invert(avi_linalg_spd *s, avi_cyclic *inverse)
{
    const avi_cyclic *l = &s->factor;
    AVI_TRY(avi_cyclic_create(inverse, &s->grid, s->n, s->n, l->block_rows, l->block_cols));
    memcpy(inverse->values, l->values, (size_t)l->local_rows * (size_t)l->local_cols * sizeof(double));
    int info = 0;
    if (avi_grid_active(&s->grid)) /* pdpotri is pdtrtri, then pdlauum */
        (s->inverted ? pdlauum_ : pdpotri_)("L", &s->n, inverse->values, &ONE, &ONE, inverse->descriptor, &info);
    int64_t worst;
    avi_status status = avi_grid_agree_on_info(s->comm, info, &worst);
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
