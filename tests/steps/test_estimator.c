/* The estimator by itself: no session, no files, no optimizer. F-VI of the linear model with a point theta and
 * quadrature, whose rows have ELBOs and gradients in closed form:
 *   E log p(x | z) = -log(sigma sqrt(2 pi)) - ((x - theta - tau m)^2 + tau^2 s^2) / (2 sigma^2),
 *   KL(q(z) || p(z)) = (m^2 + s^2 - 1) / 2 - log s,  with nu = (m, log s). */
#include "support/estimator_bench.h"

#include <math.h>

/* 12 tiles, the last of one row, in 5 lanes of 2 or 3: the steps of an epoch are unequal. */
enum { ROWS = 23, TILE = 2, LANES = 5, STEPS = 3, WIDTH = 2 };
static const double tau = 1.5, sigma = 0.8, prior_sd = 2, theta = 0.7;
static avi_comm *world, *alone;

static double x_of(int64_t given) { return 3 + 2 * sin((double)given); }
static double mean_of(int64_t given) { return cos(3 * (double)given); }
static double log_sd_of(int64_t given) { return -0.5 + 0.1 * (double)(given % 7); }

static avi_status read_rows(avi_source *s, int64_t first, int64_t count, void *out)
{
    (void)s;
    for (int64_t i = 0; i < count; i++) ((double *)out)[i] = x_of(first + i);
    return AVI_OK;
}
static const avi_source_ops source_ops = {.name = "made", .doc = "", .read = read_rows, .any_rank = true};

/* ---- the closed form ---- */

static double row_elbo(int64_t given)
{
    const double m = mean_of(given), s = exp(log_sd_of(given)), r = x_of(given) - theta - tau * m;
    return -log(sigma * sqrt(2 * acos(-1))) - (r * r + tau * tau * s * s) / (2 * sigma * sigma) -
           ((m * m + s * s - 1) / 2 - log(s));
}
static double row_by_theta(int64_t given) { return (x_of(given) - theta - tau * mean_of(given)) / (sigma * sigma); }
static double row_by_mean(int64_t given) { return tau * row_by_theta(given) - mean_of(given); }
static double row_by_log_sd(int64_t given)
{
    const double s = exp(log_sd_of(given));
    return 1 - s * s - tau * tau * s * s / (sigma * sigma);
}
static double kl_theta(void)
{
    return 0.5 * theta * theta / (prior_sd * prior_sd) + log(prior_sd * sqrt(2 * acos(-1)));
}

/* ---- an estimator and what it works on ---- */

static bench open_bench(avi_comm *comm, bool reproducible)
{
    bench b = {.source = {.ops = &source_ops,
                          .shape = {.rows = ROWS, .width = 1, .height = 1, .columns = 1, .type = AVI_F64, .scale = 1},
                          .label = "made data"}};
    bench_open(&b, comm,
               "[model]\nname = linear\ntau = 1.5\nsigma = 0.8\nprior_sd = 2\nglobal = point\n"
               "[inference]\nfunction = factorized\n[objective]\ndraws = 0\n",
               TILE, LANES, reproducible, 0);
    assert_int_equal(b.family->width, WIDTH);
    assert_int_equal(avi_partition_epoch_steps(&b.partition), STEPS);
    b.params[0] = theta;
    for (int64_t i = 0; i < b.data->count; i++) {
        const int64_t given = avi_partition_original(&b.partition, b.data->first + i);
        b.table[(1 + i) * WIDTH] = mean_of(given);
        b.table[(1 + i) * WIDTH + 1] = log_sd_of(given);
    }
    return b;
}

/* Sums over the rows of a step, of all ranks, in closed form. */
static void expected_step(const bench *b, int64_t step, double *rows, double *elbo, double *by_theta)
{
    *rows = *elbo = *by_theta = 0;
    for (int64_t lane = 0; lane < LANES; lane++) {
        const int64_t tile = avi_partition_step_tile(&b->partition, lane, 0, step);
        if (tile < 0) continue;
        for (int64_t i = 0; i < avi_partition_tile_rows(&b->partition, tile); i++) {
            const int64_t given =
                avi_partition_original(&b->partition, avi_partition_tile_first(&b->partition, tile) + i);
            *rows += 1;
            *elbo += row_elbo(given);
            *by_theta += row_by_theta(given);
        }
    }
}

/* Fixed point rounds at the scale of the largest value that it leaves room for. */
static double tolerance = 1e-12;
static void near(double got, double expected)
{
    if (!(fabs(got - expected) <= tolerance * (1 + fabs(expected)))) fail_msg("%.17g in place of %.17g", got, expected);
}

/* ---- tests ---- */

static void check_step(bench *b, int64_t step, double *local)
{
    double sums[AVI_SUMS], rows, elbo, by_theta;
    const avi_bad bad = bench_step(b, step, sums);
    expected_step(b, step, &rows, &elbo, &by_theta);
    assert_int_equal(bad.position, -1);
    near(sums[AVI_SUM_ROWS], rows);
    near(sums[AVI_SUM_ELBO], elbo);
    near(sums[AVI_SUM_BAD], 0);
    near(b->gradient[0], (-STEPS * by_theta + theta / (prior_sd * prior_sd)) / ROWS);
    *local += sums[AVI_SUM_ELBO];
}

/* Every row is in one step, so that the mean over an epoch of E * local - KL is the ELBO; and its factor has the
 * gradient of its own term, without weight. */
static void an_epoch(bool reproducible)
{
    bench b = open_bench(world, reproducible);
    double local = 0, expected = 0;
    for (int64_t step = 0; step < STEPS; step++) check_step(&b, step, &local);
    for (int64_t n = 0; n < ROWS; n++) expected += row_elbo(n);
    near(local, expected);
    near(avi_estimator_kl_global(b.estimator, b.params), kl_theta());
    for (int64_t i = 0; i < b.data->count; i++) {
        const int64_t given = avi_partition_original(&b.partition, b.data->first + i);
        near(b.table_grad[(1 + i) * WIDTH], -row_by_mean(given));
        near(b.table_grad[(1 + i) * WIDTH + 1], -row_by_log_sd(given));
    }
    bench_close(&b);
}
static void test_epoch(void **state)
{
    (void)state;
    an_epoch(false);
}
static void test_epoch_reproducible(void **state)
{
    (void)state;
    tolerance = 1e-10;
    an_epoch(true);
    tolerance = 1e-12;
}

static void test_bits_of_one_rank(void **state)
{
    (void)state;
    bench all = open_bench(world, true), one = open_bench(alone, true);
    for (int64_t step = 0; step < STEPS; step++) {
        double sums[AVI_SUMS], same[AVI_SUMS];
        bench_step(&all, step, sums);
        bench_step(&one, step, same);
        assert_memory_equal(sums, same, sizeof sums);
        assert_memory_equal(all.gradient, one.gradient, (size_t)all.layout.size * sizeof(double));
    }
    bench_close(&all);
    bench_close(&one);
}

/* A factor that is not finite: counted on every rank, its position known to the rank that owns it, and no gradient. */
static void test_bad_row(void **state)
{
    (void)state;
    bench b = open_bench(world, false);
    const int64_t position =
        avi_partition_tile_first(&b.partition, avi_partition_step_tile(&b.partition, LANES - 1, 0, 0));
    const bool mine = position >= b.data->first && position < b.data->first + b.data->count;
    if (mine) b.table[(1 + position - b.data->first) * WIDTH] = NAN;
    double sums[AVI_SUMS];
    const avi_bad bad = bench_step(&b, 0, sums);
    assert_true(sums[AVI_SUM_BAD] >= 1);
    assert_int_equal(bad.position, mine ? position : -1);
    assert_int_equal(bad.value, -1);
    bench_step(&b, 1, sums); /* a step without that row is none the worse for it */
    near(sums[AVI_SUM_BAD], 0);
    bench_close(&b);
}

static void test_evaluation(void **state)
{
    (void)state;
    bench b = open_bench(world, false);
    const int64_t first = b.data->first, count = b.data->count;
    avi_row_ranges job = {.count = 1, .first = b.first, .rows = b.rows};
    b.first[0] = first;
    b.rows[0] = count;
    double sums[AVI_SUMS] = {0}, *elbo = calloc((size_t)count + 1, sizeof *elbo), expected = 0;
    assert_non_null(elbo);
    ok(avi_estimator_evaluate(b.estimator, b.params, b.table, &job, false, sums, &(avi_row_values){.elbo = elbo}));
    for (int64_t i = 0; i < count; i++) near(elbo[i], row_elbo(avi_partition_original(&b.partition, first + i)));
    for (int64_t n = 0; n < ROWS; n++) expected += row_elbo(n);
    near(sums[AVI_SUM_ELBO], expected);
    avi_estimate estimate;
    ok(avi_estimator_estimate(b.estimator, b.params, b.table, &(avi_estimation){.rule = b.rule}, &estimate, NULL));
    near(estimate.elbo, expected);
    near(estimate.rows, ROWS);
    near(estimate.error, 0);
    free(elbo);
    bench_close(&b);
}

int main(int argc, char **argv)
{
    if (avi_comm_start(&argc, &argv, &world) != AVI_OK) return 1;
    if (avi_comm_split(world, avi_comm_rank(world), &alone) != AVI_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_epoch),
        cmocka_unit_test(test_epoch_reproducible),
        cmocka_unit_test(test_bits_of_one_rank),
        cmocka_unit_test(test_bad_row),
        cmocka_unit_test(test_evaluation),
    };
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    avi_comm_destroy(&alone);
    avi_comm_finish(&world);
    return failed;
}
