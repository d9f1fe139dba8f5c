/* For tests of the estimator by itself: everything that it works on, without session, files or optimizer. */
#ifndef AVI_TESTS_ESTIMATOR_BENCH_H
#define AVI_TESTS_ESTIMATOR_BENCH_H

#include "avi/elbo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "registry_support.h"

typedef struct bench {
    avi_comm *comm;
    avi_config *config;
    avi_source source; /* set by the test before bench_open */
    avi_partition partition;
    avi_data *data;
    avi_model *model;
    avi_family *family;
    avi_objective *objective;
    avi_infer *infer;
    avi_quadrature *rule; /* NULL with draws */
    avi_estimator *estimator;
    avi_parameter_layout layout;
    double *params, *gradient, *table, *table_grad; /* zeros at first */
    int64_t *first, *rows;                          /* (lanes) each: room for the rows of a pass */
} bench;

static inline void ok(avi_status status)
{
    if (status != AVI_OK) fail_msg("%s", avi_error_text());
}

static inline double *bench_zeros(int64_t n)
{
    double *zeros = calloc((size_t)n + 1, sizeof *zeros);
    assert_non_null(zeros);
    return zeros;
}

/* Collective. text: the configuration; of the data of b->source, shuffled, in double precision, with a point theta.
 * draws: 0 for a quadrature of 8 points. Blocks have 4 rows. */
static inline void bench_open(bench *b, avi_comm *comm, const char *text, int64_t tile, int64_t lanes,
                              bool reproducible, int draws)
{
    b->comm = comm;
    b->config = test_config_new();
    ok(avi_config_parse(b->config, "test", text, 0, NULL));
    ok(avi_partition_make(b->source.shape.rows, tile, lanes, avi_comm_size(comm), 5, true, &b->partition));
    ok(avi_data_load(&b->source, comm, &b->partition, 0, 0, &b->data));
    ok(avi_model_create(b->config, &b->source.shape, &b->model));
    ok(avi_family_create(b->config, b->model->latent, &b->family));
    ok(avi_objective_create(b->config, &b->objective));
    const avi_feature_shape seen = avi_feature_shape_of(&b->source.shape, &(avi_domain){0}, false);
    ok(avi_infer_create(b->config, &seen, b->family->width, b->model->latent, &b->infer));
    if (!draws) ok(avi_quadrature_create(b->model, false, 8, AVI_PRECISION_DOUBLE, &b->rule));
    const avi_problem p = {.precision = AVI_PRECISION_DOUBLE,
                           .seed = 5,
                           .reproducible = reproducible,
                           .model = b->model,
                           .infer = b->infer,
                           .family = b->family,
                           .objective = b->objective,
                           .rule = b->rule,
                           .draws = draws ? draws : b->rule->count,
                           .block_rows = 4};
    b->layout = avi_parameter_layout_of(&p);
    ok(avi_estimator_create(&p, comm, b->data, &b->estimator));
    const int64_t values = (b->data->count + 2) * b->family->width;
    b->params = bench_zeros(b->layout.size);
    b->gradient = bench_zeros(b->layout.size);
    b->table = bench_zeros(values);
    b->table_grad = bench_zeros(values);
    b->first = calloc((size_t)lanes, sizeof(int64_t));
    b->rows = calloc((size_t)lanes, sizeof(int64_t));
    assert_true(b->first && b->rows);
}

static inline void bench_close(bench *b)
{
    free(b->params);
    free(b->gradient);
    free(b->table);
    free(b->table_grad);
    free(b->first);
    free(b->rows);
    avi_estimator_destroy(&b->estimator);
    avi_quadrature_destroy(&b->rule);
    avi_infer_destroy(&b->infer);
    avi_objective_destroy(&b->objective);
    avi_family_destroy(&b->family);
    avi_model_destroy(&b->model);
    avi_data_destroy(&b->data);
    avi_config_destroy(&b->config);
}

/* Collective. A step of the first epoch over the tiles of this rank's lanes. */
static inline avi_bad bench_step(bench *b, int64_t step, double sums[AVI_SUMS])
{
    avi_bad bad;
    avi_row_ranges job = {.first = b->first, .rows = b->rows};
    const int rank = avi_comm_rank(b->comm);
    double own[AVI_SUMS];
    for (int64_t lane = avi_partition_first_lane(&b->partition, rank);
         lane < avi_partition_first_lane(&b->partition, rank + 1); lane++) {
        const int64_t tile = avi_partition_step_tile(&b->partition, lane, 0, step);
        if (tile < 0) continue;
        job.first[job.count] = avi_partition_tile_first(&b->partition, tile);
        job.rows[job.count++] = avi_partition_tile_rows(&b->partition, tile);
    }
    memset(sums, 0, AVI_SUMS * sizeof *sums);
    const bool local = b->infer->ops->local;
    ok(avi_estimator_step(b->estimator, b->params, local ? b->table : NULL, local ? b->table_grad : NULL, step, &job,
                          sums, b->gradient, own, &bad));
    return bad;
}

#endif
