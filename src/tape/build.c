/* Builders of structure, arithmetic and networks: check shapes, fill the node, run forward. */
#include "tape/internal.h"

#include <stdlib.h>
#include <string.h>

avi_activation avi_activation_find(const char *name)
{
    if (!strcmp(name, "relu")) return AVI_RELU;
    if (!strcmp(name, "leaky_relu")) return AVI_LEAKY_RELU;
    if (!strcmp(name, "tanh")) return AVI_TANH;
    if (!strcmp(name, "gelu")) return AVI_ACT_GELU;
    if (!strcmp(name, "silu")) return AVI_ACT_SILU;
    if (!strcmp(name, "softplus")) return AVI_ACT_SOFTPLUS;
    return AVI_IDENTITY;
}

avi_node *avi_tape_spread(avi_tape *t, avi_node *a, int64_t rows, int64_t cols, bool repeated)
{
    if (a->rows == rows && a->cols == cols) return a;
    avi_tape_require(rows % a->rows == 0 && (a->cols == cols || a->cols == 1), "spread", "the operands do not fit", a,
                     NULL);
    avi_node *n = avi_tape_node(t, &avi_op_spread, rows, cols, 1, &a);
    n->size[0] = repeated ? rows / a->rows : 1;
    return avi_tape_run(t, n);
}

avi_node *avi_repeat(avi_tape *t, avi_node *a, int64_t times)
{
    return avi_tape_spread(t, a, a->rows * times, a->cols, true);
}

avi_node *avi_gather(avi_tape *t, int64_t cols, const void *table, void *table_grad, int segments, const int64_t *first,
                     const int64_t *count)
{
    int64_t rows = 0;
    for (int i = 0; i < segments; i++) rows += count[i];
    const size_t real = avi_real_size(avi_tape_precision(t)), width = (size_t)cols * real;
    /* One run of rows needs no copy: the node looks straight into the table. */
    if (segments == 1)
        return avi_parameter(t, rows, cols, (const char *)table + (size_t)first[0] * width,
                             table_grad ? (char *)table_grad + (size_t)first[0] * width : NULL);
    avi_node *n = avi_tape_node(t, &avi_op_gather, rows, cols, 0, NULL);
    n->needs_grad = table_grad != NULL;
    n->data = table;
    n->aux = table_grad;
    n->size[0] = segments;
    int64_t *runs = avi_tape_alloc(t, (int64_t)4 * segments); /* enough for 2 * segments int64 in either precision */
    memcpy(runs, first, (size_t)segments * sizeof *runs);
    memcpy(runs + segments, count, (size_t)segments * sizeof *runs);
    n->runs = runs;
    return avi_tape_run(t, n);
}

avi_node *avi_slice(avi_tape *t, avi_node *a, int64_t first_col, int64_t cols)
{
    avi_tape_require(first_col >= 0 && first_col + cols <= a->cols, "slice", "columns out of range", a, NULL);
    if (cols == a->cols) return a;
    avi_node *n = avi_tape_node(t, &avi_op_slice, a->rows, cols, 1, &a);
    n->size[0] = first_col;
    return avi_tape_run(t, n);
}

avi_node *avi_slice_rows(avi_tape *t, avi_node *a, int64_t first_row, int64_t rows)
{
    avi_tape_require(first_row >= 0 && first_row + rows <= a->rows, "slice_rows", "rows out of range", a, NULL);
    if (rows == a->rows) return a;
    avi_node *n = avi_tape_node(t, &avi_op_slice_rows, rows, a->cols, 1, &a);
    n->size[0] = first_row;
    return avi_tape_run(t, n);
}

avi_node *avi_concat(avi_tape *t, avi_node *a, avi_node *b)
{
    avi_tape_require(a->rows == b->rows, "concat", "rows differ", a, b);
    return avi_tape_run(t, avi_tape_node(t, &avi_op_concat, a->rows, a->cols + b->cols, 2, (avi_node *[]){a, b}));
}

avi_node *avi_concat_rows(avi_tape *t, avi_node *a, avi_node *b)
{
    avi_tape_require(a->cols == b->cols, "concat_rows", "columns differ", a, b);
    return avi_tape_run(t, avi_tape_node(t, &avi_op_concat_rows, a->rows + b->rows, a->cols, 2, (avi_node *[]){a, b}));
}

avi_node *avi_reshape(avi_tape *t, avi_node *a, int64_t rows, int64_t cols)
{
    if (a->rows == rows && a->cols == cols) return a;
    avi_tape_require(a->rows * a->cols == rows * cols, "reshape", "another number of values", a, NULL);
    return avi_tape_run(t, avi_tape_node(t, &avi_op_reshape, rows, cols, 1, &a));
}

static avi_node *binary(avi_tape *t, const avi_op *op, avi_node *a, avi_node *b)
{
    b = avi_tape_spread(t, b, a->rows, a->cols, false);
    return avi_tape_run(t, avi_tape_node(t, op, a->rows, a->cols, 2, (avi_node *[]){a, b}));
}

avi_node *avi_add(avi_tape *t, avi_node *a, avi_node *b) { return binary(t, &avi_op_add, a, b); }
avi_node *avi_sub(avi_tape *t, avi_node *a, avi_node *b) { return binary(t, &avi_op_sub, a, b); }
avi_node *avi_mul(avi_tape *t, avi_node *a, avi_node *b) { return binary(t, &avi_op_mul, a, b); }

avi_node *avi_scale(avi_tape *t, avi_node *a, double factor, double offset)
{
    avi_node *n = avi_tape_node(t, &avi_op_scale, a->rows, a->cols, 1, &a);
    n->number[0] = factor;
    n->number[1] = offset;
    return avi_tape_run(t, n);
}

avi_node *avi_map(avi_tape *t, avi_node *a, avi_function f)
{
    avi_node *n = avi_tape_node(t, &avi_op_map, a->rows, a->cols, 1, &a);
    n->size[0] = f;
    return avi_tape_run(t, n);
}

avi_node *avi_row_sum(avi_tape *t, avi_node *a)
{
    return a->cols == 1 ? a : avi_tape_run(t, avi_tape_node(t, &avi_op_row_sum, a->rows, 1, 1, &a));
}

avi_node *avi_draw_mean(avi_tape *t, avi_node *a, int64_t draws, const double *weights)
{
    avi_tape_require(a->rows % draws == 0, "draw_mean", "rows are not a multiple of the draws", a, NULL);
    if (draws == 1 && !weights) return a;
    avi_node *n = avi_tape_node(t, &avi_op_draw_mean, a->rows / draws, a->cols, 1, &a);
    n->size[0] = draws;
    n->data = weights;
    return avi_tape_run(t, n);
}

avi_node *avi_draw_logsumexp(avi_tape *t, avi_node *a, int64_t draws)
{
    avi_tape_require(a->rows % draws == 0 && a->cols == 1, "draw_logsumexp", "the operand is not (B*S, 1)", a, NULL);
    avi_node *n = avi_tape_node(t, &avi_op_draw_logsumexp, a->rows / draws, 1, 1, &a);
    n->size[0] = draws;
    return avi_tape_run(t, n);
}

int64_t avi_polynomial_width(int64_t inputs, int degree)
{
    int64_t n = 1; /* C(inputs + degree, degree), built so that every division is whole */
    for (int k = 1; k <= degree; k++) {
        if (n > INT64_MAX / (inputs + k)) return INT64_MAX; /* more than anything holds */
        n = n * (inputs + k) / k;
    }
    return n - 1;
}

avi_node *avi_polynomial(avi_tape *t, avi_node *x, int degree)
{
    avi_tape_require(degree >= 1, "polynomial", "degree < 1", x, NULL);
    if (degree == 1) return x;
    const int64_t width = avi_polynomial_width(x->cols, degree);
    avi_node *n = avi_tape_node(t, &avi_op_polynomial, x->rows, width, 1, &x);
    n->size[0] = degree;
    return avi_tape_run(t, n);
}

avi_node *avi_affine(avi_tape *t, avi_node *x, avi_node *w, avi_node *b, avi_activation act)
{
    avi_tape_require(x->cols == w->cols, "affine", "x (R, in) and W (out, in) do not fit", x, w);
    avi_tape_require(!b || (b->rows == 1 && b->cols == w->rows), "affine", "W (out, in) and b (1, out) do not fit", w,
                     b);
    avi_node *n = avi_tape_node(t, &avi_op_affine, x->rows, w->rows, b ? 3 : 2, (avi_node *[]){x, w, b});
    n->size[0] = act;
    return avi_tape_run(t, n);
}

avi_node *avi_activate(avi_tape *t, avi_node *a, avi_activation act)
{
    if (act == AVI_IDENTITY) return a;
    avi_node *n = avi_tape_node(t, &avi_op_activate, a->rows, a->cols, 1, &a);
    n->size[0] = act;
    return avi_tape_run(t, n);
}

avi_node *avi_custom(avi_tape *t, const avi_custom_op *op, int64_t rows, int64_t cols, int inputs, avi_node *const *in,
                     const void *data)
{
    avi_tape_require(inputs <= 4, op->name, "more than 4 inputs", NULL, NULL);
    /* avi_custom_op has the layout of avi_op: the public name of the same thing. */
    avi_node *n = avi_tape_node(t, (const avi_op *)(const void *)op, rows, cols, inputs, in);
    n->data = data;
    return avi_tape_run(t, n);
}
