/* act(x W' + b): the one operation that costs. GEMM by OpenBLAS; bias, activation and its derivative in place, so that
 * a layer touches its output once more than GEMM does. The parameter gradients are added straight into the flat vector
 * that is reduced. */
#include "avi/kernel.h"
#include "tape/activation.h"
#include "tape/tiles.h"

#include <cblas.h>
#include <string.h>

#if AVI_SINGLE
#define GEMM cblas_sgemm
#else
#define GEMM cblas_dgemm
#endif

/* Y (rows, out) = X W' + beta Y, dX (rows, in) = G W + beta dX. */
static void times_weight(const avi_node *w, bool forward, int64_t rows, const real *from, real beta, real *to)
{
    const int out = (int)w->rows, in = (int)w->cols;
    if (forward)
        GEMM(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, out, in, 1, from, in, w->value, in, beta, to, out);
    else
        GEMM(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, in, out, 1, from, out, w->value, in, beta, to, in);
}

/* Weights with fewer values go through BLAS tile by tile: the strips and bands of k_product.c and k_rows.c would be
 * mostly empty. */
enum { SMALL = 4096 };

static bool is_small(const avi_node *w) { return w->rows * w->cols < SMALL; }

static void small_by_tile(const avi_gradient_sink *sink, const avi_node *w, bool forward, int64_t rows,
                          const real *from, real beta, real *to)
{
    const int64_t draws = tiles_draws(sink, rows, "affine");
    for (int i = 0; i < sink->tiles; i++) {
        const int64_t n = tiles_rows(sink, rows, draws, i);
        times_weight(w, forward, n, from, beta, to);
        from += n * (forward ? w->cols : w->rows);
        to += n * (forward ? w->rows : w->cols);
    }
}

static void *scratch_for(avi_tape *t, const avi_node *w)
{
    return avi_tape_alloc(t, (int64_t)(AVI_R(avi_rows_scratch)(w->rows, w->cols) / sizeof(real)));
}

void AVI_R(avi_forward_affine)(avi_tape *t, avi_node *n)
{
    const avi_node *x = n->in[0], *w = n->in[1], *b = n->in[2];
    const avi_gradient_sink *sink = avi_tape_tile_sink(t);
    const avi_activation act = (avi_activation)n->size[0];
    const int64_t out = n->cols;
    real *y = n->value;
    if (sink && !is_small(w))
        AVI_R(avi_rows_forward)(n->rows, out, x->cols, w->value, b ? b->value : NULL, x->value, y, scratch_for(t, w));
    else {
        if (b)
            for (int64_t r = 0; r < n->rows; r++) memcpy(y + r * out, b->value, (size_t)out * sizeof *y);
        if (sink)
            small_by_tile(sink, w, true, n->rows, x->value, b ? 1 : 0, y);
        else
            times_weight(w, true, n->rows, x->value, b ? 1 : 0, y);
    }
    if (activation_keeps(act) && n->needs_grad) n->aux = avi_tape_alloc(t, n->rows * out);
    activation_apply(act, y, n->aux, n->rows * out);
}

static void add_columns(const real *restrict g, int64_t rows, int64_t cols, real *restrict sum)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++) sum[c] += g[r * cols + c];
}

/* dW = G' X + beta dW. */
static void weight_gradient(const avi_product *p, real beta, real *dw)
{
    GEMM(CblasRowMajor, CblasTrans, CblasNoTrans, (int)p->out, (int)p->in, (int)p->rows, 1, p->g, (int)p->out, p->x,
         (int)p->in, beta, dw, (int)p->in);
}

/* Gradients of weight and bias to the sink, tile by tile. */
static void hand_over(avi_tape *t, const avi_gradient_sink *sink, const avi_node *n)
{
    const avi_node *x = n->in[0], *w = n->in[1], *b = n->in[2];
    const int64_t draws = tiles_draws(sink, n->rows, "affine"), weights = w->rows * w->cols;
    const bool small = is_small(w), weight = w->in_sink && w->needs_grad, bias = b && b->in_sink && b->needs_grad;
    real *values = avi_tape_alloc(t, small && weights > n->cols ? weights : n->cols);
    avi_product p[AVI_PRODUCTS];
    int count = 0;
    for (int64_t i = 0, at = 0; i < sink->tiles; at += tiles_rows(sink, n->rows, draws, i++)) {
        p[count] = (avi_product){.g = (real *)n->grad + at * n->cols,
                                 .x = (real *)x->value + at * x->cols,
                                 .rows = tiles_rows(sink, n->rows, draws, i),
                                 .out = w->rows,
                                 .in = w->cols};
        if (bias) {
            memset(values, 0, (size_t)n->cols * sizeof *values);
            add_columns(p[count].g, p[count].rows, n->cols, values);
            sink->values(sink->context, b->size[0], n->cols, values);
        }
        if (weight && small) {
            weight_gradient(&p[count], 0, values);
            sink->values(sink->context, w->size[0], weights, values);
        } else if (weight && ++count == AVI_PRODUCTS) {
            sink->products(sink->context, w->size[0], count, p);
            count = 0;
        }
    }
    if (count) sink->products(sink->context, w->size[0], count, p);
}

/* Gradients of weight and bias that are added up where the leaf says. */
static void add_up(avi_tape *t, avi_node *n, bool weight, bool bias)
{
    avi_node *x = n->in[0], *w = n->in[1], *b = n->in[2];
    const avi_product p = {.g = n->grad, .x = x->value, .rows = n->rows, .out = n->cols, .in = x->cols};
    bool fresh;
    real *dw = weight ? avi_tape_affine_grad(t, w, &fresh) : NULL;
    if (dw) weight_gradient(&p, fresh ? 0 : 1, dw);
    real *db = bias ? avi_tape_affine_grad(t, b, &fresh) : NULL;
    if (db && fresh) memset(db, 0, (size_t)n->cols * sizeof *db);
    if (db) add_columns(p.g, n->rows, n->cols, db);
}

void AVI_R(avi_backward_affine)(avi_tape *t, avi_node *n)
{
    avi_node *x = n->in[0], *w = n->in[1], *b = n->in[2];
    const avi_gradient_sink *sink = avi_tape_tile_sink(t);
    real *g = n->grad; /* nobody reads it after this: it becomes the gradient of the pre-activation in place */
    activation_derive((avi_activation)n->size[0], n->value, n->aux, g, n->rows * n->cols);
    if (sink) hand_over(t, sink, n);
    add_up(t, n, !sink || !w->in_sink, b && (!sink || !b->in_sink));
    bool fresh;
    real *dx = avi_tape_grad_fresh(t, x, &fresh);
    if (!dx) return;
    if (sink && !is_small(w))
        AVI_R(avi_rows_backward)(n->rows, w->rows, w->cols, w->value, g, !fresh, dx, scratch_for(t, w));
    else if (sink)
        small_by_tile(sink, w, false, n->rows, g, fresh ? 0 : 1, dx);
    else
        times_weight(w, false, n->rows, g, fresh ? 0 : 1, dx);
}
