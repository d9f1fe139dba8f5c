/* Rows through a weight: in blocks of tiles, with the bits that each tile has alone. */
#include "avi/kernel.h"
#include "products/products.h"
#include "products/panel.h"

size_t AVI_R(avi_rows_scratch)(int64_t out, int64_t in)
{
    const int64_t forward = panel_round_up(out, STRIP) * in, backward = panel_round_up(in, STRIP) * out;
    return (size_t)(forward > backward ? forward : backward) * sizeof(real);
}

/* w (out, in) -> w' in strips of (in, STRIP). Square pieces, since one side or the other is read across the grain. */
static void pack_transposed(const real *restrict w, int64_t out, int64_t in, real *restrict to)
{
    for (int64_t o = 0; o < out; o += STRIP, to += in * STRIP) {
        const int64_t n = panel_least(STRIP, out - o);
        if (n < STRIP) memset(to, 0, (size_t)(in * STRIP) * sizeof *to);
        for (int64_t i = 0; i < in; i += STRIP)
            for (int64_t j = 0; j < n; j++)
                for (int64_t k = i; k < panel_least(in, i + STRIP); k++) to[k * STRIP + j] = w[(o + j) * in + k];
    }
}

typedef struct rows_job {
    const real *from; /* (rows, count) */
    int64_t count;    /* values of a row that are summed over */
    real *to;         /* (rows, width) */
    int64_t width;
    const real *bias; /* (width) or NULL */
    bool add;         /* to what is there */
} rows_job;

static inline __attribute__((always_inline)) void band(const int n, const rows_job *j, int64_t row, int64_t col,
                                                       const real *strip)
{
    _Alignas(VECTOR) real v[BAND * STRIP];
    const int64_t cols = panel_least(STRIP, j->width - col);
    panel_multiply(n, j->from + row * j->count, 1, j->count, strip, j->count, v);
    for (int r = 0; r < n; r++) {
        real *restrict to = j->to + (row + r) * j->width + col;
        const real *restrict value = v + r * STRIP, *restrict bias = j->bias ? j->bias + col : NULL;
        if (bias)
            for (int64_t c = 0; c < cols; c++) to[c] = value[c] + bias[c];
        else if (j->add)
            for (int64_t c = 0; c < cols; c++) to[c] += value[c];
        else
            memcpy(to, value, (size_t)cols * sizeof *to);
    }
}

/* Few bands and all strips, again and again: the bands' rows stay in the first-level cache, the strips in the second.
 */
static void multiply_rows(const rows_job *j, int64_t rows, const real *strips)
{
    for (int64_t col = 0; col < j->width; col += STRIP, strips += j->count * STRIP) {
        int64_t r = 0;
        for (; r + BAND <= rows; r += BAND) band(BAND, j, r, col, strips);
        for (; r < rows; r++) band(1, j, r, col, strips);
    }
}

void AVI_R(avi_rows_forward)(int64_t rows, int64_t out, int64_t in, const void *w, const void *bias, const void *x,
                             void *y, void *scratch)
{
    pack_transposed(w, out, in, scratch);
    multiply_rows(&(rows_job){.from = x, .count = in, .to = y, .width = out, .bias = bias}, rows, scratch);
}

void AVI_R(avi_rows_backward)(int64_t rows, int64_t out, int64_t in, const void *w, const void *g, bool add, void *dx,
                              void *scratch)
{
    panel_pack_strips(w, out, in, scratch);
    multiply_rows(&(rows_job){.from = g, .count = out, .to = dx, .width = in, .add = add}, rows, scratch);
}
