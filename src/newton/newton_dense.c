/* Newton's method for local factors under dense coupling: means m and log sds t, one dimension. The negative ELBO is
 *   1/2 m' K^-1 m + sum_n f_n(m_n, t_n),   f_n: the likelihood's part, kappa_n s_n^2 / 2 and the entropy,
 * so that of its Hessian only the means' part K^-1 + W is coupled. With (w, b, h) the second derivatives of f_n, the
 * log sds are eliminated, dt = -(g_t + b dm) / h,   dm = -(K^-1 + W)^-1 (g_m - b g_t / h),   W = diag(w - b^2 / h), and
 * (K^-1 + W)^-1 = W^-1 - W^-1 (K + W^-1)^-1 W^-1 needs the factor of a well-conditioned matrix only (Rasmussen &
 * Williams 2006, section 3.4.3). The factor is kept while W stays: for a Gaussian likelihood it is made once, and the
 * means are exact after one step. A step is halved until the ELBO rises. */
#include "elbo/internal.h"
#include "graph/dense.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_HALVINGS = 30 };

typedef struct newton {
    avi_estimator *e;
    const avi_pass *pass;
    int64_t n;              /* own rows */
    double *nu, *trial;     /* (n, 2) */
    double *g, *up, *down;  /* (n, 2): gradients of -ELBO, at nu and beside it */
    double *h;              /* (n, 3): w, b, h as above */
    double *inverse_weight; /* (n): W^-1 */
    double *rhs, *step;     /* (n), (n, 2) */
    double *all;            /* (N) */
    avi_status status;      /* of passes on this rank */
} newton;

static void free_newton(newton *w) { free(w->nu); /* one piece of memory */ }

static avi_status make_newton(avi_estimator *e, const avi_pass *pass, newton *w)
{
    const int64_t n = e->data->count, values = 17 * n + e->data->partition.rows;
    *w = (newton){.e = e, .pass = pass, .n = n, .nu = calloc((size_t)values + 1, sizeof *w->nu)};
    if (!w->nu) return avi_fail_memory((size_t)values * sizeof *w->nu, "Newton steps of coupled factors");
    w->trial = w->nu + 2 * n;
    w->g = w->trial + 2 * n;
    w->up = w->g + 2 * n;
    w->down = w->up + 2 * n;
    w->step = w->down + 2 * n;
    w->h = w->step + 2 * n;
    w->inverse_weight = w->h + 3 * n;
    w->rhs = w->inverse_weight + n;
    w->all = w->rhs + n;
    return AVI_OK;
}

static void *own_rows(const newton *w, void *table)
{
    return avi_vector_at(w->e->p.precision, table, 2);
} /* after the halo row */

static void put(const newton *w, const double *nu)
{
    avi_vector_from_double(w->e->p.precision, nu, 2 * w->n, own_rows(w, w->pass->table));
}

/* -ELBO of own rows into the reduction; its gradient into g when wanted. c is what it is. */
static void pass_rows(newton *w, double *g)
{
    avi_estimator *e = w->e;
    const avi_precision p = e->p.precision;
    memset(own_rows(w, w->pass->table_grad), 0, (size_t)(2 * w->n) * avi_real_size(p));
    for (int64_t first = e->data->first, n; (n = avi_dense_piece(&e->graph, first)) > 0; first += n) {
        avi_graph graph;
        double values[AVI_SUMS] = {0};
        avi_graph_build(&e->graph, w->pass, 1, &first, &n, &graph);
        for (int64_t r = 0; r < n; r++) values[AVI_SUM_ELBO] -= avi_vector_get(p, graph.value->value, r);
        if (!isfinite(values[AVI_SUM_ELBO])) values[AVI_SUM_BAD] = 1;
        if (values[AVI_SUM_BAD] > 0) values[AVI_SUM_ELBO] = 0;
        avi_reducer_add_scalars(e->reducer, values);
        if (g) avi_tape_backward(e->tape, graph.value, -1);
        if (w->status == AVI_OK) w->status = avi_tape_status(e->tape);
    }
    if (g) avi_vector_to_double(p, own_rows(w, w->pass->table_grad), 2 * w->n, g);
}

/* Collective. -ELBO of all rows at nu, INFINITY where it is not finite; the gradient when wanted. */
static avi_status value(newton *w, const double *nu, double *f, double *g)
{
    avi_estimator *e = w->e;
    double sums[AVI_SUMS];
    bool redo;
    put(w, nu);
    AVI_TRY(avi_dense_update(&e->graph, w->pass));
    avi_reducer_begin(e->reducer);
    pass_rows(w, g);
    AVI_TRY(avi_reducer_finish(e->reducer, e->comm, true, sums, &redo));
    *f = sums[AVI_SUM_BAD] > 0 ? INFINITY : sums[AVI_SUM_ELBO];
    return avi_agree(e->comm, w->status);
}

/* Second derivatives of every f_n by central differences of the gradient, all rows at once: c is held, so that rows do
 * not touch each other. */
static void curvatures(newton *w)
{
    const double d = w->e->p.precision == AVI_PRECISION_DOUBLE ? 1e-5 : 1e-2;
    for (int column = 0; column < 2; column++) {
        for (int side = 0; side < 2; side++) {
            for (int64_t i = 0; i < 2 * w->n; i++) w->trial[i] = w->nu[i] + (i % 2 == column ? (side ? -d : d) : 0);
            put(w, w->trial);
            pass_rows(w, side ? w->down : w->up);
        }
        for (int64_t r = 0; r < w->n; r++) {
            const double of_mean = (w->up[2 * r] - w->down[2 * r]) / (2 * d),
                         of_log_sd = (w->up[2 * r + 1] - w->down[2 * r + 1]) / (2 * d);
            double *h = w->h + 3 * r;
            h[column] = column ? 0.5 * (h[1] + of_mean) : of_mean;
            h[column + 1] = of_log_sd;
        }
    }
    put(w, w->nu);
}

/* W and the right-hand side, with curvatures kept positive: what the likelihood lacks, the prior has. */
static void eliminate(newton *w)
{
    avi_dense *d = w->e->graph.dense;
    for (int64_t r = 0; r < w->n; r++) {
        double *h = w->h + 3 * r;
        const int64_t i = w->e->data->first + r;
        const double least = 1e-6 / avi_dense_covariance(d, i, i);
        h[2] = fmax(h[2], 1e-6);
        double weight = h[0] - h[1] * h[1] / h[2];
        if (!(weight > least)) {
            weight = fmax(h[0], least);
            h[1] = 0;
        }
        w->inverse_weight[r] = 1 / weight;
        w->rhs[r] = w->g[2 * r] - h[1] * w->g[2 * r + 1] / h[2];
    }
}

static double newton_entry(void *self, int64_t i, int64_t j)
{
    const avi_dense *d = self;
    return avi_dense_covariance(self, i, j) + (i == j ? d->inverse_weight[i] : 0);
}

/* Collective. The factor of K + W^-1, made anew where W has moved by more than a thousandth: the metric of a step need
 * not be exact. */
static avi_status refresh(newton *w)
{
    avi_estimator *e = w->e;
    avi_dense *d = e->graph.dense;
    bool stale = !d->inverse_weight;
    AVI_TRY(avi_dense_gather(&e->graph, 1, w->inverse_weight, w->all));
    for (int64_t i = 0; i < d->rows && !stale; i++) stale = fabs(w->all[i] - d->inverse_weight[i]) > 1e-3 * w->all[i];
    if (!stale) return AVI_OK; /* the same on all ranks, as the values are */
    const size_t bytes = (size_t)d->rows * sizeof *d->inverse_weight;
    if (!d->inverse_weight) d->inverse_weight = malloc(bytes);
    AVI_TRY(avi_agree(e->comm, d->inverse_weight ? AVI_OK : avi_fail_memory(bytes, "Newton steps of coupled factors")));
    memcpy(d->inverse_weight, w->all, bytes);
    avi_linalg_spd_destroy(&d->newton);
    return avi_dense_factor(&e->graph, newton_entry, d, &d->newton);
}

/* Collective. The step of all rows from gradient and curvatures; no log sd moves by more than 1. */
static avi_status direction(newton *w)
{
    avi_dense *d = w->e->graph.dense;
    double *u = w->up, *v = w->down; /* (n) each */
    eliminate(w);
    AVI_TRY(refresh(w));
    for (int64_t r = 0; r < w->n; r++) u[r] = w->rhs[r] * w->inverse_weight[r];
    AVI_TRY(avi_dense_solve(&w->e->graph, d->newton, 1, u, v));
    for (int64_t r = 0; r < w->n; r++) {
        const double *h = w->h + 3 * r, dm = -(u[r] - w->inverse_weight[r] * v[r]),
                     dt = -(w->g[2 * r + 1] + h[1] * dm) / h[2];
        w->step[2 * r] = dm;
        w->step[2 * r + 1] = fmax(-1, fmin(1, dt));
    }
    return AVI_OK;
}

/* Collective. *moved: some part of the step lowered -ELBO; nu and *f are then those. */
static avi_status search(newton *w, double *f, bool *moved)
{
    const double slack = (w->e->p.precision == AVI_PRECISION_DOUBLE ? 1e-13 : 1e-6) * (1 + fabs(*f));
    double next = INFINITY, length = 1;
    *moved = false;
    for (int i = 0; i < MAX_HALVINGS && !*moved; i++, length *= 0.5) {
        for (int64_t k = 0; k < 2 * w->n; k++) w->trial[k] = w->nu[k] + length * w->step[k];
        AVI_TRY(value(w, w->trial, &next, NULL));
        *moved = next <= *f + slack;
    }
    if (*moved)
        memcpy(w->nu, w->trial, (size_t)(2 * w->n) * sizeof *w->nu);
    else
        put(w, w->nu);
    return AVI_OK;
}

static avi_status iterate(newton *w, int iterations, double tolerance)
{
    bool moved = true;
    for (int i = 0; i < iterations && moved; i++) {
        double f, largest = 0;
        AVI_TRY(value(w, w->nu, &f, w->g));
        for (int64_t k = 0; k < 2 * w->n; k++) largest = fmax(largest, fabs(w->g[k]));
        AVI_TRY(avi_comm_max_double(w->e->comm, &largest, 1));
        if (isinf(f) || largest <= tolerance) return AVI_OK;
        curvatures(w);
        AVI_TRY(direction(w));
        AVI_TRY(search(w, &f, &moved));
    }
    return AVI_OK;
}

avi_status avi_dense_newton(avi_estimator *e, const avi_pass *pass, int iterations, double tolerance)
{
    newton w;
    if (e->p.model->latent != 1)
        return avi_fail(AVI_ERR_CONFIG,
                        "optim.method = lbfgs with inference.function = factorized takes one latent dimension where "
                        "rows are coupled densely, not %lld; use adam",
                        (long long)e->p.model->latent);
    avi_status status = avi_agree(e->comm, make_newton(e, pass, &w));
    if (status == AVI_OK) {
        avi_vector_to_double(e->p.precision, own_rows(&w, pass->table), 2 * w.n, w.nu);
        status = iterate(&w, iterations, tolerance);
    }
    free_newton(&w);
    return status;
}
