/* All monomials of degree 1 .. size[0] of each row, lower degrees first, in lexicographic order. Those of one degree
 * whose first variable is v are x_v times a contiguous run of the degree before: from the first one without a variable
 * before v to its end. */
#include "tape/lanes.h"

#include <string.h>

/* aux: first (degree, D): index of the first monomial of a degree without x_0 .. x_{v-1}; then work of F values. */
static void fill_first(int64_t *first, int64_t inputs, int64_t degree)
{
    int64_t at = inputs;
    for (int64_t v = 0; v < inputs; v++) first[v] = v;
    for (int64_t d = 1; d < degree; d++) {
        const int64_t *before = first + (d - 1) * inputs, end = at;
        for (int64_t v = 0; v < inputs; v++) {
            first[d * inputs + v] = at;
            at += end - before[v];
        }
    }
}

void AVI_R(avi_forward_polynomial)(avi_tape *t, avi_node *n)
{
    const int64_t inputs = n->in[0]->cols, degree = n->size[0];
    int64_t *first = n->aux = avi_tape_alloc(t, 2 * degree * inputs + n->cols); /* int64 in either precision */
    fill_first(first, inputs, degree);
    for (int64_t r = 0; r < n->rows; r++) {
        const real *restrict x = (const real *)n->in[0]->value + r * inputs;
        real *y = (real *)n->value + r * n->cols;
        memcpy(y, x, (size_t)inputs * sizeof *y);
        for (int64_t d = 1; d < degree; d++)
            for (int64_t v = 0; v < inputs; v++) {
                const int64_t from = first[(d - 1) * inputs + v], to = first[d * inputs + v],
                              count = first[d * inputs] - from;
                const real *restrict lower = y + from;
                real *restrict higher = y + to;
                for (int64_t k = 0; k < count; k++) higher[k] = x[v] * lower[k];
            }
    }
}

/* One run: from the gradients of higher = x_v * lower to those of lower; returns that of x_v. */
static real run_back(const real *restrict g_higher, const real *restrict lower, real *restrict g_lower, real x,
                     int64_t count)
{
    real sum;
#define TERM(k) (g_higher[k] * lower[k])
    LANE_SUM(sum, 0, count, TERM);
#undef TERM
    for (int64_t k = 0; k < count; k++) g_lower[k] += x * g_higher[k];
    return sum;
}

void AVI_R(avi_backward_polynomial)(avi_tape *t, avi_node *n)
{
    const int64_t inputs = n->in[0]->cols, degree = n->size[0], *first = n->aux;
    real *g = (real *)(void *)((int64_t *)n->aux + degree * inputs), *dx = avi_tape_grad(t, n->in[0]);
    for (int64_t r = 0; r < n->rows; r++) {
        const real *x = (const real *)n->in[0]->value + r * inputs, *y = (const real *)n->value + r * n->cols;
        real *d_row = dx + r * inputs;
        memcpy(g, (const real *)n->grad + r * n->cols, (size_t)n->cols * sizeof *g);
        for (int64_t d = degree - 1; d > 0; d--)
            for (int64_t v = 0; v < inputs; v++) {
                const int64_t from = first[(d - 1) * inputs + v], to = first[d * inputs + v];
                d_row[v] += run_back(g + to, y + from, g + from, x[v], first[d * inputs] - from);
            }
        for (int64_t v = 0; v < inputs; v++) d_row[v] += g[v];
    }
}
