/* Kernels of arithmetic on operands of equal shape, elementwise functions, reductions. */
#include "avi/vmath.h"
#include "tape/lanes.h"

#include <math.h>

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

/* to += factor * n->grad. */
static void pass_on(avi_tape *t, const avi_node *n, avi_node *to, real factor)
{
    const real *restrict g = n->grad;
#define TERM(k) (factor * g[k])
    GRADIENT(t, to, TERM);
#undef TERM
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
    const real *restrict g = n->grad, *restrict a = n->in[0]->value, *restrict b = n->in[1]->value;
#define TERM(k) (g[k] * b[k])
    GRADIENT(t, n->in[0], TERM);
#undef TERM
#define TERM(k) (g[k] * a[k])
    GRADIENT(t, n->in[1], TERM);
#undef TERM
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
    case AVI_SIN:
        EACH(n) y[k] = vm_sin(a[k]);
        break;
    case AVI_COS:
        EACH(n) y[k] = vm_cos(a[k]);
        break;
    case AVI_EXP:
        EACH(n) y[k] = vm_exp(a[k]);
        break;
    case AVI_LOG:
        EACH(n) y[k] = vm_log(a[k]);
        break;
    case AVI_SOFTPLUS:
        EACH(n) y[k] = vm_softplus(a[k]);
        break;
    case AVI_SIGMOID:
        EACH(n) y[k] = vm_sigmoid(a[k]);
        break;
    case AVI_SQUARE:
        EACH(n) y[k] = a[k] * a[k];
        break;
    case AVI_FN_TANH:
        EACH(n) y[k] = vm_tanh(a[k]);
        break;
    }
}

/* Derivatives of the functions from the operand a, the value y and the gradient g of the value. */
#define D_SIN(k)      (g[k] * vm_cos(a[k]))
#define D_COS(k)      (-g[k] * vm_sin(a[k]))
#define D_EXP(k)      (g[k] * y[k])
#define D_LOG(k)      (g[k] / a[k])
#define D_SOFTPLUS(k) (g[k] * vm_sigmoid(a[k]))
#define D_SIGMOID(k)  (g[k] * y[k] * (1 - y[k]))
#define D_SQUARE(k)   (g[k] * 2 * a[k])
#define D_TANH(k)     (g[k] * (1 - y[k] * y[k]))

static void back_of_exponentials(avi_tape *t, const avi_node *n)
{
    const real *restrict a = n->in[0]->value, *restrict y = n->value, *restrict g = n->grad;
    avi_node *to = n->in[0];
    switch ((avi_function)n->size[0]) {
    case AVI_EXP:
        GRADIENT(t, to, D_EXP);
        break;
    case AVI_SOFTPLUS:
        GRADIENT(t, to, D_SOFTPLUS);
        break;
    case AVI_SIGMOID:
        GRADIENT(t, to, D_SIGMOID);
        break;
    default:
        GRADIENT(t, to, D_TANH);
        break;
    }
}

void AVI_R(avi_backward_map)(avi_tape *t, avi_node *n)
{
    const real *restrict a = n->in[0]->value, *restrict g = n->grad;
    avi_node *to = n->in[0];
    switch ((avi_function)n->size[0]) {
    case AVI_SIN:
        GRADIENT(t, to, D_SIN);
        break;
    case AVI_COS:
        GRADIENT(t, to, D_COS);
        break;
    case AVI_LOG:
        GRADIENT(t, to, D_LOG);
        break;
    case AVI_SQUARE:
        GRADIENT(t, to, D_SQUARE);
        break;
    case AVI_EXP:
    case AVI_SOFTPLUS:
    case AVI_SIGMOID:
    case AVI_FN_TANH:
        back_of_exponentials(t, n);
        break;
    }
}

void AVI_R(avi_forward_row_sum)(avi_tape *t, avi_node *n)
{
    (void)t;
    row_totals(n->in[0]->value, n->rows, n->in[0]->cols, n->value);
}

void AVI_R(avi_backward_row_sum)(avi_tape *t, avi_node *n)
{
    const real *restrict g = n->grad;
#define TERM(k) (1)
    ROW_GRADIENT(t, n->in[0], g, TERM);
#undef TERM
}

/* sum_s w[s] a[s * cols + c] for `cols` <= LANES columns out of `stride`, in double; w NULL: equal weights. */
static void mean_of_columns(const real *restrict a, const double *restrict w, int64_t draws, int64_t stride, int cols,
                            real *restrict y)
{
    double sum[LANES] = {0};
    const double equal = 1.0 / (double)draws;
    for (int64_t s = 0; s < draws; s++) {
        const double f = w ? w[s] : equal;
        if (cols == LANES)
            for (int c = 0; c < LANES; c++) sum[c] += f * (double)a[s * stride + c];
        else
            for (int c = 0; c < cols; c++) sum[c] += f * (double)a[s * stride + c];
    }
    for (int c = 0; c < cols; c++) y[c] = (real)sum[c];
}

void AVI_R(avi_forward_draw_mean)(avi_tape *t, avi_node *n)
{
    (void)t;
    const int64_t draws = n->size[0], cols = n->cols;
    if (cols == 1 && !n->data) {
        const real equal = (real)(1.0 / (double)draws);
        real *restrict y = n->value;
        row_totals(n->in[0]->value, n->rows, draws, y);
        for (int64_t b = 0; b < n->rows; b++) y[b] *= equal;
        return;
    }
    for (int64_t b = 0; b < n->rows; b++)
        for (int64_t c = 0; c < cols; c += LANES)
            mean_of_columns((const real *)n->in[0]->value + b * draws * cols + c, n->data, draws, cols,
                            (int)(cols - c < LANES ? cols - c : LANES), (real *)n->value + b * cols + c);
}

void AVI_R(avi_backward_draw_mean)(avi_tape *t, avi_node *n)
{
    const int64_t draws = n->size[0], cols = n->cols, values = draws * cols;
    const double *w = n->data;
    const real equal = (real)(1.0 / (double)draws);
    real *d = avi_tape_grad(t, n->in[0]);
    for (int64_t b = 0; b < n->rows; b++) {
        const real *restrict g = (const real *)n->grad + b * cols;
        real *restrict db = d + b * values;
        if (cols == 1 && !w) {
            for (int64_t s = 0; s < draws; s++) db[s] += equal * g[0];
            continue;
        }
        for (int64_t s = 0; s < draws; s++) {
            const real factor = w ? (real)w[s] : equal;
            for (int64_t c = 0; c < cols; c++) db[s * cols + c] += factor * g[c];
        }
    }
}

/* aux: each draw's share, exp(a - y) (B*S); work of B values. A row of nothing but -inf is -inf and passes no gradient
 * on. */
void AVI_R(avi_forward_draw_logsumexp)(avi_tape *t, avi_node *n)
{
    const int64_t draws = n->size[0], values = n->rows * draws;
    const real *a = n->in[0]->value;
    real *restrict p = n->aux = avi_tape_alloc(t, values + n->rows), *restrict sum = p + values, *restrict y = n->value;
    for (int64_t b = 0; b < n->rows; b++) {
        const real top = largest(a + b * draws, draws);
        y[b] = isinf(top) ? 0 : top;
        for (int64_t s = 0; s < draws; s++) p[b * draws + s] = a[b * draws + s] - y[b];
    }
    for (int64_t k = 0; k < values; k++) p[k] = vm_exp(p[k]);
    row_totals(p, n->rows, draws, sum);
    for (int64_t b = 0; b < n->rows; b++) {
        y[b] += vm_log(sum[b]);
        sum[b] = sum[b] == 0 ? 0 : 1 / sum[b];
    }
    for (int64_t b = 0; b < n->rows; b++)
        for (int64_t s = 0; s < draws; s++) p[b * draws + s] *= sum[b];
}

void AVI_R(avi_backward_draw_logsumexp)(avi_tape *t, avi_node *n)
{
    const int64_t draws = n->size[0];
    const real *restrict p = n->aux, *restrict g = n->grad;
    real *restrict d = avi_tape_grad(t, n->in[0]);
    for (int64_t b = 0; b < n->rows; b++)
        for (int64_t s = b * draws; s < (b + 1) * draws; s++) d[s] += g[b] * p[s];
}
