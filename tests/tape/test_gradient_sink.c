/* Gradients of global parameters on their way out of the tape: summed over blocks and tile by tile they are the same
 * numbers, a gradient that no operation wrote is zero, and an operation that knows no tiles is reported. */
#include "tape/gradient_sink.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { OUT = 3, IN = 2, ROWS = 5, TILES = 2, PLACES = OUT * IN + OUT + 1 };
static const int64_t tile_rows[TILES] = {3, 2};
static const double x[ROWS * IN] = {1, 2, -1, 0.5, 3, 0, -2, 1, 0.25, -4}, w[OUT * IN] = {1, -1, 2, 0.5, -3, 1},
                             bias[OUT] = {0.5, -1, 2}, idle[1] = {7};

/* What came tile by tile, added up, and how often. */
static double taken[PLACES];
static int calls;

static void take_values(void *context, int64_t place, int64_t n, const void *gradient)
{
    assert_ptr_equal(context, taken);
    calls++;
    for (int64_t i = 0; i < n; i++) taken[place + i] += ((const double *)gradient)[i];
}

static void take_products(void *context, int64_t place, int count, const avi_product *p)
{
    (void)context, (void)place, (void)count, (void)p;
    fail_msg("a weight of 6 values goes as values");
}

/* Rows [first, first + rows) through an affine layer and, where asked, the bias through an operation of its own.
 * Returns what avi_tape_end_sink does. d(sum of all outputs) is the gradient. */
static bool block(const avi_gradient_sink *sink, int64_t first, int64_t rows, bool other)
{
    avi_tape *t = avi_tape_create(AVI_PRECISION_DOUBLE);
    avi_tape_set_sink(t, sink);
    avi_node *weight = avi_parameter_in_sink(t, OUT, IN, w, 0), *b = avi_parameter_in_sink(t, 1, OUT, bias, OUT * IN);
    avi_parameter_in_sink(t, 1, 1, idle, OUT * IN + OUT);
    avi_node *y = avi_affine(t, avi_constant(t, rows, IN, x + first * IN), weight, b, AVI_IDENTITY);
    if (other) y = avi_add(t, y, b);
    avi_tape_backward(t, avi_row_sum(t, y), 1);
    const bool untiled = avi_tape_end_sink(t);
    avi_tape_destroy(&t);
    return untiled;
}

static void expect_gradient(const double *got, double of_bias)
{
    for (int o = 0; o < OUT; o++) {
        for (int i = 0; i < IN; i++) {
            double want = 0;
            for (int r = 0; r < ROWS; r++) want += x[r * IN + i];
            assert_true(fabs(got[o * IN + i] - want) < 1e-12);
        }
        assert_true(fabs(got[OUT * IN + o] - of_bias) < 1e-12);
    }
}

static void blocks_are_summed(void **state)
{
    (void)state;
    double gradient[PLACES];
    for (int i = 0; i < PLACES; i++) gradient[i] = NAN; /* the first block must overwrite all of it */
    avi_gradient_sink sink = {.gradient = gradient};
    assert_false(block(&sink, 0, 3, false));
    assert_true(gradient[PLACES - 1] == 0);
    sink.add = true;
    assert_false(block(&sink, 3, 2, false));
    expect_gradient(gradient, ROWS);
    assert_true(gradient[PLACES - 1] == 0);
}

static void tiles_are_handed_over(void **state)
{
    (void)state;
    double gradient[PLACES];
    const avi_gradient_sink sink = {.gradient = gradient,
                                    .tiles = TILES,
                                    .rows = tile_rows,
                                    .values = take_values,
                                    .products = take_products,
                                    .context = taken};
    memset(taken, 0, sizeof taken);
    calls = 0;
    assert_false(block(&sink, 0, ROWS, false));
    assert_int_equal(calls, 2 * TILES); /* weight and bias of each tile; nothing of the leaf that nobody uses */
    expect_gradient(taken, ROWS);
}

static void operations_without_tiles_are_told(void **state)
{
    (void)state;
    double gradient[PLACES];
    const avi_gradient_sink sink = {.gradient = gradient,
                                    .tiles = 1,
                                    .rows = (const int64_t[]){ROWS},
                                    .values = take_values,
                                    .products = take_products,
                                    .context = taken};
    memset(taken, 0, sizeof taken);
    assert_true(block(&sink, 0, ROWS, true));
    expect_gradient(taken, 2 * ROWS);
}

static void without_a_sink_leaves_are_constants(void **state)
{
    (void)state;
    avi_tape *t = avi_tape_create(AVI_PRECISION_DOUBLE);
    assert_false(avi_parameter_in_sink(t, OUT, IN, w, 0)->needs_grad);
    assert_false(avi_tape_end_sink(t));
    avi_tape_destroy(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_summed),
        cmocka_unit_test(tiles_are_handed_over),
        cmocka_unit_test(operations_without_tiles_are_told),
        cmocka_unit_test(without_a_sink_leaves_are_constants),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
