/* Values of the log densities, entropies and divergences against numbers from their definitions (reference_density.py),
 * in both precisions, one value a row and all in one row; NaN shows wherever it comes in. */
#include "avi/tape.h"
#include "tape/reference_density.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { MOST_ROWS = 64, MOST_ARGS = 8 };

/* Arguments of n values, and how they lie: n rows of one, or (across) one row of n. */
typedef struct table {
    avi_tape *t;
    const double *rows; /* (n, width + 1), the last is the value */
    int64_t n, width;
    bool across;
} table;

/* The arguments first .. first + count - 1 of each value as one matrix. */
static avi_node *arguments(const table *a, int64_t first, int64_t count)
{
    avi_node *v = a->across ? avi_constant_new(a->t, 1, a->n * count) : avi_constant_new(a->t, a->n, count);
    for (int64_t i = 0; i < a->n; i++)
        for (int64_t c = 0; c < count; c++) {
            const int64_t at = a->across ? c * a->n + i : i * count + c;
            avi_vector_set(avi_tape_precision(a->t), v->value, at, a->rows[i * (a->width + 1) + first + c]);
        }
    return v;
}

static avi_node *std_normal(const table *a) { return avi_std_normal_lpdf(a->t, arguments(a, 0, 1)); }
static avi_node *normal(const table *a)
{
    return avi_normal_lpdf(a->t, arguments(a, 0, 1), arguments(a, 1, 1), arguments(a, 2, 1));
}
static avi_node *logq(const table *a) { return avi_gaussian_logq(a->t, arguments(a, 1, 2), arguments(a, 0, 1)); }
static avi_node *bernoulli(const table *a)
{
    return avi_bernoulli_logit_lpdf(a->t, arguments(a, 0, 1), arguments(a, 1, 1));
}
static avi_node *poisson(const table *a) { return avi_poisson_log_lpdf(a->t, arguments(a, 0, 1), arguments(a, 1, 1)); }
static avi_node *categorical(const table *a)
{
    return avi_categorical_logit_lpdf(a->t, arguments(a, 0, 1), arguments(a, 1, a->width - 1));
}
static avi_node *kl_std(const table *a) { return avi_gaussian_kl_std(a->t, arguments(a, 0, 2)); }
static avi_node *full_logq(const table *a)
{
    return avi_gaussian_full_logq(a->t, arguments(a, 0, 5), arguments(a, 5, 2));
}
static avi_node *entropy(const table *a)
{
    avi_node *log_sd = arguments(a, 0, 1);
    return avi_gaussian_entropy(a->t, avi_concat(a->t, log_sd, log_sd)); /* means do not matter */
}
static avi_node *full_entropy(const table *a)
{
    avi_node *factor = arguments(a, 0, 3);
    return avi_gaussian_full_entropy(a->t, avi_concat(a->t, avi_slice(a->t, factor, 0, 2), factor));
}
static avi_node *logsumexp(const table *a)
{
    avi_node *v = arguments(a, 0, a->width);
    v->rows *= v->cols;
    v->cols = 1;
    return avi_draw_logsumexp(a->t, v, a->width);
}

/* Size of the terms whose sum is the value: what an error is measured by. */
static double by_value(const double *a, double value) { return (void)a, fabs(value); }
static double by_one(const double *a, double value) { return (void)a, 1 + fabs(value); }
static double by_gaussian(const double *a, double value) { return 1 + fabs(a[2]) + fabs(value); }
static double by_logit(const double *a, double value)
{
    const bool bit = a[0] == 0 || a[0] == 1; /* exact to the last digit, however small */
    return bit ? fabs(value) : 1 + fabs(a[1]);
}
static double by_counts(const double *a, double value)
{
    return fabs(a[0] * a[1]) + exp(a[1]) + lgamma(a[0] + 1) + fabs(value);
}
static double by_logits(const double *a, double value)
{
    double s = fabs(value);
    for (int c = 1; c < 4; c++) s += fabs(a[c]);
    return s;
}

typedef struct density {
    const char *name;
    const double *rows;
    int64_t n, width;
    avi_node *(*build)(const table *a);
    double (*size)(const double *args, double value);
    bool sums; /* over columns */
} density;

#define ROWS(name)                                                                                                     \
    &reference_##name[0][0], sizeof reference_##name / sizeof reference_##name[0],                                     \
        sizeof reference_##name[0] / sizeof(double) - 1

static const density densities[] = {
    {"std_normal", ROWS(std_normal), std_normal, by_value, true},
    {"normal", ROWS(normal), normal, by_gaussian, true},
    {"gaussian_logq", ROWS(normal), logq, by_gaussian, true},
    {"bernoulli", ROWS(bernoulli), bernoulli, by_logit, true},
    {"poisson", ROWS(poisson), poisson, by_counts, true},
    {"categorical", ROWS(categorical), categorical, by_logits, false},
    {"gaussian_entropy", ROWS(gaussian_entropy), entropy, by_one, true},
    {"gaussian_kl_std", ROWS(gaussian_kl_std), kl_std, by_one, true},
    {"gaussian_full_logq", ROWS(full_logq), full_logq, by_one, false},
    {"gaussian_full_entropy", ROWS(full_entropy), full_entropy, by_one, false},
    {"draw_logsumexp", ROWS(logsumexp), logsumexp, by_one, false},
};
enum { DENSITIES = (int)(sizeof densities / sizeof densities[0]) };

static double tolerance(avi_precision p)
{
    return p == AVI_PRECISION_SINGLE ? 16 * (double)FLT_EPSILON : 16 * DBL_EPSILON;
}
static double smallest(avi_precision p) { return p == AVI_PRECISION_SINGLE ? (double)FLT_MIN : DBL_MIN; }

static void check_value(const density *d, avi_precision p, int64_t row, double got, double want, double size)
{
    if (!(fabs(got - want) <= tolerance(p) * size + smallest(p)))
        fail_msg("%s, row %lld (%s): %.17g, expected %.17g", d->name, (long long)row,
                 p == AVI_PRECISION_SINGLE ? "single" : "double", got, want);
}

static void check_rows(const density *d, avi_tape *t)
{
    avi_node *y = d->build(&(table){t, d->rows, d->n, d->width, false});
    assert_int_equal(y->rows, d->n);
    for (int64_t i = 0; i < d->n; i++) {
        const double *row = d->rows + i * (d->width + 1), want = row[d->width];
        check_value(d, avi_tape_precision(t), i, avi_vector_get(avi_tape_precision(t), y->value, i), want,
                    d->size(row, want));
    }
}

static void check_sum(const density *d, avi_tape *t)
{
    avi_node *y = d->build(&(table){t, d->rows, d->n, d->width, true});
    assert_int_equal(y->rows, 1);
    double want = 0, size = 0;
    for (int64_t i = 0; i < d->n; i++) {
        const double *row = d->rows + i * (d->width + 1);
        want += row[d->width];
        size += d->size(row, row[d->width]);
    }
    check_value(d, avi_tape_precision(t), -1, avi_vector_get(avi_tape_precision(t), y->value, 0), want, size);
}

static void values_agree_with_the_definitions(void **state)
{
    (void)state;
    for (int p = 0; p < 2; p++) {
        avi_tape *t = avi_tape_create((avi_precision)p);
        assert_non_null(t);
        for (int i = 0; i < DENSITIES; i++) {
            check_rows(&densities[i], t);
            if (densities[i].sums) check_sum(&densities[i], t);
            avi_tape_reset(t);
        }
        avi_tape_destroy(&t);
    }
}

/* One argument of row 1 is NaN: so is the value of row 1, and no other. */
static void check_nan(const density *d, avi_tape *t, int64_t argument)
{
    double rows[MOST_ROWS * MOST_ARGS];
    assert_in_range(d->n * (d->width + 1), 1, MOST_ROWS * MOST_ARGS);
    memcpy(rows, d->rows, (size_t)(d->n * (d->width + 1)) * sizeof *rows);
    rows[d->width + 1 + argument] = (double)NAN;
    avi_node *y = d->build(&(table){t, rows, d->n, d->width, false});
    for (int64_t i = 0; i < d->n; i++)
        if (!isnan(avi_vector_get(avi_tape_precision(t), y->value, i)) != (i != 1))
            fail_msg("%s, argument %lld NaN in row 1: row %lld is %g", d->name, (long long)argument, (long long)i,
                     avi_vector_get(avi_tape_precision(t), y->value, i));
}

static void nan_shows(void **state)
{
    (void)state;
    for (int p = 0; p < 2; p++) {
        avi_tape *t = avi_tape_create((avi_precision)p);
        assert_non_null(t);
        for (int i = 0; i < DENSITIES; i++)
            for (int64_t a = 0; a < densities[i].width; a++) {
                if (densities[i].build == full_entropy && a == 1)
                    continue; /* does not depend on what is below the diagonal */
                check_nan(&densities[i], t, a);
                avi_tape_reset(t);
            }
        avi_tape_destroy(&t);
    }
}

/* avi_normal_lpdf_sd against the numbers of the density with log_sd. */
static void a_fixed_sd_is_the_same_density(void **state)
{
    (void)state;
    avi_tape *t = avi_tape_create(AVI_PRECISION_DOUBLE);
    assert_non_null(t);
    for (size_t i = 0; i < sizeof reference_normal / sizeof reference_normal[0]; i++) {
        const double *r = reference_normal[i];
        const avi_node *y = avi_normal_lpdf_sd(t, avi_constant(t, 1, 1, r), avi_constant(t, 1, 1, r + 1), exp(r[2]));
        assert_true(fabs(*(const double *)y->value - r[3]) <= 32 * DBL_EPSILON * by_gaussian(r, r[3]));
    }
    avi_tape_destroy(&t);
}

static void values_out_of_range_are_nan(void **state)
{
    (void)state;
    for (int p = 0; p < 2; p++) {
        avi_tape *t = avi_tape_create((avi_precision)p);
        assert_non_null(t);
        const double classes[] = {-1, 0, -1e-3, 0, 3, 0, 1e30, 0, -1e30, 0}, counts[] = {-1, 0, -0.5, 0, -1e9, 0};
        avi_node *logits = avi_constant_new(t, 5, 3);
        for (int64_t i = 0; i < 15; i++) avi_vector_set((avi_precision)p, logits->value, i, 0);
        const avi_node *c = avi_categorical_logit_lpdf(t, arguments(&(table){t, classes, 5, 1, false}, 0, 1), logits);
        for (int64_t i = 0; i < c->rows; i++) assert_true(isnan(avi_vector_get((avi_precision)p, c->value, i)));
        const avi_node *y = avi_poisson_log_lpdf(t, arguments(&(table){t, counts, 3, 1, false}, 0, 1),
                                                 arguments(&(table){t, counts, 3, 1, false}, 0, 1));
        for (int64_t i = 0; i < y->rows; i++) assert_true(isnan(avi_vector_get((avi_precision)p, y->value, i)));
        avi_tape_destroy(&t);
    }
}

static void logsumexp_of_infinities(void **state)
{
    (void)state;
    const double low = (double)-INFINITY, rows[] = {low, low, 0, low, 1, 0, 2, (double)INFINITY, 0};
    for (int p = 0; p < 2; p++) {
        avi_tape *t = avi_tape_create((avi_precision)p);
        assert_non_null(t);
        const avi_node *y = logsumexp(&(table){t, rows, 3, 2, false});
        assert_true(avi_vector_get((avi_precision)p, y->value, 0) == low);
        assert_true(avi_vector_get((avi_precision)p, y->value, 1) == 1);
        assert_true(avi_vector_get((avi_precision)p, y->value, 2) == (double)INFINITY);
        avi_tape_destroy(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_agree_with_the_definitions), cmocka_unit_test(nan_shows),
        cmocka_unit_test(a_fixed_sd_is_the_same_density),    cmocka_unit_test(values_out_of_range_are_nan),
        cmocka_unit_test(logsumexp_of_infinities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
