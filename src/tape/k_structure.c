/* Kernels of structure: gather, slices, concat, spread. All gradients add unless the target is fresh. */
#include "base/real.h"
#include "tape/internal.h"

#include <string.h>

void AVI_R(avi_forward_gather)(avi_tape *t, avi_node *n)
{
    (void)t;
    const int64_t runs = n->size[0], *first = (const int64_t *)(const void *)n->in[3], *count = first + runs;
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
    const int64_t runs = n->size[0], *first = (const int64_t *)(const void *)n->in[3], *count = first + runs;
    const real *g = n->grad;
    for (int64_t i = 0; i < runs; i++) {
        const int64_t values = count[i] * n->cols;
        real *to = (real *)n->aux + first[i] * n->cols;
        for (int64_t k = 0; k < values; k++) to[k] += g[k];
        g += values;
    }
}

void AVI_R(avi_forward_slice)(avi_tape *t, avi_node *n)
{
    (void)t;
    const avi_node *a = n->in[0];
    const real *from = (const real *)a->value + n->size[0];
    real *to = n->value;
    for (int64_t r = 0; r < n->rows; r++)
        for (int64_t c = 0; c < n->cols; c++) to[r * n->cols + c] = from[r * a->cols + c];
}

void AVI_R(avi_backward_slice)(avi_tape *t, avi_node *n)
{
    avi_node *a = n->in[0];
    real *to = (real *)avi_tape_grad(t, a) + n->size[0];
    const real *g = n->grad;
    for (int64_t r = 0; r < n->rows; r++)
        for (int64_t c = 0; c < n->cols; c++) to[r * a->cols + c] += g[r * n->cols + c];
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
    real *to = n->value;
    for (int64_t r = 0; r < n->rows; r++)
        for (int k = 0; k < 2; k++) {
            const avi_node *a = n->in[k];
            const real *from = (const real *)a->value + r * a->cols;
            for (int64_t c = 0; c < a->cols; c++) *to++ = from[c];
        }
}

void AVI_R(avi_backward_concat)(avi_tape *t, avi_node *n)
{
    int64_t first = 0;
    for (int k = 0; k < 2; k++) {
        avi_node *a = n->in[k];
        if (a->needs_grad) {
            real *to = avi_tape_grad(t, a);
            const real *g = (const real *)n->grad + first;
            for (int64_t r = 0; r < n->rows; r++)
                for (int64_t c = 0; c < a->cols; c++) to[r * a->cols + c] += g[r * n->cols + c];
        }
        first += a->cols;
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
        const size_t cycle = (size_t)(a->rows * cols);
        for (int64_t r = 0; r < n->rows; r += a->rows) memcpy(to + r * cols, from, cycle * sizeof *to);
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

static real sum_of(const real *v, int64_t n)
{
    real acc[16] = {0};
    int64_t k = 0;
    for (; k + 16 <= n; k += 16)
        for (int j = 0; j < 16; j++) acc[j] += v[k + j];
    real sum = 0;
    for (; k < n; k++) sum += v[k];
    for (int j = 0; j < 16; j++) sum += acc[j];
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
