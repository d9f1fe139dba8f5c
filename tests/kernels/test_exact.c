/* Reproducible sums: against integers and long double, in any order, at the edges of the range; wide sums against
 * Python's math.fsum. */
#include "avi/fixed_point.h"
#include "avi/rng.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* ---- sums of vectors -----------------------------------------------------------------------------------------------
 */

enum { N = 1003, TILES = 64 };

static void sums_are_integers_in_any_order(void **state)
{
    (void)state;
    static double d[TILES][N];
    static float f[TILES][N];
    avi_stream s = avi_stream_make(1, AVI_DRAW_TEST, 0);
    avi_normal_f64(s, 0, TILES, 0, N, &d[0][0]);
    avi_normal_f32(s, 0, TILES, 0, N, &f[0][0]);
    double largest_f64 = 0, top = 0;
    for (int k = 0; k < TILES; k++)
        for (int i = 0; i < N; i++) top = fmax(top, fabs(d[k][i]));
    const int shift = avi_fixed_point_shift(top, 1);
    static int64_t sum[4][N], expected[2][N]; /* f32 up, f32 permuted, f64 up, f64 permuted */
    memset(sum, 0, sizeof sum);
    avi_permutation p = avi_permutation_make(3, AVI_DRAW_TEST, 0, TILES);
    double largest_f32 = 0;
    for (int k = 0; k < TILES; k++) {
        uint64_t q = avi_permute(&p, (uint64_t)k);
        assert_int_equal(avi_fixed_point_add_f32(sum[0], f[k], N, shift, &largest_f32), 0);
        assert_int_equal(avi_fixed_point_add_f32(sum[1], f[q], N, shift, &largest_f32), 0);
        assert_int_equal(avi_fixed_point_add_f64(sum[2], d[k], N, shift, &largest_f64), 0);
        assert_int_equal(avi_fixed_point_add_f64(sum[3], d[q], N, shift, &largest_f64), 0);
        for (int i = 0; i < N; i++) {
            expected[0][i] += (int64_t)llrintl(ldexpl((long double)f[k][i], shift));
            expected[1][i] += (int64_t)llrintl(ldexpl((long double)d[k][i], shift));
        }
    }
    assert_memory_equal(sum[0], sum[1], sizeof sum[0]);
    assert_memory_equal(sum[2], sum[3], sizeof sum[2]);
    assert_memory_equal(sum[0], expected[0], sizeof sum[0]);
    assert_memory_equal(sum[2], expected[1], sizeof sum[2]);
    assert_true(largest_f64 == top);
    assert_true(fabs(largest_f32 - top) <= top * FLT_EPSILON);
}

/* Ties go to even, on both sides of zero. */
static void ties_to_even(void **state)
{
    (void)state;
    const double d[8] = {0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.5000000001, -2.4999999};
    const float f[8] = {0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 0.500001f, -2.49999f};
    const int64_t expected[8] = {0, 2, 2, 0, -2, -2, 1, -2};
    int64_t a[8] = {0}, b[8] = {0};
    double largest = 0;
    avi_fixed_point_add_f64(a, d, 8, 0, &largest);
    avi_fixed_point_add_f32(b, f, 8, 0, &largest);
    assert_memory_equal(a, expected, sizeof a);
    assert_memory_equal(b, expected, sizeof b);
    assert_true(largest == 2.5);
}

/* Out of range, infinite and NaN: counted, and their places keep what they had. Long vectors, so that the vector body
 * sees them too. */
static void overflow_is_counted(void **state)
{
    (void)state;
    static double d[N];
    static float f[N];
    static int64_t a[N], b[N];
    for (int i = 0; i < N; i++) {
        d[i] = i % 7 == 0   ? (double)NAN
               : i % 7 == 1 ? -(double)INFINITY
               : i % 7 == 2 ? 0x1p51
               : i % 7 == 3 ? -0x1.fffffffffffffp50
                            : i;
        f[i] = i % 7 == 0   ? NAN
               : i % 7 == 1 ? INFINITY
               : i % 7 == 2 ? -0x1p51f
               : i % 7 == 3 ? 0x1.fffffep50f
                            : (float)i;
        a[i] = b[i] = 5;
    }
    int64_t bad = (N + 6) / 7 + (N + 5) / 7 + (N + 4) / 7;
    double la = 0, lb = 1e30;
    assert_int_equal(avi_fixed_point_add_f64(a, d, N, 0, &la), bad);
    assert_int_equal(avi_fixed_point_add_f32(b, f, N, 0, &lb), bad);
    for (int i = 0; i < N; i++) {
        int64_t at3_f64 = -(INT64_C(1) << 51),
                at3_f32 = (INT64_C(1) << 51) - (INT64_C(1) << 27); /* -(2^51 - 1/4) rounds to -2^51 */
        assert_true(a[i] == (i % 7 < 3 ? 5 : i % 7 == 3 ? 5 + at3_f64 : 5 + i));
        assert_true(b[i] == (i % 7 < 3 ? 5 : i % 7 == 3 ? 5 + at3_f32 : 5 + i));
    }
    assert_true(la == 0x1p51); /* finite values out of range tell how far the shift must come down */
    assert_true(lb == 1e30);   /* never lowered */
    const double huge[3] = {1e300, -DBL_MAX, 1e-300};
    int64_t c[3] = {0};
    assert_int_equal(avi_fixed_point_add_f64(c, huge, 3, 900, &la), 2);
    assert_true(c[0] == 0 && c[1] == 0 && c[2] == 0 && la == DBL_MAX);
    assert_int_equal(avi_fixed_point_add_f64(c, huge, 3, -900, &la), 2);
    const float zero[2] = {0.0f, -0.0f};
    la = 0;
    assert_int_equal(avi_fixed_point_add_f32(c, zero, 2, 900, &la), 0);
    assert_true(la == 0 && c[0] == 0 && c[1] == 0);
    assert_int_equal(avi_fixed_point_add_f32(c, NULL, 0, 0, &la), 0);
}

static void shifts(void **state)
{
    (void)state;
    const double values[] = {1, 0.75, 2, 3.999, 1e-30, 1e30, 0x1.fffffffffffffp7, 0x1p-200, 6.5};
    for (size_t k = 0; k < sizeof values / sizeof *values; k++)
        for (int headroom = 0; headroom <= 20; headroom += 4) {
            int shift = avi_fixed_point_shift(values[k], headroom);
            double scaled = ldexp(values[k], shift), bound = ldexp(1, 51 - headroom);
            assert_true(scaled < bound && scaled >= bound / 2);
        }
    assert_int_equal(avi_fixed_point_shift(1e-300, 0), 900);
    assert_int_equal(avi_fixed_point_shift(DBL_MAX, 0), -900);
    assert_int_equal(avi_fixed_point_shift(0x1p-1074, 0), 900);
    assert_int_equal(avi_fixed_point_shift(0, 0), 0);
    assert_int_equal(avi_fixed_point_shift((double)NAN, 0), 0);
    assert_int_equal(avi_fixed_point_shift((double)INFINITY, 0), 0);
}

/* long double holds 64 bits: its conversion to the type rounds once. */
static void reading_rounds_once(void **state)
{
    (void)state;
    static int64_t sum[N];
    static float f[N];
    static double d[N];
    for (int i = 0; i < N; i++) {
        int64_t mix = (int64_t)avi_mix64((uint64_t)i, 0);
        sum[i] = mix >> (i % 60);
        if (i % 3 == 0) /* just off a tie between two floats, where rounding twice goes wrong */
            sum[i] = ((INT64_C(1) << 62) + ((int64_t)i << 39) + (INT64_C(1) << 38) + (i % 2 ? -1 : 1)) *
                     (i % 4 < 2 ? 1 : -1);
    }
    const int at[] = {0, 40, -40, 100, 170, 900, -900};
    for (size_t k = 0; k < sizeof at / sizeof *at; k++) {
        avi_fixed_point_read_f32(f, sum, N, at[k]);
        avi_fixed_point_read_f64(d, sum, N, at[k]);
        for (int i = 0; i < N; i++) {
            long double exact = ldexpl((long double)sum[i], -at[k]);
            assert_true(f[i] == (float)exact);
            assert_true(d[i] == (double)exact);
        }
    }
}

/* ---- wide sums -----------------------------------------------------------------------------------------------------
 */

/* Multiples of 2^-40, so that nothing is rounded but the end: m 2^e, m of 53 signed bits, e in [low, high]. */
static double next_value(uint64_t *s, int low, int high)
{
    *s = *s * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    double m = (double)((int64_t)(*s >> 11) - (INT64_C(1) << 52));
    *s = *s * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return ldexp(m, low + (int)((*s >> 33) % (uint64_t)(high - low + 1)));
}

static void wide_sums_are_fsum(void **state)
{
    (void)state;
    static const struct {
        int n;
        uint64_t seed;
        int low, high;
        double fsum; /* Python 3: math.fsum(values).hex() */
    } cases[] = {
        {1, 1, -40, 20, -0x1.3a89053bc0300p+52},     {10, 2, -40, 20, -0x1.cf46daa7c14f5p+69},
        {1000, 3, -40, 20, 0x1.0b250be5ea073p+74},   {100000, 4, -40, 26, 0x1.ee2e4fdd831e8p+80},
        {5000, 5, -40, -40, -0x1.6dcf0d0d3088ep+16}, {5000, 6, 26, 26, -0x1.59a0339029de3p+83},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        int64_t limbs[AVI_WIDE_LIMBS] = {0};
        uint64_t s = cases[k].seed;
        for (int i = 0; i < cases[k].n; i++)
            assert_int_equal(avi_wide_add(limbs, next_value(&s, cases[k].low, cases[k].high)), 0);
        assert_true(avi_wide_read(limbs) == cases[k].fsum);
    }
}

static void wide_sums_cancel(void **state)
{
    (void)state;
    int64_t limbs[AVI_WIDE_LIMBS] = {0};
    uint64_t s = 7;
    for (int i = 0; i < 1000; i++) { /* all but the first come and go */
        double v = next_value(&s, -40, 20);
        avi_wide_add(limbs, v);
        if (i > 0) avi_wide_add(limbs, -v);
    }
    assert_true(avi_wide_read(limbs) == -0x1.bcd743f082080p+37);
    int64_t other[AVI_WIDE_LIMBS] = {0};
    assert_true(avi_wide_read(other) == 0);
    avi_wide_add(other, 0x1p70);
    avi_wide_add(other, 0x1p-40);
    avi_wide_add(other, -0x1p70);
    assert_true(avi_wide_read(other) == 0x1p-40);
    avi_wide_add(other, -0x1p-39);
    assert_true(avi_wide_read(other) == -0x1p-40);
}

/* A tie of the last place is decided by what lies 2^-40 away, also far below. */
static void wide_read_rounds_once(void **state)
{
    (void)state;
    const double big[] = {0x1p78, 0x1p40, 0x1p64, 0x1p13};
    for (size_t k = 0; k < sizeof big / sizeof *big; k++)
        for (int sign = -1; sign <= 1; sign += 2)
            for (int nudge = -1; nudge <= 1; nudge++) {
                int64_t limbs[AVI_WIDE_LIMBS] = {0};
                double half = big[k] * 0x1p-53; /* half a unit in the last place */
                if (half <= 0x1p-40 && nudge) continue;
                avi_wide_add(limbs, sign * big[k]);
                avi_wide_add(limbs, sign * half);
                avi_wide_add(limbs, sign * nudge * 0x1p-40);
                assert_true(avi_wide_read(limbs) == sign * (nudge > 0 ? big[k] * (1 + DBL_EPSILON) : big[k]));
            }
}

static void wide_refuses(void **state)
{
    (void)state;
    int64_t limbs[AVI_WIDE_LIMBS] = {1, 2, 3};
    const double bad[] = {(double)NAN, (double)INFINITY, -(double)INFINITY, 0x1p79, -0x1p79, DBL_MAX};
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) assert_int_equal(avi_wide_add(limbs, bad[k]), 1);
    assert_true(limbs[0] == 1 && limbs[1] == 2 && limbs[2] == 3);
    assert_int_equal(avi_wide_add(limbs, 0x1.fffffffffffffp78), 0);
    int64_t small[AVI_WIDE_LIMBS] = {0};
    avi_wide_add(small, 0x1p-41); /* a tie: to even */
    avi_wide_add(small, 0x1p-1074);
    assert_true(avi_wide_read(small) == 0);
    avi_wide_add(small, 0x1.8p-40); /* a tie: to even */
    assert_true(avi_wide_read(small) == 0x1p-39);
}

/* ---- digits in floats ----------------------------------------------------------------------------------------------
 */

/* Values of many ranks, each as digits, added in float in several orders: the same bits, and the sum of math.fsum. */
static void digits_in_any_order(void **state)
{
    (void)state;
    static const struct {
        int ranks;
        uint64_t seed;
        int low, high;
        double fsum;
    } cases[] = {{64, 8, -40, -16, 0x1.5166f58114667p+32}, {640, 9, -40, -22, 0x1.2e63efde5adf1p+31}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        static float part[640][AVI_DIGITS];
        const int ranks = cases[k].ranks;
        uint64_t s = cases[k].seed;
        for (int r = 0; r < ranks; r++)
            assert_int_equal(avi_digits_split(part[r], next_value(&s, cases[k].low, cases[k].high)), 0);
        for (uint64_t order = 0; order < 5; order++) {
            avi_permutation p = avi_permutation_make(order, AVI_DRAW_TEST, 0, (uint64_t)ranks);
            float left[AVI_DIGITS] = {0}, right[AVI_DIGITS] = {0}; /* a tree of two branches */
            for (int r = 0; r < ranks; r++)
                for (int j = 0; j < AVI_DIGITS; j++)
                    (r % (int)(order + 2) ? left : right)[j] += part[avi_permute(&p, (uint64_t)r)][j];
            for (int j = 0; j < AVI_DIGITS; j++) left[j] += right[j];
            assert_true(avi_digits_read(left) == cases[k].fsum);
        }
    }
}

static void digits_at_the_edges(void **state)
{
    (void)state;
    float d[AVI_DIGITS], sum[AVI_DIGITS] = {0};
    const double kept[] = {
        0, 1, -1, 0x1p-40, -0x1p-40, 0x1.fffffffffffffp39, -0x1.fffffffffffffp39, 1023.5, -123456.78125};
    for (size_t k = 0; k < sizeof kept / sizeof *kept; k++) {
        assert_int_equal(avi_digits_split(d, kept[k]), 0);
        for (int j = 0; j < AVI_DIGITS; j++) assert_true(fabsf(d[j]) < 1024.0f && d[j] == rintf(d[j]));
        assert_true(avi_digits_read(d) == kept[k]);
    }
    assert_int_equal(avi_digits_split(d, 1 - 0x1p-50), 0); /* rounds up through four digits of 1023 */
    assert_true(avi_digits_read(d) == 1);
    const double bad[] = {(double)NAN, (double)INFINITY, 0x1p40, -0x1p60};
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        assert_int_equal(avi_digits_split(d, bad[k]), 1);
        assert_true(avi_digits_read(d) == 0);
    }
    avi_digits_split(d, 0x1.fffffffffffffp39); /* 2^13 of the largest are still exact */
    for (int r = 0; r < 1 << 13; r++)
        for (int j = 0; j < AVI_DIGITS; j++) sum[j] += d[j];
    assert_true(avi_digits_read(sum) == 0x1.fffffffffffffp52);
    sum[3] = NAN;
    assert_true(isnan(avi_digits_read(sum)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_are_integers_in_any_order),
        cmocka_unit_test(ties_to_even),
        cmocka_unit_test(overflow_is_counted),
        cmocka_unit_test(shifts),
        cmocka_unit_test(reading_rounds_once),
        cmocka_unit_test(wide_sums_are_fsum),
        cmocka_unit_test(wide_sums_cancel),
        cmocka_unit_test(wide_read_rounds_once),
        cmocka_unit_test(wide_refuses),
        cmocka_unit_test(digits_in_any_order),
        cmocka_unit_test(digits_at_the_edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
