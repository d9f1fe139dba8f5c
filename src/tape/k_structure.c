/* Kernels of structure: gather, slices, concat, reshape, spread. All gradients add unless the target is fresh. */
#include "tape/lanes.h"

#include <string.h>

void AVI_R(avi_forward_gather)(avi_tape *t, avi_node *n)
{
    (void)t;
    const int64_t runs = n->size[0], *first = n->runs, *count = first + runs;
    real *to = n->value;
    for (int64_t i = 0; i < runs; i++) {
        const int64_t values = count[i] * n->cols;
        memcpy(to, (const real *)n->data + first[i] * n->cols, (size_t)values * sizeof *to);
        to += values;
    }
}

void AVI_R(avi_backward_gather)(avi_tape *t, avi_node *n)
{
    (void)t;
    const int64_t runs = n->size[0], *first = n->runs, *count = first + runs;
    const real *g = n->grad;
    for (int64_t i = 0; i < runs; i++) {
        const int64_t values = count[i] * n->cols;
        real *to = (real *)n->aux + first[i] * n->cols;
        for (int64_t k = 0; k < values; k++) to[k] += g[k];
        g += values;
    }
}

/* to[r, c] = from[r, c] for `cols` columns of rows of different length. */
static void copy_columns(real *restrict to, int64_t to_row, const real *restrict from, int64_t from_row, int64_t rows,
                         int64_t cols)
{
    if (cols == 1)
        for (int64_t r = 0; r < rows; r++) to[r * to_row] = from[r * from_row];
    else
        for (int64_t r = 0; r < rows; r++)
            for (int64_t c = 0; c < cols; c++) to[r * to_row + c] = from[r * from_row + c];
}

static void add_columns(real *restrict to, int64_t to_row, const real *restrict from, int64_t from_row, int64_t rows,
                        int64_t cols)
{
    if (cols == 1)
        for (int64_t r = 0; r < rows; r++) to[r * to_row] += from[r * from_row];
    else
        for (int64_t r = 0; r < rows; r++)
            for (int64_t c = 0; c < cols; c++) to[r * to_row + c] += from[r * from_row + c];
}

void AVI_R(avi_forward_slice)(avi_tape *t, avi_node *n)
{
    (void)t;
    const avi_node *a = n->in[0];
    copy_columns(n->value, n->cols, (const real *)a->value + n->size[0], a->cols, n->rows, n->cols);
}

void AVI_R(avi_backward_slice)(avi_tape *t, avi_node *n)
{
    avi_node *a = n->in[0];
    add_columns((real *)avi_tape_grad(t, a) + n->size[0], a->cols, n->grad, n->cols, n->rows, n->cols);
}

void AVI_R(avi_forward_slice_rows)(avi_tape *t, avi_node *n)
{
    (void)t;
    const real *from = (const real *)n->in[0]->value + n->size[0] * n->cols;
    memcpy(n->value, from, (size_t)(n->rows * n->cols) * sizeof *from);
}

void AVI_R(avi_backward_slice_rows)(avi_tape *t, avi_node *n)
{
    real *to = (real *)avi_tape_grad(t, n->in[0]) + n->size[0] * n->cols;
    const real *g = n->grad;
    for (int64_t k = 0; k < n->rows * n->cols; k++) to[k] += g[k];
}

void AVI_R(avi_forward_concat)(avi_tape *t, avi_node *n)
{
    (void)t;
    const avi_node *a = n->in[0], *b = n->in[1];
    copy_columns(n->value, n->cols, a->value, a->cols, n->rows, a->cols);
    copy_columns((real *)n->value + a->cols, n->cols, b->value, b->cols, n->rows, b->cols);
}

void AVI_R(avi_backward_concat)(avi_tape *t, avi_node *n)
{
    const real *g = n->grad;
    for (int k = 0; k < 2; k++) {
        avi_node *a = n->in[k];
        if (a->needs_grad) add_columns(avi_tape_grad(t, a), a->cols, g, n->cols, n->rows, a->cols);
        g += a->cols;
    }
}

void AVI_R(avi_forward_concat_rows)(avi_tape *t, avi_node *n)
{
    (void)t;
    const avi_node *a = n->in[0], *b = n->in[1];
    real *y = n->value;
    memcpy(y, a->value, (size_t)(a->rows * n->cols) * sizeof *y);
    memcpy(y + a->rows * n->cols, b->value, (size_t)(b->rows * n->cols) * sizeof *y);
}

void AVI_R(avi_backward_concat_rows)(avi_tape *t, avi_node *n)
{
    const real *g = n->grad;
    for (int i = 0; i < 2; i++) {
        const int64_t values = n->in[i]->rows * n->cols;
        real *d = n->in[i]->needs_grad ? avi_tape_grad(t, n->in[i]) : NULL;
        for (int64_t k = 0; d && k < values; k++) d[k] += g[k];
        g += values;
    }
}

/* size[0] = times > 1: row r from row r / times; else from row r mod (rows of a). One column spreads over all. */
void AVI_R(avi_forward_spread)(avi_tape *t, avi_node *n)
{
    (void)t;
    const avi_node *a = n->in[0];
    const int64_t times = n->size[0], cols = n->cols;
    const real *from = a->value;
    real *to = n->value;
    if (times == 1 && a->cols == cols) {
        const size_t all = (size_t)(n->rows * cols);
        size_t done = (size_t)(a->rows * cols);
        memcpy(to, from, done * sizeof *to);
        for (; done < all; done *= 2) /* doubling: few calls for short cycles */
            memcpy(to + done, to, (done <= all - done ? done : all - done) * sizeof *to);
        return;
    }
    if (a->cols == 1 && times > 1) { /* the row's value for times * cols places */
        for (int64_t b = 0; b < a->rows; b++)
            for (int64_t k = 0; k < times * cols; k++) to[b * times * cols + k] = from[b];
        return;
    }
    for (int64_t r = 0; r < n->rows; r++) {
        const real *row = from + (times > 1 ? r / times : r % a->rows) * a->cols;
        if (a->cols == 1)
            for (int64_t c = 0; c < cols; c++) to[r * cols + c] = row[0];
        else
            memcpy(to + r * cols, row, (size_t)cols * sizeof *to);
    }
}

static real sum_of(const real *restrict v, int64_t n)
{
    real sum;
    row_totals(v, 1, n, &sum);
    return sum;
}

void AVI_R(avi_backward_spread)(avi_tape *t, avi_node *n)
{
    avi_node *a = n->in[0];
    const int64_t times = n->size[0], cols = n->cols;
    real *to = avi_tape_grad(t, a);
    const real *g = n->grad;
    if (a->rows == 1 && a->cols == 1) {
        to[0] += sum_of(g, n->rows * cols);
        return;
    }
    if (times == 1 && a->cols == cols) {
        const int64_t cycle = a->rows * cols;
        for (int64_t r = 0; r < n->rows; r += a->rows)
            for (int64_t k = 0; k < cycle; k++) to[k] += g[r * cols + k];
        return;
    }
    if (a->cols == 1 && times > 1) {
        for (int64_t b = 0; b < a->rows; b++) to[b] += sum_of(g + b * times * cols, times * cols);
        return;
    }
    for (int64_t r = 0; r < n->rows; r++) {
        real *row = to + (times > 1 ? r / times : r % a->rows) * a->cols;
        if (a->cols == 1)
            row[0] += sum_of(g + r * cols, cols);
        else
            for (int64_t c = 0; c < cols; c++) row[c] += g[r * cols + c];
    }
}

void AVI_R(avi_forward_reshape)(avi_tape *t, avi_node *n)
{
    (void)t;
    memcpy(n->value, n->in[0]->value, (size_t)(n->rows * n->cols) * sizeof(real));
}

void AVI_R(avi_backward_reshape)(avi_tape *t, avi_node *n)
{
    const real *g = n->grad;
#define TERM(k) (g[k])
    GRADIENT(t, n->in[0], TERM);
#undef TERM
}
