/* Kernels of rows in segments: rows by number, sums of segments. All gradients add. Sums go in the order of the rows,
 * so that the bits of a segment do not depend on the segments beside it. */
#include "avi/kernel.h"
#include "tape/internal.h"

#include <string.h>

static void add_row(const real *restrict from, real factor, int64_t cols, real *restrict to)
{
    for (int64_t c = 0; c < cols; c++) to[c] += factor * from[c];
}

/* ---- gather_rows: runs = the row of each row ---- */

void AVI_R(avi_forward_gather_rows)(avi_tape *t, avi_node *n)
{
    (void)t;
    const real *from = n->in[0]->value;
    real *to = n->value;
    for (int64_t r = 0; r < n->rows; r++)
        memcpy(to + r * n->cols, from + n->runs[r] * n->cols, (size_t)n->cols * sizeof *to);
}

void AVI_R(avi_backward_gather_rows)(avi_tape *t, avi_node *n)
{
    real *to = avi_tape_grad(t, n->in[0]);
    const real *g = n->grad;
    for (int64_t r = 0; r < n->rows; r++) add_row(g + r * n->cols, 1, n->cols, to + n->runs[r] * n->cols);
}

/* ---- segment_sum: runs = first rows of the segments; size[0]: divided by their rows ---- */

static real factor_of(const avi_node *n, int64_t b)
{
    const int64_t rows = n->runs[b + 1] - n->runs[b];
    return n->size[0] && rows ? 1 / (real)rows : 1;
}

void AVI_R(avi_forward_segment_sum)(avi_tape *t, avi_node *n)
{
    (void)t;
    const int64_t cols = n->cols;
    const real *from = n->in[0]->value;
    real *sum = n->value;
    memset(sum, 0, (size_t)(n->rows * cols) * sizeof *sum);
    for (int64_t b = 0; b < n->rows; b++, sum += cols) {
        for (int64_t e = n->runs[b]; e < n->runs[b + 1]; e++) add_row(from + e * cols, 1, cols, sum);
        for (int64_t c = 0; c < cols && n->size[0]; c++) sum[c] *= factor_of(n, b);
    }
}

void AVI_R(avi_backward_segment_sum)(avi_tape *t, avi_node *n)
{
    const int64_t cols = n->cols;
    real *to = avi_tape_grad(t, n->in[0]);
    const real *g = n->grad;
    for (int64_t b = 0; b < n->rows; b++, g += cols)
        for (int64_t e = n->runs[b]; e < n->runs[b + 1]; e++) add_row(g, factor_of(n, b), cols, to + e * cols);
}
