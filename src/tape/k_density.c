/* Log densities with their gradients in one pass each. Operands have the shape (R, D) of the density (builders spread them);
 * sums over columns run in 16 lanes so that they vectorise in strict floating point and are more accurate than a running sum. */
#include "base/real.h"
#include "base/vmath.h"
#include "tape/internal.h"

#include <math.h>

#define LANES 16
#define HALF_LOG_2PI R(0.91893853320467274178)

/* out[r] = sum over columns of TERM(k), k = index in (rows, cols). One column: no sum. */
#define ROW_SUMS(out, rows, cols, TERM)                                                                                \
    do {                                                                                                               \
        const int64_t rows_ = (rows), cols_ = (cols);                                                                  \
        if (cols_ == 1) {                                                                                              \
            for (int64_t k = 0; k < rows_; k++) (out)[k] = TERM(k);                                                    \
            break;                                                                                                     \
        }                                                                                                              \
        for (int64_t r_ = 0; r_ < rows_; r_++) {                                                                       \
            real acc_[LANES] = {0}, sum_ = 0;                                                                          \
            int64_t c_ = 0;                                                                                            \
            for (; c_ + LANES <= cols_; c_ += LANES)                                                                   \
                for (int j_ = 0; j_ < LANES; j_++) acc_[j_] += TERM(r_ * cols_ + c_ + j_);                             \
            for (; c_ < cols_; c_++) sum_ += TERM(r_ * cols_ + c_);                                                    \
            for (int j_ = 0; j_ < LANES; j_++) sum_ += acc_[j_];                                                       \
            (out)[r_] = sum_;                                                                                          \
        }                                                                                                              \
    } while (0)

/* d[k] (+)= g[row of k] * TERM(k). */
#define ROW_GRADIENT(t, node, g, rows, cols, TERM)                                                                     \
    do {                                                                                                               \
        bool fresh_;                                                                                                   \
        real *restrict d_ = avi_tape_grad_fresh(t, node, &fresh_);                                                     \
        if (!d_) break;                                                                                                \
        const int64_t rows_ = (rows), cols_ = (cols);                                                                  \
        if (cols_ == 1) {                                                                                              \
            if (fresh_)                                                                                                \
                for (int64_t k = 0; k < rows_; k++) d_[k] = (g)[k] * TERM(k);                                          \
            else                                                                                                       \
                for (int64_t k = 0; k < rows_; k++) d_[k] += (g)[k] * TERM(k);                                         \
            break;                                                                                                     \
        }                                                                                                              \
        for (int64_t r_ = 0; r_ < rows_; r_++) {                                                                       \
            const real g_ = (g)[r_];                                                                                   \
            if (fresh_)                                                                                                \
                for (int64_t k = r_ * cols_; k < (r_ + 1) * cols_; k++) d_[k] = g_ * TERM(k);                          \
            else                                                                                                       \
                for (int64_t k = r_ * cols_; k < (r_ + 1) * cols_; k++) d_[k] += g_ * TERM(k);                         \
        }                                                                                                              \
    } while (0)

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
    ROW_GRADIENT(t, n->in[0], g, n->rows, n->in[0]->cols, TERM);
#undef TERM
}

/* aux, with log_sd: u = (x - mean) / sd and 1 / sd, (R, D) each. Without: sd = number[0], nothing is kept. */
void AVI_R(avi_forward_normal_lpdf)(avi_tape *t, avi_node *n)
{
    const int64_t cols = n->in[0]->cols, values = n->rows * cols;
    const real *restrict x = n->in[0]->value, *restrict m = n->in[1]->value;
    real *restrict y = n->value;
    if (!n->in[2]) {
        const real inv = (real)(1 / n->number[0]), constant = (real)(log(n->number[0])) + HALF_LOG_2PI;
#define TERM(k) (R(-0.5) * ((x[k] - m[k]) * inv) * ((x[k] - m[k]) * inv) - constant)
        ROW_SUMS(y, n->rows, cols, TERM);
#undef TERM
        return;
    }
    const real *restrict ls = n->in[2]->value;
    n->aux = avi_tape_alloc(t, 2 * values);
    real *restrict u = n->aux, *restrict inv = u + values;
    for (int64_t k = 0; k < values; k++) {
        inv[k] = vm_exp(-ls[k]);
        u[k] = (x[k] - m[k]) * inv[k];
    }
#define TERM(k) (R(-0.5) * u[k] * u[k] - ls[k] - HALF_LOG_2PI)
    ROW_SUMS(y, n->rows, cols, TERM);
#undef TERM
}

void AVI_R(avi_backward_normal_lpdf)(avi_tape *t, avi_node *n)
{
    const int64_t cols = n->in[0]->cols, values = n->rows * cols;
    const real *restrict g = n->grad, *restrict x = n->in[0]->value, *restrict m = n->in[1]->value;
    if (!n->in[2]) {
        const real precision = (real)(1 / (n->number[0] * n->number[0]));
#define TERM(k) ((x[k] - m[k]) * precision)
        ROW_GRADIENT(t, n->in[1], g, n->rows, cols, TERM);
#undef TERM
#define TERM(k) ((m[k] - x[k]) * precision)
        ROW_GRADIENT(t, n->in[0], g, n->rows, cols, TERM);
#undef TERM
        return;
    }
    const real *restrict u = n->aux, *restrict inv = u + values;
#define TERM(k) (u[k] * inv[k])
    ROW_GRADIENT(t, n->in[1], g, n->rows, cols, TERM);
#undef TERM
#define TERM(k) (-u[k] * inv[k])
    ROW_GRADIENT(t, n->in[0], g, n->rows, cols, TERM);
#undef TERM
#define TERM(k) (u[k] * u[k] - 1)
    ROW_GRADIENT(t, n->in[2], g, n->rows, cols, TERM);
#undef TERM
}

/* x l - log(1 + e^l). aux: sigmoid(l), which the gradient needs, from the same exponential. */
void AVI_R(avi_forward_bernoulli_logit_lpdf)(avi_tape *t, avi_node *n)
{
    const int64_t cols = n->in[1]->cols, values = n->rows * cols;
    const real *restrict x = n->in[0]->value, *restrict l = n->in[1]->value;
    real *restrict y = n->value;
    n->aux = avi_tape_alloc(t, 2 * values);
    real *restrict s = n->aux, *restrict term = s + values;
    for (int64_t r = 0; r < n->rows; r++) {
        real *restrict tr = term; /* one row, reused: stays in cache */
        const real *restrict lr = l + r * cols, *restrict xr = x + r * cols;
        real *restrict sr = s + r * cols;
        for (int64_t c = 0; c < cols; c++) {
            const real e = vm_exp(lr[c] < 0 ? lr[c] : -lr[c]), q = 1 / (1 + e);
            sr[c] = lr[c] < 0 ? e * q : q;
            tr[c] = xr[c] * lr[c] - ((lr[c] < 0 ? 0 : lr[c]) + vm_log(1 + e));
        }
#define TERM(k) (tr[k])
        ROW_SUMS(y + r, 1, cols, TERM);
#undef TERM
    }
}

void AVI_R(avi_backward_bernoulli_logit_lpdf)(avi_tape *t, avi_node *n)
{
    const real *restrict x = n->in[0]->value, *restrict l = n->in[1]->value, *restrict s = n->aux, *restrict g = n->grad;
    const int64_t cols = n->in[1]->cols;
#define TERM(k) (x[k] - s[k])
    ROW_GRADIENT(t, n->in[1], g, n->rows, cols, TERM);
#undef TERM
#define TERM(k) (l[k])
    ROW_GRADIENT(t, n->in[0], g, n->rows, cols, TERM);
#undef TERM
}

void AVI_R(avi_forward_poisson_log_lpdf)(avi_tape *t, avi_node *n)
{
    (void)t;
    const real *restrict x = n->in[0]->value, *restrict lr = n->in[1]->value;
    real *restrict y = n->value;
#define TERM(k) (x[k] * lr[k] - vm_exp(lr[k]) - (real)lgamma((double)x[k] + 1))
    ROW_SUMS(y, n->rows, n->in[1]->cols, TERM);
#undef TERM
}

void AVI_R(avi_backward_poisson_log_lpdf)(avi_tape *t, avi_node *n)
{
    const real *restrict x = n->in[0]->value, *restrict lr = n->in[1]->value, *restrict g = n->grad;
#define TERM(k) (x[k] - vm_exp(lr[k]))
    ROW_GRADIENT(t, n->in[1], g, n->rows, n->in[1]->cols, TERM);
#undef TERM
}

/* aux: log sum exp of each row's logits. A class number outside [0, C) gives NaN, which the step counts and names. */
void AVI_R(avi_forward_categorical_logit_lpdf)(avi_tape *t, avi_node *n)
{
    const int64_t classes = n->in[1]->cols;
    n->aux = avi_tape_alloc(t, n->rows);
    for (int64_t r = 0; r < n->rows; r++) {
        const real *l = (const real *)n->in[1]->value + r * classes, x = ((const real *)n->in[0]->value)[r];
        real top = l[0], sum = 0;
        for (int64_t c = 1; c < classes; c++) top = l[c] > top ? l[c] : top;
        for (int64_t c = 0; c < classes; c++) sum += vm_exp(l[c] - top);
        const real lse = top + vm_log(sum);
        ((real *)n->aux)[r] = lse;
        ((real *)n->value)[r] = x >= 0 && x < (real)classes ? l[(int64_t)x] - lse : (real)NAN;
    }
}

void AVI_R(avi_backward_categorical_logit_lpdf)(avi_tape *t, avi_node *n)
{
    if (!n->in[1]->needs_grad) return;
    const int64_t classes = n->in[1]->cols;
    real *d = avi_tape_grad(t, n->in[1]);
    for (int64_t r = 0; r < n->rows; r++) {
        const real *l = (const real *)n->in[1]->value + r * classes, x = ((const real *)n->in[0]->value)[r];
        const real lse = ((const real *)n->aux)[r], g = ((const real *)n->grad)[r];
        for (int64_t c = 0; c < classes; c++)
            d[r * classes + c] += g * ((x >= 0 && c == (int64_t)x ? 1 : 0) - vm_exp(l[c] - lse));
    }
}
