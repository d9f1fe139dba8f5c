/* Products of reproducible sums: GEMM of a tile whose results go from registers to fixed point. OpenBLAS would write
 * the tile's gradient to memory, to be read again, and the sums with it, for each tile: on 64 rows that takes as long
 * as the multiplication (tests/bench/README.md). */
#include "avi/kernel.h"
#include "products/products.h"
#include "products/panel.h"

#include <math.h>
#include <string.h>

enum { PIECE = 16 * BAND }; /* rows of the weight at once: their factors of some tiles stay in the second-level cache */

/* ---- the largest magnitude that a product can have: |sum_k g_ki x_kj| <= |g_i| |x_j| (Cauchy & Schwarz) ---- */

enum { NORMS = 64 }; /* columns at once */

static double largest_norm_checked(const real *a, int64_t rows, int64_t cols)
{
    double top = 0;
    for (int64_t c = 0; c < cols; c++) {
        double sum = 0;
        for (int64_t r = 0; r < rows; r++) sum = hypot(sum, (double)a[r * cols + c]);
        top = sum > top || sum != sum ? sum : top; /* NaN stays */
    }
    return top;
}

/* The largest Euclidean norm of a column. In `real`, unless squares leave its range. */
static double largest_norm(const real *a, int64_t rows, int64_t cols)
{
    real top = 0;
    for (int64_t c = 0; c < cols; c += NORMS) {
        const int64_t n = panel_least(NORMS, cols - c);
        real sum[NORMS] = {0};
        for (int64_t r = 0; r < rows; r++)
            for (int64_t k = 0; k < n; k++) sum[k] += a[r * cols + c + k] * a[r * cols + c + k];
        for (int64_t k = 0; k < n; k++) top = sum[k] > top || sum[k] != sum[k] ? sum[k] : top;
    }
    return top > R(1e-25) && top < R(1e35) ? sqrt((double)top) : largest_norm_checked(a, rows, cols);
}

/* With room for what rounding of norms and sums adds. */
static double bound_of(const avi_product *p)
{
    return 1.001 * largest_norm(p->g, p->rows, p->out) * largest_norm(p->x, p->rows, p->in);
}

/* ---- multiply, round, add ---- */

static const double magic = 0x1.8p52; /* in this binade one unit in the last place is 1 */

/* sum += round(scale v), where sum is magic and a whole number. With one rounding for product and sum where the machine
 * can; a rounded product could make a tie. */
static inline double add_rounded(double sum, double v, double scale)
{
#ifdef __FP_FAST_FMA
    return __builtin_fma(v, scale, sum);
#else
    return sum + ((v * scale + magic) - magic);
#endif
}

static inline void add_band(double *restrict sum, const real *restrict v, double scale)
{
    for (int k = 0; k < BAND * STRIP; k++) sum[k] = add_rounded(sum[k], (double)v[k], scale);
}

/* Work space, in this order. */
typedef struct space {
    double *sum; /* (PIECE, STRIP) */
    real *x;     /* (products: strips of (rows, STRIP)): strided, x would cost half as much again */
    real *g;     /* (products: (rows, BAND)): the last ones of g where they fill no band */
} space;

size_t AVI_R(avi_products_scratch)(int64_t rows, int64_t in)
{
    return sizeof(double[PIECE * STRIP]) + (size_t)rows * (size_t)(BAND + panel_round_up(in, STRIP)) * sizeof(real);
}

/* Rows [first, end) of the weight, at most PIECE, and STRIP columns from `col`: over all products, so that the sums
 * stay in cache. */
static void sum_strip(int count, const avi_product *p, int64_t first, int64_t end, int64_t col, double scale,
                      const space *s)
{
    const real *strips = s->x, *last = s->g;
    _Alignas(VECTOR) real v[BAND * STRIP];
    for (int64_t k = 0; k < panel_round_up(end - first, BAND) * STRIP; k++) s->sum[k] = magic;
    for (int i = 0; i < count; i++) {
        const int64_t rows = p[i].rows;
        const real *x = strips + col * rows;
        for (int64_t o = first; o < end; o += BAND) {
            if (o + BAND <= p->out)
                panel_multiply(BAND, (const real *)p[i].g + o, p->out, 1, x, rows, v);
            else
                panel_multiply(BAND, last, BAND, 1, x, rows, v);
            add_band(s->sum + (o - first) * STRIP, v, scale);
        }
        strips += rows * panel_round_up(p->in, STRIP);
        last += rows * BAND;
    }
}

static void put_whole(int64_t *restrict to, bool add, const double *restrict from, int64_t n)
{
    int64_t magic_bits, k;
    memcpy(&magic_bits, &magic, sizeof magic);
    for (int64_t c = 0; c < n; c++) {
        memcpy(&k, &from[c], sizeof k);
        to[c] = (add ? to[c] : 0) + (k - magic_bits);
    }
}

int64_t AVI_R(avi_products_fixed_point)(int64_t *sum, bool add, int count, const avi_product *p, int shift,
                                        double *largest, void *scratch)
{
    const double scale = ldexp(1 + 0x1p-52, shift), most = ldexp(1, AVI_PRODUCT_BITS - shift);
    int64_t bad = 0;
    for (int i = 0; i < count; i++) {
        const double bound = bound_of(&p[i]);
        bad += !(bound < most);
        if (isfinite(bound) && bound > *largest) *largest = bound;
    }
    if (bad || count == 0) return bad;
    space s = {.sum = scratch};
    const int64_t out = p->out, in = p->in, rest = out % BAND;
    real *end = s.x = (real *)(s.sum + PIECE * STRIP);
    for (int i = 0; i < count; i++) end = panel_pack_strips(p[i].x, p[i].rows, in, end);
    s.g = end;
    for (int i = 0; rest && i < count; i++) end = panel_pack(p[i].g, p[i].rows, out, out - rest, rest, BAND, end);
    for (int64_t o = 0; o < out; o += PIECE)
        for (int64_t c = 0; c < in; c += STRIP) {
            const int64_t to = panel_least(out, o + PIECE);
            sum_strip(count, p, o, to, c, scale, &s);
            for (int64_t r = o; r < to; r++)
                put_whole(sum + r * in + c, add, s.sum + (r - o) * STRIP, panel_least(STRIP, in - c));
        }
    return 0;
}
