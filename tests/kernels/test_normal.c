/* Normals: against Box-Muller in long double from the same words, independence of the range, distribution at a fixed
 * seed. */
#include "avi/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const long double PI = 3.14159265358979323846264338327950288L;

static long double reference(avi_stream s, uint64_t row, int64_t col)
{
    uint32_t w[4];
    avi_words(s, row, (uint32_t)(col / 4), w);
    const uint32_t *pair = w + (col & 2);
    long double u = ((long double)pair[0] + 0.5L) * 0x1p-32L, angle = 2 * PI * (long double)pair[1] * 0x1p-32L;
    return sqrtl(-2 * logl(u)) * (col & 1 ? sinl(angle) : cosl(angle));
}

/* Relative errors of less than four units of rounding (3.6 eps; worst case by adding up the steps: 3), also for tiny
 * radii and next to the axes. */
static void equals_the_formula(void **state)
{
    (void)state;
    enum { ROWS = 500, COLS = 203 };
    static float f[ROWS * COLS];
    static double d[ROWS * COLS];
    avi_stream s = avi_stream_make(11, AVI_DRAW_TEST, UINT64_C(5000000000));
    const uint64_t first = (UINT64_C(3) << 32) - 250; /* rows whose low word wraps on the way */
    const long double reference_error = 4e-18L;       /* of the angle in long double, times the largest radius */
    avi_normal_f32(s, first, ROWS, 0, COLS, f);
    avi_normal_f64(s, first, ROWS, 0, COLS, d);
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLS; j++) {
            long double r = reference(s, first + (uint64_t)i, j);
            assert_true(fabsl((long double)d[i * COLS + j] - r) <= 8e-16L * fabsl(r) + reference_error);
            assert_true(fabsl((long double)f[i * COLS + j] - r) <= 4.2e-7L * fabsl(r) + reference_error);
        }
}

/* Any window of the table has the same bits as the table. */
static void does_not_depend_on_the_range(void **state)
{
    (void)state;
    enum { ROWS = 211, COLS = 300 };
    static float f[ROWS * COLS], g[ROWS * COLS + 1];
    static double d[ROWS * COLS], e[ROWS * COLS + 1];
    avi_stream s = avi_stream_make(1, AVI_DRAW_LOCAL, 17);
    const uint64_t first = UINT64_C(0xffffffff) - 100;
    avi_normal_f32(s, first, ROWS, 0, COLS, f);
    avi_normal_f64(s, first, ROWS, 0, COLS, d);
    uint64_t mix = 1;
    for (int trial = 0; trial < 400; trial++) {
        int r0 = (int)((mix = avi_mix64(mix, 0)) % ROWS),
            rows = 1 + (int)((mix = avi_mix64(mix, 1)) % (uint64_t)(ROWS - r0));
        int c0 = (int)((mix = avi_mix64(mix, 2)) % COLS), most = trial % 2 && COLS - c0 > 8 ? 8 : COLS - c0;
        int cols = 1 + (int)((mix = avi_mix64(mix, 3)) % (uint64_t)most);
        g[rows * cols] = 12345.0f; /* guards */
        e[rows * cols] = 12345.0;
        avi_normal_f32(s, first + (uint64_t)r0, rows, c0, cols, g);
        avi_normal_f64(s, first + (uint64_t)r0, rows, c0, cols, e);
        for (int i = 0; i < rows; i++)
            for (int j = 0; j < cols; j++) {
                assert_true(g[i * cols + j] == f[(r0 + i) * COLS + c0 + j]);
                assert_true(e[i * cols + j] == d[(r0 + i) * COLS + c0 + j]);
            }
        assert_true(g[rows * cols] == 12345.0f && e[rows * cols] == 12345.0);
    }
    avi_normal_f32(s, 0, 0, 0, 5, NULL);
    avi_normal_f64(s, 0, 5, 0, 0, NULL);
}

/* Rows that are named one by one have the bits they have in a range, whatever their order and the columns. */
static void listed_rows_are_those_of_a_range(void **state)
{
    (void)state;
    enum { ROWS = 150, COLS = 23 };
    static float f[ROWS * COLS], g[ROWS * COLS + 1];
    static double d[ROWS * COLS], e[ROWS * COLS + 1];
    int64_t row[ROWS];
    avi_stream s = avi_stream_make(5, AVI_DRAW_DATA, 0);
    const uint64_t first = UINT64_C(0xffffffff) - 70;
    uint64_t mix = 1;
    for (int c0 = 0; c0 < 9; c0++)
        for (int cols = 1; cols <= 10; cols++)
            for (int rows = 0; rows <= ROWS; rows += 50 + rows % 7) {
                avi_normal_f32(s, first, ROWS, c0, cols, f);
                avi_normal_f64(s, first, ROWS, c0, cols, d);
                for (int i = 0; i < rows; i++) row[i] = (int64_t)(first + (mix = avi_mix64(mix, 0)) % ROWS);
                g[rows * cols] = 12345.0f; /* guards */
                e[rows * cols] = 12345.0;
                avi_normal_rows_f32(s, row, rows, c0, cols, g);
                avi_normal_rows_f64(s, row, rows, c0, cols, e);
                for (int i = 0; i < rows * cols; i++) {
                    const int64_t at = (row[i / cols] - (int64_t)first) * cols + i % cols;
                    assert_true(g[i] == f[at] && e[i] == d[at]);
                }
                assert_true(g[rows * cols] == 12345.0f && e[rows * cols] == 12345.0);
            }
}

/* Last column of the documented range. */
static void far_columns(void **state)
{
    (void)state;
    avi_stream s = avi_stream_make(1, AVI_DRAW_GLOBAL, 0);
    const int64_t col = (INT64_C(1) << 26) - 3;
    double d[3];
    avi_normal_f64(s, (UINT64_C(1) << 40) - 1, 1, col, 3, d);
    for (int j = 0; j < 3; j++)
        assert_true(fabsl((long double)d[j] - reference(s, (UINT64_C(1) << 40) - 1, col + j)) < 1e-15L);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Moments within 4 standard errors; Kolmogorov-Smirnov at level 10^-4 (sqrt(n) D < 2.23); pairs uncorrelated, squares
 * too. */
static void check_distribution(double *z, int64_t n)
{
    double m[5] = {0}, pair = 0, squares = 0, root = sqrt((double)n);
    for (int64_t i = 0; i < n; i++) {
        double power = 1, next = z[i ^ 1];
        for (int k = 1; k <= 4; k++) m[k] += (power *= z[i]) / (double)n;
        pair += z[i] * next / (double)n;
        squares += (z[i] * z[i] - 1) * (next * next - 1) / (double)n;
    }
    assert_true(fabs(m[1]) < 4 / root);
    assert_true(fabs(m[2] - 1) < 4 * sqrt(2.0) / root);
    assert_true(fabs(m[3]) < 4 * sqrt(15.0) / root);
    assert_true(fabs(m[4] - 3) < 4 * sqrt(96.0) / root);
    assert_true(fabs(pair) < 4 * sqrt(2.0) / root); /* every pair counted twice */
    assert_true(fabs(squares) < 4 * 2 * sqrt(2.0) / root);
    qsort(z, (size_t)n, sizeof *z, ascending);
    double distance = 0;
    for (int64_t i = 0; i < n; i++) {
        double cdf = 0.5 * erfc(-z[i] * sqrt(0.5));
        distance = fmax(distance, fmax(cdf - (double)i / (double)n, (double)(i + 1) / (double)n - cdf));
    }
    assert_true(root * distance < 2.23);
    assert_true(z[n - 1] < 6.8 && z[0] > -6.8);
}

static void distribution(void **state)
{
    (void)state;
    const int64_t n = 400000, shapes[3][2] = {{1, n}, {n / 2, 2}, {n / 20, 20}};
    float *f = malloc((size_t)n * sizeof *f);
    double *d = malloc((size_t)n * sizeof *d);
    assert_true(f && d);
    for (int k = 0; k < 3; k++) {
        avi_stream s = avi_stream_make(2026, AVI_DRAW_TEST, (uint64_t)k);
        avi_normal_f64(s, 0, shapes[k][0], 0, shapes[k][1], d);
        check_distribution(d, n);
        avi_normal_f32(s, 0, shapes[k][0], 0, shapes[k][1], f);
        for (int64_t i = 0; i < n; i++) d[i] = (double)f[i];
        check_distribution(d, n);
    }
    free(f);
    free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_the_formula),
        cmocka_unit_test(does_not_depend_on_the_range),
        cmocka_unit_test(listed_rows_are_those_of_a_range),
        cmocka_unit_test(far_columns),
        cmocka_unit_test(distribution),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
