/* Local factors of independent rows to their optimum, rows side by side: L-BFGS for every row by itself, whose start
 * for the inverse Hessian is the natural metric of a Gaussian factor, diag(sd^2) for means and 1/2 for log sds. The
 * expectation must be a quadrature (draws held fixed), so that a row's ELBO is a smooth function.
 *
 * Every pass takes all rows that are still at work through forward and backward: a row accepts its trial point and gets
 * a new direction, or shortens its step. Newton's method (newton.c) needs as many passes a step as a factor has values;
 * this one needs one, and a few values a row more. Where sums do not have to keep the shape of a tile, rows that have
 * converged leave. */
#include "elbo/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PAIRS = 6, MAX_RANGES = 256, MAX_SHORTER = 20 };

typedef struct work {
    avi_estimator *e;
    const avi_pass *pass;
    int64_t first, rows, width;                  /* the block: positions [first, first + rows) */
    double tolerance;                            /* nats that a row may still gain */
    double *x, *g, *trial, *trial_g, *direction; /* (rows, width) */
    double *f, *trial_f, *slope, *length;        /* (rows); length: of the step along the direction */
    double *s, *y;                               /* (rows, PAIRS, width) */
    int *pairs, *shorter;                        /* (rows): pairs kept; shortenings since the last accepted point */
    avi_refined *out;                            /* (rows) */
    int64_t *active;                             /* (rows): rows at work, ascending; active_count of them */
    int64_t active_count;
    int ranges;
    int64_t range_first[MAX_RANGES], range_rows[MAX_RANGES]; /* what is passed: positions */
} work;

static void release(work *w)
{
    free(w->x); /* one piece of memory */
    free(w->pairs);
    free(w->active);
}

static avi_status make(avi_estimator *e, const avi_pass *pass, int64_t first, int64_t rows, double tolerance,
                       avi_refined *out, work *w)
{
    const int64_t width = e->p.infer->outputs, n = rows * width;
    const size_t values = (size_t)(5 * n + 4 * rows + 2 * PAIRS * n + 1);
    *w = (work){.e = e, .pass = pass, .first = first, .rows = rows, .width = width, .tolerance = tolerance, .out = out};
    w->x = malloc(values * sizeof *w->x);
    w->pairs = calloc((size_t)(2 * rows + 1), sizeof *w->pairs);
    w->active = malloc((size_t)(rows + 1) * sizeof *w->active);
    if (!w->x || !w->pairs || !w->active) return avi_fail_memory(values * sizeof *w->x, "the refinement of factors");
    w->g = w->x + n;
    w->trial = w->g + n;
    w->trial_g = w->trial + n;
    w->direction = w->trial_g + n;
    w->f = w->direction + n;
    w->trial_f = w->f + rows;
    w->slope = w->trial_f + rows;
    w->length = w->slope + rows;
    w->s = w->length + rows;
    w->y = w->s + PAIRS * n;
    w->shorter = w->pairs + rows;
    for (int64_t r = 0; r < rows; r++) w->active[r] = r;
    w->active_count = rows;
    w->ranges = 1;
    w->range_first[0] = first;
    w->range_rows[0] = rows;
    return AVI_OK;
}

/* ---- passes ---- */

static void *table_row(const work *w, void *table, int64_t position)
{
    return avi_vector_at(w->e->p.precision, table, (position - w->e->data->first + 1) * w->width);
}

/* -ELBO of the rows in the ranges and its gradient at `at` (rows, width), into f and g at the same rows. */
static avi_status evaluate(work *w, const double *at, double *f, double *g)
{
    avi_estimator *e = w->e;
    const avi_precision p = e->p.precision;
    avi_graph graph;
    for (int i = 0; i < w->ranges; i++) {
        const int64_t row = w->range_first[i] - w->first, n = w->range_rows[i] * w->width;
        avi_vector_from_double(p, at + row * w->width, n, table_row(w, w->pass->table, w->range_first[i]));
        memset(table_row(w, w->pass->table_grad, w->range_first[i]), 0, (size_t)n * avi_real_size(p));
    }
    avi_graph_build(&e->graph, w->pass, w->ranges, w->range_first, w->range_rows, &graph);
    avi_tape_backward(e->tape, graph.value, -1);
    for (int64_t i = 0, done = 0; i < w->ranges; done += w->range_rows[i++]) {
        const int64_t row = w->range_first[i] - w->first;
        avi_vector_to_double(p, table_row(w, w->pass->table_grad, w->range_first[i]), w->range_rows[i] * w->width,
                             g + row * w->width);
        for (int64_t k = 0; k < w->range_rows[i]; k++) f[row + k] = -avi_vector_get(p, graph.value->value, done + k);
    }
    return avi_tape_status(e->tape);
}

/* ---- a row's direction ---- */

static double dot(int64_t n, const double *a, const double *b)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* The natural metric of the family at the row's point: of a Gaussian, else 1. */
static double metric(const work *w, const double *x, int64_t i)
{
    const int64_t latent = w->e->p.model->latent;
    if (!w->e->p.family->ops->independent) return 1;
    return i < latent ? exp(2 * x[latent + i]) : 0.5;
}

/* v = -H g by the two loops (Nocedal & Wright 2006, algorithm 7.4). */
static void two_loops(const work *w, int64_t r, double *v)
{
    const int64_t n = w->width;
    const double *x = w->x + r * n, *g = w->g + r * n;
    const int pairs = w->pairs[r] < PAIRS ? w->pairs[r] : PAIRS;
    double a[PAIRS], scale = 1;
    for (int64_t i = 0; i < n; i++) v[i] = -g[i];
    for (int k = 0; k < pairs; k++) { /* from the newest pair to the oldest */
        const int64_t at = (r * PAIRS + (w->pairs[r] - 1 - k) % PAIRS) * n;
        a[k] = dot(n, w->s + at, v) / dot(n, w->s + at, w->y + at);
        for (int64_t i = 0; i < n; i++) v[i] -= a[k] * w->y[at + i];
    }
    if (pairs) { /* how far the metric is from the curvature along the newest pair */
        const int64_t at = (r * PAIRS + (w->pairs[r] - 1) % PAIRS) * n;
        double norm = 0;
        for (int64_t i = 0; i < n; i++) norm += w->y[at + i] * w->y[at + i] * metric(w, x, i);
        scale = dot(n, w->s + at, w->y + at) / norm;
    }
    for (int64_t i = 0; i < n; i++) v[i] *= scale * metric(w, x, i);
    for (int k = pairs - 1; k >= 0; k--) {
        const int64_t at = (r * PAIRS + (w->pairs[r] - 1 - k) % PAIRS) * n;
        const double b = dot(n, w->y + at, v) / dot(n, w->s + at, w->y + at);
        for (int64_t i = 0; i < n; i++) v[i] += (a[k] - b) * w->s[at + i];
    }
}

/* A new direction from x; converged when the quadratic model has less than the tolerance to gain. */
static void set_direction(work *w, int64_t r)
{
    const int64_t n = w->width;
    double *v = w->direction + r * n, largest = 0;
    const double *x = w->x + r * n, *g = w->g + r * n;
    two_loops(w, r, v);
    w->slope[r] = dot(n, g, v);
    if (!(w->slope[r] < 0)) { /* the pairs mislead: the metric alone does not */
        w->pairs[r] = 0;
        two_loops(w, r, v);
        w->slope[r] = dot(n, g, v);
    }
    w->out[r].left = -0.5 * w->slope[r];
    w->out[r].converged = w->out[r].left <= w->tolerance;
    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(v[i]) / sqrt(metric(w, x, i) * (i < w->e->p.model->latent ? 1 : 2)));
    w->length[r] = largest > 2 ? 2 / largest : 1; /* two sds of a mean, a factor e^2 of a scale */
    w->shorter[r] = 0;
}

/* ---- steps of all rows ---- */

static void take_pair(work *w, int64_t r)
{
    const int64_t n = w->width, at = (r * PAIRS + w->pairs[r] % PAIRS) * n;
    for (int64_t i = 0; i < n; i++) {
        w->s[at + i] = w->trial[r * n + i] - w->x[r * n + i];
        w->y[at + i] = w->trial_g[r * n + i] - w->g[r * n + i];
    }
    const double sy = dot(n, w->s + at, w->y + at), yy = dot(n, w->y + at, w->y + at);
    if (sy > 1e-10 * yy && sy > 0) w->pairs[r]++;
}

static bool finite_row(const work *w, int64_t r)
{
    bool finite = isfinite(w->trial_f[r]);
    for (int64_t i = 0; i < w->width; i++) finite = finite && isfinite(w->trial_g[r * w->width + i]);
    return finite;
}

/* Accepts the trial point of a row or shortens its step. Returns whether the row stays at work. */
static bool judge(work *w, int64_t r)
{
    const int64_t n = w->width;
    const double noise = (w->e->p.precision == AVI_PRECISION_DOUBLE ? 1e-14 : 2e-7) * (10 + fabs(w->f[r]));
    const double bound = w->f[r] + 1e-4 * w->length[r] * w->slope[r] + noise;
    if (finite_row(w, r) && w->trial_f[r] <= bound) {
        take_pair(w, r);
        memcpy(w->x + r * n, w->trial + r * n, (size_t)n * sizeof *w->x);
        memcpy(w->g + r * n, w->trial_g + r * n, (size_t)n * sizeof *w->g);
        w->f[r] = w->trial_f[r];
        w->out[r].steps++;
        set_direction(w, r);
        return !w->out[r].converged;
    }
    w->length[r] *= 0.4;
    if (++w->shorter[r] < MAX_SHORTER) return true;
    if (w->pairs[r] == 0) return false; /* rounding decides here, or the row cannot be helped: it says what is left */
    w->pairs[r] = 0;
    set_direction(w, r);
    return !w->out[r].converged;
}

/* What is passed from now on: the rows at work, where their ranges are few and nothing asks for the whole block. */
static void set_ranges(work *w, int64_t passed)
{
    if (w->e->p.reproducible || 4 * w->active_count > 3 * passed) return;
    int ranges = 0;
    int64_t first[MAX_RANGES], rows[MAX_RANGES];
    for (int64_t k = 0; k < w->active_count; k++) {
        const int64_t position = w->first + w->active[k];
        if (ranges && first[ranges - 1] + rows[ranges - 1] == position) {
            rows[ranges - 1]++;
            continue;
        }
        if (ranges == MAX_RANGES) return;
        first[ranges] = position;
        rows[ranges++] = 1;
    }
    w->ranges = ranges;
    memcpy(w->range_first, first, (size_t)ranges * sizeof *first);
    memcpy(w->range_rows, rows, (size_t)ranges * sizeof *rows);
}

static avi_status solve(work *w, int passes)
{
    const int64_t n = w->width;
    int64_t passed = w->rows;
    int64_t kept = 0;
    AVI_TRY(evaluate(w, w->x, w->f, w->g));
    memcpy(w->trial, w->x, (size_t)(w->rows * n) * sizeof *w->x);
    for (int64_t r = 0; r < w->rows; r++) {
        w->out[r] = (avi_refined){.left = INFINITY};
        if (!isfinite(w->f[r])) continue; /* a row that has no ELBO has no direction */
        set_direction(w, r);
        if (!w->out[r].converged) w->active[kept++] = r;
    }
    w->active_count = kept;
    for (int i = 0; i < passes && w->active_count > 0; i++) {
        set_ranges(w, passed);
        passed = 0;
        for (int k = 0; k < w->ranges; k++) passed += w->range_rows[k];
        for (int64_t k = 0; k < w->active_count; k++) {
            const int64_t r = w->active[k];
            for (int64_t j = r * n; j < (r + 1) * n; j++) w->trial[j] = w->x[j] + w->length[r] * w->direction[j];
        }
        AVI_TRY(evaluate(w, w->trial, w->trial_f, w->trial_g));
        kept = 0;
        for (int64_t k = 0; k < w->active_count; k++)
            if (judge(w, w->active[k])) w->active[kept++] = w->active[k];
        /* A row that stays in the block beside others at work is passed at its own point. */
        memcpy(w->trial, w->x, (size_t)(w->rows * n) * sizeof *w->x);
        w->active_count = kept;
    }
    for (int64_t r = 0; r < w->rows; r++) w->out[r].elbo = -w->f[r];
    return AVI_OK;
}

avi_status avi_estimator_refine(avi_estimator *e, const void *params, void *table, void *table_grad, int64_t first,
                                int64_t rows, int passes, double tolerance, avi_refined *out)
{
    const avi_pass pass = {.params = params, .table = table, .table_grad = table_grad, .kl_weight = 1};
    const avi_precision p = e->p.precision;
    work w;
    if (e->p.model->ops->coupling != AVI_INDEPENDENT || !e->p.rule || !e->p.infer->ops->local)
        return avi_fail(AVI_ERR_INTERNAL, "avi_estimator_refine: rows must be independent, under a quadrature, with "
                                          "factors of their own");
    avi_global_draw(e, params, avi_stream_make(e->p.seed, AVI_DRAW_GLOBAL, 0), false);
    avi_status status = make(e, &pass, first, rows, tolerance, out, &w);
    if (status == AVI_OK) {
        void *own = table_row(&w, table, first);
        avi_vector_to_double(p, own, rows * w.width, w.x);
        status = solve(&w, passes);
        avi_vector_from_double(p, w.x, rows * w.width, own);
    }
    release(&w);
    return status;
}
