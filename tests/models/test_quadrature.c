/* Quadrature in place of draws, against closed forms of Gaussian expectations. */
#include "avi/elbo.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static const avi_model_ops OPS = {.name = "test", .coupling = AVI_INDEPENDENT};

static double power(double x, int n)
{
    double y = 1;
    for (int i = 0; i < n; i++) y *= x;
    return y;
}

/* E x^2k = (2k - 1)!!, E cos x = exp(-1/2); odd powers vanish. */
static void one_dimension(void **state)
{
    (void)state;
    static const int points[] = {2, 3, 5, 8, 16, 31, 32, 48, 63, 64, 100, 128, 200, 255, 256};
    const avi_model model = {.ops = &OPS, .latent = 1};
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        avi_quadrature *q;
        assert_int_equal(avi_quadrature_create(&model, false, points[i], AVI_PRECISION_DOUBLE, &q), AVI_OK);
        double moment = 1;
        for (int k = 0; k <= 6 && 2 * k < 2 * points[i]; k++, moment *= 2 * k - 1) {
            double even = 0, odd = 0;
            for (int s = 0; s < q->count; s++) {
                even += q->weight[s] * power(q->z[0][s], 2 * k);
                odd += q->weight[s] * power(q->z[0][s], 2 * k + 1);
            }
            assert_true(fabs(even - moment) < 1e-12 * moment);
            assert_true(fabs(odd) < 1e-12 * moment);
        }
        double cosine = 0;
        for (int s = 0; s < q->count; s++) cosine += q->weight[s] * cos(q->z[0][s]);
        if (points[i] >= 16) assert_true(fabs(cosine - exp(-0.5)) < 1e-13);
        /* Weights of single precision stay normal, and so do their products with what is around 1e-12. */
        for (int s = 0; s < q->count; s++) assert_true(q->weight[s] > 1e12 * FLT_MIN);
        /* Points beyond 11 standard deviations are left out: no more than these are left of n. */
        assert_true(q->count <= points[i] && q->count <= 8 * sqrt((double)points[i]));
        avi_quadrature_destroy(&q);
    }
}

/* E (x y)^2 = 1, E x^4 y^2 z^2 = 3. */
static void products(void **state)
{
    (void)state;
    for (int64_t latent = 2; latent <= 3; latent++) {
        const avi_model model = {.ops = &OPS, .latent = latent};
        avi_quadrature *q;
        assert_int_equal(avi_quadrature_create(&model, false, 20, AVI_PRECISION_DOUBLE, &q), AVI_OK);
        double sum = 0, mass = 0;
        for (int s = 0; s < q->count; s++) {
            const double *z = q->z[1] + (int64_t)s * latent;
            mass += q->weight[s];
            sum += q->weight[s] * power(z[0], 4) * power(z[1], 2) * (latent > 2 ? power(z[2], 2) : 1);
        }
        assert_true(fabs(mass - 1) < 1e-13 && fabs(sum - 3) < 1e-12);
        avi_quadrature_destroy(&q);
    }
}

/* In single precision all coordinates are floats, and moments below degree n are those of a normal all the same. */
static void floats(void **state)
{
    (void)state;
    static const int points[] = {2, 3, 8, 32, 63, 256};
    const avi_model model = {.ops = &OPS, .latent = 1};
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        avi_quadrature *q;
        assert_int_equal(avi_quadrature_create(&model, false, points[i], AVI_PRECISION_SINGLE, &q), AVI_OK);
        double moment = 1;
        for (int k = 0; k <= 6 && 2 * k < points[i]; k++, moment *= 2 * k - 1) {
            double even = 0;
            for (int s = 0; s < q->count; s++) even += q->weight[s] * power(q->z[0][s], 2 * k);
            assert_true(fabs(even - moment) < 1e-10 * moment);
        }
        for (int s = 0; s < q->count; s++) assert_true(q->z[0][s] == (double)(float)q->z[0][s] && q->weight[s] > 0);
        avi_quadrature_destroy(&q);
    }
    static const avi_model_ops quadratic = {.name = "test", .coupling = AVI_INDEPENDENT, .quadratic = 2};
    static const int64_t dims[] = {1, 2, 3, 4, 5, 10, 64, 1000};
    for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
        const avi_model many = {.ops = &quadratic, .latent = dims[i]};
        avi_quadrature *q;
        assert_int_equal(avi_quadrature_create(&many, false, 0, AVI_PRECISION_SINGLE, &q), AVI_OK);
        double mass = 0;
        for (int s = 0; s < q->count; s++) mass += q->weight[s];
        assert_true(fabs(mass - 1) < 1e-12);
        for (int64_t l = 0; l < dims[i]; l++) {
            double one = 0, two = 0;
            for (int s = 0; s < q->count; s++) {
                const double z = q->z[0][(int64_t)s * dims[i] + l];
                assert_true(z == (double)(float)z);
                one += q->weight[s] * z;
                two += q->weight[s] * z * z;
            }
            assert_true(fabs(one) < 1e-15 && fabs(two - 1) < 1e-15 * 8);
        }
        avi_quadrature_destroy(&q);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_dimension), cmocka_unit_test(products),
                                       cmocka_unit_test(floats)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
