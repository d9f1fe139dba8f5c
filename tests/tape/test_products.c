/* Gradients that leave the tape tile by tile: products against the same sums in long double, rows against BLAS, and
 * both in blocks of tiles against each tile alone, to the bit. */
#include "avi/fixed_point.h"
#include "avi/rng.h"
#include "avi/param.h"
#include "products/products.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { OUT = 103, IN = 83 /* neither fills bands and strips */, TILES = 5, MOST = 70, ROWS = TILES * MOST, SHIFT = 30 };
static const int64_t tile_rows[TILES] = {64, 1, 17, MOST, 6};

static _Alignas(64) float g32[ROWS * OUT], x32[ROWS * IN], w32[OUT * IN];
static _Alignas(64) double g64[ROWS * OUT], x64[ROWS * IN], w64[OUT * IN];
static _Alignas(64) char scratch[1 << 21];

static int fill(void **state)
{
    (void)state;
    const avi_stream s = avi_stream_make(5, AVI_DRAW_TEST, 1);
    avi_normal_f64(s, 0, ROWS, 0, OUT, g64);
    avi_normal_f64(s, ROWS, ROWS, 0, IN, x64);
    avi_normal_f64(s, 2 * ROWS, OUT, 0, IN, w64);
    for (int i = 0; i < ROWS * OUT; i++) g32[i] = (float)g64[i];
    for (int i = 0; i < ROWS * IN; i++) x32[i] = (float)x64[i];
    for (int i = 0; i < OUT * IN; i++) w32[i] = (float)w64[i];
    return 0;
}

static int64_t first_row(int tile)
{
    int64_t first = 0;
    for (int i = 0; i < tile; i++) first += tile_rows[i];
    return first;
}

static avi_product product(avi_precision p, int tile)
{
    const int64_t r = first_row(tile);
    avi_product t = {.rows = tile_rows[tile], .out = OUT, .in = IN};
    t.g = p == AVI_PRECISION_SINGLE ? (void *)(g32 + r * OUT) : (void *)(g64 + r * OUT);
    t.x = p == AVI_PRECISION_SINGLE ? (void *)(x32 + r * IN) : (void *)(x64 + r * IN);
    return t;
}

static int64_t add(avi_precision p, int64_t *sum, bool more, int count, const avi_product *t, int shift,
                   double *largest)
{
    return p == AVI_PRECISION_SINGLE ? avi_products_fixed_point_f32(sum, more, count, t, shift, largest, scratch)
                                     : avi_products_fixed_point_f64(sum, more, count, t, shift, largest, scratch);
}

/* All tiles at once, one by one forwards and backwards: the same integers. */
static void sums_do_not_depend_on_blocks(void **state)
{
    (void)state;
    static int64_t at_once[OUT * IN], forwards[OUT * IN], backwards[OUT * IN];
    for (int p = 0; p < 2; p++) {
        avi_product all[TILES];
        double largest[3] = {0};
        assert_true(avi_products_scratch_f64(ROWS, IN) <= sizeof scratch);
        for (int i = 0; i < TILES; i++) all[i] = product((avi_precision)p, i);
        assert_int_equal(add((avi_precision)p, at_once, false, TILES, all, SHIFT, &largest[0]), 0);
        for (int i = 0; i < TILES; i++) {
            assert_int_equal(add((avi_precision)p, forwards, i > 0, 1, &all[i], SHIFT, &largest[1]), 0);
            assert_int_equal(add((avi_precision)p, backwards, i > 0, 1, &all[TILES - 1 - i], SHIFT, &largest[2]), 0);
        }
        assert_memory_equal(at_once, forwards, sizeof at_once);
        assert_memory_equal(at_once, backwards, sizeof at_once);
        assert_true(largest[0] == largest[1] && largest[0] == largest[2]);
    }
}

/* Against sums in long double: off by what rounding in the precision of the factors, and once to fixed point, may do.
 */
static void sums_are_right(void **state)
{
    (void)state;
    static int64_t sum[OUT * IN];
    for (int p = 0; p < 2; p++)
        for (int i = 0; i < TILES; i++) {
            const avi_product t = product((avi_precision)p, i);
            double largest = 0, top = 0;
            assert_int_equal(add((avi_precision)p, sum, false, 1, &t, SHIFT, &largest), 0);
            for (int o = 0; o < OUT; o++)
                for (int c = 0; c < IN; c++) {
                    long double want = 0, size = 0;
                    for (int64_t r = first_row(i); r < first_row(i) + tile_rows[i]; r++) {
                        const long double term = p ? (long double)g64[r * OUT + o] * x64[r * IN + c]
                                                   : (long double)g32[r * OUT + o] * x32[r * IN + c];
                        want += term;
                        size += fabsl(term);
                    }
                    const double error = fabs((double)(ldexpl((long double)sum[o * IN + c], -SHIFT) - want));
                    assert_true(error <=
                                (double)size * (double)tile_rows[i] * (p ? 2.3e-16 : 1.2e-7) + ldexp(0.51, -SHIFT));
                    top = fmax(top, fabs((double)want));
                }
            assert_true(largest >= top && largest <= 30 * top); /* a bound, and not a wild one */
        }
}

/* Ties would be decided by what is there already: 0.5 must become 1 beside an even number and beside an odd one. */
static void there_are_no_ties(void **state)
{
    (void)state;
    static int64_t sum[OUT * IN];
    static float half[OUT], one[IN];
    for (int o = 0; o < OUT; o++) half[o] = 0.5f;
    for (int c = 0; c < IN; c++) one[c] = 1;
    const avi_product t[3] = {{half, one, 1, OUT, IN}, {half, one, 1, OUT, IN}, {half, one, 1, OUT, IN}};
    double largest = 0;
    assert_int_equal(avi_products_fixed_point_f32(sum, false, 3, t, 0, &largest, scratch), 0);
    for (int i = 0; i < OUT * IN; i++) assert_int_equal(sum[i], 3);
}

/* Out of range and not finite: counted, the bound from the others alone; squares beyond the range of single precision
 * do no harm. */
static void verdicts_belong_to_products(void **state)
{
    (void)state;
    static int64_t sum[OUT * IN];
    static float big[OUT], nan[OUT], one[IN];
    for (int o = 0; o < OUT; o++) big[o] = 1e30f;
    for (int c = 0; c < IN; c++) one[c] = 1;
    nan[7] = NAN;
    const avi_product t[3] = {{big, one, 1, OUT, IN}, {nan, one, 1, OUT, IN}, product(AVI_PRECISION_SINGLE, 1)};
    double largest = 0;
    assert_int_equal(avi_products_fixed_point_f32(sum, false, 3, t, SHIFT, &largest, scratch), 2);
    assert_true(largest > 0.99e30 && largest < 1.01e30 * sqrt(IN));
    largest = 0;
    assert_int_equal(avi_products_fixed_point_f32(sum, false, 1, t, avi_fixed_point_shift(1e32, 4), &largest, scratch),
                     0);
    assert_true(fabs(ldexp((double)sum[0], -avi_fixed_point_shift(1e32, 4)) / 1e30 - 1) < 1e-6);
}

/* Rows through a weight: right, and in a block what they are alone. */
static void rows_do_not_depend_on_blocks(void **state)
{
    (void)state;
    static double y64[ROWS * OUT], alone64[ROWS * OUT], dx64[ROWS * IN], dx_alone64[ROWS * IN];
    static float y32[ROWS * OUT], alone32[ROWS * OUT], dx32[ROWS * IN], dx_alone32[ROWS * IN];
    assert_true(avi_rows_scratch_f64(OUT, IN) <= sizeof scratch);
    const int64_t rows = first_row(TILES - 1) + tile_rows[TILES - 1];
    avi_rows_forward_f32(rows, OUT, IN, w32, g32, x32, y32, scratch);
    avi_rows_forward_f64(rows, OUT, IN, w64, g64, x64, y64, scratch);
    avi_rows_backward_f32(rows, OUT, IN, w32, g32, false, dx32, scratch);
    avi_rows_backward_f64(rows, OUT, IN, w64, g64, false, dx64, scratch);
    for (int i = 0; i < TILES; i++) {
        const int64_t r = first_row(i), n = tile_rows[i];
        avi_rows_forward_f32(n, OUT, IN, w32, g32, x32 + r * IN, alone32 + r * OUT, scratch);
        avi_rows_forward_f64(n, OUT, IN, w64, g64, x64 + r * IN, alone64 + r * OUT, scratch);
        avi_rows_backward_f32(n, OUT, IN, w32, g32 + r * OUT, true, dx_alone32 + r * IN, scratch); /* to zeros */
        avi_rows_backward_f64(n, OUT, IN, w64, g64 + r * OUT, true, dx_alone64 + r * IN, scratch);
    }
    assert_memory_equal(y32, alone32, sizeof y32);
    assert_memory_equal(y64, alone64, sizeof y64);
    assert_memory_equal(dx32, dx_alone32, sizeof dx32);
    assert_memory_equal(dx64, dx_alone64, sizeof dx64);
    for (int64_t r = 0; r < rows; r++) {
        for (int o = 0; o < OUT; o++) {
            double want = g64[o];
            for (int c = 0; c < IN; c++) want += x64[r * IN + c] * w64[o * IN + c];
            assert_true(fabs(y64[r * OUT + o] - want) < 1e-12);
            assert_true(fabs((double)y32[r * OUT + o] - want) < 1e-4);
        }
        for (int c = 0; c < IN; c++) {
            double want = 0;
            for (int o = 0; o < OUT; o++) want += g64[r * OUT + o] * w64[o * IN + c];
            assert_true(fabs(dx64[r * IN + c] - want) < 1e-12);
            assert_true(fabs((double)dx32[r * IN + c] - want) < 1e-4);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_do_not_depend_on_blocks),
        cmocka_unit_test(sums_are_right),
        cmocka_unit_test(there_are_no_ties),
        cmocka_unit_test(verdicts_belong_to_products),
        cmocka_unit_test(rows_do_not_depend_on_blocks),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
