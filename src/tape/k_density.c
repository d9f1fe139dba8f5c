/* Log densities with their gradients in one pass each. Operands have the shape (R, D) of the density (builders spread
 * them). */
#include "avi/vmath.h"
#include "tape/lanes.h"
#include "base/log_factorial.h"

#include <math.h>

#define HALF_LOG_2PI R(0.91893853320467274178)

void AVI_R(avi_forward_std_normal_lpdf)(avi_tape *t, avi_node *n)
{
    (void)t;
    const real *restrict z = n->in[0]->value;
    real *restrict y = n->value;
#define TERM(k) (R(-0.5) * z[k] * z[k] - HALF_LOG_2PI)
    ROW_SUMS(y, n->rows, n->in[0]->cols, TERM);
#undef TERM
}

void AVI_R(avi_backward_std_normal_lpdf)(avi_tape *t, avi_node *n)
{
    const real *restrict z = n->in[0]->value, *restrict g = n->grad;
#define TERM(k) (-z[k])
    ROW_GRADIENT(t, n->in[0], g, TERM);
#undef TERM
}

static void normal_fixed_sd(avi_node *n)
{
    const real *restrict x = n->in[0]->value, *restrict m = n->in[1]->value;
    real *restrict y = n->value;
    const real inv = (real)(1 / n->number[0]), constant = (real)(log(n->number[0])) + HALF_LOG_2PI;
#define TERM(k) (R(-0.5) * ((x[k] - m[k]) * inv) * ((x[k] - m[k]) * inv) - constant)
    ROW_SUMS(y, n->rows, n->in[0]->cols, TERM);
#undef TERM
}

/* Terms of n values; restrict counts on parameters, not on variables, hence the function. */
static void normal_terms(const real *restrict x, const real *restrict m, const real *restrict ls, int64_t n,
                         real *restrict u, real *restrict inv, real *restrict term)
{
    for (int64_t k = 0; k < n; k++) {
        inv[k] = vm_exp(-ls[k]);
        u[k] = (x[k] - m[k]) * inv[k];
        term[k] = R(-0.5) * u[k] * u[k] - ls[k] - HALF_LOG_2PI;
    }
}

/* aux, with log_sd: u = (x - mean) / sd and 1 / sd, (R, D) each, and a chunk. Without: sd = number[0], nothing is kept.
 */
void AVI_R(avi_forward_normal_lpdf)(avi_tape *t, avi_node *n)
{
    if (!n->in[2]) {
        normal_fixed_sd(n);
        return;
    }
    const int64_t cols = n->in[0]->cols, values = n->rows * cols, step = chunk_rows(cols);
    const real *x = n->in[0]->value, *m = n->in[1]->value, *ls = n->in[2]->value;
    real *u = n->aux = avi_tape_alloc(t, 2 * values + chunk_values(cols)), *inv = u + values, *term = inv + values;
    for (int64_t r = 0; r < n->rows; r += step) {
        const int64_t rows = n->rows - r < step ? n->rows - r : step, at = r * cols;
        normal_terms(x + at, m + at, ls + at, rows * cols, u + at, inv + at, term);
        row_totals(term, rows, cols, (real *)n->value + r);
    }
}

static void back_of_fixed_sd(avi_tape *t, const avi_node *n)
{
    const real *restrict g = n->grad, *restrict x = n->in[0]->value, *restrict m = n->in[1]->value;
    const real precision = (real)(1 / (n->number[0] * n->number[0]));
#define TERM(k) ((x[k] - m[k]) * precision)
    ROW_GRADIENT(t, n->in[1], g, TERM);
#undef TERM
#define TERM(k) ((m[k] - x[k]) * precision)
    ROW_GRADIENT(t, n->in[0], g, TERM);
#undef TERM
}

/* Gradient of mean (sign 1) or x (-1): g u / sd. */
static void back_of_location(avi_tape *t, const avi_node *n, avi_node *to, const real *restrict u,
                             const real *restrict inv, real sign)
{
    const real *restrict g = n->grad;
#define TERM(k) (sign * u[k] * inv[k])
    ROW_GRADIENT(t, to, g, TERM);
#undef TERM
}

void AVI_R(avi_backward_normal_lpdf)(avi_tape *t, avi_node *n)
{
    if (!n->in[2]) {
        back_of_fixed_sd(t, n);
        return;
    }
    const real *restrict g = n->grad;
    const real *restrict u = n->aux, *restrict inv = u + n->rows * n->in[0]->cols;
    back_of_location(t, n, n->in[1], u, inv, 1);
    back_of_location(t, n, n->in[0], u, inv, -1);
#define TERM(k) (u[k] * u[k] - 1)
    ROW_GRADIENT(t, n->in[2], g, TERM);
#undef TERM
}

/* x l - log(1 + e^l) = x l - max(l, 0) - log(1 + e^-|l|), and s = sigmoid(l), which the gradient needs, from the same
 * exponential. */
static void bernoulli_terms(const real *restrict x, const real *restrict l, int64_t n, real *restrict s,
                            real *restrict term)
{
    for (int64_t k = 0; k < n; k++) {
        const real e = vm_exp(-vm_abs(l[k])), q = 1 / (1 + e);
        s[k] = l[k] < 0 ? e * q : q;
        term[k] = (x[k] * l[k] - (l[k] < 0 ? 0 : l[k])) - vm_log1p_unit(e);
    }
}

/* aux: sigmoid(l) (R, D); a chunk. */
void AVI_R(avi_forward_bernoulli_logit_lpdf)(avi_tape *t, avi_node *n)
{
    const int64_t cols = n->in[1]->cols, values = n->rows * cols, step = chunk_rows(cols);
    const real *x = n->in[0]->value, *l = n->in[1]->value;
    real *s = n->aux = avi_tape_alloc(t, values + chunk_values(cols)), *term = s + values;
    for (int64_t r = 0; r < n->rows; r += step) {
        const int64_t rows = n->rows - r < step ? n->rows - r : step, at = r * cols;
        bernoulli_terms(x + at, l + at, rows * cols, s + at, term);
        row_totals(term, rows, cols, (real *)n->value + r);
    }
}

void AVI_R(avi_backward_bernoulli_logit_lpdf)(avi_tape *t, avi_node *n)
{
    const real *restrict x = n->in[0]->value, *restrict l = n->in[1]->value, *restrict s = n->aux,
                         *restrict g = n->grad;
#define TERM(k) (x[k] - s[k])
    ROW_GRADIENT(t, n->in[1], g, TERM);
#undef TERM
#define TERM(k) (l[k])
    ROW_GRADIENT(t, n->in[0], g, TERM);
#undef TERM
}

/* x l - e^l - log x!, the last in `term` at first. */
static void poisson_terms(const real *restrict x, const real *restrict l, int64_t n, real *restrict rate,
                          real *restrict term)
{
    for (int64_t k = 0; k < n; k++) {
        rate[k] = vm_exp(l[k]);
        term[k] = x[k] * l[k] - rate[k] - term[k];
    }
}

/* aux: e^l (R, D); a chunk. */
void AVI_R(avi_forward_poisson_log_lpdf)(avi_tape *t, avi_node *n)
{
    const int64_t cols = n->in[1]->cols, values = n->rows * cols, step = chunk_rows(cols);
    const real *x = n->in[0]->value, *l = n->in[1]->value;
    real *rate = n->aux = avi_tape_alloc(t, values + chunk_values(cols)), *term = rate + values;
    for (int64_t r = 0; r < n->rows; r += step) {
        const int64_t rows = n->rows - r < step ? n->rows - r : step, at = r * cols;
        avi_log_factorials(x + at, rows * cols, term);
        poisson_terms(x + at, l + at, rows * cols, rate + at, term);
        row_totals(term, rows, cols, (real *)n->value + r);
    }
}

void AVI_R(avi_backward_poisson_log_lpdf)(avi_tape *t, avi_node *n)
{
    const real *restrict x = n->in[0]->value, *restrict rate = n->aux, *restrict g = n->grad;
#define TERM(k) (x[k] - rate[k])
    ROW_GRADIENT(t, n->in[1], g, TERM);
#undef TERM
}

/* The class number, or -1 when x is none of 0 .. classes - 1. */
static int64_t class_of(real x, int64_t classes) { return x >= 0 && x < (real)classes ? (int64_t)x : -1; }

/* aux: each row's probabilities (R, C), and work of R values. A class number outside [0, C) gives NaN, which the step
 * counts and names. */
void AVI_R(avi_forward_categorical_logit_lpdf)(avi_tape *t, avi_node *n)
{
    const int64_t classes = n->in[1]->cols;
    const real *l = n->in[1]->value, *x = n->in[0]->value;
    real *restrict p = n->aux = avi_tape_alloc(t, n->rows * (classes + 1)), *restrict sum = p + n->rows * classes;
    real *restrict y = n->value;
    for (int64_t r = 0; r < n->rows; r++) {
        const real *restrict lr = l + r * classes, top = largest(lr, classes);
        const int64_t c = class_of(x[r], classes);
        for (int64_t k = 0; k < classes; k++) p[r * classes + k] = lr[k] - top;
        y[r] = c >= 0 ? lr[c] - top : (real)NAN;
    }
    for (int64_t k = 0; k < n->rows * classes; k++) p[k] = vm_exp(p[k]);
    row_totals(p, n->rows, classes, sum);
    for (int64_t r = 0; r < n->rows; r++) {
        y[r] -= vm_log(sum[r]);
        sum[r] = 1 / sum[r];
    }
    for (int64_t r = 0; r < n->rows; r++)
        for (int64_t k = 0; k < classes; k++) p[r * classes + k] *= sum[r];
}

void AVI_R(avi_backward_categorical_logit_lpdf)(avi_tape *t, avi_node *n)
{
    const int64_t classes = n->in[1]->cols;
    const real *restrict g = n->grad, *restrict p = n->aux, *restrict x = n->in[0]->value;
#define TERM(k) (-p[k])
    ROW_GRADIENT(t, n->in[1], g, TERM);
#undef TERM
    real *d = n->in[1]->grad;
    for (int64_t r = 0; d && r < n->rows; r++) {
        const int64_t c = class_of(x[r], classes);
        if (c >= 0) d[r * classes + c] += g[r];
    }
}
