#include "gradient.h"

#include "avi/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void uniforms(uint64_t step, int64_t n, double low, double high, double *out)
{
    avi_uniform_f64(avi_stream_make(1, AVI_DRAW_TEST, step), 0, 1, 0, n, out);
    for (int64_t k = 0; k < n; k++) out[k] = (double)(float)(low + (high - low) * out[k]);
}

void gradient_values(const gradient_case *c, double (*x)[MAX_VALUES])
{
    for (int i = 0; i < MAX_LEAVES && c->leaf[i].rows; i++) {
        const leaf *l = &c->leaf[i];
        const int64_t n = l->rows * l->cols;
        assert_true(n <= MAX_VALUES);
        uniforms((uint64_t)i, n, l->low, l->high, x[i]);
        for (int64_t k = 0; l->whole && k < n; k++) x[i][k] = floor(x[i][k]);
    }
}

/* Uniform weights in (-1, 1) as a constant. */
static avi_node *weights(avi_tape *t, uint64_t step, int64_t rows, int64_t cols)
{
    double *w = malloc((size_t)(rows * cols) * sizeof *w);
    assert_non_null(w);
    uniforms(step, rows * cols, -1, 1, w);
    avi_node *n = avi_constant_new(t, rows, cols);
    avi_vector_from_double(avi_tape_precision(t), w, rows * cols, n->value);
    free(w);
    return n;
}

/* (1, 1): the weighted sum of all values of a. */
static avi_node *weighted_total(avi_tape *t, uint64_t step, avi_node *a)
{
    return avi_draw_mean(t, avi_row_sum(t, avi_mul(t, a, weights(t, step, a->rows, a->cols))), a->rows, NULL);
}

static bool contains(const avi_node *n, const avi_op *op)
{
    if (!n || !n->op) return false;
    if (n->op == op) return true;
    if (n->op == &avi_op_gather) return false; /* its inputs are no nodes */
    for (int i = 0; i < 4; i++)
        if (contains(n->in[i], op)) return true;
    return false;
}

/* What parameters' gradients hold before: backward must add. */
static const double gradient_before = 0.25;

static void make_leaf(graph *g, int i, wiring w, const double *x)
{
    const leaf *l = &g->c->leaf[i];
    const int64_t n = l->rows * l->cols;
    const avi_precision p = avi_tape_precision(g->tape);
    g->value[i] = avi_tape_alloc(g->tape, n);
    avi_vector_from_double(p, x, n, g->value[i]);
    if (!l->fixed) {
        g->grad[i] = avi_tape_alloc(g->tape, n);
        for (int64_t k = 0; k < n; k++) avi_vector_set(p, g->grad[i], k, gradient_before);
    }
    g->in[i] = avi_parameter(g->tape, l->rows, l->cols, g->value[i], g->grad[i]);
    if (w != WIRE_PARAMETER && !l->fixed) g->in[i] = avi_scale(g->tape, g->in[i], 1.5, -0.5);
}

static avi_node *make_root(const graph *g, wiring w, outcome *out)
{
    avi_node *y = g->c->build(g);
    out->has_op = g->c->op ? contains(y, g->c->op) : true;
    avi_node *root = avi_row_sum(g->tape, avi_mul(g->tape, y, weights(g->tape, 100, y->rows, y->cols)));
    for (int i = 0; i < MAX_LEAVES && w == WIRE_USED_TWICE && g->c->leaf[i].rows; i++)
        root = avi_add(g->tape, root, weighted_total(g->tape, 200 + (uint64_t)i, g->in[i]));
    return root;
}

void gradient_run(const gradient_case *c, avi_precision p, wiring w, double (*x)[MAX_VALUES], bool backward,
                  outcome *out)
{
    graph g = {.tape = avi_tape_create(p), .c = c};
    assert_non_null(g.tape);
    for (int i = 0; i < MAX_LEAVES && c->leaf[i].rows; i++) make_leaf(&g, i, w, x[i]);
    avi_node *root = make_root(&g, w, out);
    assert_int_equal(avi_tape_status(g.tape), AVI_OK);

    double *seed = malloc((size_t)root->rows * sizeof *seed);
    assert_non_null(seed);
    uniforms(300, root->rows, 0.5, 1.5, seed);
    out->value = 0;
    for (int64_t r = 0; r < root->rows; r++) out->value += seed[r] * avi_vector_get(p, root->value, r);
    if (backward) avi_tape_backward_rows(g.tape, root, seed);
    for (int i = 0; backward && i < MAX_LEAVES && c->leaf[i].rows; i++)
        for (int64_t k = 0; g.grad[i] && k < c->leaf[i].rows * c->leaf[i].cols; k++)
            out->grad[i][k] = avi_vector_get(p, g.grad[i], k) - gradient_before;
    free(seed);
    avi_tape_destroy(&g.tape);
}
