/* What single precision does to the sum of row values: a configuration in single and in double precision at the same
 * parameters, which are floats, and on the same rows; one line of JSON. For tests, with REGISTRY.
 *
 *     digits SPREAD [section.key=value ...]
 *
 * SPREAD: sd of what is added to the initial values of all parameters, so that rows and units differ. */
#include "avi/rng.h"
#include "registry_support.h"
#include "state/state.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct run {
    avi_config *config;
    avi_session *session;
    avi_state *state;
    double sums[AVI_SUMS], step[AVI_SUMS], *elbo; /* (rows) */
} run;

static avi_comm *world;

static void ok(avi_status status)
{
    if (status == AVI_OK) return;
    (void)fprintf(stderr, "%s\n", avi_error_text());
    exit(1);
}

static void open_run(run *r, avi_precision precision, int count, char **override)
{
    static avi_options options = {.verbosity = 0, .file = "digits"};
    options.registry = test_registry();
    r->config = test_config_new();
    const char *text =
        precision == AVI_PRECISION_SINGLE ? "[run]\nprecision = single\n" : "[run]\nprecision = double\n";
    ok(avi_config_parse(r->config, "digits", text, count, (const char *const *) override));
    ok(avi_session_open(world, r->config, &options, &r->session));
    ok(avi_state_create(r->session, &r->state));
}

/* Rows of floats in both runs, and what functions see of them. */
static void same_rows(const run *single, const run *wide)
{
    const avi_data *from = single->session->train, *to = wide->session->train;
    const int64_t rows = from->halo_left + from->count + from->halo_right,
                  values = (from->shape.ragged ? from->entry[from->count] : rows) * from->shape.width;
    if (from->shape.type == AVI_F32 && to->shape.type == AVI_F64)
        for (int64_t i = 0; i < values; i++) ((double *)to->values)[i] = ((const float *)from->values)[i];
    const avi_column_moments *a = single->session->moments, *b = wide->session->moments;
    if (!a || !b) return;
    memcpy(b->mean, a->mean, (size_t)a->width * sizeof *b->mean);
    memcpy(b->sd, a->sd, (size_t)a->width * sizeof *b->sd);
    memcpy(b->factor, a->factor, (size_t)a->width * sizeof *b->factor);
}

static void spread_values(float *to, double *copy, int64_t n, double spread, uint64_t set)
{
    const avi_stream stream = avi_stream_make(9, AVI_DRAW_DATA, set);
    for (int64_t i = 0; i < n; i++) {
        double u;
        avi_normal_f64(stream, (uint64_t)i, 1, 0, 1, &u);
        to[i] = (float)(to[i] + spread * u);
        copy[i] = to[i];
    }
}

static void evaluate(run *r)
{
    const avi_session *s = r->session;
    const int64_t rows = s->train->count;
    avi_row_ranges all = {0}, step = {0};
    avi_bad bad;
    double own[AVI_SUMS];
    r->elbo = calloc((size_t)rows + 1, sizeof *r->elbo);
    if (!r->elbo) exit(1);
    ok(avi_row_ranges_pass(&s->partition, 0, 0, &all));
    ok(avi_estimator_evaluate(s->train_elbo, r->state->params, r->state->table, &all, false, r->sums,
                              &(avi_row_values){.elbo = r->elbo}));
    ok(avi_row_ranges_step(s, 0, &step));
    ok(avi_estimator_step(s->train_elbo, r->state->params, r->state->table, r->state->table_grad, 0, &step, r->step,
                          r->state->gradient, own, &bad));
    avi_row_ranges_free(&all);
    avi_row_ranges_free(&step);
}

static void close_run(run *r)
{
    free(r->elbo);
    avi_state_destroy(&r->state);
    avi_session_close(&r->session);
    avi_config_destroy(&r->config);
}

int main(int argc, char **argv)
{
    if (argc < 2 || avi_comm_start(&argc, &argv, &world) != AVI_OK) return 1;
    const double spread = strtod(argv[1], NULL);
    run single = {0}, wide = {0};
    open_run(&single, AVI_PRECISION_SINGLE, argc - 2, argv + 2);
    open_run(&wide, AVI_PRECISION_DOUBLE, argc - 2, argv + 2);
    same_rows(&single, &wide);
    spread_values(single.state->params, wide.state->params, single.session->layout.size, spread, 1);
    if (single.state->table)
        spread_values(single.state->table, wide.state->table, avi_state_table_values(single.session), spread, 2);
    evaluate(&single);
    evaluate(&wide);
    const int64_t rows = single.session->train->count;
    double sum = 0, squares = 0;
    for (int64_t n = 0; n < rows; n++) {
        const double d = single.elbo[n] - wide.elbo[n];
        sum += d;
        squares += d * d;
    }
    const double mean = sum / (double)rows;
    printf("{\"rows\": %lld, \"elbo\": %.17g, \"difference\": %.17g, \"sd\": %.6g, \"step\": %.17g, "
           "\"step_difference\": %.17g}\n",
           (long long)rows, wide.sums[AVI_SUM_ELBO], single.sums[AVI_SUM_ELBO] - wide.sums[AVI_SUM_ELBO],
           sqrt(fmax(0, squares / (double)rows - mean * mean)), wide.step[AVI_SUM_ELBO],
           single.step[AVI_SUM_ELBO] - wide.step[AVI_SUM_ELBO]);
    close_run(&single);
    close_run(&wide);
    avi_comm_finish(&world);
    return 0;
}
