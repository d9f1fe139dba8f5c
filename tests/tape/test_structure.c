/* Forward values of the operations whose gradient alone would not tell: which row goes where, which monomial is which.
 */
#include "avi/tape.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* NOLINTBEGIN(bugprone-integer-division,bugprone-implicit-widening-of-multiplication-result,readability-function-size):
 * row numbers are divided on purpose, and one line of EXPECT is many statements. */

static int new_tape(void **state) { return (*state = avi_tape_create(AVI_PRECISION_DOUBLE)) ? 0 : -1; }
static int drop_tape(void **state)
{
    avi_tape *t = *state;
    avi_tape_destroy(&t);
    return t ? -1 : 0;
}

/* (rows, cols) with value start + 10 row + column: says where it came from. */
static avi_node *numbered(avi_tape *t, int64_t rows, int64_t cols, double start)
{
    avi_node *n = avi_constant_new(t, rows, cols);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++) ((double *)n->value)[r * cols + c] = start + (double)(10 * r + c);
    return n;
}

static avi_node *zeros(avi_tape *t, int64_t rows, int64_t cols)
{
    avi_node *n = avi_constant_new(t, rows, cols);
    for (int64_t k = 0; k < rows * cols; k++) ((double *)n->value)[k] = 0;
    return n;
}

static double at(const avi_node *n, int64_t r, int64_t c) { return ((const double *)n->value)[r * n->cols + c]; }

#define EXPECT(node, r_count, c_count, FORMULA)                                                                        \
    do {                                                                                                               \
        const avi_node *n_ = (node);                                                                                   \
        assert_int_equal(n_->rows, r_count);                                                                           \
        assert_int_equal(n_->cols, c_count);                                                                           \
        for (int64_t r = 0; r < (r_count); r++)                                                                        \
            for (int64_t c = 0; c < (c_count); c++)                                                                    \
                if (at(n_, r, c) != (double)(FORMULA))                                                                 \
                    fail_msg("(%lld, %lld) is %g, expected %g", (long long)r, (long long)c, at(n_, r, c),              \
                             (double)(FORMULA));                                                                       \
    } while (0)

static void pieces_come_from_their_places(void **state)
{
    avi_tape *t = *state;
    avi_node *a = numbered(t, 4, 5, 0);
    EXPECT(avi_slice(t, a, 2, 3), 4, 3, 10 * r + c + 2);
    EXPECT(avi_slice(t, a, 4, 1), 4, 1, 10 * r + 4);
    EXPECT(avi_slice_rows(t, a, 1, 2), 2, 5, 10 * (r + 1) + c);
    EXPECT(avi_concat(t, a, numbered(t, 4, 2, 100)), 4, 7, c < 5 ? 10 * r + c : 100 + 10 * r + c - 5);
    EXPECT(avi_concat(t, numbered(t, 4, 1, 0), numbered(t, 4, 1, 100)), 4, 2, 10 * r + 100 * c);
    EXPECT(avi_concat_rows(t, a, numbered(t, 2, 5, 100)), 6, 5, r < 4 ? 10 * r + c : 100 + 10 * (r - 4) + c);
    EXPECT(avi_detach(t, a), 4, 5, 10 * r + c);
    assert_ptr_equal(avi_slice(t, a, 0, 5), a);
}

static void gather_takes_runs_in_order(void **state)
{
    avi_tape *t = *state;
    const avi_node *table = numbered(t, 9, 3, 0);
    const int64_t first[] = {6, 0, 3}, count[] = {2, 3, 1}, rows[] = {6, 7, 0, 1, 2, 3};
    EXPECT(avi_gather(t, 3, table->value, NULL, 3, first, count), 6, 3, 10 * rows[r] + c);
    EXPECT(avi_gather(t, 3, table->value, NULL, 1, first, count), 2, 3, 10 * (6 + r) + c);
}

static void segments_take_their_rows(void **state)
{
    avi_tape *t = *state;
    static const int64_t first[] = {0, 2, 2, 3}, row[] = {2, 0, 2};
    static const double sum[] = {10, 0, 20};
    EXPECT(avi_gather_rows(t, numbered(t, 3, 4, 0), 3, row), 3, 4, 10 * row[r] + c);
    EXPECT(avi_segment_sum(t, numbered(t, 3, 2, 0), 3, first), 3, 2,
           sum[r] + (double)(r == 0   ? 2 * c
                             : r == 2 ? c
                                      : 0));
    EXPECT(avi_segment_mean(t, numbered(t, 3, 2, 0), 3, first), 3, 2, r == 1 ? 0 : (r ? 20 : 5) + (double)c);
    static const int64_t none[] = {0, 0, 0};
    EXPECT(avi_segment_mean(t, numbered(t, 0, 2, 0), 2, none), 2, 2, 0);
}

/* Operands against (rows, cols): all but data are cyclic. */
static void operands_spread_cyclically(void **state)
{
    avi_tape *t = *state;
    EXPECT(avi_add(t, zeros(t, 14, 3), numbered(t, 2, 3, 0)), 14, 3, 10 * (r % 2) + c);
    EXPECT(avi_add(t, zeros(t, 6, 3), numbered(t, 2, 1, 5)), 6, 3, 5 + 10 * (r % 2));
    EXPECT(avi_add(t, zeros(t, 6, 1), numbered(t, 3, 1, 5)), 6, 1, 5 + 10 * (r % 3));
    EXPECT(avi_add(t, zeros(t, 6, 20), numbered(t, 1, 20, 5)), 6, 20, 5 + c);
    EXPECT(avi_sub(t, zeros(t, 5, 3), numbered(t, 1, 1, 5)), 5, 3, -5);
    EXPECT(avi_repeat(t, numbered(t, 3, 2, 0), 4), 12, 2, 10 * (r / 4) + c);
    EXPECT(avi_repeat(t, numbered(t, 3, 1, 0), 4), 12, 1, 10 * (r / 4));
}

static void data_are_repeated_over_draws(void **state)
{
    avi_tape *t = *state;
    const double half_log_2pi = 0.5 * log(2 * acos(-1.0));
    const avi_node *y =
        avi_normal_lpdf_sd(t, numbered(t, 3, 1, 0), zeros(t, 6, 1), 1); /* x = 0, 10, 20, two draws each */
    for (int64_t r = 0; r < 6; r++)
        assert_true(fabs(at(y, r, 0) + 50 * (double)((r / 2) * (r / 2)) + half_log_2pi) < 1e-12);
}

static void sums_and_means(void **state)
{
    avi_tape *t = *state;
    static const double w[] = {1, -1, 0.5};
    for (int64_t cols = 2; cols < 70; cols++)
        EXPECT(avi_row_sum(t, numbered(t, 3, cols, 0)), 3, 1, 10 * r * cols + cols * (cols - 1) / 2);
    EXPECT(avi_draw_mean(t, numbered(t, 8, 20, 0), 4, NULL), 2, 20, 40 * r + 15 + c);
    EXPECT(avi_draw_mean(t, numbered(t, 8, 1, 0), 4, NULL), 2, 1, 40 * r + 15);
    EXPECT(avi_draw_mean(t, numbered(t, 6, 2, 0), 3, w), 2, 2, (double)(30 * r + c) / 2);
    EXPECT(avi_scale(t, numbered(t, 2, 2, 0), 3, 1), 2, 2, 3 * (10 * r + c) + 1);
}

static void draws_are_mean_plus_factor_times_eps(void **state)
{
    avi_tape *t = *state;
    avi_node *nu = numbered(t, 2, 4, 0); /* mean 10 r, 10 r + 1; log sd set below */
    for (int64_t r = 0; r < 2; r++)
        for (int64_t l = 0; l < 2; l++) ((double *)nu->value)[r * 4 + 2 + l] = log(2.0 + (double)l);
    const avi_node *z = avi_gaussian_draw(t, nu, numbered(t, 6, 2, 0));
    for (int64_t r = 0; r < 6; r++)
        for (int64_t l = 0; l < 2; l++)
            assert_true(fabs(at(z, r, l) - ((double)(10 * (r / 3) + l) + (double)(2 + l) * (double)(10 * r + l))) <
                        1e-12);

    avi_node *full = numbered(t, 1, 5, 0); /* mean 0, 1; C = (2, 0; 3, 5) */
    double *v = full->value;
    v[2] = log(2.0);
    v[3] = 3;
    v[4] = log(5.0);
    const avi_node *y = avi_gaussian_full_draw(t, full, numbered(t, 3, 2, 0));
    for (int64_t r = 0; r < 3; r++) {
        assert_true(fabs(at(y, r, 0) - 20.0 * (double)r) < 1e-12);
        assert_true(fabs(at(y, r, 1) - (1 + 30.0 * (double)r + 5 * (10.0 * (double)r + 1))) < 1e-12);
    }
}

static void monomials_come_by_degree(void **state)
{
    avi_tape *t = *state;
    static const double x[] = {2, 3, 5},
                        want[] = {2, 3,  5,                                /* degree 1 */
                                  4, 6,  10, 9,  15, 25,                   /* 2: aa ab ac bb bc cc */
                                  8, 12, 20, 18, 30, 50, 27, 45, 75, 125}; /* 3: aaa aab aac abb abc acc ... */
    EXPECT(avi_polynomial(t, avi_constant(t, 1, 3, x), 3), 1, 19, want[c]);
    EXPECT(avi_polynomial(t, avi_constant(t, 3, 1, x), 4), 3, 4, pow(x[r], (double)(c + 1)));
    EXPECT(avi_polynomial(t, avi_constant(t, 1, 3, x), 1), 1, 3, x[c]);
}

static void monomials_are_counted(void **state)
{
    (void)state;
    assert_int_equal(avi_polynomial_width(3, 3), 19);
    assert_int_equal(avi_polynomial_width(1, 32), 32);
    assert_int_equal(avi_polynomial_width(64, 2), 2144);
    assert_int_equal(avi_polynomial_width(784, 3), 80931144);
    assert_true(avi_polynomial_width(784, 32) == INT64_MAX); /* 1e57: does not wrap into something small */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pieces_come_from_their_places, new_tape, drop_tape),
        cmocka_unit_test_setup_teardown(gather_takes_runs_in_order, new_tape, drop_tape),
        cmocka_unit_test_setup_teardown(segments_take_their_rows, new_tape, drop_tape),
        cmocka_unit_test_setup_teardown(operands_spread_cyclically, new_tape, drop_tape),
        cmocka_unit_test_setup_teardown(data_are_repeated_over_draws, new_tape, drop_tape),
        cmocka_unit_test_setup_teardown(sums_and_means, new_tape, drop_tape),
        cmocka_unit_test_setup_teardown(draws_are_mean_plus_factor_times_eps, new_tape, drop_tape),
        cmocka_unit_test_setup_teardown(monomials_come_by_degree, new_tape, drop_tape),
        cmocka_unit_test(monomials_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
/* NOLINTEND(bugprone-integer-division,bugprone-implicit-widening-of-multiplication-result,readability-function-size) */
