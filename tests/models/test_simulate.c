/* Rows that models draw: the same from any piece and in any order, in a time that does not grow with the pieces, and
 * with the moments of the model. */
#include "avi/model.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "model_support.h"

enum { MOST = 4096 };

static void simulated_rows_do_not_depend_on_the_range(void **state)
{
    (void)state;
    enum { N = 40 };
    static double all[MOST], part[MOST], other[MOST];
    for (int i_model = 0; i_model < model_count(); i_model++) {
        const avi_model_ops *const ops = model_at(i_model);
        if (!avi_model_simulates(ops)) continue;
        avi_model *m = make_model(small_text(ops), 0);
        const int64_t d = m->shape.width;
        assert_true(N * d <= MOST);
        assert_int_equal(avi_model_simulate(m, 7, N, 0, N, all), AVI_OK);
        for (int64_t k = 0; k < N * d; k++) assert_true(isfinite(all[k]));
        for (int64_t first = 0; first < N; first += 7)
            for (int64_t count = 1; first + count <= N; count += 5) {
                assert_int_equal(avi_model_simulate(m, 7, N, first, count, part), AVI_OK);
                assert_memory_equal(part, all + first * d, (size_t)(count * d) * sizeof *part);
            }
        assert_int_equal(avi_model_simulate(m, 8, N, 0, N, other), AVI_OK);
        assert_memory_not_equal(other, all, sizeof *all * (size_t)(N * d));
        avi_model_destroy(&m);
    }
}

/* Loading asks for pieces, one after the other. Were a series drawn from its start for each of them, this would take
 * minutes, beyond the time that the test has. */
static void pieces_of_a_series_take_as_long_as_the_series(void **state)
{
    (void)state;
    enum { N = 100000 };
    double x[64];
    for (int i_model = 0; i_model < model_count(); i_model++) {
        const avi_model_ops *const ops = model_at(i_model);
        if (!avi_model_simulates(ops) || ops->coupling == AVI_DENSE) continue;
        avi_model *m = make_model(small_text(ops), 0);
        assert_true(m->shape.width <= 64);
        for (int64_t n = 0; n < N; n++) assert_int_equal(avi_model_simulate(m, 7, N, n, 1, x), AVI_OK);
        avi_model_destroy(&m);
    }
}

/* Row by row in any order, with another seed in between where a model keeps something of it. */
static void simulated_rows_do_not_depend_on_their_order(void **state)
{
    (void)state;
    enum { N = 300 };
    static double all[N * 64], part[N * 64];
    int models = 0;
    for (int i_model = 0; i_model < model_count(); i_model++) {
        const avi_model_ops *const ops = model_at(i_model);
        if (!ops->simulate_rows) continue;
        avi_model *m = make_model(small_text(ops), 0);
        const int64_t d = m->shape.width;
        int64_t row[N];
        assert_true(d <= 64);
        assert_int_equal(avi_model_simulate(m, 7, N, 0, N, all), AVI_OK);
        assert_int_equal(avi_model_simulate(m, 8, N, 0, N, part), AVI_OK);
        for (int64_t i = 0; i < N; i++) row[i] = i * 7 % N;
        assert_int_equal(ops->simulate_rows(m, 7, row, N, part), AVI_OK);
        for (int64_t i = 0; i < N; i++) assert_memory_equal(part + i * d, all + row[i] * d, (size_t)d * sizeof *part);
        avi_model_destroy(&m);
        models++;
    }
    assert_true(models > 0);
}

/* Mean and variance of the marginal of simulated rows: known for each. */
static void moments_of(const char *text, int64_t rows, int64_t column, double *mean, double *variance)
{
    avi_model *m = make_model(text, 0);
    const int64_t d = m->shape.width;
    double *x = malloc((size_t)(rows * d) * sizeof *x);
    assert_non_null(x);
    assert_int_equal(avi_model_simulate(m, 11, rows, 0, rows, x), AVI_OK);
    *mean = *variance = 0;
    for (int64_t n = 0; n < rows; n++) *mean += x[n * d + column] / (double)rows;
    for (int64_t n = 0; n < rows; n++)
        *variance += (x[n * d + column] - *mean) * (x[n * d + column] - *mean) / (double)rows;
    free(x);
    avi_model_destroy(&m);
}

static void expect_moments(const char *text, int64_t rows, double mean, double variance, double effective)
{
    double m, v;
    moments_of(text, rows, 0, &m, &v);
    const double se = sqrt(variance / effective);
    if (!(fabs(m - mean) < 4 * se)) fail_msg("%s: mean %g, not %g", text, m, mean);
    if (!(fabs(v / variance - 1) < 4 * sqrt(2 / effective))) fail_msg("%s: variance %g, not %g", text, v, variance);
}

static void simulated_rows_have_the_models_moments(void **state)
{
    (void)state;
    expect_moments("[model]\nname = linear\nsimulate_theta = 3\n", 20000, 3, 1.155 * 1.155 + 2.43 * 2.43, 20000);
    /* E[z sin z] = e^{-1/2}. */
    double mean, variance;
    moments_of("[model]\nname = nonlinear\nsimulate_theta = 1\n", 200000, 0, &mean, &variance);
    assert_true(fabs(mean - 1 - exp(-0.5)) < 4 * sqrt(variance / 200000));
    /* Stationary: mean a theta / (1 - a), variance (a^2 + 1) / (1 - a^2); autocorrelation a leaves (1 - a) / (1 + a) of
     * the rows. */
    expect_moments("[model]\nname = saw\na = 0.5\nsimulate_theta = 2\n", 60000, 2, 1.25 / 0.75, 20000);
    /* z: variance Q / (1 - A^2), x: C^2 of it + R. */
    expect_moments("[model]\nname = hmm\nA = 0.5\nC = 2\nQ = 0.3\nR = 0.7\n", 60000, 0, 4 * 0.3 / 0.75 + 0.7, 20000);
    /* Half of the outcomes of a symmetric model are 1. */
    moments_of("[model]\nname = hier_logistic\nsimulate_alpha = 0\n", 20000, 0, &mean, &variance);
    assert_true(fabs(mean - 0.5) < 4 * 0.5 / sqrt(20000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simulated_rows_do_not_depend_on_the_range),
        cmocka_unit_test(pieces_of_a_series_take_as_long_as_the_series),
        cmocka_unit_test(simulated_rows_do_not_depend_on_their_order),
        cmocka_unit_test(simulated_rows_have_the_models_moments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
