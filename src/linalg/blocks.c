/* Block Cholesky of a symmetric positive definite block tridiagonal matrix, serial; blocks are small, so plain loops.
 */
#include "avi/linalg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct avi_linalg_blocks {
    int64_t n, l;
    double *chol; /* (n, l, l) lower triangular C_i: C_i C_i' is the pivot block of row i */
    double *link; /* (n - 1, l, l) W_i = off_i C_i^{-T}, block (i + 1, i) of the factor */
    double log_det;
};

/* a (l, l) lower triangle -> its Cholesky factor in place; -1, or the row of a pivot that is not positive. */
static int64_t cholesky(int64_t l, double *a)
{
    for (int64_t i = 0; i < l; i++) {
        for (int64_t j = 0; j <= i; j++) {
            double sum = a[i * l + j];
            for (int64_t p = 0; p < j; p++) sum -= a[i * l + p] * a[j * l + p];
            if (j < i)
                a[i * l + j] = sum / a[j * l + j];
            else if (!(sum > 0) || !isfinite(sum))
                return i;
            else
                a[i * l + i] = sqrt(sum);
        }
        for (int64_t j = i + 1; j < l; j++) a[i * l + j] = 0;
    }
    return -1;
}

/* x (l) := C^{-1} x, and x := C^{-T} x. */
static void forward(int64_t l, const double *c, double *x)
{
    for (int64_t i = 0; i < l; i++) {
        for (int64_t j = 0; j < i; j++) x[i] -= c[i * l + j] * x[j];
        x[i] /= c[i * l + i];
    }
}

static void backward(int64_t l, const double *c, double *x)
{
    for (int64_t i = l - 1; i >= 0; i--) {
        for (int64_t j = i + 1; j < l; j++) x[i] -= c[j * l + i] * x[j];
        x[i] /= c[i * l + i];
    }
}

static avi_status factor(avi_linalg_blocks *b)
{
    const int64_t l = b->l, size = l * l;
    for (int64_t n = 0; n < b->n; n++) {
        double *c = b->chol + n * size;
        if (n > 0) {
            double *w = b->link + (n - 1) * size;
            for (int64_t i = 0; i < l; i++) forward(l, c - size, w + i * l); /* rows of W solve C w = row of off */
            for (int64_t i = 0; i < l; i++)
                for (int64_t j = 0; j <= i; j++)
                    for (int64_t p = 0; p < l; p++) c[i * l + j] -= w[i * l + p] * w[j * l + p];
        }
        const int64_t bad = cholesky(l, c);
        if (bad >= 0)
            return avi_fail(AVI_ERR_DATA,
                            "a block tridiagonal matrix of %lld blocks of %lld rows is not positive definite: the "
                            "pivot of row %lld of block %lld is not positive",
                            (long long)b->n, (long long)l, (long long)bad, (long long)n);
        for (int64_t i = 0; i < l; i++) b->log_det += 2 * log(c[i * l + i]);
    }
    return AVI_OK;
}

avi_status avi_linalg_blocks_create(int64_t n, int64_t l, const double *diagonal, const double *off,
                                    avi_linalg_blocks **blocks)
{
    *blocks = NULL;
    if (n < 1 || l < 1)
        return avi_fail(AVI_ERR_INTERNAL, "a block tridiagonal matrix of %lld blocks of %lld rows", (long long)n,
                        (long long)l);
    const size_t values = (size_t)n * (size_t)l * (size_t)l, links = values - (size_t)l * (size_t)l;
    avi_linalg_blocks *b = calloc(1, sizeof(*b));
    if (b) {
        b->chol = malloc(values * sizeof(double));
        b->link = malloc((links + 1) * sizeof(double));
    }
    if (!b || !b->chol || !b->link) {
        avi_linalg_blocks_destroy(&b);
        return avi_fail_memory((values + links) * sizeof(double), "a block tridiagonal matrix");
    }
    b->n = n;
    b->l = l;
    memcpy(b->chol, diagonal, values * sizeof(double));
    if (links > 0) memcpy(b->link, off, links * sizeof(double));
    const avi_status status = factor(b);
    if (status != AVI_OK) avi_linalg_blocks_destroy(&b);
    *blocks = b;
    return status;
}

void avi_linalg_blocks_destroy(avi_linalg_blocks **blocks)
{
    avi_linalg_blocks *b = *blocks;
    if (!b) return;
    free(b->chol);
    free(b->link);
    free(b);
    *blocks = NULL;
}

double avi_linalg_blocks_log_det(const avi_linalg_blocks *blocks) { return blocks->log_det; }

void avi_linalg_blocks_solve(const avi_linalg_blocks *blocks, double *b)
{
    const int64_t l = blocks->l, size = l * l;
    for (int64_t n = 0; n < blocks->n; n++) {
        double *x = b + n * l;
        for (int64_t i = 0; i < l && n > 0; i++)
            for (int64_t p = 0; p < l; p++) x[i] -= blocks->link[(n - 1) * size + i * l + p] * x[p - l];
        forward(l, blocks->chol + n * size, x);
    }
    for (int64_t n = blocks->n - 1; n >= 0; n--) {
        double *x = b + n * l;
        for (int64_t i = 0; i < l && n + 1 < blocks->n; i++)
            for (int64_t p = 0; p < l; p++) x[i] -= blocks->link[n * size + p * l + i] * x[p + l];
        backward(l, blocks->chol + n * size, x);
    }
}

/* With H = W C^{-1} (rows of H solve C' h = row of W): block (i + 1, i) of the inverse is S = -D H, where D is its
 * block (i + 1, i + 1), and block (i, i) is C^{-T} C^{-1} + H' D H = C^{-T} C^{-1} - H' S. scratch: h, s (l, l). */
static void inverse_step(int64_t l, const double *c, const double *w, const double *next, double *h, double *s,
                         double *diagonal)
{
    memcpy(h, w, (size_t)(l * l) * sizeof(double));
    for (int64_t i = 0; i < l; i++) backward(l, c, h + i * l);
    for (int64_t i = 0; i < l; i++)
        for (int64_t j = 0; j < l; j++) {
            s[i * l + j] = 0;
            for (int64_t p = 0; p < l; p++) s[i * l + j] -= next[i * l + p] * h[p * l + j];
        }
    for (int64_t i = 0; i < l; i++)
        for (int64_t j = 0; j < l; j++)
            for (int64_t p = 0; p < l; p++) diagonal[i * l + j] -= h[p * l + i] * s[p * l + j];
}

avi_status avi_linalg_blocks_inverse(const avi_linalg_blocks *blocks, double *diagonal, double *off)
{
    const int64_t l = blocks->l, size = l * l;
    double *scratch = malloc((size_t)size * 2 * sizeof(double));
    if (!scratch)
        return avi_fail_memory((size_t)size * 2 * sizeof(double), "the inverse of a block tridiagonal matrix");
    for (int64_t n = blocks->n - 1; n >= 0; n--) {
        const double *c = blocks->chol + n * size;
        double *d = diagonal + n * size;
        for (int64_t i = 0; i < l; i++) { /* row i of the inverse of the pivot block, which is symmetric */
            for (int64_t j = 0; j < l; j++) d[i * l + j] = i == j;
            forward(l, c, d + i * l);
            backward(l, c, d + i * l);
        }
        if (n + 1 == blocks->n) continue;
        inverse_step(l, c, blocks->link + n * size, d + size, scratch, scratch + size, d);
        if (off) memcpy(off + n * size, scratch + size, (size_t)size * sizeof(double));
    }
    free(scratch);
    return AVI_OK;
}
