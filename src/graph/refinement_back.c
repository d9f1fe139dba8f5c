/* The gradient through the steps of a refinement (Kim et al. 2018, algorithm 2). With v_k = d ELBO / d nu_k from
 * above, and for j = k - 1 .. 0
 *
 *     u_j = rate * v_{j+1}, 0 where the step of a value was cut,
 *     v_j = v_{j+1} + (d^2 ELBO_n / d nu_j d nu_j) u_j,   d ELBO / d theta += sum_n (d^2 ELBO_n / d theta d nu_j) u_j,
 *
 * v_0 goes to phi by nu_0. Both products are central differences of gradients along u_j, two gradients a step: the tape
 * has no second derivatives. A row is moved by `reach` at most, in whatever direction its u_j has, and weighs by what
 * that is of u_j: the cube root of the precision, at which what the difference cuts off and its rounding are alike,
 * 1e-10 of a product in double and 1e-5 in single precision. */
#include "graph/refinement.h"

#include <math.h>
#include <string.h>

typedef struct steps_back {
    avi_refined_rows rows;
    avi_node *const *at, *const *step; /* (k) */
    const avi_node *last;
} steps_back;

static void forward(avi_tape *t, avi_node *n)
{
    const steps_back *s = n->data;
    memcpy(n->value, s->last->value, (size_t)(n->rows * n->cols) * avi_real_size(avi_tape_precision(t)));
}

/* A row's u_j, as far as it moves, and what one unit of its difference weighs; 0: u_j is 0, or not finite. */
static double direction(const steps_back *s, int j, int64_t row, const double *v, double *u)
{
    const avi_precision p = s->rows.c->p->precision;
    const double rate = s->rows.c->p->infer->refine.rate, reach = p == AVI_PRECISION_SINGLE ? 4e-3 : 6e-6;
    const int64_t width = s->last->cols;
    double most = 0;
    for (int64_t c = 0; c < width; c++) {
        u[c] = fabs(avi_vector_get(p, s->step[j]->value, row * width + c)) < 1 ? rate * v[row * width + c] : 0;
        if (!(fabs(u[c]) <= most)) most = fabs(u[c]);
    }
    if (!(most > 0) || !isfinite(most)) return 0;
    for (int64_t c = 0; c < width; c++) u[c] *= reach / most;
    return most / reach;
}

/* Adds to v what step j adds on the way back, and to by_leaves. */
static void step_back(const steps_back *s, int j, double *v, void *by_leaves)
{
    const avi_graph_context *c = s->rows.c;
    const avi_precision p = c->p->precision;
    const int64_t rows = s->last->rows, width = s->last->cols, values = rows * width;
    const size_t doubles = sizeof(double) / sizeof(float);
    void *moved = avi_tape_alloc(c->tape, values), *by_nu = avi_tape_alloc(c->tape, values);
    double *u = avi_tape_alloc(c->tape, (int64_t)doubles * values),
           *seeds = avi_tape_alloc(c->tape, (int64_t)doubles * rows);
    memset(by_nu, 0, (size_t)values * avi_real_size(p));
    for (int64_t r = 0; r < rows; r++) seeds[r] = direction(s, j, r, v, u + r * width) / 2;
    for (int sign = 1; sign >= -1; sign -= 2) {
        for (int64_t i = 0; i < values; i++)
            avi_vector_set(p, moved, i, avi_vector_get(p, s->at[j]->value, i) + sign * u[i]);
        for (int64_t r = 0; r < rows && sign < 0; r++) seeds[r] = -seeds[r];
        avi_refinement_gradient(&s->rows, &(avi_refined_gradient){moved, seeds, by_nu, by_leaves});
    }
    for (int64_t i = 0; i < values; i++) v[i] += avi_vector_get(p, by_nu, i);
}

/* Values of the leaves, and what they owe to the gradient in by_leaves. */
static int64_t leaf_values(const avi_graph_context *c)
{
    int64_t values = 0;
    const avi_node *leaf;
    for (int i = 0; (leaf = avi_refinement_leaf(c, i)); i++) values += leaf->rows * leaf->cols;
    return values;
}

static void add(avi_tape *t, int64_t n, const void *from, avi_node *to)
{
    void *grad = avi_tape_grad(t, to);
    const avi_precision p = avi_tape_precision(t);
    for (int64_t i = 0; grad && i < n; i++)
        avi_vector_set(p, grad, i, avi_vector_get(p, grad, i) + avi_vector_get(p, from, i));
}

static void backward(avi_tape *t, avi_node *n)
{
    const steps_back *s = n->data;
    avi_graph_context *c = s->rows.c;
    const avi_precision p = c->p->precision;
    const int64_t values = n->rows * n->cols, leaves = leaf_values(c);
    double *v = avi_tape_alloc(t, values * (int64_t)(sizeof *v / sizeof(float)));
    void *by_leaves = avi_tape_alloc(t, leaves + 1), *by_nu = avi_tape_alloc(t, values);
    memset(by_leaves, 0, (size_t)leaves * avi_real_size(p));
    for (int64_t i = 0; i < values; i++) v[i] = avi_vector_get(p, n->grad, i);
    for (int j = c->p->infer->refine.steps - 1; j >= 0; j--) step_back(s, j, v, by_leaves);
    avi_vector_from_double(p, v, values, by_nu);
    add(t, values, by_nu, n->in[0]);
    avi_node *leaf;
    for (int64_t i = 0, at = 0; (leaf = avi_refinement_leaf(c, (int)i)); at += leaf->rows * leaf->cols, i++)
        add(t, leaf->rows * leaf->cols, avi_vector_at(p, by_leaves, at), leaf);
}

static const avi_custom_op op = {.name = "refinement", .forward = {forward, forward}, .backward = {backward, backward}};

avi_node *avi_refinement_differentiable(const avi_refined_rows *rows, avi_node *nu, const avi_node *last,
                                        avi_node *const *at, avi_node *const *step)
{
    avi_tape *t = rows->c->tape;
    const int runs = rows->rows.runs;
    steps_back *s = avi_tape_alloc(t, (int64_t)(sizeof *s / sizeof(float)));
    *s = (steps_back){.rows = *rows, .at = at, .step = step, .last = last};
    /* The ranges of rows are the caller's, and not there any more on the way back. */
    int64_t *ranges = avi_tape_alloc(t, 2 * runs * (int64_t)(sizeof *ranges / sizeof(float)));
    memcpy(ranges, rows->rows.first, (size_t)runs * sizeof *ranges);
    memcpy(ranges + runs, rows->rows.rows, (size_t)runs * sizeof *ranges);
    s->rows.rows.first = ranges;
    s->rows.rows.rows = ranges + runs;
    return avi_custom(t, &op, nu->rows, nu->cols, 1, &nu, s);
}
