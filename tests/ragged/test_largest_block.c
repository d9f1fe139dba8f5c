/* Ragged rows: the tape holds the largest block from the first step on, whatever groups later steps have; the steps of
 * an epoch sum the trials of all groups. */
#include "support/estimator_bench.h"

#include <math.h>

enum { ROWS = 60, TILE = 2, LANES = 5, STEPS = 6, WIDTH = 2, ENTRY = 3 };
static avi_comm *world;
static int64_t first_entry[ROWS + 1];

/* Sizes that differ from step to step: 0 to 6 entries, but for one row of 5000. */
static void make_sizes(void)
{
    for (int64_t r = 0; r < ROWS; r++) first_entry[r + 1] = first_entry[r] + (r == 37 ? 5000 : (r * 11) % 7);
}

static avi_status read_entries(avi_source *s, int64_t first, int64_t count, void *out)
{
    (void)s;
    double *x = out;
    for (int64_t e = first; e < first + count; e++, x += ENTRY) {
        x[0] = (double)((e * 7) % 3 > 0);
        x[1] = sin((double)e);
        x[2] = cos(2 * (double)e);
    }
    return AVI_OK;
}
static const avi_source_ops source_ops = {.name = "made", .doc = "", .read = read_entries, .any_rank = true};

static bench open_bench(bool reproducible, const char *function)
{
    char text[256];
    bench b = {.source = {.ops = &source_ops,
                          .shape = {.rows = ROWS,
                                    .width = ENTRY,
                                    .height = 1,
                                    .columns = ENTRY,
                                    .type = AVI_F64,
                                    .scale = 1,
                                    .ragged = true},
                          .first_entry = first_entry,
                          .label = "made data"}};
    snprintf(text, sizeof text,
             "[model]\nname = hier_logistic\ncovariates = 2\nglobal = point\n[inference]\nfunction = %s\n", function);
    bench_open(&b, world, text, TILE, LANES, reproducible, 3);
    assert_int_equal(avi_partition_epoch_steps(&b.partition), STEPS);
    return b;
}

static void no_memory_after_the_first_step(void **state)
{
    (void)state;
    static const char *const functions[] = {"factorized", "constant", "mlp\nhidden = 4",
                                            "set\nentry_hidden = 4\nhidden = 5"};
    for (int reproducible = 0; reproducible < 2; reproducible++)
        for (int i = 0; i < 4; i++) {
            bench b = open_bench(reproducible, functions[i]);
            double sums[AVI_SUMS], rows = 0;
            bench_step(&b, 0, sums);
            rows += sums[AVI_SUM_ROWS];
            const size_t bytes = avi_estimator_bytes(b.estimator);
            for (int64_t index = 1; index < STEPS; index++) {
                bench_step(&b, index, sums);
                rows += sums[AVI_SUM_ROWS];
                assert_true(sums[AVI_SUM_BAD] == 0);
                if (avi_estimator_bytes(b.estimator) != bytes)
                    fail_msg("%s: %zu bytes after step %lld, %zu after the first", functions[i],
                             avi_estimator_bytes(b.estimator), (long long)index, bytes);
            }
            assert_true(rows == ROWS);
            bench_close(&b);
        }
}

/* log p(x | z, theta) at theta = 0 and z = 0 is -log 2 for every trial, whatever the draws are where tau = exp(0) times
 * z is drawn from a factor of sd exp(-30). */
static void a_step_sums_its_entries(void **state)
{
    (void)state;
    for (int reproducible = 0; reproducible < 2; reproducible++) {
        bench b = open_bench(reproducible, "factorized");
        double loglik = 0, sums[AVI_SUMS];
        for (int64_t r = 0; r < b.data->count + 2; r++) b.table[r * WIDTH + 1] = -30;
        for (int64_t index = 0; index < STEPS; index++) {
            bench_step(&b, index, sums);
            loglik += sums[AVI_SUM_LOGLIK];
        }
        assert_true(fabs(loglik + log(2) * (double)first_entry[ROWS]) < 1e-7 * (double)first_entry[ROWS]);
        bench_close(&b);
    }
}

int main(int argc, char **argv)
{
    if (avi_comm_start(&argc, &argv, &world) != AVI_OK) return 70;
    make_sizes();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_memory_after_the_first_step),
        cmocka_unit_test(a_step_sums_its_entries),
    };
    int64_t failures = cmocka_run_group_tests(tests, NULL, NULL);
    if (avi_comm_max_int64(world, &failures, 1) != AVI_OK) failures = 1;
    avi_comm_finish(&world);
    return failures ? 1 : 0;
}
