/* Values without gradients: evaluation, per-row ELBO, reconstructions, images from z. */
#include "base/signals.h"
#include "elbo/internal.h"

#include <math.h>
#include <string.h>

enum { STREAM_SETS = 1 << 20 /* beyond the steps of AVI_DRAW_EVAL that evaluations take (estimate.c) */ };

/* Sum of squared differences of x and its reconstruction over the block, in the units of the user's columns; rows of
 * the reconstruction to out when wanted. */
static double squared_error(const avi_estimator *e, const avi_graph *g, double *out)
{
    const avi_precision p = e->p.precision;
    const int64_t n = g->x->rows * g->x->cols;
    double sum = 0;
    for (int64_t k = 0; k < n; k++) {
        const int64_t column = k % g->x->cols;
        const double mean = avi_data_value_as_given(e->data, column, avi_vector_get(p, g->mean_x->value, k)),
                     d = avi_data_value_as_given(e->data, column, avi_vector_get(p, g->x->value, k)) - mean;
        if (!g->mask || avi_vector_get(p, g->mask->value, k) > 0) sum += d * d;
        if (out) out[k] = mean;
    }
    return sum;
}

/* A value of every draw of the block's rows. */
static void take_draws(const avi_estimator *e, avi_node *of, int64_t done, double *out)
{
    if (out && of)
        memcpy(out + done * e->p.draws, avi_tape_row_values(e->tape, of, true), (size_t)of->rows * sizeof *out);
}

static void take_rows(const avi_estimator *e, const avi_graph *g, int64_t done, const avi_row_values *rows)
{
    const avi_precision p = e->p.precision;
    if (!rows) return;
    if (rows->elbo)
        memcpy(rows->elbo + done, avi_tape_row_values(e->tape, g->elbo, true), (size_t)g->rows * sizeof *rows->elbo);
    if (rows->loglik)
        memcpy(rows->loglik + done, avi_tape_row_values(e->tape, g->loglik, true),
               (size_t)g->rows * sizeof *rows->loglik);
    if (rows->z && g->z)
        avi_vector_to_double(p, g->z->value, g->z->rows * g->z->cols, rows->z + done * e->p.draws * g->z->cols);
    if (rows->draw_x && g->draw_x)
        avi_vector_to_double(p, g->draw_x->value, g->draw_x->rows * g->draw_x->cols,
                             rows->draw_x + done * e->p.draws * g->draw_x->cols);
    if (rows->nu) avi_vector_to_double(p, g->nu->value, g->rows * g->nu->cols, rows->nu + done * g->nu->cols);
    take_draws(e, g->log_weight, done, rows->log_weight);
    take_draws(e, g->draw_loglik, done, rows->draw_loglik);
    take_draws(e, g->draw_log_q, done, rows->draw_log_q);
}

static void sum_values(const avi_estimator *e, const avi_graph *g, double values[AVI_SUMS])
{
    memset(values, 0, AVI_SUMS * sizeof *values);
    values[AVI_SUM_ROWS] = (double)g->rows;
    const double *elbo_of = avi_tape_row_values(e->tape, g->elbo, true),
                 *loglik_of = avi_tape_row_values(e->tape, g->loglik, true);
    for (int64_t r = 0; r < g->rows; r++) {
        const double elbo = elbo_of[r], loglik = loglik_of[r];
        if (!isfinite(elbo) || !isfinite(loglik)) values[AVI_SUM_BAD]++;
        values[AVI_SUM_ELBO] += elbo; /* a sum over a row that is not finite is not finite: nothing is left out */
        values[AVI_SUM_LOGLIK] += loglik;
    }
}

int64_t avi_piece_rows(const avi_estimator *e, int draws)
{
    const int64_t limit = avi_rows_of_block(e), block = limit > 0 ? limit : INT64_MAX, tile = e->data->partition.tile;
    const bool joined = e->p.model->ops->coupling == AVI_INDEPENDENT && !e->p.reproducible;
    int64_t rows = joined || block < tile ? block : tile;
    if (draws > e->p.draws) rows = rows / draws * e->p.draws + rows % draws * e->p.draws / draws;
    return rows > 0 ? rows : 1;
}

/* The next piece of the job: consecutive rows, up to those of a training block, so that memory stays the same. Runs
 * that follow each other are joined, since GEMM wants rows; reproducible sums keep the tile as the unit, so runs begin
 * at tiles there. *run and *at move on. */
static int64_t next_piece(const avi_estimator *e, const avi_row_ranges *job, int *run, int64_t *at, int64_t *first)
{
    const int64_t limit = avi_piece_rows(e, e->p.draws);
    int64_t n = 0;
    *first = job->first[*run] + *at;
    while (*run < job->count && n < limit && job->first[*run] + *at == *first + n) {
        const int64_t rest = job->rows[*run] - *at, take = rest < limit - n ? rest : limit - n;
        n += take;
        *at += take;
        if (*at < job->rows[*run]) break;
        *at = 0;
        (*run)++;
        if (e->p.reproducible) break;
    }
    return n;
}

avi_status avi_estimator_evaluate(avi_estimator *e, const void *params, void *table, const avi_row_ranges *job,
                                  bool with_error, double sums[AVI_SUMS], const avi_row_values *rows)
{
    const uint64_t step = rows && rows->set ? STREAM_SETS + rows->set : 0;
    const avi_pass pass = {.params = params,
                           .table = table,
                           .stream = avi_stream_make(e->p.seed, AVI_DRAW_EVAL, step),
                           .precise = true,
                           .kl_weight = 1,
                           .reconstruct = with_error || (rows && (rows->reconstruction || rows->draw_x)),
                           .log_weights = rows && rows->log_weight};
    bool redo;
    int64_t done = 0;
    avi_estimator_take_family(e, false);
    AVI_TRY(avi_estimator_exchange_halo(e, table)); /* the steps have moved the neighbours' factors since they came */
    avi_global_draw(e, params, avi_stream_make(e->p.seed, AVI_DRAW_EVAL, 1), false);
    AVI_TRY(avi_dense_update(&e->graph, &pass));
    avi_reducer_begin(e->reducer);
    int64_t at = 0, first;
    for (int run = 0; run < job->count && avi_signals_status() == AVI_OK;) {
        const int64_t n = next_piece(e, job, &run, &at, &first);
        avi_graph g;
        double values[AVI_SUMS];
        avi_graph_build(&e->graph, &pass, 1, &first, &n, &g);
        sum_values(e, &g, values);
        const avi_status status = avi_graph_status(&e->graph);
        if (status != AVI_OK) e->failed = status;
        values[AVI_SUM_FAIL] = status != AVI_OK;
        if (g.mean_x)
            values[AVI_SUM_SQERR] =
                squared_error(e, &g, rows && rows->reconstruction ? rows->reconstruction + done * g.x->cols : NULL);
        take_rows(e, &g, done, rows);
        avi_reducer_add_scalars(e->reducer, values);
        done += n;
    }
    double stop[AVI_SUMS] = {[AVI_SUM_STOP] = avi_signals_status() != AVI_OK};
    avi_reducer_add_scalars(e->reducer, stop);
    AVI_TRY(avi_reducer_finish(e->reducer, e->comm, true, sums, &redo));
    if (sums[AVI_SUM_STOP] > 0) return avi_agree(e->comm, avi_signals_status());
    if (sums[AVI_SUM_BAD] > 0)
        AVI_TRY(avi_agree(e->comm, avi_data_status(e->data))); /* a streamed row that could not be had? */
    /* Reproducible sums leave out what is not finite, or too large for them, and count it. */
    if (sums[AVI_SUM_BAD] > 0) sums[AVI_SUM_ELBO] = sums[AVI_SUM_LOGLIK] = sums[AVI_SUM_SQERR] = NAN;
    return sums[AVI_SUM_FAIL] > 0 ? avi_agree(e->comm, e->failed) : AVI_OK;
}

avi_status avi_estimator_factors(avi_estimator *e, const void *params, void *table, int64_t first, int64_t rows,
                                 double *nu)
{
    const avi_pass pass = {.params = params, .table = table};
    const int64_t most = avi_piece_rows(e, 1), width = e->p.infer->outputs;
    /* A function that sees draws of theta sees the mean here. */
    if (e->p.infer->theta) avi_global_draw(e, params, avi_stream_make(e->p.seed, AVI_DRAW_EVAL, 1), true);
    for (int64_t done = 0; done < rows;) {
        const int64_t tile = e->data->partition.tile, at = first + done,
                      rest = e->p.reproducible ? tile - at % tile : most, left = rows - done,
                      n = left < (rest < most ? rest : most) ? left : (rest < most ? rest : most);
        AVI_TRY(avi_signals_status());
        const avi_node *factors = avi_graph_factors(&e->graph, &pass, at, n);
        AVI_TRY(avi_graph_status(&e->graph));
        avi_vector_to_double(e->p.precision, factors->value, n * width, nu + done * width);
        done += n;
    }
    return AVI_OK;
}

avi_status avi_estimator_decode(avi_estimator *e, const void *params, int64_t n, const double *z, double *out)
{
    const avi_model *m = e->p.model;
    const avi_precision p = e->p.precision;
    if (!m->ops->reconstruct) return avi_fail(AVI_ERR_DATA, "model %s has no reconstruction", m->ops->name);
    avi_tape_reset(e->tape);
    avi_global_draw(e, params, avi_stream_make(e->p.seed, AVI_DRAW_EVAL, 1), true);
    for (int k = 0; k < m->theta.count; k++) {
        const avi_block *b = &m->theta.block[k];
        const int64_t i = avi_theta_rides(&e->p) ? b->offset * e->layout.theta_draws : b->offset;
        e->graph.theta[k] =
            avi_constant(e->tape, b->rows, b->cols, (const char *)e->graph.theta_draws + (size_t)i * avi_real_size(p));
    }
    avi_node *zn = avi_constant_new(e->tape, n, m->latent);
    avi_vector_from_double(p, z, n * m->latent, zn->value);
    const avi_batch b = {.rows = n, .draws = 1};
    avi_node *x = m->ops->reconstruct(m, e->tape, &b, zn, e->graph.theta);
    avi_vector_to_double(p, x->value, x->rows * x->cols, out);
    return avi_graph_status(&e->graph);
}
