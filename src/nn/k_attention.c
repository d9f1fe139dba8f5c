/* Softmax attention within segments of rows, head by head. The weights of a segment are computed anew in backward, so
 * that memory grows with the rows and not with their squares. */
#include "avi/kernel.h"
#include "avi/vmath.h"
#include "tape/internal.h"

#include <cblas.h>

#if AVI_SINGLE
#define GEMM cblas_sgemm
#else
#define GEMM cblas_dgemm
#endif

/* The rows of one segment, the columns of one head. */
typedef struct head {
    const real *query, *key, *value; /* (rows, dims), `step` apart */
    int64_t rows, dims, step;
    real scale; /* 1 / sqrt(dims) */
} head;

static head head_of(const avi_node *n, int64_t segment, int64_t h)
{
    const int64_t width = n->cols, heads = n->size[0], dims = width / heads, from = n->runs[segment];
    const real *at = (const real *)n->in[0]->value + from * 3 * width + h * dims;
    return (head){.query = at,
                  .key = at + width,
                  .value = at + 2 * width,
                  .rows = n->runs[segment + 1] - from,
                  .dims = dims,
                  .step = 3 * width,
                  .scale = 1 / R_FN(sqrt)((real)dims)};
}

static int64_t longest(const avi_node *n)
{
    int64_t rows = 0;
    for (int64_t b = 0; b < n->size[1]; b++)
        if (n->runs[b + 1] - n->runs[b] > rows) rows = n->runs[b + 1] - n->runs[b];
    return rows;
}

/* C (m, n) = factor A B + beta C with rows lda, ldb, ldc apart; k values are summed. */
static void multiply(CBLAS_TRANSPOSE a, CBLAS_TRANSPOSE b, int64_t m, int64_t n, int64_t k, real factor,
                     const real *left, int64_t lda, const real *right, int64_t ldb, real beta, real *out, int64_t ldc)
{
    GEMM(CblasRowMajor, a, b, (int)m, (int)n, (int)k, factor, left, (int)lda, right, (int)ldb, beta, out, (int)ldc);
}

/* p (rows, rows): softmax over keys of the scaled products of queries and keys. */
static void weights(const head *h, real *p)
{
    multiply(CblasNoTrans, CblasTrans, h->rows, h->rows, h->dims, h->scale, h->query, h->step, h->key, h->step, 0, p,
             h->rows);
    for (int64_t r = 0; r < h->rows; r++) {
        real *restrict row = p + r * h->rows;
        real top = row[0], sum = 0;
        for (int64_t k = 1; k < h->rows; k++) top = row[k] > top ? row[k] : top;
        for (int64_t k = 0; k < h->rows; k++) row[k] = vm_exp(row[k] - top);
        for (int64_t k = 0; k < h->rows; k++) sum += row[k];
        for (int64_t k = 0; k < h->rows; k++) row[k] /= sum;
    }
}

void AVI_R(avi_forward_attention)(avi_tape *t, avi_node *n)
{
    const int64_t most = longest(n);
    real *p = avi_tape_alloc(t, most * most);
    for (int64_t b = 0; b < n->size[1]; b++)
        for (int64_t i = 0; i < n->size[0]; i++) {
            const head h = head_of(n, b, i);
            if (h.rows == 0) continue;
            weights(&h, p);
            multiply(CblasNoTrans, CblasNoTrans, h.rows, h.dims, h.rows, 1, p, h.rows, h.value, h.step, 0,
                     (real *)n->value + n->runs[b] * n->cols + i * h.dims, n->cols);
        }
}

/* d becomes the gradient by the products before the softmax, from that by the weights p. */
static void softmax_back(int64_t rows, const real *p, real *d)
{
    for (int64_t r = 0; r < rows; r++, p += rows, d += rows) {
        real sum = 0;
        for (int64_t k = 0; k < rows; k++) sum += p[k] * d[k];
        for (int64_t k = 0; k < rows; k++) d[k] = p[k] * (d[k] - sum);
    }
}

void AVI_R(avi_backward_attention)(avi_tape *t, avi_node *n)
{
    const int64_t most = longest(n), width = n->cols;
    real *p = avi_tape_alloc(t, most * most), *d = avi_tape_alloc(t, most * most);
    bool fresh;
    real *to = avi_tape_grad_fresh(t, n->in[0], &fresh);
    const real beta = fresh ? 0 : 1;
    for (int64_t b = 0; b < n->size[1]; b++)
        for (int64_t i = 0; i < n->size[0]; i++) {
            const head h = head_of(n, b, i);
            const real *g = (const real *)n->grad + n->runs[b] * width + i * h.dims;
            real *query = to + n->runs[b] * 3 * width + i * h.dims, *key = query + width, *value = key + width;
            if (h.rows == 0) continue;
            weights(&h, p);
            multiply(CblasTrans, CblasNoTrans, h.rows, h.dims, h.rows, 1, p, h.rows, g, width, beta, value, h.step);
            multiply(CblasNoTrans, CblasTrans, h.rows, h.rows, h.dims, 1, g, width, h.value, h.step, 0, d, h.rows);
            softmax_back(h.rows, p, d);
            multiply(CblasNoTrans, CblasNoTrans, h.rows, h.dims, h.rows, h.scale, d, h.rows, h.key, h.step, beta, query,
                     h.step);
            multiply(CblasTrans, CblasNoTrans, h.rows, h.dims, h.rows, h.scale, d, h.rows, h.query, h.step, beta, key,
                     h.step);
        }
}
