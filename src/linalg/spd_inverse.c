/* A matrix with which many systems are solved is held by L^-1 in place of L. A system is then two products with a
 * triangle, in which every rank works with its own share at once, where substitution (pdtrsv) is a chain of messages,
 * one per block of rows. The inverse of a triangle is as accurate as substitution (Higham 2002, chapter 14), and the
 * diagonal of A^-1 needs it anyway: its entries are the sums of squares of the columns of L^-1. */
#include "avi/linalg.h"

#include "avi/partition.h"
#include "linalg/scalapack.h"
#include "linalg/spd.h"
#include "linalg/spd_alone.h"

#include <stdlib.h>

static const int ONE = 1;

static avi_status invert_factor(avi_linalg_spd *s)
{
    if (s->inverted) return AVI_OK;
    int info = 0;
    int64_t worst;
    if (avi_spd_is_alone(s))
        info = avi_spd_alone_invert(s->n, s->factor.values);
    else if (avi_grid_active(&s->grid))
        pdtrtri_("L", "N", &s->n, s->factor.values, &ONE, &ONE, s->factor.descriptor, &info);
    AVI_TRY(avi_grid_agree_on_info(s->comm, info, &worst));
    if (worst != 0) return avi_fail(AVI_ERR_INTERNAL, "the inverse of L ended with info = %lld", (long long)worst);
    s->inverted = true;
    return AVI_OK;
}

/* A block of this rank's columns, from the first row that is on the diagonal or below. */
typedef struct columns {
    int64_t first; /* of the whole matrix */
    int width, row, rows;
    const double *values;
} columns;

static columns columns_from(const avi_cyclic *m, int lj)
{
    const avi_grid *g = m->grid;
    columns c = {.first = avi_cyclic_global(lj, m->block_cols, g->cols, g->my_col)};
    c.width = m->block_cols < m->local_cols - lj ? m->block_cols : m->local_cols - lj;
    c.row = avi_cyclic_local_count(c.first, m->block_rows, g->rows, g->my_row);
    c.rows = m->local_rows - c.row;
    c.values = m->values + (size_t)lj * (size_t)m->descriptor[AVI_DESC_LLD] + c.row;
    return c;
}

/* From values of all rows of the matrix to those of this rank's, and back into zeros. */
static int64_t row_of(const avi_cyclic *m, int li)
{
    return avi_cyclic_global(li, m->block_rows, m->grid->rows, m->grid->my_row);
}

/* y (n) += this rank's part of L^-1 x. */
static void multiply(const avi_cyclic *m, const double *x, double *local, double *y)
{
    const double one = 1;
    for (int li = 0; li < m->local_rows; li++) local[li] = 0;
    for (int lj = 0; lj < m->local_cols; lj += m->block_cols) {
        const columns c = columns_from(m, lj);
        if (c.rows > 0)
            dgemv_("N", &c.rows, &c.width, &one, c.values, &m->descriptor[AVI_DESC_LLD], x + c.first, &ONE, &one,
                   local + c.row, &ONE);
    }
    for (int li = 0; li < m->local_rows; li++) y[row_of(m, li)] += local[li];
}

/* x (n) += this rank's part of L'^-1 y. */
static void multiply_transposed(const avi_cyclic *m, const double *y, double *local, double *x)
{
    const double one = 1;
    for (int li = 0; li < m->local_rows; li++) local[li] = y[row_of(m, li)];
    for (int lj = 0; lj < m->local_cols; lj += m->block_cols) {
        const columns c = columns_from(m, lj);
        if (c.rows > 0)
            dgemv_("T", &c.rows, &c.width, &one, c.values, &m->descriptor[AVI_DESC_LLD], local + c.row, &ONE, &one,
                   x + c.first, &ONE);
    }
}

avi_status avi_spd_multiply_inverse(avi_linalg_spd *s, double *b)
{
    const int ranks = avi_comm_size(s->comm), rank = avi_comm_rank(s->comm);
    const int64_t n = s->n, first = avi_slab_first(n, ranks, rank), end = avi_slab_first(n, ranks, rank + 1);
    const bool active = avi_grid_active(&s->grid);
    double *all = calloc((size_t)(2 * n + s->factor.local_rows), sizeof *all), *product = all + n;
    avi_status status =
        avi_agree(s->comm, all ? AVI_OK : avi_fail_memory((size_t)(3 * n) * sizeof *all, "a linear system"));
    for (int64_t i = first; status == AVI_OK && i < end; i++) all[i] = b[i - first];
    if (status == AVI_OK) status = avi_comm_sum_double(s->comm, all, (size_t)n); /* with zeros: exact */
    if (status == AVI_OK && active) multiply(&s->factor, all, product + n, product);
    if (status == AVI_OK) status = avi_comm_sum_double(s->comm, product, (size_t)n);
    for (int64_t i = 0; status == AVI_OK && i < n; i++) all[i] = 0;
    if (status == AVI_OK && active) multiply_transposed(&s->factor, product, product + n, all);
    if (status == AVI_OK) status = avi_comm_sum_double(s->comm, all, (size_t)n);
    for (int64_t i = first; status == AVI_OK && i < end; i++) b[i - first] = all[i];
    free(all);
    return status;
}

/* all (n) += sums of squares of this rank's part of the columns of L^-1. */
static void add_squares(const avi_cyclic *m, double *all)
{
    for (int lj = 0; lj < m->local_cols; lj++) {
        const int64_t j = avi_cyclic_global(lj, m->block_cols, m->grid->cols, m->grid->my_col);
        const double *column = m->values + (size_t)lj * (size_t)m->descriptor[AVI_DESC_LLD];
        double sum = 0;
        for (int li = avi_cyclic_local_count(j, m->block_rows, m->grid->rows, m->grid->my_row); li < m->local_rows;
             li++)
            sum += column[li] * column[li];
        all[j] += sum;
    }
}

avi_status avi_linalg_spd_inverse_diagonal(avi_linalg_spd *s, double *diagonal)
{
    const int ranks = avi_comm_size(s->comm), rank = avi_comm_rank(s->comm);
    const int64_t first = avi_slab_first(s->n, ranks, rank), end = avi_slab_first(s->n, ranks, rank + 1);
    AVI_TRY(invert_factor(s));
    double *all = calloc((size_t)s->n, sizeof *all);
    avi_status status = avi_agree(s->comm, all ? AVI_OK : avi_fail_memory((size_t)s->n * sizeof *all, "a diagonal"));
    if (status == AVI_OK && avi_grid_active(&s->grid)) add_squares(&s->factor, all);
    if (status == AVI_OK) status = avi_comm_sum_double(s->comm, all, (size_t)s->n);
    for (int64_t i = first; status == AVI_OK && i < end; i++) diagonal[i - first] = all[i];
    free(all);
    return status;
}
