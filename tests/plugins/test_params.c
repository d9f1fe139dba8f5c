/* Flat parameter vectors: layout, initial values, statistics. */
#include "avi/param.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 40000 };
static double values[MOST], again[MOST];

static void layout_is_padded_and_in_order(void **state)
{
    (void)state;
    avi_params p = {0};
    int index = -1;
    assert_int_equal(avi_params_add(&p, "a", 3, 5, AVI_INIT_CONSTANT, 7, &index), AVI_OK);
    assert_int_equal(index, 0);
    assert_int_equal(avi_params_add(&p, "b", 1, 16, AVI_INIT_CONSTANT, 8, &index), AVI_OK);
    assert_int_equal(index, 1);
    assert_int_equal(avi_params_add_affine(&p, "net.0", 5, 7), AVI_OK);
    assert_int_equal(p.count, 4);
    static const int64_t offset[] = {0, 16, 32, 80}, rows[] = {3, 1, 7, 1}, cols[] = {5, 16, 5, 7};
    for (int i = 0; i < 4; i++) {
        assert_int_equal(p.block[i].offset, offset[i]);
        assert_int_equal(p.block[i].rows, rows[i]);
        assert_int_equal(p.block[i].cols, cols[i]);
    }
    assert_string_equal(p.block[2].name, "net.0.weight");
    assert_string_equal(p.block[3].name, "net.0.bias");
    assert_int_equal(p.size, 96);
    assert_int_equal(avi_params_values(&p), 15 + 16 + 35 + 7);
    assert_ptr_equal(avi_params_block_at(&p, 0), &p.block[0]);
    assert_ptr_equal(avi_params_block_at(&p, 16), &p.block[1]);
    assert_ptr_equal(avi_params_block_at(&p, 66), &p.block[2]);
    assert_ptr_equal(avi_params_block_at(&p, 95), &p.block[3]);

    for (int i = 0; i < 96; i++) values[i] = (double)NAN;
    assert_int_equal(avi_params_initialise(&p, 1, AVI_PRECISION_DOUBLE, values), AVI_OK);
    for (int i = 0; i < 15; i++) assert_true(values[i] == 7);
    assert_true(values[15] == 0); /* padding */
    for (int i = 16; i < 32; i++) assert_true(values[i] == 8);
    for (int i = 67; i < 80; i++) assert_true(values[i] == 0);
    for (int i = 87; i < 96; i++) assert_true(values[i] == 0);
    avi_params_free(&p);
    assert_int_equal(p.count, 0);
}

static void refusals_say_why(void **state)
{
    (void)state;
    avi_params p = {0};
    char name[80];
    assert_int_equal(avi_params_add(&p, "a", 1, 1, AVI_INIT_CONSTANT, 0, NULL), AVI_OK);
    assert_int_equal(avi_params_add(&p, "a", 1, 1, AVI_INIT_CONSTANT, 0, NULL), AVI_ERR_INTERNAL);
    assert_non_null(strstr(avi_error_text(), "twice"));
    avi_error_clear();
    assert_int_equal(avi_params_add(&p, "b", 0, 1, AVI_INIT_CONSTANT, 0, NULL), AVI_ERR_INTERNAL);
    assert_non_null(strstr(avi_error_text(), "below 1"));
    avi_error_clear();
    memset(name, 'x', 64);
    name[64] = 0; /* would be cut, and two such names be one */
    assert_int_equal(avi_params_add(&p, name, 1, 1, AVI_INIT_CONSTANT, 0, NULL), AVI_ERR_INTERNAL);
    assert_non_null(strstr(avi_error_text(), "longer than 63"));
    avi_error_clear();
    name[63] = 0;
    assert_int_equal(avi_params_add(&p, name, 1, 1, AVI_INIT_CONSTANT, 0, NULL), AVI_OK);
    assert_int_equal(avi_params_add_affine(&p, name, 2, 2), AVI_ERR_INTERNAL);
    assert_non_null(strstr(avi_error_text(), "longer than 63"));
    avi_error_clear();
    assert_int_equal(p.count, 2);
    avi_params_free(&p);
}

/* The values of one block are those it has alone, wherever it stands, in both precisions. */
static void initial_values_depend_on_the_name_alone(void **state)
{
    (void)state;
    static float single[MOST];
    avi_params alone = {0}, among = {0};
    assert_int_equal(avi_params_add(&alone, "w", 30, 11, AVI_INIT_NORMAL, 2, NULL), AVI_OK);
    assert_int_equal(avi_params_add(&among, "other", 7, 9, AVI_INIT_NORMAL, 1, NULL), AVI_OK);
    assert_int_equal(avi_params_add(&among, "w", 30, 11, AVI_INIT_NORMAL, 2, NULL), AVI_OK);
    assert_int_equal(avi_params_add(&among, "v", 30, 11, AVI_INIT_NORMAL, 2, NULL), AVI_OK);
    assert_int_equal(avi_params_initialise(&alone, 5, AVI_PRECISION_DOUBLE, values), AVI_OK);
    assert_int_equal(avi_params_initialise(&among, 5, AVI_PRECISION_DOUBLE, again), AVI_OK);
    assert_memory_equal(values, again + among.block[1].offset, 330 * sizeof(double));
    int same = 0;
    for (int i = 0; i < 330; i++) same += values[i] == again[among.block[2].offset + i];
    assert_int_equal(same, 0); /* another name, other values */
    assert_int_equal(avi_params_initialise(&alone, 5, AVI_PRECISION_SINGLE, single), AVI_OK);
    for (int i = 0; i < 330; i++) assert_true(single[i] == (float)values[i]);
    assert_int_equal(avi_params_initialise(&alone, 6, AVI_PRECISION_DOUBLE, again), AVI_OK);
    assert_memory_not_equal(values, again, 330 * sizeof(double)); /* another seed */
    avi_params_free(&alone);
    avi_params_free(&among);
}

/* Mean, variance and largest magnitude of n values. */
static void moments(const double *v, int n, double *mean, double *variance, double *most)
{
    *mean = *variance = *most = 0;
    for (int i = 0; i < n; i++) *mean += v[i] / n;
    for (int i = 0; i < n; i++) {
        *variance += (v[i] - *mean) * (v[i] - *mean) / n;
        *most = fmax(*most, fabs(v[i]));
    }
}

static void initial_values_have_their_distribution(void **state)
{
    (void)state;
    avi_params p = {0};
    double mean, variance, most;
    enum { IN = 200, OUT = 190, N = IN * OUT };
    assert_int_equal(avi_params_add_affine(&p, "layer", IN, OUT), AVI_OK);
    assert_true(p.size <= MOST);
    assert_int_equal(avi_params_initialise(&p, 3, AVI_PRECISION_DOUBLE, values), AVI_OK);
    const double bound = 1 / sqrt((double)IN); /* PyTorch's Linear: U(-1/sqrt(in), 1/sqrt(in)) for both */
    moments(values, N, &mean, &variance, &most);
    assert_true(most < bound && most > 0.999 * bound);
    assert_true(fabs(mean) < 5 * bound / sqrt(3.0 * N));
    assert_true(fabs(variance / (bound * bound / 3) - 1) < 5 * sqrt(0.8 / N)); /* kurtosis of a uniform: 1.8 */
    moments(values + p.block[1].offset, OUT, &mean, &variance, &most);
    assert_true(most < bound && most > 0.9 * bound);
    avi_params_free(&p);

    assert_int_equal(avi_params_add(&p, "w", 1, N, AVI_INIT_NORMAL, 3, NULL), AVI_OK);
    assert_int_equal(avi_params_initialise(&p, 3, AVI_PRECISION_DOUBLE, values), AVI_OK);
    moments(values, N, &mean, &variance, &most);
    assert_true(fabs(mean) < 5 * 3 / sqrt((double)N));
    assert_true(fabs(variance / 9 - 1) < 5 * sqrt(2.0 / N));
    assert_true(most > 9 && most < 18);
    avi_params_free(&p);
}

static void vectors_count_and_sum(void **state)
{
    (void)state;
    for (int p = 0; p < 2; p++) {
        static double v[101];
        double square = 0, back[101];
        const avi_precision precision = (avi_precision)p;
        for (int i = 0; i < 101; i++) {
            avi_vector_set(precision, v, i, i - 50.5);
            square += (i - 50.5) * (i - 50.5);
        }
        assert_true(fabs(avi_vector_sumsq(precision, v, 101) / square - 1) < 1e-14);
        static double scaled[101];
        avi_vector_scaled(precision, v, 101, -2, scaled);
        avi_vector_to_double(precision, scaled, 101, back);
        for (int i = 0; i < 101; i++) assert_true(back[i] == -2 * (i - 50.5));
        int64_t first = -1;
        assert_int_equal(avi_vector_nonfinite(precision, v, 101, &first), 0);
        assert_int_equal(first, -1);
        avi_vector_set(precision, v, 77, (double)NAN);
        avi_vector_set(precision, v, 42, (double)-INFINITY);
        avi_vector_set(precision, v, 100, (double)INFINITY);
        assert_int_equal(avi_vector_nonfinite(precision, v, 101, &first), 3);
        assert_int_equal(first, 42);
        assert_int_equal(avi_vector_nonfinite(precision, v, 101, NULL), 3);
        assert_true(isnan(avi_vector_sumsq(precision, v, 101)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layout_is_padded_and_in_order),
        cmocka_unit_test(refusals_say_why),
        cmocka_unit_test(initial_values_depend_on_the_name_alone),
        cmocka_unit_test(initial_values_have_their_distribution),
        cmocka_unit_test(vectors_count_and_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
