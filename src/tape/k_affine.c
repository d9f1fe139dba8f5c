/* act(x W' + b): the one operation that costs. GEMM by OpenBLAS; bias, activation and its derivative in place, so that
 * a layer touches its output once more than GEMM does. The parameter gradients are added straight into the flat vector that is reduced. */
#include "base/real.h"
#include "base/vmath.h"
#include "tape/internal.h"

#include <cblas.h>
#include <string.h>

#if AVI_SINGLE
#define GEMM cblas_sgemm
#else
#define GEMM cblas_dgemm
#endif

static const real leaky_slope = R(0.2);

static void activate(avi_activation act, real *restrict y, int64_t n)
{
    switch (act) {
    case AVI_IDENTITY: break;
    case AVI_RELU: /* NaN stays NaN: the comparison is false for it */
        for (int64_t k = 0; k < n; k++) y[k] = y[k] < 0 ? 0 : y[k];
        break;
    case AVI_LEAKY_RELU:
        for (int64_t k = 0; k < n; k++) y[k] = y[k] < 0 ? leaky_slope * y[k] : y[k];
        break;
    case AVI_TANH:
        for (int64_t k = 0; k < n; k++) y[k] = vm_tanh(y[k]);
        break;
    }
}

/* g *= act'(pre-activation), from the output y. */
static void deactivate(avi_activation act, const real *restrict y, real *restrict g, int64_t n)
{
    switch (act) {
    case AVI_IDENTITY: break;
    case AVI_RELU:
        for (int64_t k = 0; k < n; k++) g[k] = y[k] > 0 ? g[k] : 0;
        break;
    case AVI_LEAKY_RELU:
        for (int64_t k = 0; k < n; k++) g[k] = y[k] < 0 ? leaky_slope * g[k] : g[k];
        break;
    case AVI_TANH:
        for (int64_t k = 0; k < n; k++) g[k] *= 1 - y[k] * y[k];
        break;
    }
}

void AVI_R(avi_forward_affine)(avi_tape *t, avi_node *n)
{
    (void)t;
    const avi_node *x = n->in[0], *w = n->in[1], *b = n->in[2];
    const int64_t out = n->cols;
    real *y = n->value;
    if (b)
        for (int64_t r = 0; r < n->rows; r++) memcpy(y + r * out, b->value, (size_t)out * sizeof *y);
    GEMM(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)n->rows, (blasint)out, (blasint)x->cols, 1, x->value,
         (blasint)x->cols, w->value, (blasint)x->cols, b ? 1 : 0, y, (blasint)out);
    activate((avi_activation)n->size[0], y, n->rows * out);
}

void AVI_R(avi_backward_affine)(avi_tape *t, avi_node *n)
{
    avi_node *x = n->in[0], *w = n->in[1], *b = n->in[2];
    const blasint rows = (blasint)n->rows, out = (blasint)n->cols, in = (blasint)x->cols;
    real *g = n->grad; /* nobody reads it after this: it becomes the gradient of the pre-activation in place */
    deactivate((avi_activation)n->size[0], n->value, g, n->rows * n->cols);
    bool fresh;
    real *dw = avi_tape_grad_fresh(t, w, &fresh);
    if (dw) GEMM(CblasRowMajor, CblasTrans, CblasNoTrans, out, in, rows, 1, g, out, x->value, in, fresh ? 0 : 1, dw, in);
    if (b && b->needs_grad) {
        real *restrict db = avi_tape_grad(t, b);
        for (int64_t r = 0; r < n->rows; r++)
            for (int64_t c = 0; c < n->cols; c++) db[c] += g[r * n->cols + c];
    }
    real *dx = avi_tape_grad_fresh(t, x, &fresh);
    if (dx) GEMM(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, in, out, 1, g, out, w->value, in, fresh ? 0 : 1, dx, in);
}
