/* Simulated rows of the Gaussian process: Durbin and Levinson's recursion against K's Cholesky factor times the same
 * draws, and the covariance against its formula. */
#include "avi/model.h"
#include "model/scalar.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "registry_support.h"

enum { N = 60 };

static avi_config *config; /* borrowed by the model under test */

static avi_model *make_model(const char *kernel, const char *times, const char *jitter)
{
    char text[512];
    avi_model *m = NULL;
    const bool column = !strcmp(times, "column");
    const avi_shape shape = {.rows = N, .width = column ? 2 : 1, .type = AVI_F64, .scale = 1};
    snprintf(
        text, sizeof text,
        "[model]\nname = gp\nkernel = %s\ntimes = %s\njitter = %s\nlengthscale = 2\namplitude = 1.5\nspacing = 0.7\n"
        "noise_sd = 0.3\n",
        kernel, times, jitter);
    config = test_config_new();
    assert_int_equal(avi_config_parse(config, "test", text, 0, NULL), AVI_OK);
    assert_int_equal(avi_model_create(config, &shape, &m), AVI_OK);
    return m;
}

static double kernel_of(const char *kernel, double d)
{
    if (!strcmp(kernel, "rbf")) return exp(-d * d / 2);
    if (!strcmp(kernel, "exponential")) return exp(-d);
    return (1 + sqrt(3) * d) * exp(-sqrt(3) * d);
}

/* a (N, N) -> its lower Cholesky factor. */
static void cholesky(double a[N][N])
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j <= i; j++) {
            double sum = a[i][j];
            for (int k = 0; k < j; k++) sum -= a[i][k] * a[j][k];
            a[i][j] = i == j ? sqrt(sum) : sum / a[j][j];
        }
}

static void check_draws(const char *kernel, const char *times, double jitter, const char *jitter_text)
{
    static double k[N][N], x[2 * N];
    avi_model *m = make_model(kernel, times, jitter_text);
    const int64_t width = m->shape.width;
    assert_int_equal(m->ops->simulate(m, 9, N, 0, N, x), AVI_OK);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            k[i][j] = 2.25 * (kernel_of(kernel, 0.7 * abs(i - j) / 2) + (i == j ? jitter : 0));
            const double got = m->ops->covariance(m, i, x + i * width, j, x + j * width);
            if (!(fabs(got - k[i][j]) < 1e-13))
                fail_msg("%s: entry (%d, %d) is %.17g, not %.17g", kernel, i, j, got, k[i][j]);
        }
    cholesky(k);
    for (int i = 0; i < N; i++) {
        double draw[2], want = 0;
        for (int j = 0; j <= i; j++) {
            avi_simulate_normals(9, j, 0, 2, draw);
            want += k[i][j] * draw[0];
        }
        want += 0.3 * draw[1];
        if (width == 2) assert_true(fabs(x[2 * i] - 0.7 * i) < 1e-12);
        if (!(fabs(x[width * i + width - 1] - want) < 1e-9))
            fail_msg("%s: row %d is %.15g, not %.15g", kernel, i, x[width * i + width - 1], want);
    }
    avi_model_destroy(&m);
    avi_config_destroy(&config);
}

static void draws_are_those_of_the_cholesky_factor(void **state)
{
    (void)state;
    check_draws("matern32", "index", 1e-6, "1e-6");
    check_draws("exponential", "column", 0, "0");
    check_draws("rbf", "index", 1e-3, "1e-3");
}

static void a_singular_covariance_is_told(void **state)
{
    (void)state;
    static double x[2 * N];
    avi_model *m = make_model("rbf", "index", "0");
    const avi_status status = m->ops->simulate(m, 9, N, 0, N, x);
    assert_int_equal(status, AVI_ERR_CONFIG);
    assert_non_null(strstr(avi_error_text(), "jitter"));
    avi_model_destroy(&m);
    avi_config_destroy(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_are_those_of_the_cholesky_factor),
        cmocka_unit_test(a_singular_covariance_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
