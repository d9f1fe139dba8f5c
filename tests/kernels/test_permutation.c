/* Keyed bijections: every n up to 2000 is checked whole, large n by its inverse. */
#include "avi/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void small_domains_whole(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 2000; n++) {
        avi_permutation p = avi_permutation_make(7, AVI_DRAW_SHUFFLE, n, n);
        unsigned char seen[2000] = {0};
        for (uint64_t i = 0; i < n; i++) {
            uint64_t j = avi_permute(&p, i);
            assert_true(j < n && !seen[j]);
            seen[j] = 1;
            assert_true(avi_permute_inverse(&p, j) == i);
        }
    }
}

static void large_domains_invert(void **state)
{
    (void)state;
    const uint64_t sizes[] = {60000,
                              65536,
                              65537,
                              1000000007,
                              UINT64_C(1) << 32,
                              (UINT64_C(1) << 32) + 1,
                              (UINT64_C(1) << 62) - 57,
                              UINT64_C(1) << 62};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        avi_permutation p = avi_permutation_make(1, AVI_DRAW_SHUFFLE, 0, sizes[k]);
        for (uint64_t t = 0; t < 2000; t++) {
            uint64_t i = t == 0 ? 0 : t == 1 ? sizes[k] - 1 : avi_mix64(t, k) % sizes[k], j = avi_permute(&p, i);
            assert_true(j < sizes[k]);
            assert_true(avi_permute_inverse(&p, j) == i);
            assert_true(avi_permute(&p, avi_permute_inverse(&p, i)) == i);
        }
    }
}

/* Many at once are what they are one by one, outside the domain too. */
static void runs_of_numbers(void **state)
{
    (void)state;
    static int64_t out[1001];
    const uint64_t sizes[] = {1, 2, 17, 1000, 1025, 1000000007, UINT64_C(1) << 62};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        avi_permutation p = avi_permutation_make(3, AVI_DRAW_SHUFFLE, k, sizes[k]);
        for (int64_t count = 0; count <= 1000; count += 125 + count % 2)
            for (int back = 0; back < 2; back++) {
                const uint64_t first = sizes[k] > 500 ? sizes[k] - 500 : 0;
                out[count] = -1;
                avi_permute_run(&p, back, first, count, out);
                for (int64_t i = 0; i < count; i++)
                    assert_true((uint64_t)out[i] ==
                                (back ? avi_permute_inverse : avi_permute)(&p, first + (uint64_t)i));
                assert_true(out[count] == -1);
            }
    }
}

/* Where neighbours go is unrelated: ranks of images have correlation below 4 / sqrt(n); few fixed points; keys give
 * other orders. */
static void looks_shuffled(void **state)
{
    (void)state;
    const uint64_t n = 50000;
    avi_permutation p = avi_permutation_make(1, AVI_DRAW_SHUFFLE, 0, n),
                    q = avi_permutation_make(1, AVI_DRAW_SHUFFLE, 1, n);
    double self = 0, next = 0, other = 0, variance = ((double)n * (double)n - 1) / 12, middle = ((double)n - 1) / 2;
    int fixed = 0, agree = 0;
    for (uint64_t i = 0; i < n; i++) {
        double a = (double)avi_permute(&p, i) - middle, b = (double)avi_permute(&p, (i + 1) % n) - middle,
               c = (double)avi_permute(&q, i) - middle;
        self += a * ((double)i - middle) / variance / (double)n;
        next += a * b / variance / (double)n;
        other += a * c / variance / (double)n;
        fixed += avi_permute(&p, i) == i;
        agree += avi_permute(&p, i) == avi_permute(&q, i);
    }
    const double bound = 4 / sqrt((double)n);
    assert_true(fabs(self) < bound && fabs(next) < bound && fabs(other) < bound);
    assert_true(fixed <= 8 && agree <= 8); /* Poisson with mean 1: more than 8 once in 10^6 */
}

/* The number of an order of n among all n!: its digits in the factorial base. */
static int number_of_order(const avi_permutation *p, int n)
{
    int number = 0, seen[8];
    for (int i = 0; i < n; i++) {
        const int value = (int)avi_permute(p, (uint64_t)i);
        int smaller = value;
        for (int k = 0; k < i; k++) smaller -= seen[k] < value;
        seen[i] = value;
        number = number * (n - i) + smaller;
    }
    return number;
}

/* Pearson's statistic of `count` cells is close to normal with mean count - 1 and variance 2 (count - 1): five standard
 * deviations, and two more for the skewness of few cells. */
static void assert_even(double statistic, double cells)
{
    assert_true(statistic < cells - 1 + 5 * sqrt(2 * (cells - 1)) + 14);
}

/* All n! orders of few numbers come equally often over keys: 50 times each. */
static void few_numbers_are_uniform(void **state)
{
    (void)state;
    static int seen[40320];
    for (int n = 2, orders = 2; n <= 8; orders *= ++n) {
        double statistic = 0;
        memset(seen, 0, sizeof seen);
        for (uint64_t k = 0; k < 50 * (uint64_t)orders; k++) {
            const avi_permutation p = avi_permutation_make(11, AVI_DRAW_ORDER, k, (uint64_t)n);
            seen[number_of_order(&p, n)]++;
        }
        for (int i = 0; i < orders; i++) statistic += (seen[i] - 50.0) * (seen[i] - 50.0) / 50;
        assert_even(statistic, orders);
    }
}

/* Of more numbers, the places of two, both on the side of the small domains and on that of the network. */
static void pairs_are_uniform(void **state)
{
    (void)state;
    static int seen[100][100];
    const int sizes[] = {20, 63, 64, 65, 100};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        const int n = sizes[k];
        double statistic = 0;
        memset(seen, 0, sizeof seen);
        for (uint64_t t = 0; t < 30 * (uint64_t)(n * (n - 1)); t++) {
            const avi_permutation p = avi_permutation_make(12, AVI_DRAW_SHUFFLE, t, (uint64_t)n);
            seen[avi_permute(&p, 0)][avi_permute(&p, 1)]++;
        }
        for (int i = 0; i < n; i++)
            for (int j = 0; j < n; j++)
                if (i != j) statistic += (seen[i][j] - 30.0) * (seen[i][j] - 30.0) / 30;
        assert_even(statistic, n * (n - 1));
    }
}

static void outside_is_left_alone(void **state)
{
    (void)state;
    avi_permutation p = avi_permutation_make(1, AVI_DRAW_SHUFFLE, 0, 10);
    assert_true(avi_permute(&p, 10) == 10 && avi_permute_inverse(&p, 1000) == 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_domains_whole),   cmocka_unit_test(large_domains_invert),
        cmocka_unit_test(runs_of_numbers),       cmocka_unit_test(looks_shuffled),
        cmocka_unit_test(outside_is_left_alone), cmocka_unit_test(few_numbers_are_uniform),
        cmocka_unit_test(pairs_are_uniform),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
