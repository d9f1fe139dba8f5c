/* Ragged rows: the tape holds the largest block from the first step on, whatever groups later steps have; the steps of
 * an epoch sum the trials of all groups. */
#include "avi/elbo.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "registry_support.h"

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

static void ok(avi_status status)
{
    if (status != AVI_OK) fail_msg("%s", avi_error_text());
}

typedef struct bench {
    avi_config *config;
    avi_source source;
    avi_partition partition;
    avi_data *data;
    avi_model *model;
    avi_family *family;
    avi_objective *objective;
    avi_infer *infer;
    avi_estimator *estimator;
    avi_parameter_layout layout;
    double *params, *gradient, *table, *table_grad;
    int64_t *first, *rows;
} bench;

static void fill(bench *b)
{
    const size_t table = (size_t)((b->data->count + 2) * WIDTH);
    b->params = calloc((size_t)b->layout.size, sizeof(double));
    b->gradient = calloc((size_t)b->layout.size, sizeof(double));
    b->table = calloc(table, sizeof(double));
    b->table_grad = calloc(table, sizeof(double));
    b->first = calloc(LANES, sizeof(int64_t));
    b->rows = calloc(LANES, sizeof(int64_t));
    assert_true(b->params && b->gradient && b->table && b->table_grad && b->first && b->rows);
}

static bench open_bench(bool reproducible, const char *function)
{
    bench b = {.config = test_config_new()};
    char text[256];
    b.source = (avi_source){
        .ops = &source_ops,
        .shape =
            {.rows = ROWS, .width = ENTRY, .height = 1, .columns = ENTRY, .type = AVI_F64, .scale = 1, .ragged = true},
        .first_entry = first_entry,
        .label = "made data"};
    snprintf(text, sizeof text,
             "[model]\nname = hier_logistic\ncovariates = 2\nglobal = point\n[inference]\nfunction = %s\n", function);
    ok(avi_config_parse(b.config, "test", text, 0, NULL));
    ok(avi_partition_make(ROWS, TILE, LANES, avi_comm_size(world), 5, true, &b.partition));
    ok(avi_data_load(&b.source, world, &b.partition, 0, 0, &b.data));
    ok(avi_model_create(b.config, &b.source.shape, &b.model));
    ok(avi_family_create(b.config, b.model->latent, &b.family));
    ok(avi_objective_create(b.config, &b.objective));
    const avi_feature_shape seen = avi_feature_shape_of(&b.source.shape, &(avi_domain){0}, false);
    ok(avi_infer_create(b.config, &seen, b.family->width, b.model->latent, &b.infer));
    const avi_problem p = {.precision = AVI_PRECISION_DOUBLE,
                           .seed = 5,
                           .reproducible = reproducible,
                           .model = b.model,
                           .infer = b.infer,
                           .family = b.family,
                           .objective = b.objective,
                           .draws = 3,
                           .block_rows = 4};
    b.layout = avi_parameter_layout_of(&p);
    assert_int_equal(avi_partition_epoch_steps(&b.partition), STEPS);
    ok(avi_estimator_create(&p, world, b.data, &b.estimator));
    fill(&b);
    return b;
}

static void close_bench(bench *b)
{
    free(b->params);
    free(b->gradient);
    free(b->table);
    free(b->table_grad);
    free(b->first);
    free(b->rows);
    avi_estimator_destroy(&b->estimator);
    avi_infer_destroy(&b->infer);
    avi_objective_destroy(&b->objective);
    avi_family_destroy(&b->family);
    avi_model_destroy(&b->model);
    avi_data_destroy(&b->data);
    avi_config_destroy(&b->config);
}

static void step(bench *b, int64_t index, double sums[AVI_SUMS])
{
    avi_row_ranges job = {.first = b->first, .rows = b->rows};
    avi_bad bad;
    const int rank = avi_comm_rank(world);
    for (int64_t lane = avi_partition_first_lane(&b->partition, rank);
         lane < avi_partition_first_lane(&b->partition, rank + 1); lane++) {
        const int64_t tile = avi_partition_step_tile(&b->partition, lane, 0, index);
        if (tile < 0) continue;
        job.first[job.count] = avi_partition_tile_first(&b->partition, tile);
        job.rows[job.count++] = avi_partition_tile_rows(&b->partition, tile);
    }
    memset(sums, 0, AVI_SUMS * sizeof *sums);
    const bool local = b->infer->ops->local;
    ok(avi_estimator_step(b->estimator, b->params, local ? b->table : NULL, local ? b->table_grad : NULL, index, &job,
                          sums, b->gradient, NULL, &bad));
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
            step(&b, 0, sums);
            rows += sums[AVI_SUM_ROWS];
            const size_t bytes = avi_estimator_bytes(b.estimator);
            for (int64_t index = 1; index < STEPS; index++) {
                step(&b, index, sums);
                rows += sums[AVI_SUM_ROWS];
                assert_true(sums[AVI_SUM_BAD] == 0);
                if (avi_estimator_bytes(b.estimator) != bytes)
                    fail_msg("%s: %zu bytes after step %lld, %zu after the first", functions[i],
                             avi_estimator_bytes(b.estimator), (long long)index, bytes);
            }
            assert_true(rows == ROWS);
            close_bench(&b);
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
            step(&b, index, sums);
            loglik += sums[AVI_SUM_LOGLIK];
        }
        assert_true(fabs(loglik + log(2) * (double)first_entry[ROWS]) < 1e-7 * (double)first_entry[ROWS]);
        close_bench(&b);
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
