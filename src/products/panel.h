/* The inner loop of matrix products whose bits do not depend on how many rows are multiplied at once (BLAS promises no
 * such thing, and OpenBLAS's kernels add in another order where rows do not fill a register block). For k_*.c files
 * alone, compiled with -ffp-contract=fast. */
#ifndef AVI_PRODUCTS_PANEL_H
#define AVI_PRODUCTS_PANEL_H

#include "avi/kernel.h"

#include <stdint.h>
#include <string.h>

enum { VECTOR = AVI_VECTOR };
/* BAND x STRIP sums take 12 registers. */
enum { LANES = VECTOR / (int)sizeof(real), STRIP = 2 * LANES, BAND = 6 };

typedef real vec __attribute__((vector_size(VECTOR), may_alias));

static inline int64_t panel_least(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t panel_round_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/* v (n, STRIP) = sum over k < count of a[k * step + j * width] b[k, :], b (count, STRIP) aligned: added in order of k,
 * in registers. n <= BAND, a constant. */
static inline __attribute__((always_inline)) void panel_multiply(const int n, const real *restrict a, int64_t step,
                                                                 int64_t width, const real *restrict b, int64_t count,
                                                                 real *restrict v)
{
    vec sum[BAND][2] = {0};
#pragma GCC unroll 4 /* 1.13 times as fast */
    for (int64_t k = 0; k < count; k++, a += step, b += STRIP) {
        const vec b0 = ((const vec *)b)[0], b1 = ((const vec *)b)[1];
        for (int j = 0; j < n; j++) {
            sum[j][0] += a[j * width] * b0;
            sum[j][1] += a[j * width] * b1;
        }
    }
    for (int j = 0; j < n; j++) {
        ((vec *)v)[2 * j] = sum[j][0];
        ((vec *)v)[2 * j + 1] = sum[j][1];
    }
}

/* Columns [first, first + cols) of a (rows, width) -> (rows, lanes), filled up with zeros. Returns the place after. */
static inline real *panel_pack(const real *a, int64_t rows, int64_t width, int64_t first, int64_t cols, int lanes,
                               real *restrict out)
{
    a += first;
    if (cols == lanes) {
        for (int64_t r = 0; r < rows; r++, out += lanes, a += width) memcpy(out, a, (size_t)lanes * sizeof *out);
        return out;
    }
    for (int64_t r = 0; r < rows; r++, out += lanes, a += width) {
        memset(out, 0, (size_t)lanes * sizeof *out);
        memcpy(out, a, (size_t)cols * sizeof *out);
    }
    return out;
}

/* All columns, in strips of (rows, STRIP). */
static inline real *panel_pack_strips(const real *a, int64_t rows, int64_t width, real *out)
{
    for (int64_t c = 0; c < width; c += STRIP)
        out = panel_pack(a, rows, width, c, panel_least(STRIP, width - c), STRIP, out);
    return out;
}

#endif
