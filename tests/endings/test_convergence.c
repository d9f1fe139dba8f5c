/* The slope of the ELBO at the end of a fit, from synthetic steps whose slope is known. */
#include "state/convergence.h"
#include "state/elbo_bins.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const avi_trace no_trace = {.columns = AVI_TRACE_COLUMNS};
static uint64_t state = 1;

/* Uniform on (0, 1), by a generator that is not the program's own (Knuth's MMIX). */
static double uniform(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return ((double)(state >> 11) + 0.5) * 0x1p-53;
}

static double normal(void) { return sqrt(-2 * log(uniform())) * cos(2 * acos(-1) * uniform()); }

/* Steps of all rows: a line, and noise whose correlation from step to step is 0.9. The slope is to be within its bound
 * in about 95 of 100 such runs: an error by independent steps would be too small by sqrt(19). */
static void test_coverage(void **unused)
{
    enum { RUNS = 400, STEPS = 20000 };
    const double slope = 3e-4, rows = 50, rest = sqrt(1 - 0.9 * 0.9);
    double sum = 0, squares = 0, errors = 0;
    int within = 0;
    (void)unused;
    for (int run = 0; run < RUNS; run++) {
        avi_elbo_bins b;
        avi_convergence c;
        double noise = normal();
        avi_elbo_bins_clear(&b, 1);
        for (int t = 0; t < STEPS; t++) {
            noise = 0.9 * noise + rest * normal();
            avi_elbo_bins_add(&b, t, rows * (-100 + slope * t + noise), rows);
        }
        avi_convergence_of(&b, STEPS, &no_trace, rows, &c);
        assert_true(c.spans >= 10 && c.steps >= STEPS / 10 - 200 && c.steps <= STEPS / 10);
        within += fabs(c.slope - slope) < c.bound;
        sum += c.slope;
        squares += c.slope * c.slope;
        errors += c.error;
    }
    const double mean = sum / RUNS, sd = sqrt(squares / RUNS - mean * mean);
    assert_true(fabs(mean - slope) < 4 * sd / sqrt(RUNS));
    assert_true(errors / RUNS > 0.8 * sd && errors / RUNS < 1.2 * sd);
    assert_true(within >= 0.9 * RUNS && within < RUNS);
}

/* Batches differ by much more than the parameters move: whole epochs have the same rows, so that nothing of it is left
 * in the slope. Batches are of unequal size, and come in another order in every epoch. */
static void test_epochs(void **unused)
{
    enum { STEPS = 7 };
    const double level[STEPS] = {-90, -130, -105, -60, -140, -110, -80}, rows[STEPS] = {10, 10, 10, 10, 10, 10, 3};
    const double slope = 0.02;
    (void)unused;
    for (int epochs = 12; epochs <= 900; epochs += 111) {
        avi_elbo_bins b;
        avi_convergence c;
        avi_elbo_bins_clear(&b, STEPS);
        for (int e = 0; e < epochs; e++)
            for (int k = 0; k < STEPS; k++) {
                const int batch = (k * 3 + e * 5) % STEPS;
                avi_elbo_bins_add(&b, e * STEPS + k, rows[batch] * (level[batch] + slope * e), rows[batch]);
            }
        avi_convergence_of(&b, epochs * STEPS, &no_trace, 63, &c);
        assert_true(c.spans >= 5 && c.epochs >= 5 && c.epochs <= fmax(5, epochs / 10.0));
        assert_true(fabs(c.slope - slope) < 1e-9 && c.error < 1e-9);
    }
}

/* Every step is in one bin, bins of several epochs begin with an epoch, and nothing depends on how the steps came. */
static void test_bins(void **unused)
{
    enum { EPOCH = 5, STEPS = 3003 };
    avi_elbo_bins b;
    double sum[AVI_BIN_COLUMNS] = {0};
    (void)unused;
    avi_elbo_bins_clear(&b, EPOCH);
    for (int t = 0; t < STEPS; t++) avi_elbo_bins_add(&b, t, 2.0 * t, 3);
    for (int64_t i = 0; i < b.count; i++)
        for (int k = 0; k < AVI_BIN_COLUMNS; k++) sum[k] += b.value[i][k];
    assert_true(b.count > AVI_ELBO_BINS / 2 && b.count <= AVI_ELBO_BINS);
    assert_true(sum[AVI_BIN_STEPS] == STEPS && sum[AVI_BIN_ROWS] == 3 * STEPS);
    assert_true(sum[AVI_BIN_STEP_SUM] == 0.5 * STEPS * (STEPS - 1) && sum[AVI_BIN_ELBO] == 2 * sum[AVI_BIN_STEP_SUM]);
    for (int t = 1; t < STEPS; t++)
        if (avi_elbo_bins_place(&b, t) != avi_elbo_bins_place(&b, t - 1)) assert_true(t % EPOCH == 0);
}

/* The global part is in no sum over rows: it comes from the trace, here with a line every 30 steps. */
static void test_global_part(void **unused)
{
    enum { STEPS = 3000, ROWS = 40 };
    avi_trace trace;
    avi_elbo_bins b;
    avi_convergence c;
    (void)unused;
    avi_trace_create(&trace, avi_trace_columns);
    avi_elbo_bins_clear(&b, 1);
    for (int t = 0; t < STEPS; t++) {
        double row[AVI_TRACE_COLUMNS] = {0};
        avi_elbo_bins_add(&b, t, ROWS * -7.0, ROWS);
        row[AVI_TRACE_STEP] = t + 1;
        row[AVI_TRACE_KL_GLOBAL] = 500 - 0.02 * t;
        row[AVI_TRACE_RATE] = t < 100 ? 0.4 : 0.1;
        if (t % 30 == 0 || t + 1 == STEPS) assert_int_equal(avi_trace_add(&trace, row, 0, NULL), AVI_OK);
    }
    avi_convergence_of(&b, STEPS, &trace, ROWS, &c);
    assert_true(fabs(c.slope - 0.02 / ROWS) < 1e-12 && fabs(c.rate - 0.25) < 1e-12);
    avi_trace_free(&trace);
}

static void test_too_few(void **unused)
{
    avi_elbo_bins b;
    avi_convergence c;
    (void)unused;
    avi_elbo_bins_clear(&b, 1);
    avi_convergence_of(&b, 0, &no_trace, 1, &c);
    assert_int_equal(c.spans, 0);
    for (int t = 0; t < 3; t++) avi_elbo_bins_add(&b, t, t, 1);
    avi_convergence_of(&b, 3, &no_trace, 1, &c);
    assert_int_equal(c.spans, 0);
    avi_elbo_bins_add(&b, 3, 3, 1);
    avi_convergence_of(&b, 4, &no_trace, 1, &c);
    assert_int_equal(c.spans, 4);
    assert_true(fabs(c.slope - 1) < 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_coverage), cmocka_unit_test(test_epochs),
                                       cmocka_unit_test(test_bins), cmocka_unit_test(test_global_part),
                                       cmocka_unit_test(test_too_few)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
