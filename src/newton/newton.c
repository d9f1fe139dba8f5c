/* Local factors by Newton's method: given the global parameters, rows are independent problems in a handful of unknowns
 * (the width of nu), and Newton converges in about ten iterations where first-order methods take thousands (Regier et
 * al. 2016 fit the factors of 188 million celestial sources so).
 *
 * The Hessian comes from one-sided differences of the gradient, for all rows of a block at once: width passes, and its
 * error only makes the convergence linear with a rate of the size of the difference. A step is damped
 * (Levenberg-Marquardt) until the Hessian is positive definite and taken only where it raises the row's ELBO; otherwise
 * the row's damping grows. Rows that have converged leave the block, since a few always take longest. In a chain rows
 * touch their neighbours: every row then takes its step from the same old state (Jacobi), so that results do not depend
 * on tiles or ranks. */
#include "elbo/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_RUNS = 256 };

typedef struct rows_work {
    int64_t rows, width; /* rows still at work */
    int runs;
    int64_t first[MAX_RUNS], count[MAX_RUNS]; /* where they are: positions */
    double *g, *h;         /* (rows, width), (rows, width, width): gradient and Hessian of -ELBO of the row */
    double *value, *trial; /* (rows) */
    double *trial_g;       /* (rows, width) */
    double *lambda;        /* (rows): damping */
    double *radius;        /* (rows): how far a value may move in one step */
    double *promise; /* (rows): by how much the quadratic model lowers -ELBO in this step; 0 where the radius did not
                        cut it */
    double *step;    /* (rows, width) */
    double *start;   /* (rows, width): nu before the step */
} rows_work;

static void free_work(rows_work *w) { free(w->g); /* one piece of memory */ }

/* For rows [0, rows) that the caller describes by runs. */
static avi_status make_work(int64_t rows, int64_t width, rows_work *w)
{
    const size_t n = (size_t)(rows * width), values = n * (4 + (size_t)width) + 5 * (size_t)rows;
    w->rows = rows;
    w->width = width;
    w->runs = 0;
    w->g = malloc(values * sizeof *w->g);
    if (!w->g) return avi_fail_memory(values * sizeof *w->g, "Newton steps of local factors");
    w->trial_g = w->g + n;
    w->step = w->trial_g + n;
    w->start = w->step + n;
    w->h = w->start + n;
    w->value = w->h + n * (size_t)width;
    w->trial = w->value + rows;
    w->lambda = w->trial + rows;
    w->radius = w->lambda + rows;
    w->promise = w->radius + rows;
    for (int64_t r = 0; r < rows; r++) {
        w->lambda[r] = 0;
        w->radius[r] = 1; /* a factor e in a scale */
    }
    return AVI_OK;
}

/* Adds rows behind those of before; false when there is no room for another run. */
static bool add_run(int64_t first, int64_t count, int *runs, int64_t *firsts, int64_t *counts)
{
    if (*runs && firsts[*runs - 1] + counts[*runs - 1] == first) {
        counts[*runs - 1] += count;
        return true;
    }
    if (*runs == MAX_RUNS) return false;
    firsts[*runs] = first;
    counts[(*runs)++] = count;
    return true;
}

/* The values of a run in the table or its gradient. */
static void *at_run(const avi_estimator *e, const rows_work *w, int run, void *table)
{
    return avi_vector_at(e->p.precision, table, (w->first[run] - e->data->first + 1) * w->width);
}

static void get_rows(const avi_estimator *e, const rows_work *w, void *table, double *out)
{
    for (int i = 0; i < w->runs; out += w->count[i++] * w->width)
        avi_vector_to_double(e->p.precision, at_run(e, w, i, table), w->count[i] * w->width, out);
}

static void put_nu(const avi_estimator *e, const avi_pass *pass, const rows_work *w, const double *nu)
{
    for (int i = 0; i < w->runs; nu += w->count[i++] * w->width)
        avi_vector_from_double(e->p.precision, nu, w->count[i] * w->width, at_run(e, w, i, pass->table));
}

/* One pass over the rows: gradient of -ELBO into g and -ELBO of each row into value (may be NULL). */
static void pass_rows(avi_estimator *e, const avi_pass *pass, const rows_work *w, double *g, double *value)
{
    const avi_precision p = e->p.precision;
    avi_graph graph;
    for (int i = 0; i < w->runs; i++)
        memset(at_run(e, w, i, pass->table_grad), 0, (size_t)(w->count[i] * w->width) * avi_real_size(p));
    avi_graph_build(&e->graph, pass, w->runs, w->first, w->count, &graph);
    if (value) {
        avi_vector_to_double(p, graph.value->value, w->rows, value);
        for (int64_t r = 0; r < w->rows; r++) value[r] = -value[r];
    }
    if (graph.edge) avi_tape_seed(e->tape, graph.edge, -1);
    avi_tape_backward(e->tape, graph.value, -1);
    get_rows(e, w, pass->table_grad, g);
}

static double difference(const avi_estimator *e) { return e->p.precision == AVI_PRECISION_DOUBLE ? 1e-6 : 4e-3; }

/* Column j of row r's Hessian from the gradients at nu, in w->g, and beside it, in w->step. */
static void take_difference(rows_work *w, int64_t r, int64_t j, double h)
{
    const int64_t n = w->width;
    for (int64_t i = 0; i < n; i++) w->h[(r * n + i) * n + j] = (w->step[r * n + i] - w->g[r * n + i]) / h;
}

static void hessian(avi_estimator *e, const avi_pass *pass, rows_work *w)
{
    const int64_t n = w->width;
    const double h = difference(e);
    for (int64_t j = 0; j < n; j++) {
        for (int64_t i = 0; i < w->rows * n; i++) w->step[i] = w->start[i] + (i % n == j ? h : 0);
        put_nu(e, pass, w, w->step);
        pass_rows(e, pass, w, w->step, NULL);
        for (int64_t r = 0; r < w->rows; r++) take_difference(w, r, j, h);
    }
}

/* Solves (H + lambda I) step = -g by Cholesky; false when it is not positive definite. h is overwritten. */
static bool solve(double *h, int64_t n, double lambda, const double *g, double *step)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j <= i; j++) {
            double sum = 0.5 * (h[i * n + j] + h[j * n + i]) + (i == j ? lambda : 0);
            for (int64_t k = 0; k < j; k++) sum -= h[i * n + k] * h[j * n + k];
            if (i == j && !(sum > 1e-12)) return false;
            h[i * n + j] = i == j ? sqrt(sum) : sum / h[j * n + j];
        }
    for (int64_t i = 0; i < n; i++) {
        step[i] = -g[i];
        for (int64_t k = 0; k < i; k++) step[i] -= h[i * n + k] * step[k];
        step[i] /= h[i * n + i];
    }
    for (int64_t i = n - 1; i >= 0; i--) {
        for (int64_t k = i + 1; k < n; k++) step[i] -= h[k * n + i] * step[k];
        step[i] /= h[i * n + i];
    }
    return true;
}

static double largest_of(const double *v, int64_t n)
{
    double top = 0;
    for (int64_t i = 0; i < n; i++) top = fmax(top, fabs(v[i]));
    return top;
}

/* Cuts the step of a row to its radius; the promise of a step that was cut is what the model says of it. */
static void cut_step(rows_work *w, int64_t r)
{
    const int64_t n = w->width;
    double *step = w->step + r * n;
    const double *g = w->g + r * n, *h = w->h + r * n * n, largest = largest_of(step, n);
    w->promise[r] = 0;
    if (!(largest > w->radius[r])) return;
    for (int64_t i = 0; i < n; i++) step[i] *= w->radius[r] / largest;
    for (int64_t i = 0; i < n; i++) {
        w->promise[r] -= g[i] * step[i];
        for (int64_t j = 0; j < n; j++) w->promise[r] -= 0.5 * step[i] * h[i * n + j] * step[j];
    }
}

/* Steps of all rows from gradient and Hessian. */
static avi_status steps_of_rows(rows_work *w)
{
    const int64_t n = w->width;
    double *copy = malloc((size_t)(n * n) * sizeof *copy);
    if (!copy) return avi_fail_memory((size_t)(n * n) * sizeof *copy, "Newton steps of local factors");
    for (int64_t r = 0; r < w->rows; r++) {
        const double *g = w->g + r * n;
        double *step = w->step + r * n, lambda = w->lambda[r];
        for (int tries = 0; tries < 60; tries++) {
            memcpy(copy, w->h + r * n * n, (size_t)(n * n) * sizeof *copy);
            /* The lower triangle is overwritten in place by rows; the upper one stays for the symmetric mean. */
            if (solve(copy, n, lambda, g, step)) break;
            lambda = lambda > 0 ? 4 * lambda : 1e-3;
            memset(step, 0, (size_t)n * sizeof *step);
        }
        cut_step(w, r);
    }
    free(copy);
    return AVI_OK;
}

/* Takes the steps where they lower -ELBO of the row; elsewhere the row stays and its damping grows. */
static void accept_rows(avi_estimator *e, const avi_pass *pass, rows_work *w)
{
    const int64_t n = w->width;
    const size_t row = (size_t)n * sizeof *w->g;
    const double slack = e->p.precision == AVI_PRECISION_DOUBLE ? 1e-13 : 1e-4;
    for (int64_t i = 0; i < w->rows * n; i++) w->step[i] += w->start[i];
    put_nu(e, pass, w, w->step);
    pass_rows(e, pass, w, w->trial_g, w->trial);
    for (int64_t r = 0; r < w->rows; r++) {
        if (w->trial[r] <= w->value[r] + slack * (1 + fabs(w->value[r]))) {
            w->lambda[r] = w->lambda[r] > 1e-6 ? w->lambda[r] / 4 : 0;
            /* A step that was cut and did as the model had it: the row is quadratic so far, and may go further. */
            if (fabs(w->value[r] - w->trial[r] - w->promise[r]) < 0.1 * w->promise[r]) w->radius[r] *= 4;
            w->value[r] = w->trial[r];
            memcpy(w->start + r * n, w->step + r * n, row);
            memcpy(w->g + r * n, w->trial_g + r * n, row);
        } else {
            w->lambda[r] = w->lambda[r] > 0 ? 8 * w->lambda[r] : 1e-2;
            w->radius[r] = 1;
        }
    }
    put_nu(e, pass, w, w->start);
}

/* Row `from` becomes row `to` of what is left. */
static void move_row(rows_work *w, int64_t from, int64_t to)
{
    const size_t row = (size_t)w->width * sizeof *w->g;
    w->value[to] = w->value[from];
    w->lambda[to] = w->lambda[from];
    w->radius[to] = w->radius[from];
    memmove(w->g + to * w->width, w->g + from * w->width, row);
    memmove(w->start + to * w->width, w->start + from * w->width, row);
}

/* Rows whose gradient is above the tolerance go on. The others leave, or, where the sums of a tile must keep their
 * shape (exact) or rows lie too scattered, stay and get no more steps. Returns how many go on. */
static int64_t drop_rows(const avi_estimator *e, rows_work *w, double tolerance)
{
    const int64_t n = w->width;
    int64_t first[MAX_RUNS], count[MAX_RUNS], left = 0, r = 0;
    int runs = 0;
    bool fits = !e->p.reproducible;
    for (int i = 0; i < w->runs; i++)
        for (int64_t k = 0; k < w->count[i]; k++, r++) {
            if (largest_of(w->g + r * n, n) <= tolerance) {
                memset(w->g + r * n, 0, (size_t)n * sizeof *w->g); /* no step */
                continue;
            }
            left++;
            fits = fits && add_run(w->first[i] + k, 1, &runs, first, count);
        }
    if (!fits || left == w->rows || left == 0) return left;
    for (int64_t from = 0, to = 0; from < w->rows; from++)
        if (largest_of(w->g + from * n, n) > 0) move_row(w, from, to++);
    w->rows = left;
    w->runs = runs;
    memcpy(w->first, first, (size_t)runs * sizeof *first);
    memcpy(w->count, count, (size_t)runs * sizeof *count);
    return left;
}

/* A block of independent rows to convergence. */
static avi_status solve_block(avi_estimator *e, const avi_pass *pass, rows_work *w, int iterations, double tolerance)
{
    avi_status status = AVI_OK;
    get_rows(e, w, pass->table, w->start);
    pass_rows(e, pass, w, w->g, w->value);
    for (int i = 0; i < iterations && status == AVI_OK && drop_rows(e, w, tolerance) > 0; i++) {
        hessian(e, pass, w);
        status = steps_of_rows(w);
        if (status == AVI_OK) accept_rows(e, pass, w);
    }
    return status;
}

/* The blocks of a job, in runs of tiles: rows are independent, so that only speed depends on how they are joined. */
static avi_status solve_blocks(avi_estimator *e, const avi_pass *pass, const avi_row_ranges *job, int iterations,
                               double tolerance)
{
    avi_status status = AVI_OK;
    for (int at = 0, next; at < job->count && status == AVI_OK; at = next) {
        rows_work w;
        int64_t rows = job->rows[at];
        for (next = at + 1; next < job->count && !e->p.reproducible && next - at < MAX_RUNS &&
                            rows + job->rows[next] <= avi_rows_of_block(e);
             next++)
            rows += job->rows[next];
        AVI_TRY(make_work(rows, e->p.infer->outputs, &w));
        for (int k = at; k < next; k++) add_run(job->first[k], job->rows[k], &w.runs, w.first, w.count);
        status = solve_block(e, pass, &w, iterations, tolerance);
        free_work(&w);
    }
    return status;
}

/* Hessians of a chain's rows: while the differences of one row are taken its neighbours must not move, so rows of even
 * and odd number take turns. */
static void hessian_chain(avi_estimator *e, const avi_pass *pass, rows_work *w)
{
    const int64_t n = w->width, first = w->first[0];
    const double h = difference(e);
    for (int turn = 0; turn < 2; turn++)
        for (int64_t j = 0; j < n; j++) {
            for (int64_t i = 0; i < w->rows * n; i++)
                w->step[i] = w->start[i] + (i % n == j && ((first + i / n) & 1) == turn ? h : 0);
            put_nu(e, pass, w, w->step);
            pass_rows(e, pass, w, w->step, NULL);
            for (int64_t r = 0; r < w->rows; r++)
                if (((first + r) & 1) == turn) take_difference(w, r, j, h);
        }
}

/* One Jacobi sweep of a chain: new values of every row from the old table, (own rows, width) into fresh. */
static avi_status sweep_chain(avi_estimator *e, const avi_pass *pass, const avi_row_ranges *job, double *fresh)
{
    const int64_t width = e->p.infer->outputs;
    for (int k = 0; k < job->count; k++) {
        const int64_t at = (job->first[k] - e->data->first) * width;
        rows_work w;
        AVI_TRY(make_work(job->rows[k], width, &w));
        add_run(job->first[k], job->rows[k], &w.runs, w.first, w.count);
        get_rows(e, &w, pass->table, w.start);
        pass_rows(e, pass, &w, w.g, NULL);
        hessian_chain(e, pass, &w);
        put_nu(e, pass, &w, w.start);
        const avi_status status = steps_of_rows(&w);
        for (int64_t i = 0; i < w.rows * width; i++) fresh[at + i] = w.start[i] + w.step[i];
        free_work(&w);
        AVI_TRY(status);
    }
    return AVI_OK;
}

static avi_status solve_chain(avi_estimator *e, const avi_pass *pass, const avi_row_ranges *job, int iterations)
{
    const int64_t values = e->data->count * e->p.infer->outputs;
    double *fresh = malloc((size_t)(values + 1) * sizeof *fresh);
    avi_status status = avi_agree(
        e->comm, fresh ? AVI_OK : avi_fail_memory((size_t)values * sizeof *fresh, "Newton steps of local factors"));
    for (int i = 0; i < iterations && status == AVI_OK; i++) {
        status = avi_estimator_exchange_halo(e, pass->table);
        if (status == AVI_OK) status = avi_agree(e->comm, sweep_chain(e, pass, job, fresh));
        if (status == AVI_OK)
            avi_vector_from_double(e->p.precision, fresh, values,
                                   avi_vector_at(e->p.precision, pass->table, e->p.infer->outputs));
    }
    free(fresh);
    return status;
}

avi_status avi_estimator_newton(avi_estimator *e, const void *params, void *table, void *table_grad,
                                const avi_row_ranges *job, int iterations, double tolerance)
{
    const avi_pass pass = {.params = params,
                           .table = table,
                           .table_grad = table_grad,
                           .stream = avi_stream_make(e->p.seed, AVI_DRAW_LOCAL, 0),
                           .kl_weight = e->p.objective->beta};
    avi_global_draw(e, params, avi_stream_make(e->p.seed, AVI_DRAW_GLOBAL, 0), false);
    if (e->p.model->ops->coupling == AVI_DENSE) return avi_dense_newton(e, &pass, iterations, tolerance);
    if (e->p.model->ops->coupling == AVI_CHAIN) return solve_chain(e, &pass, job, iterations);
    return avi_agree(e->comm, solve_blocks(e, &pass, job, iterations, tolerance));
}
