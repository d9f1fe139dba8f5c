/* Elementary functions against long double, in units of the last place of the result, and their special values. */
#include "vmath_arrays.h"
#include "avi/rng.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

typedef void fn_f32(int64_t, const float *, float *);
typedef void fn_f64(int64_t, const double *, double *);

static long double softplus_reference(long double x) { return fmaxl(x, 0) + log1pl(expl(-fabsl(x))); }
static long double sigmoid_reference(long double x) { return x >= 0 ? 1 / (1 + expl(-x)) : expl(x) / (1 + expl(x)); }

/* ---- errors --------------------------------------------------------------------------------------------------------
 */

/* How points of a range are spread: evenly, or evenly in log |x| with both signs or with the positive one. */
typedef enum spread { EVEN, LOG_BOTH, LOG_POSITIVE } spread;

static double point(spread how, double low, double high, uint64_t i)
{
    double u = (double)(avi_mix64(i, 1) >> 11) * 0x1p-53, x = low + (high - low) * u;
    if (how == EVEN) return x;
    return how == LOG_BOTH && avi_mix64(i, 2) & 1 ? -exp(x) : exp(x);
}

/* Distance in units of the last place of the exact value in a type of `digits` bits; below the normal range, 0 is a
 * right answer. */
static double ulps(long double got, long double exact, int digits, int least_exponent)
{
    long double tiny = ldexpl(1, least_exponent - 1);
    if (fabsl(exact) < tiny * (1 + 1e-5L) && fabsl(got) <= tiny) return 0;
    int e;
    frexpl(exact, &e);
    if (e < least_exponent) e = least_exponent;
    double error = (double)(fabsl(got - exact) / ldexpl(1, e - digits));
    return isnan(error) ? (double)INFINITY : error;
}

static void check(const char *name, fn_f32 *f32, fn_f64 *f64, long double (*reference)(long double), spread how,
                  double low, double high, double limit)
{
    enum { N = 4099 };
    static float xf[N], yf[N];
    static double xd[N], yd[N];
    double worst_f = 0, worst_d = 0, at_f = 0, at_d = 0;
    for (uint64_t round = 0; round < 40; round++) {
        for (uint64_t i = 0; i < N; i++) {
            xd[i] = point(how, low, high, round * N + i);
            xf[i] = (float)xd[i];
        }
        f32(N, xf, yf);
        f64(N, xd, yd);
        for (int i = 0; i < N; i++) {
            double ef = ulps((long double)yf[i], reference((long double)xf[i]), FLT_MANT_DIG, FLT_MIN_EXP);
            double ed = ulps((long double)yd[i], reference((long double)xd[i]), DBL_MANT_DIG, DBL_MIN_EXP);
            if (ef > worst_f) worst_f = ef, at_f = (double)xf[i];
            if (ed > worst_d) worst_d = ed, at_d = xd[i];
        }
    }
    printf("%-9s [%g, %g]: single %.2f ulp at %.9g, double %.2f ulp at %.17g\n", name, low, high, worst_f, at_f,
           worst_d, at_d);
    assert_true(worst_f <= limit && worst_d <= limit);
}

#define CHECK(name, reference, ...) check(#name, array_##name##_f32, array_##name##_f64, reference, __VA_ARGS__)

static void exp_log(void **state)
{
    (void)state;
    CHECK(exp, expl, EVEN, -87.3, 88.7, 2);
    CHECK(exp, expl, EVEN, -1, 1, 2);
    CHECK(exp, expl, LOG_BOTH, -40, 4, 2);
    check("exp", array_exp_f32, array_exp_f64, expl, EVEN, -110, -80, 2);
    CHECK(log, logl, LOG_POSITIVE, -87, 88, 2);
    CHECK(log, logl, EVEN, 0.5, 2, 2);
    CHECK(log, logl, LOG_POSITIVE, -103, -80, 2);
}

static void functions_of_exp(void **state)
{
    (void)state;
    CHECK(softplus, softplus_reference, EVEN, -87, 100, 3);
    CHECK(softplus, softplus_reference, EVEN, -3, 3, 3);
    CHECK(sigmoid, sigmoid_reference, EVEN, -87, 100, 3);
    CHECK(sigmoid, sigmoid_reference, EVEN, -3, 3, 3);
    CHECK(tanh, tanhl, EVEN, -25, 25, 4);
    CHECK(tanh, tanhl, EVEN, -1, 1, 4);
    CHECK(tanh, tanhl, LOG_BOTH, -40, 1, 4);
}

static void sin_cos(void **state)
{
    (void)state;
    CHECK(sin, sinl, EVEN, -1e4, 1e4, 2);
    CHECK(cos, cosl, EVEN, -1e4, 1e4, 2);
    CHECK(sin, sinl, EVEN, -4, 4, 2);
    CHECK(cos, cosl, EVEN, -4, 4, 2);
    CHECK(sin, sinl, LOG_BOTH, -40, 9, 2);
}

/* Floats next to multiples of pi/2, where the reduction cancels most. */
static void near_multiples_of_half_pi(void **state)
{
    (void)state;
    enum { N = 6366 };
    static float xf[N], sf[N], cf[N];
    static double xd[N], sd[N], cd[N];
    for (int i = 0; i < N; i++) {
        xd[i] = (double)(1.57079632679489661923L * (i + 1));
        xf[i] = (float)xd[i];
    }
    array_sin_f32(N, xf, sf);
    array_cos_f32(N, xf, cf);
    array_sin_f64(N, xd, sd);
    array_cos_f64(N, xd, cd);
    for (int i = 0; i < N; i++) {
        assert_true(ulps((long double)sf[i], sinl((long double)xf[i]), FLT_MANT_DIG, FLT_MIN_EXP) <= 2);
        assert_true(ulps((long double)cf[i], cosl((long double)xf[i]), FLT_MANT_DIG, FLT_MIN_EXP) <= 2);
        /* long double's own reduction has 66 bits of pi: compare absolutely where the value is small */
        assert_true(fabsl((long double)sd[i] - sinl((long double)xd[i])) <= 2.3e-16L);
        assert_true(fabsl((long double)cd[i] - cosl((long double)xd[i])) <= 2.3e-16L);
    }
}

/* ---- special values ------------------------------------------------------------------------------------------------
 */

static int same(double a, double b) { return isnan(b) ? isnan(a) : a == b && !signbit(a) == !signbit(b); }

/* Each value alone (the scalar end of a loop) and as a vector of 33 (its body). */
static void special(const char *name, fn_f32 *f32, fn_f64 *f64, double x, double single, double twice)
{
    float xf[33], yf[33];
    double xd[33], yd[33];
    for (int i = 0; i < 33; i++) {
        xf[i] = (float)x;
        xd[i] = x;
    }
    for (int64_t n = 1; n <= 33; n += 32) {
        f32(n, xf, yf);
        f64(n, xd, yd);
        for (int64_t i = 0; i < n; i++)
            if (!same((double)yf[i], single) || !same(yd[i], twice))
                fail_msg("%s(%g): single %g, double %g", name, x, (double)yf[i], yd[i]);
    }
}

#define SPECIAL(name, x, single, twice) special(#name, array_##name##_f32, array_##name##_f64, x, single, twice)

static void special_values(void **state)
{
    (void)state;
    const double inf = (double)INFINITY, nan_ = (double)NAN;
    SPECIAL(exp, 0, 1, 1);
    SPECIAL(exp, -0.0, 1, 1);
    SPECIAL(exp, inf, inf, inf);
    SPECIAL(exp, -inf, 0, 0);
    SPECIAL(exp, 1000, inf, inf);
    SPECIAL(exp, 1e30, inf, inf);
    SPECIAL(exp, -1000, 0, 0);
    SPECIAL(exp, -1e30, 0, 0);
    SPECIAL(log, 1, 0, 0);
    SPECIAL(log, 0, -inf, -inf);
    SPECIAL(log, -0.0, -inf, -inf);
    SPECIAL(log, -1, nan_, nan_);
    SPECIAL(log, -inf, nan_, nan_);
    SPECIAL(log, inf, inf, inf);
    SPECIAL(softplus, inf, inf, inf);
    SPECIAL(softplus, -inf, 0, 0);
    SPECIAL(softplus, 1000, 1000, 1000);
    SPECIAL(softplus, -1000, 0, 0);
    SPECIAL(sigmoid, 0, 0.5, 0.5);
    SPECIAL(sigmoid, inf, 1, 1);
    SPECIAL(sigmoid, -inf, 0, 0);
    SPECIAL(sigmoid, 1000, 1, 1);
    SPECIAL(sigmoid, -1000, 0, 0);
    SPECIAL(tanh, 0, 0, 0);
    SPECIAL(tanh, -0.0, -0.0, -0.0);
    SPECIAL(tanh, inf, 1, 1);
    SPECIAL(tanh, -inf, -1, -1);
    SPECIAL(sin, 0, 0, 0);
    SPECIAL(cos, 0, 1, 1);
    SPECIAL(sin, inf, nan_, nan_);
    SPECIAL(cos, -inf, nan_, nan_);
    SPECIAL(exp, nan_, nan_, nan_);
    SPECIAL(log, nan_, nan_, nan_);
    SPECIAL(softplus, nan_, nan_, nan_);
    SPECIAL(sigmoid, nan_, nan_, nan_);
    SPECIAL(tanh, nan_, nan_, nan_);
    SPECIAL(sin, nan_, nan_, nan_);
    SPECIAL(cos, nan_, nan_, nan_);
}

/* The last argument before each end of exp and the first beyond. */
static void ends_of_exp(void **state)
{
    (void)state;
    const float f[4] = {88.72283f, 88.72284f, -87.33654f, -87.33655f};
    const double d[4] = {709.782712893383973, 709.7827128933841, -708.3964185322640, -708.3964185322642};
    float yf[4];
    double yd[4];
    array_exp_f32(4, f, yf);
    array_exp_f64(4, d, yd);
    assert_true(isfinite(yf[0]) && yf[0] > 3.4e38f && isinf(yf[1]) && yf[2] >= FLT_MIN && yf[3] == 0);
    assert_true(isfinite(yd[0]) && yd[0] > 1.797e308 && isinf(yd[1]) && yd[2] >= DBL_MIN && yd[3] == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exp_log),        cmocka_unit_test(functions_of_exp),
        cmocka_unit_test(sin_cos),        cmocka_unit_test(near_multiples_of_half_pi),
        cmocka_unit_test(special_values), cmocka_unit_test(ends_of_exp),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
