/* Kernels of arithmetic on operands of equal shape, elementwise functions, reductions, polynomials. */
#include "base/real.h"
#include "base/vmath.h"
#include "tape/internal.h"

#define EACH(n) for (int64_t k = 0, k_end_ = (n)->rows * (n)->cols; k < k_end_; k++)

void AVI_R(avi_forward_add)(avi_tape *t, avi_node *n)
{
    (void)t;
    const real *restrict a = n->in[0]->value, *restrict b = n->in[1]->value;
    real *restrict y = n->value;
    EACH(n) y[k] = a[k] + b[k];
}

void AVI_R(avi_forward_sub)(avi_tape *t, avi_node *n)
{
    (void)t;
    const real *restrict a = n->in[0]->value, *restrict b = n->in[1]->value;
    real *restrict y = n->value;
    EACH(n) y[k] = a[k] - b[k];
}

void AVI_R(avi_forward_mul)(avi_tape *t, avi_node *n)
{
    (void)t;
    const real *a = n->in[0]->value, *b = n->in[1]->value;
    real *restrict y = n->value;
    EACH(n) y[k] = a[k] * b[k];
}

/* to += factor * n->grad, or = when fresh. */
static void pass_on(avi_tape *t, avi_node *n, avi_node *to, real factor)
{
    bool fresh;
    real *restrict d = avi_tape_grad_fresh(t, to, &fresh);
    const real *restrict g = n->grad;
    if (!d) return;
    if (fresh)
        EACH(n) d[k] = factor * g[k];
    else
        EACH(n) d[k] += factor * g[k];
}

void AVI_R(avi_backward_add)(avi_tape *t, avi_node *n)
{
    pass_on(t, n, n->in[0], 1);
    pass_on(t, n, n->in[1], 1);
}

void AVI_R(avi_backward_sub)(avi_tape *t, avi_node *n)
{
    pass_on(t, n, n->in[0], 1);
    pass_on(t, n, n->in[1], -1);
}

void AVI_R(avi_backward_mul)(avi_tape *t, avi_node *n)
{
    const real *g = n->grad;
    for (int i = 0; i < 2; i++) {
        if (!n->in[i]->needs_grad) continue;
        real *d = avi_tape_grad(t, n->in[i]);
        const real *other = n->in[1 - i]->value;
        EACH(n) d[k] += g[k] * other[k];
    }
}

void AVI_R(avi_forward_scale)(avi_tape *t, avi_node *n)
{
    (void)t;
    const real *restrict a = n->in[0]->value;
    real *restrict y = n->value;
    const real factor = (real)n->number[0], offset = (real)n->number[1];
    EACH(n) y[k] = factor * a[k] + offset;
}

void AVI_R(avi_backward_scale)(avi_tape *t, avi_node *n) { pass_on(t, n, n->in[0], (real)n->number[0]); }

void AVI_R(avi_forward_map)(avi_tape *t, avi_node *n)
{
    (void)t;
    const real *restrict a = n->in[0]->value;
    real *restrict y = n->value;
    switch ((avi_function)n->size[0]) {
    case AVI_SIN: EACH(n) y[k] = vm_sin(a[k]); break;
    case AVI_COS: EACH(n) y[k] = vm_cos(a[k]); break;
    case AVI_EXP: EACH(n) y[k] = vm_exp(a[k]); break;
    case AVI_LOG: EACH(n) y[k] = vm_log(a[k]); break;
    case AVI_SOFTPLUS: EACH(n) y[k] = vm_softplus(a[k]); break;
    case AVI_SIGMOID: EACH(n) y[k] = vm_sigmoid(a[k]); break;
    case AVI_SQUARE: EACH(n) y[k] = a[k] * a[k]; break;
    case AVI_FN_TANH: EACH(n) y[k] = vm_tanh(a[k]); break;
    }
}

void AVI_R(avi_backward_map)(avi_tape *t, avi_node *n)
{
    const real *restrict a = n->in[0]->value, *restrict y = n->value, *restrict g = n->grad;
    real *restrict d = avi_tape_grad(t, n->in[0]);
    switch ((avi_function)n->size[0]) {
    case AVI_SIN: EACH(n) d[k] += g[k] * vm_cos(a[k]); break;
    case AVI_COS: EACH(n) d[k] -= g[k] * vm_sin(a[k]); break;
    case AVI_EXP: EACH(n) d[k] += g[k] * y[k]; break;
    case AVI_LOG: EACH(n) d[k] += g[k] / a[k]; break;
    case AVI_SOFTPLUS: EACH(n) d[k] += g[k] * vm_sigmoid(a[k]); break;
    case AVI_SIGMOID: EACH(n) d[k] += g[k] * y[k] * (1 - y[k]); break;
    case AVI_SQUARE: EACH(n) d[k] += g[k] * 2 * a[k]; break;
    case AVI_FN_TANH: EACH(n) d[k] += g[k] * (1 - y[k] * y[k]); break;
    }
}

void AVI_R(avi_forward_row_sum)(avi_tape *t, avi_node *n)
{
    (void)t;
    const int64_t cols = n->in[0]->cols;
    const real *a = n->in[0]->value;
    real *y = n->value;
    for (int64_t r = 0; r < n->rows; r++) {
        real sum = 0;
        for (int64_t c = 0; c < cols; c++) sum += a[r * cols + c];
        y[r] = sum;
    }
}

void AVI_R(avi_backward_row_sum)(avi_tape *t, avi_node *n)
{
    const int64_t cols = n->in[0]->cols;
    const real *g = n->grad;
    real *d = avi_tape_grad(t, n->in[0]);
    for (int64_t r = 0; r < n->rows; r++)
        for (int64_t c = 0; c < cols; c++) d[r * cols + c] += g[r];
}

void AVI_R(avi_forward_draw_mean)(avi_tape *t, avi_node *n)
{
    (void)t;
    const int64_t draws = n->size[0], cols = n->cols;
    const real *a = n->in[0]->value;
    const double *w = n->data;
    real *y = n->value;
    const double equal = 1.0 / (double)draws;
    for (int64_t b = 0; b < n->rows; b++)
        for (int64_t c = 0; c < cols; c++) {
            double sum = 0;
            for (int64_t s = 0; s < draws; s++) sum += (w ? w[s] : equal) * (double)a[(b * draws + s) * cols + c];
            y[b * cols + c] = (real)sum;
        }
}

void AVI_R(avi_backward_draw_mean)(avi_tape *t, avi_node *n)
{
    const int64_t draws = n->size[0], cols = n->cols;
    const double *w = n->data;
    const real *g = n->grad, equal = (real)(1.0 / (double)draws);
    bool fresh;
    real *d = avi_tape_grad_fresh(t, n->in[0], &fresh);
    for (int64_t b = 0; b < n->rows; b++)
        for (int64_t s = 0; s < draws; s++) {
            const real factor = w ? (real)w[s] : equal;
            real *row = d + (b * draws + s) * cols;
            for (int64_t c = 0; c < cols; c++) row[c] = (fresh ? 0 : row[c]) + factor * g[b * cols + c];
        }
}

void AVI_R(avi_forward_draw_logsumexp)(avi_tape *t, avi_node *n)
{
    (void)t;
    const int64_t draws = n->size[0];
    real *y = n->value;
    for (int64_t b = 0; b < n->rows; b++) {
        const real *a = (const real *)n->in[0]->value + b * draws;
        double top = (double)a[0], sum = 0;
        for (int64_t s = 1; s < draws; s++) top = (double)a[s] > top ? (double)a[s] : top;
        for (int64_t s = 0; s < draws; s++) sum += exp((double)a[s] - top);
        y[b] = (real)(top + log(sum));
    }
}

void AVI_R(avi_backward_draw_logsumexp)(avi_tape *t, avi_node *n)
{
    const int64_t draws = n->size[0];
    const real *y = n->value, *g = n->grad;
    real *d = avi_tape_grad(t, n->in[0]);
    for (int64_t b = 0; b < n->rows; b++) {
        const real *a = (const real *)n->in[0]->value + b * draws;
        for (int64_t s = 0; s < draws; s++) d[b * draws + s] += g[b] * vm_exp(a[s] - y[b]);
    }
}

/* aux: exponents (F, D) bytes. */
void AVI_R(avi_forward_polynomial)(avi_tape *t, avi_node *n)
{
    (void)t;
    const int64_t inputs = n->in[0]->cols;
    const unsigned char *e = n->aux;
    for (int64_t r = 0; r < n->rows; r++) {
        const real *x = (const real *)n->in[0]->value + r * inputs;
        real *y = (real *)n->value + r * n->cols;
        for (int64_t f = 0; f < n->cols; f++) {
            y[f] = 1;
            for (int64_t d = 0; d < inputs; d++)
                for (int p = 0; p < e[f * inputs + d]; p++) y[f] *= x[d];
        }
    }
}

void AVI_R(avi_backward_polynomial)(avi_tape *t, avi_node *n)
{
    const int64_t inputs = n->in[0]->cols;
    const unsigned char *e = n->aux;
    real *dx = avi_tape_grad(t, n->in[0]);
    for (int64_t r = 0; r < n->rows; r++)
        for (int64_t f = 0; f < n->cols; f++)
            for (int64_t d = 0; d < inputs; d++) {
                const unsigned char *p = e + f * inputs;
                const real *x = (const real *)n->in[0]->value + r * inputs;
                if (!p[d]) continue;
                real v = (real)p[d] * ((const real *)n->grad)[r * n->cols + f];
                for (int64_t j = 0; j < inputs; j++)
                    for (int k = j == d; k < p[j]; k++) v *= x[j];
                dx[r * inputs + d] += v;
            }
}
