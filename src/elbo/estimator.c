#include "elbo/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_RUNS = 512, MAX_REDO = 4 };

static avi_status create_reducer(avi_estimator *e)
{
    const avi_params *theta = &e->p.model->theta, *phi = &e->p.infer->phi;
    const int draws = e->layout.theta_draws, groups = avi_theta_rides(&e->p) ? 1 : draws;
    int64_t *offset = malloc((size_t)((groups + 1) * theta->count + phi->count + 1) * sizeof *offset);
    int n = 0;
    avi_status status = offset ? AVI_OK : avi_fail_memory(sizeof *offset, "the blocks of the gradient");
    if (e->p.shared) status = avi_agree(e->comm, status);
    if (status != AVI_OK) {
        free(offset);
        return status;
    }
    for (int s = 0; s < groups; s++)
        for (int k = 0; k < theta->count; k++)
            offset[n++] = s * e->layout.theta + theta->block[k].offset * (groups == 1 ? draws : 1);
    for (int k = 0; k < phi->count; k++) offset[n++] = draws * e->layout.theta + phi->block[k].offset;
    for (int k = 0; k < theta->count && e->layout.seen; k++)
        offset[n++] = draws * e->layout.theta + e->layout.phi + theta->block[k].offset;
    offset[n] = e->layout.gradient;
    status = avi_reducer_create(e->p.precision, e->p.reproducible, n, offset, e->data->partition.tiles,
                                e->p.shared ? e->comm : NULL, &e->reducer);
    free(offset);
    return status;
}

static avi_status allocate_family(avi_estimator *e)
{
    AVI_TRY(avi_theta_family_create(&e->p, &e->theta_family));
    const size_t bytes = (size_t)(e->layout.theta_draws * e->layout.theta) * sizeof *e->of_draws;
    e->of_draws = malloc(bytes);
    return e->of_draws ? AVI_OK : avi_fail_memory(bytes, "the gradient of q(theta)");
}

/* The tape, the context of blocks and draws of the global parameters. */
static avi_status allocate(avi_estimator *e)
{
    const size_t draws = ((size_t)e->layout.theta_draws * (size_t)e->layout.theta + 16) * avi_real_size(e->p.precision);
    e->tape = avi_tape_create(e->p.precision);
    AVI_TRY(avi_graph_context_create(&e->p, &e->layout, e->comm, e->data, e->tape, e->phase, &e->graph));
    if (!e->p.global_gaussian) return AVI_OK;
    e->own_draws = calloc(1, draws);
    e->theta_eps = calloc(1, draws);
    if (e->p.global_family) AVI_TRY(allocate_family(e));
    return e->own_draws && e->theta_eps ? AVI_OK : avi_fail_memory(2 * draws, "draws of the global parameters");
}

int64_t avi_rows_of_block(const avi_estimator *e)
{
    const avi_data *data = e->data;
    if (!data->entry) return e->p.block_rows;
    const int64_t each = 1 + data->entries / data->partition.rows,
                  most = (1 << 22) / (e->p.draws + data->shape.width) / each + 1;
    return e->p.block_rows < most ? e->p.block_rows : most;
}

avi_status avi_estimator_create(const avi_problem *p, avi_comm *comm, const avi_data *data, avi_estimator **estimator)
{
    avi_estimator *e = calloc(1, sizeof *e);
    *estimator = e;
    avi_status status = e ? AVI_OK : avi_fail_memory(sizeof *e, "the estimator");
    if (e) {
        *e = (avi_estimator){
            .p = *p, .exact_family = p->family, .layout = avi_parameter_layout_of(p), .comm = comm, .data = data};
        e->notebook = *p->family;
        if (p->notebook) e->notebook.ops = avi_family_notebook(p->family);
        status = allocate(e);
    }
    if (p->shared) status = avi_agree(comm, status);
    if (status == AVI_OK) status = create_reducer(e);
    if (status == AVI_OK) avi_gradient_route_init(&e->route, e->reducer, p->reproducible);
    if (status != AVI_OK) avi_estimator_destroy(estimator);
    return status;
}

void avi_estimator_take_family(avi_estimator *e, bool step)
{
    e->p.family = step && e->p.notebook ? &e->notebook : e->exact_family;
}

void avi_estimator_destroy(avi_estimator **estimator)
{
    avi_estimator *e = *estimator;
    if (!e) return;
    avi_graph_context_free(&e->graph);
    avi_tape_destroy(&e->tape);
    avi_reducer_destroy(&e->reducer);
    free(e->own_draws);
    avi_shard_destroy(&e->share);
    free(e->theta_eps);
    avi_theta_family_destroy(&e->theta_family);
    free(e->of_draws);
    free(e->eval_draws);
    free(e->eval_eps);
    free(e);
    *estimator = NULL;
}

size_t avi_estimator_bytes(const avi_estimator *e)
{
    const size_t draws = e->p.global_gaussian ? 2 * (size_t)(e->layout.theta_draws * e->layout.theta) : 0;
    const size_t family = e->theta_family ? avi_theta_family_bytes(e->theta_family) : 0;
    return avi_tape_peak(e->tape) + avi_reducer_bytes(e->reducer) + draws * avi_real_size(e->p.precision) +
           avi_dense_bytes(&e->graph) + avi_refinement_bytes(&e->graph) + family;
}

bool avi_estimator_is_shared(const avi_estimator *e) { return avi_reducer_is_shared(e->reducer); }

double *avi_estimator_phases(avi_estimator *e) { return e->phase; }

int avi_estimator_scales(const avi_estimator *e, double *out)
{
    return e->p.reproducible ? avi_reducer_scales(e->reducer, out) : 0;
}
void avi_estimator_set_scales(avi_estimator *e, const double *in)
{
    if (e->p.reproducible) avi_reducer_set_scales(e->reducer, in);
}

avi_status avi_estimator_hold(avi_estimator *e, const avi_row_ranges *job)
{
    size_t rows = 1;
    for (int i = 0; i < job->count; i++) rows += (size_t)job->rows[i];
    /* log q's parameters with sticking the landing, and what a refinement adds to nu; of each draw of theta by itself
     * where the function sees it. */
    const size_t groups = avi_theta_rides(&e->p) ? 1 : (size_t)e->layout.theta_draws;
    const size_t bytes = 2 * groups * rows * (size_t)e->p.infer->outputs * avi_real_size(e->p.precision);
    free(e->graph.held);
    e->graph.held_taken = false;
    e->graph.held = malloc(bytes);
    return e->graph.held ? AVI_OK : avi_fail_memory(bytes, "the parameters of q(z)");
}

/* The number of runs from `at` that make one block. A chain needs consecutive rows, so it joins none. */
static int runs_of_block(const avi_estimator *e, const avi_row_ranges *job, int at)
{
    /* Entries of a block of several tiles are no multiple of its rows, as avi_affine would have them. */
    if (e->p.reproducible && e->data->entry) return 1;
    if (e->p.reproducible) return avi_gradient_route_join(&e->route, job, at, avi_rows_of_block(e));
    if (e->p.model->ops->coupling != AVI_INDEPENDENT) return 1;
    const int64_t most = avi_rows_of_block(e);
    int64_t rows = job->rows[at];
    int n = 1;
    while (at + n < job->count && n < MAX_RUNS && rows + job->rows[at + n] <= most) rows += job->rows[at + n++];
    return n;
}

/* What rows [first, end) of a block add to the sums; *bad: the first one that is not finite, unless there is one
 * already. */
static void sum_rows(const double *elbo_of, const double *loglik_of, int64_t first, int64_t end,
                     double values[AVI_SUMS], int64_t *bad)
{
    memset(values, 0, AVI_SUMS * sizeof *values);
    for (int64_t r = first; r < end; r++) {
        const double elbo = elbo_of[r], loglik = loglik_of[r];
        values[AVI_SUM_ROWS]++;
        if (isfinite(elbo) && isfinite(loglik)) {
            values[AVI_SUM_ELBO] += elbo;
            values[AVI_SUM_LOGLIK] += loglik;
        } else {
            values[AVI_SUM_BAD]++;
            if (*bad < 0) *bad = r;
        }
    }
}

static int64_t position_of_row(const int64_t *first, const int64_t *rows, int64_t r)
{
    while (r >= *rows) {
        r -= *rows++;
        first++;
    }
    return *first + r;
}

static void zero_table_rows(const avi_estimator *e, void *table_grad, int runs, const int64_t *first,
                            const int64_t *rows)
{
    const size_t width = (size_t)e->p.infer->outputs * avi_real_size(e->p.precision);
    for (int i = 0; i < runs; i++)
        memset((char *)table_grad + (size_t)(first[i] - e->data->first + 1) * width, 0, (size_t)rows[i] * width);
}

static double table_norm(const avi_estimator *e, void *table_grad, int runs, const int64_t *first, const int64_t *rows)
{
    const int64_t width = e->p.infer->outputs;
    double sum = 0;
    for (int i = 0; i < runs; i++)
        sum += avi_vector_sumsq(e->p.precision,
                                avi_vector_at(e->p.precision, table_grad, (first[i] - e->data->first + 1) * width),
                                rows[i] * width);
    return sum;
}

avi_status avi_estimator_exchange_halo(avi_estimator *e, void *table)
{
    if (!table || e->p.model->ops->coupling != AVI_CHAIN) return AVI_OK;
    const avi_partition *part = &e->data->partition;
    const int64_t first = e->data->first, count = e->data->count, width = e->p.infer->outputs;
    const size_t bytes = (size_t)width * avi_real_size(e->p.precision);
    /* Ranks without rows take no part: the neighbour is the owner of the row before and after. */
    const int before = count && first > 0 ? avi_partition_owner(part, first - 1) : -1;
    const int after = count && first + count < part->rows ? avi_partition_owner(part, first + count) : -1;
    char *rows = table;
    AVI_TRY(avi_comm_shift(e->comm, rows + (size_t)count * bytes, after, rows, before, bytes));
    return avi_comm_shift(e->comm, rows + bytes, before, rows + (size_t)(count + 1) * bytes, after, bytes);
}

/* Sums over rows and squares of the local gradient: of the whole block, or with reproducible sums of each tile by
 * itself. */
static void add_scalars(const avi_estimator *e, const avi_pass *pass, const avi_graph *g, int runs,
                        const int64_t *first, const int64_t *rows, int64_t *bad)
{
    const int unit = e->p.reproducible ? 1 : runs;
    const double *elbo = avi_tape_row_values(e->tape, g->elbo, pass->precise),
                 *loglik = avi_tape_row_values(e->tape, g->loglik, pass->precise);
    for (int i = 0, at = 0; i < runs; i += unit) {
        double values[AVI_SUMS];
        int64_t n = 0;
        for (int k = i; k < i + unit; k++) n += rows[k];
        sum_rows(elbo, loglik, at, at + n, values, bad);
        const double norm = pass->table_grad ? table_norm(e, pass->table_grad, unit, first + i, rows + i) : 0;
        if (isfinite(norm))
            values[AVI_SUM_LOCAL_SQ] = fmin(norm / (double)e->data->partition.rows,
                                            1e9); /* per row of the data: within what the reduction carries */
        else
            values[AVI_SUM_BAD]++;
        avi_reducer_add_scalars(e->reducer, values);
        at += (int)n;
    }
}

static void run_block(avi_estimator *e, const avi_pass *pass, const avi_row_ranges *job, int at, int runs,
                      int64_t *bad_position)
{
    const int64_t *first = job->first + at, *rows = job->rows + at;
    avi_graph g;
    int64_t bad = -1;
    if (pass->table_grad) zero_table_rows(e, pass->table_grad, runs, first, rows);
    const double from = avi_seconds(), counted = e->phase[AVI_PHASE_INPUT] + e->phase[AVI_PHASE_DRAWS];
    avi_graph_build(&e->graph, pass, runs, first, rows, &g);
    const double built = avi_seconds();
    e->phase[AVI_PHASE_FORWARD] += built - from - (e->phase[AVI_PHASE_INPUT] + e->phase[AVI_PHASE_DRAWS] - counted);
    if (g.edge) avi_tape_seed(e->tape, g.edge, -1);
    avi_tape_backward(e->tape, g.value, -1);
    avi_status status = avi_graph_status(&e->graph);
    if (status == AVI_OK)
        status = avi_gradient_route_end(&e->route, e->tape, e->p.model->ops->coupling == AVI_INDEPENDENT);
    if (status != AVI_OK) e->failed = status;
    add_scalars(e, pass, &g, runs, first, rows, &bad);
    if (bad >= 0 && *bad_position < 0) *bad_position = position_of_row(first, rows, bad);
    e->phase[AVI_PHASE_BACKWARD] += avi_seconds() - built;
}

static void run_blocks(avi_estimator *e, avi_pass *pass, const avi_row_ranges *job, int64_t *bad_position)
{
    for (int at = 0, n; at < job->count; at += n) {
        n = runs_of_block(e, job, at);
        pass->sink = avi_gradient_route_begin(&e->route, n, job->rows + at, at == 0);
        run_block(e, pass, job, at, n, bad_position);
    }
    avi_tape_set_sink(e->tape, NULL);
    if (job->count == 0 && !e->p.reproducible) avi_reducer_zero(e->reducer);
    if (e->failed != AVI_OK) avi_reducer_add_scalars(e->reducer, (double[AVI_SUMS]){[AVI_SUM_FAIL] = 1});
}

/* Ragged rows, once: the largest block goes through the tape, forward and backward, and what it gives is forgotten when
 * the sums of the step begin. */
static void meet_largest(avi_estimator *e, avi_pass *pass)
{
    avi_row_ranges job;
    if (!e->data->entry || e->met_largest || e->graph.held) return;
    avi_status status = avi_estimator_largest_job(e, &job);
    if (status == AVI_OK && job.count) {
        const int n = runs_of_block(e, &job, 0);
        int64_t bad = -1;
        pass->sink = avi_gradient_route_begin(&e->route, n, job.rows, true);
        run_block(e, pass, &job, 0, n, &bad);
    }
    avi_tape_set_sink(e->tape, NULL);
    free(job.first);
    free(job.rows);
    e->met_largest = true;
    if (status != AVI_OK) e->failed = status;
}

/* theta of a step, on this rank or, where steps are shared out, each rank its part. */
static void draw_theta(avi_estimator *e, const void *params, int64_t step)
{
    const avi_stream global = avi_stream_make(e->p.seed, AVI_DRAW_GLOBAL, (uint64_t)step);
    if (e->share)
        avi_shard_draw(e, params, global);
    else
        avi_global_draw(e, params, global, false);
}

void avi_estimator_local_begin(avi_estimator *e, const void *params, int64_t step)
{
    avi_estimator_take_family(e, true);
    draw_theta(e, params, step);
}

void avi_estimator_local_gradient(avi_estimator *e, const void *params, void *table, void *table_grad, int64_t step,
                                  int set, const avi_row_ranges *job)
{
    const avi_pass pass = {.params = params,
                           .table = table,
                           .table_grad = table_grad,
                           .stream = avi_stream_make(e->p.seed, AVI_DRAW_LOCAL, (uint64_t)step + ((uint64_t)set << 40)),
                           .kl_weight = avi_objective_kl_weight(e->p.objective, step)};
    for (int at = 0, n; at < job->count; at += n) {
        avi_graph g;
        /* Products of a row may depend on the rows beside it: those of its tile are the same on any number of ranks. */
        n = e->p.reproducible ? 1 : runs_of_block(e, job, at);
        zero_table_rows(e, table_grad, n, job->first + at, job->rows + at);
        avi_graph_build(&e->graph, &pass, n, job->first + at, job->rows + at, &g);
        avi_tape_backward(e->tape, g.value, -1);
        if (avi_graph_status(&e->graph) != AVI_OK) e->failed = avi_graph_status(&e->graph);
    }
}

/* Returns the first value that is not finite, -1: none. */
static int64_t whole_gradient(const avi_estimator *e, const void *params, void *gradient)
{
    const avi_global_part all = avi_global_all(e);
    avi_global_gradient(e, params, avi_reducer_total(e->reducer), &all, gradient);
    return avi_global_bad_value(e, &all, gradient);
}

avi_status avi_estimator_step(avi_estimator *e, const void *params, void *table, void *table_grad, int64_t step,
                              const avi_row_ranges *job, double sums[AVI_SUMS], void *gradient, double own[AVI_SUMS],
                              avi_bad *bad)
{
    const double requests[AVI_SUMS] = {[AVI_SUM_STOP] = sums[AVI_SUM_STOP], [AVI_SUM_SAVE] = sums[AVI_SUM_SAVE]};
    avi_pass pass = {.params = params,
                     .table = table,
                     .table_grad = table_grad,
                     .precise = own != NULL,
                     .stream = avi_stream_make(e->p.seed, AVI_DRAW_LOCAL, (uint64_t)step),
                     .refine_step = step + 1,
                     .kl_weight = avi_objective_kl_weight(e->p.objective, step)};
    bool redo = true;
    avi_estimator_take_family(e, true);
    draw_theta(e, params, step);
    if (e->share) avi_shard_prepare(e, params, gradient);
    AVI_TRY(avi_estimator_exchange_halo(e, table));
    AVI_TRY(avi_dense_update(&e->graph, &pass));
    meet_largest(e, &pass);
    for (int attempt = 0; redo && attempt < MAX_REDO; attempt++) {
        avi_reducer_begin(e->reducer);
        avi_reducer_add_scalars(e->reducer, requests);
        *bad = (avi_bad){-1, -1};
        e->graph.held_at = 0;
        run_blocks(e, &pass, job, &bad->position);
        if (own) avi_reducer_own(e->reducer, own);
        const double from = avi_seconds();
        AVI_TRY(avi_reducer_finish(e->reducer, e->comm, false, sums, &redo));
        e->phase[AVI_PHASE_REDUCTION] += avi_seconds() - from;
    }
    e->graph.held_taken = true;
    sums[AVI_SUM_LOCAL_SQ] *= (double)e->data->partition.rows;
    if (redo) sums[AVI_SUM_BAD]++; /* no scale holds it: the gradient is not finite */
    if (!(sums[AVI_SUM_BAD] > 0)) bad->value = e->share ? avi_shard_bad_value(e) : whole_gradient(e, params, gradient);
    /* A rank whose memory ran out took part in the reduction all the same; now all leave together. */
    return sums[AVI_SUM_FAIL] > 0 ? avi_agree(e->comm, e->failed) : AVI_OK;
}
