#include "factors/second_start.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST_ROWS = 16, MOST_ROWS = 128, TILE = 8, ITERATIONS = 50, USUAL_ITERATIONS = 12, CANDIDATES = 64 };
static const double SHARE = 0.05; /* of the work of the steps */

/* ---- factors of their own for the rows of the sample ---- */

static avi_node *from_table(const avi_infer *f, avi_tape *t, int64_t rows, avi_node *features, avi_node *table,
                            avi_node **phi)
{
    (void)f;
    (void)t;
    (void)rows;
    (void)features;
    (void)phi;
    return table;
}

static const avi_infer_ops local_factors = {.name = "second start", .local = true, .forward = from_table};

typedef struct sample {
    const avi_session *s;
    int64_t rows, width, dims;
    double *x, *nu;           /* (rows, D), (rows, width): of all rows, on every rank */
    double *start, *value[2]; /* (rows, width), (rows) each: the second start; ELBO at the optimum from each start */
    double *optimum;          /* (rows, width): the first, of this rank's rows */
    double *candidate;        /* (rows, width + 1) */
    void *table, *table_grad; /* (1 + own rows + 1, width) */
    avi_infer infer;
    avi_data data;
    avi_estimator *estimator;
} sample;

/* In passes of a row forward, as evaluation_plan.c counts: two starts, a gradient for each value of nu and two more in
 * an iteration. */
static int64_t rows_of_sample(const avi_session *s)
{
    const double points = s->evaluation.rule->count, width = (double)s->infer->outputs,
                 row = (2 * USUAL_ITERATIONS * (width + 2) * 3 + CANDIDATES) * points,
                 steps = 3 * (double)s->total_steps * (double)s->counts.batch *
                         ((s->infer->ops->features ? 1 : 0) + (double)s->problem.draws);
    const double most = fmin(fmin(MOST_ROWS, (double)s->counts.partition.rows), SHARE * steps / row);
    return most < LEAST_ROWS ? 0 : (int64_t)most;
}

static bool applies(const avi_session *s)
{
    const avi_model_ops *m = s->model->ops;
    return avi_config_get_bool(s->config, "log", "second_start") && s->evaluation.rule && m->quadratic != 2 &&
           m->coupling == AVI_INDEPENDENT && !m->lookahead && !s->shape.ragged && s->family->ops->independent;
}

double avi_second_start_passes(const avi_session *s)
{
    const double iterations = 2 * USUAL_ITERATIONS * ((double)s->infer->outputs + 2) * 3 + CANDIDATES;
    return applies(s) ? (double)rows_of_sample(s) * iterations * s->evaluation.rule->count : 0;
}

static avi_status allocate(sample *p)
{
    const avi_session *s = p->s;
    const size_t n = (size_t)p->rows, width = (size_t)p->width, d = (size_t)s->shape.width,
                 values = n * (d + 4 * width + 3), table = (n + 2) * width * avi_real_size(s->precision);
    p->x = calloc(values, sizeof *p->x);
    p->table = calloc(1, table);
    p->table_grad = calloc(1, table);
    if (!p->x || !p->table || !p->table_grad)
        return avi_fail_memory(values * sizeof *p->x + 2 * table, "a second start of some rows");
    p->nu = p->x + n * d;
    p->start = p->nu + n * width;
    p->value[0] = p->start + n * width;
    p->value[1] = p->value[0] + n;
    p->optimum = p->value[1] + n;
    p->candidate = p->optimum + n * width;
    return AVI_OK;
}

/* Rows of the data and their factors from the ranks that have them: sums with zeros. */
static avi_status take_rows(sample *p, avi_state *st)
{
    const avi_session *s = p->s;
    const avi_data *data = s->train;
    const int64_t d = s->shape.width;
    const avi_permutation order =
        avi_permutation_make(s->seed, AVI_DRAW_EVAL, 1, (uint64_t)s->partition.rows); /* 1: of this sample */
    avi_status status = AVI_OK;
    for (int64_t i = 0; i < p->rows && status == AVI_OK; i++) {
        const int64_t at = (int64_t)avi_permute(&order, (uint64_t)i);
        if (at < data->first || at >= data->first + data->count) continue;
        avi_data_fetch_f64(data, at, 1, p->x + i * d);
        status = avi_estimator_factors(s->train_elbo, st->params, st->table, at, 1, p->nu + i * p->width);
    }
    if (status == AVI_OK) status = avi_data_status(data);
    AVI_TRY(avi_agree(s->comm, status));
    return avi_comm_sum_double(s->comm, p->x, (size_t)(p->rows * (d + p->width)));
}

/* The sample as data of their own, spread over the ranks, and an estimator with a table of factors. */
static avi_status make_estimator(sample *p)
{
    const avi_session *s = p->s;
    const int rank = avi_comm_rank(s->comm), ranks = avi_comm_size(s->comm);
    avi_problem problem = s->problem;
    p->data = (avi_data){.shape = s->shape};
    AVI_TRY(avi_partition_make(p->rows, TILE, (p->rows + TILE - 1) / TILE, ranks, s->seed, false, &p->data.partition));
    p->data.first = avi_partition_first_row(&p->data.partition, rank);
    p->data.count = avi_partition_first_row(&p->data.partition, rank + 1) - p->data.first;
    p->data.shape.rows = p->rows;
    p->data.shape.type = AVI_F64;
    p->data.shape.scale = 1;
    p->data.values = p->x + p->data.first * s->shape.width;
    p->infer = (avi_infer){.ops = &local_factors, .outputs = p->width, .latent = p->dims};
    problem.infer = &p->infer;
    problem.rule = s->evaluation.rule;
    problem.draws = problem.rule->count;
    problem.block_rows = 32768 / problem.draws + 1;
    problem.gradient = AVI_GRADIENT_PATHWISE;
    problem.kl_sampled = problem.shared = false;
    return avi_estimator_create(&problem, s->comm, &p->data, &p->estimator);
}

/* ---- from a start to its optimum ---- */

/* This rank's rows of the sample. */
typedef struct own_rows {
    int64_t first, count;
    avi_row_ranges ranges;
} own_rows;

static void take_own(sample *p, own_rows *own)
{
    own->first = p->data.first;
    own->count = p->data.count;
    own->ranges = (avi_row_ranges){.count = own->count > 0, .first = &own->first, .rows = &own->count};
}

static void put_factors(sample *p, const double *nu)
{
    avi_vector_from_double(p->s->precision, nu + p->data.first * p->width, p->data.count * p->width,
                           avi_vector_at(p->s->precision, p->table, p->width));
}

/* Collective. ELBO of own rows at the factors of the table. */
static avi_status evaluate(sample *p, avi_state *st, double *value)
{
    double sums[AVI_SUMS];
    own_rows own;
    take_own(p, &own);
    return avi_estimator_evaluate(p->estimator, st->params, p->table, &own.ranges, false, sums,
                                  &(avi_row_values){.elbo = value + own.first});
}

/* Collective. ELBO of each row at the optimum that Newton steps reach from nu (rows, width). */
static avi_status optimise(sample *p, avi_state *st, const double *nu, double *value)
{
    const double tolerance = p->s->precision == AVI_PRECISION_DOUBLE ? 1e-6 : 1e-3;
    own_rows own;
    take_own(p, &own);
    put_factors(p, nu);
    AVI_TRY(
        avi_estimator_newton(p->estimator, st->params, p->table, p->table_grad, &own.ranges, ITERATIONS, tolerance));
    AVI_TRY(evaluate(p, st, value));
    return avi_comm_sum_double(p->s->comm, value, (size_t)p->rows); /* rows of other ranks are zeros here */
}

/* Candidate c: of odd number the fitted factor of another row of the sample; of even number means drawn from the prior,
 * or from it stretched 2, 4 or 8 times, and sds of 1, 1/e or 1/e^2. */
static void draw_candidate(const sample *p, int c, double *nu)
{
    const int64_t l = p->dims, other = (1 + c * p->rows / CANDIDATES) % p->rows;
    for (int64_t i = 0; c % 2 && i < p->rows; i++)
        memcpy(nu + i * p->width, p->nu + (i + other) % p->rows * p->width, (size_t)p->width * sizeof *nu);
    if (c % 2) return;
    avi_normal_f64(avi_stream_make(p->s->seed, AVI_DRAW_EVAL, 3), 0, p->rows, c * l, l, nu);
    for (int64_t i = p->rows; i-- > 0;) { /* from (rows, L) to (rows, width) in place */
        memmove(nu + i * p->width, nu + i * l, (size_t)l * sizeof *nu);
        for (int64_t d = 0; d < l; d++) nu[i * p->width + d] *= 1 << c / 2 % 4;
        for (int64_t d = l; d < p->width; d++) nu[i * p->width + d] = -(c / 8 % 3);
    }
}

/* Whether a factor lies elsewhere than the first optimum of row i: more than two of its sds away. */
static bool is_elsewhere(const sample *p, int64_t i, const double *nu)
{
    const double *at = p->optimum + i * p->width;
    for (int64_t d = 0; d < p->dims; d++)
        if (fabs(nu[d] - at[d]) > 2 * exp(at[p->dims + d])) return true;
    return false;
}

/* Collective. The second start of a row is the best of its candidates that lie elsewhere: the first optimum is known,
 * and most places lead nowhere. Where there is none the row starts from its own optimum, and gains nothing. */
static avi_status second_starts(sample *p, avi_state *st)
{
    const size_t row = (size_t)p->width * sizeof *p->start;
    double *nu = p->candidate, *value = p->candidate + p->rows * p->width, *best = p->value[1];
    avi_vector_to_double(p->s->precision, avi_vector_at(p->s->precision, p->table, p->width), p->data.count * p->width,
                         p->optimum + p->data.first * p->width);
    memcpy(p->start, p->optimum, (size_t)p->rows * row);
    for (int64_t i = 0; i < p->rows; i++) best[i] = -INFINITY;
    for (int c = 0; c < CANDIDATES; c++) {
        draw_candidate(p, c, nu);
        put_factors(p, nu);
        AVI_TRY(evaluate(p, st, value));
        for (int64_t i = p->data.first; i < p->data.first + p->data.count; i++) {
            if (!(value[i] > best[i]) || !is_elsewhere(p, i, nu + i * p->width)) continue;
            best[i] = value[i];
            memcpy(p->start + i * p->width, nu + i * p->width, row);
        }
    }
    memset(best, 0, (size_t)p->rows * sizeof *best);
    return AVI_OK;
}

/* Gains that rounding could make are none. A row without a finite value at its first optimum makes the result so. */
static avi_second_start_result compare(const sample *p)
{
    avi_second_start_result r = {.rows = p->rows};
    double sum = 0, square = 0;
    const double n = (double)p->rows, rounding = p->s->precision == AVI_PRECISION_DOUBLE ? 1e-9 : 1e-4;
    for (int64_t i = 0; i < p->rows; i++) {
        const double one = p->value[0][i], gain = p->value[1][i] - one;
        if (!isfinite(one)) sum = NAN;
        if (!(gain > 1e-3 + rounding * fabs(one))) continue; /* or the second start led nowhere */
        r.better++;
        sum += gain;
        square += gain * gain;
    }
    r.gain = sum / n;
    r.error = sqrt(fmax(square / n - r.gain * r.gain, 0) / (n - 1));
    return r;
}

avi_status avi_second_start(const avi_session *s, avi_state *st)
{
    sample p = {.s = s, .width = s->infer->outputs, .dims = s->model->latent};
    st->second_start = (avi_second_start_result){0};
    if (!applies(s) || (p.rows = rows_of_sample(s)) == 0) return AVI_OK;
    avi_status status = avi_agree(s->comm, allocate(&p));
    if (status == AVI_OK) status = take_rows(&p, st);
    if (status == AVI_OK) status = avi_agree(s->comm, make_estimator(&p));
    if (status == AVI_OK) status = optimise(&p, st, p.nu, p.value[0]);
    if (status == AVI_OK) status = second_starts(&p, st);
    if (status == AVI_OK) status = optimise(&p, st, p.start, p.value[1]);
    if (status == AVI_OK) st->second_start = compare(&p);
    avi_estimator_destroy(&p.estimator);
    free(p.x);
    free(p.table);
    free(p.table_grad);
    return status;
}
