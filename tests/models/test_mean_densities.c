/* Models that take expectations over q(z_n) in one pass (mean_log_likelihood, mean_log_prior) against the same models
 * draw by draw: values, and gradients with respect to the factors and theta. */
#include "avi/model.h"
#include "avi/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "registry_support.h"

enum { MOST_DRAWS = 1100, ROWS = 7, THETA = MOST_DRAWS };

static avi_model *make_model(const char *name, const char *more)
{
    char text[128];
    avi_config *config = test_config_new();
    avi_model *m;
    const avi_shape shape = {.rows = ROWS + 1, .width = 1, .height = 1, .columns = 1, .type = AVI_F64, .scale = 1};
    snprintf(text, sizeof text, "[model]\nname = %s\n%s", name, more);
    if (avi_config_parse(config, "test.ini", text, 0, NULL) != AVI_OK) fail_msg("%s", avi_error_text());
    if (avi_model_create(config, &shape, &m) != AVI_OK) fail_msg("%s", avi_error_text());
    avi_config_destroy(&config);
    return m;
}

static avi_node *normals(avi_tape *t, uint64_t of, int64_t rows, int64_t cols, void **grad)
{
    static double v[ROWS * MOST_DRAWS];
    const avi_precision p = avi_tape_precision(t);
    void *values = avi_tape_alloc(t, rows * cols);
    avi_normal_f64(avi_stream_make(5, AVI_DRAW_TEST, of), 0, 1, 0, rows * cols, v);
    avi_vector_from_double(p, v, rows * cols, values);
    if (!grad) return avi_constant(t, rows, cols, values);
    *grad = avi_tape_alloc(t, rows * cols);
    memset(*grad, 0, (size_t)(rows * cols) * avi_real_size(p));
    return avi_parameter(t, rows, cols, values, *grad);
}

typedef struct outcome {
    double value[2][ROWS], dnu[2 * ROWS], dtheta[THETA];
} outcome;

/* Likelihood (0) and prior (1); a row's seed is another for each row and each of the two. */
static void evaluate(const avi_model *m, avi_precision p, bool fused, int64_t draws, int64_t theta_rows,
                     const double *weight, outcome *out)
{
    avi_tape *t = avi_tape_create(p);
    void *dnu, *dtheta;
    assert_non_null(t);
    memset(out, 0, sizeof *out);
    const avi_batch b = {.rows = ROWS,
                         .draws = draws,
                         .x = normals(t, 0, ROWS, 1, NULL),
                         .x_next = m->ops->lookahead ? normals(t, 1, ROWS, 1, NULL) : NULL};
    avi_node *nu = normals(t, 2, ROWS, 2, &dnu), *eps = normals(t, 3, ROWS * draws, 1, NULL),
             *theta = normals(t, 4, theta_rows, 1, &dtheta);
    avi_node *z = fused ? NULL : avi_gaussian_draw(t, nu, eps), *mean[2] = {0};
    mean[0] = fused ? m->ops->mean_log_likelihood(m, t, &b, nu, eps, &theta, weight)
                    : avi_draw_mean(t, m->ops->log_likelihood(m, t, &b, z, &theta), draws, weight);
    if (m->ops->log_prior)
        mean[1] = fused ? m->ops->mean_log_prior(m, t, &b, nu, eps, &theta, weight)
                        : avi_draw_mean(t, m->ops->log_prior(m, t, &b, z, &theta), draws, weight);
    for (int i = 0; i < 2 && mean[i]; i++) avi_vector_to_double(p, mean[i]->value, ROWS, out->value[i]);
    avi_node *sum = mean[1] ? avi_add(t, mean[0], avi_scale(t, mean[1], 3, 0)) : mean[0];
    double seeds[ROWS];
    for (int r = 0; r < ROWS; r++) seeds[r] = 0.5 + 0.25 * r;
    avi_tape_backward_rows(t, sum, seeds);
    assert_int_equal(avi_tape_status(t), AVI_OK);
    avi_vector_to_double(p, dnu, 2 * ROWS, out->dnu);
    avi_vector_to_double(p, dtheta, theta_rows, out->dtheta);
    avi_tape_destroy(&t);
}

static void same(const char *model, const char *what, const double *got, const double *want, int64_t n,
                 double tolerance)
{
    double most = 1;
    for (int64_t k = 0; k < n; k++) most = fmax(most, fabs(want[k]));
    for (int64_t k = 0; k < n; k++)
        if (!(fabs(got[k] - want[k]) <= tolerance * most))
            fail_msg("%s: %s %lld is %.15g, draw by draw %.15g", model, what, (long long)k, got[k], want[k]);
}

static void compare(const avi_model *m, int64_t draws, int64_t theta_rows, const double *weight)
{
    static outcome fused, plain;
    for (int p = 0; p < 2; p++) {
        const double tolerance = p ? 1e-12 : 5e-5;
        evaluate(m, (avi_precision)p, true, draws, theta_rows, weight, &fused);
        evaluate(m, AVI_PRECISION_DOUBLE, false, draws, theta_rows, weight, &plain);
        same(m->ops->name, "log likelihood of row", fused.value[0], plain.value[0], ROWS, tolerance);
        same(m->ops->name, "log prior of row", fused.value[1], plain.value[1], ROWS, tolerance);
        same(m->ops->name, "gradient of nu", fused.dnu, plain.dnu, 2 * ROWS, tolerance);
        same(m->ops->name, "gradient of theta", fused.dtheta, plain.dtheta, theta_rows, tolerance);
    }
}

/* Fewer draws than a vector has lanes, vectors with every kind of rest, and more than are taken at a time. */
static void means_are_those_of_single_draws(void **state)
{
    (void)state;
    static const char *const models[][2] = {{"linear", "tau = -0.7\nsigma = 1.3\n"},
                                            {"nonlinear", ""},
                                            {"nonlinear", "drop_log_sigma = yes\n"},
                                            {"saw", "a = 0.6\n"}};
    static const int64_t draws[] = {1, 3, 10, 100, 151, 512, MOST_DRAWS};
    static double weight[MOST_DRAWS];
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
        avi_model *m = make_model(models[i][0], models[i][1]);
        assert_non_null(m->ops->mean_log_likelihood);
        for (size_t k = 0; k < sizeof draws / sizeof *draws; k++) {
            const int64_t s = draws[k];
            for (int64_t j = 0; j < s; j++) weight[j] = 2 * (double)(j + 1) / (double)(s * (s + 1));
            for (int weighted = 0; weighted < 2; weighted++) {
                compare(m, s, 1, weighted ? weight : NULL);
                compare(m, s, s, weighted ? weight : NULL);
            }
        }
        avi_model_destroy(&m);
    }
}

/* A row has the same bits in any block. */
static void a_row_does_not_depend_on_its_block(void **state)
{
    (void)state;
    avi_model *m = make_model("nonlinear", "");
    avi_tape *t = avi_tape_create(AVI_PRECISION_SINGLE);
    enum { DRAWS = 150 };
    avi_node *x = normals(t, 0, ROWS, 1, NULL), *nu = normals(t, 2, ROWS, 2, NULL),
             *eps = normals(t, 3, ROWS * DRAWS, 1, NULL), *theta = normals(t, 4, DRAWS, 1, NULL);
    const avi_batch all = {.rows = ROWS, .draws = DRAWS, .x = x};
    const float *whole = m->ops->mean_log_likelihood(m, t, &all, nu, eps, &theta, NULL)->value;
    for (int r = 0; r < ROWS; r++) {
        const avi_batch one = {.rows = 1, .draws = DRAWS, .x = avi_slice_rows(t, x, r, 1)};
        const float *alone = m->ops
                                 ->mean_log_likelihood(m, t, &one, avi_slice_rows(t, nu, r, 1),
                                                       avi_slice_rows(t, eps, r * DRAWS, DRAWS), &theta, NULL)
                                 ->value;
        assert_memory_equal(alone, whole + r, sizeof *alone);
    }
    avi_tape_destroy(&t);
    avi_model_destroy(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(means_are_those_of_single_draws),
        cmocka_unit_test(a_row_does_not_depend_on_its_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
