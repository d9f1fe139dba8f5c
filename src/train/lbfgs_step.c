#include "train/lbfgs_step.h"
#include "state/convergence.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TRIES = 40 };

typedef struct solve {
    const avi_session *s;
    avi_state *st;
    const avi_row_ranges *job;
    double *x0, *g0, *x1, *g1, *direction, *metric; /* (n) */
    double local_tolerance;                         /* nats: of the gradients of local factors */
    void *table0;                                   /* the local factors before the step */
} solve;

static void free_solve(solve *v)
{
    free(v->x0);
    free(v->g0);
    free(v->x1);
    free(v->g1);
    free(v->direction);
    free(v->metric);
    free(v->table0);
}

static avi_status make_solve(const avi_session *s, avi_state *st, const avi_row_ranges *job, solve *v)
{
    const size_t bytes = (size_t)(s->layout.size + 1) * sizeof(double),
                 table = (size_t)avi_state_table_values(s) * avi_real_size(s->precision);
    *v = (solve){.s = s,
                 .st = st,
                 .job = job,
                 .x0 = malloc(bytes),
                 .g0 = malloc(bytes),
                 .x1 = malloc(bytes),
                 .g1 = malloc(bytes),
                 .direction = malloc(bytes),
                 .metric = malloc(bytes),
                 .table0 = malloc(table + 1)};
    if (v->x0 && v->g0 && v->x1 && v->g1 && v->direction && v->metric && v->table0) return AVI_OK;
    return avi_fail_memory(6 * bytes + table, "L-BFGS"); /* the caller frees what there is */
}

/* -ELBO / N at x, its gradient, and the step's sums. move: local factors go to their best for x first; else they are
 * there already. */
static avi_status value(solve *v, const double *x, bool move, double *f, double *g, avi_step_result *r)
{
    const avi_session *s = v->s;
    avi_state *st = v->st;
    avi_vector_from_double(s->precision, x, s->layout.size, st->params);
    if (st->table && move)
        AVI_TRY(avi_estimator_newton(s->train_elbo, st->params, st->table, st->table_grad, v->job,
                                     (int)s->optim.number[2], v->local_tolerance));
    memset(r->sums, 0, sizeof r->sums);
    avi_bad bad;
    AVI_TRY(avi_estimator_step(s->train_elbo, st->params, st->table, st->table_grad, 0, v->job, r->sums, st->gradient,
                               r->own, &bad));
    if (r->sums[AVI_SUM_BAD] > 0) AVI_TRY(avi_agree(s->comm, avi_data_status(s->train)));
    r->kl_global = avi_estimator_kl_global(s->train_elbo, st->params);
    r->bad_position = bad.position;
    r->bad_value = bad.value;
    r->finite = !(r->sums[AVI_SUM_BAD] > 0) && bad.value < 0;
    *f = r->finite ? -r->sums[AVI_SUM_ELBO] / r->sums[AVI_SUM_ROWS] + r->kl_global / (double)s->partition.rows
                   : INFINITY;
    avi_vector_to_double(s->precision, st->gradient, s->layout.size, g);
    memset(g, 0, (size_t)s->fixed * sizeof *g); /* directions then leave these values where they are */
    return AVI_OK;
}

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static double largest(const double *v, int64_t n)
{
    double top = 0;
    for (int64_t i = 0; i < n; i++) top = fmax(top, fabs(v[i]));
    return top;
}

/* Where to go on between low, which still falls, and high, which is too far: the minimum of the parabola through what
 * is known, but not close to either end. */
static double between(double low, double high, double f_low, double slope_low, double f_high)
{
    const double width = high - low, bend = f_high - f_low - slope_low * width;
    if (!isfinite(f_high) || !(bend > 0)) return 0.5 * (low + high);
    return low + fmin(0.9 * width, fmax(0.1 * width, -0.5 * slope_low * width * width / bend));
}

/* Where to go on beyond t, at which the slope is still steep: its zero by the secant, within a factor of 2 to 100. */
static double beyond(double low, double t, double slope_low, double slope)
{
    const double zero = slope > slope_low ? t - slope * (t - low) / (slope - slope_low) : INFINITY;
    return fmin(100 * t, fmax(2 * t, zero));
}

/* Without pairs the direction has no length that can be relied on, but where a Gaussian q(theta) gave it one. */
static double first_length(const solve *v)
{
    const avi_session *s = v->s;
    const int64_t scaled = s->problem.global_gaussian ? avi_parameter_layout_phi(&s->problem, &s->layout) : 0;
    return v->st->lbfgs.pairs ? 1 : fmin(1, 1 / largest(v->direction + scaled, s->layout.size - scaled));
}

/* Along the direction: back until the value falls enough (Armijo), further while the slope stays steep (weak Wolfe). */
static avi_status line_search(solve *v, double f0, double slope0, double *f1, avi_step_result *r, bool *moved)
{
    const int64_t n = v->s->layout.size;
    double low = 0, high = INFINITY, f_low = f0, f_high = INFINITY, slope_low = slope0, t = first_length(v);
    const size_t table = (size_t)avi_state_table_values(v->s) * avi_real_size(v->s->precision);
    const double resolution =
        v->s->precision == AVI_PRECISION_DOUBLE ? 1e-17 : 1e-9; /* what is gained below it drowns in rounding */
    *moved = false;
    for (int tries = 0; tries < MAX_TRIES; tries++) {
        for (int64_t i = 0; i < n; i++) v->x1[i] = v->x0[i] + t * v->direction[i];
        if (v->st->table) memcpy(v->st->table, v->table0, table);
        AVI_TRY(value(v, v->x1, true, f1, v->g1, r));
        const double slope = r->finite ? dot(v->g1, v->direction, n) : 0;
        double next = 0;
        if (!r->finite || *f1 > f0 + 1e-4 * t * slope0) {
            high = t;
            f_high = *f1;
        } else if (slope < 0.9 * slope0) {
            next = beyond(low, t, slope_low, slope);
            low = t;
            f_low = *f1;
            slope_low = slope;
        } else {
            *moved = true;
            return AVI_OK;
        }
        t = isinf(high) ? next : between(low, high, f_low, slope_low, f_high);
        if (!isinf(high) && (high - low < 1e-14 * high || t * fabs(slope0) < resolution * fabs(f0))) break;
    }
    *moved = r->finite && *f1 < f0;
    return AVI_OK;
}

/* Where value k of nu of a global_family is in the vector of parameters. */
static int64_t place_of(const avi_session *s, int64_t k)
{
    const avi_params *theta = &s->model->theta;
    const int64_t n = s->problem.global_family->latent;
    if (k >= n) return avi_parameter_layout_log_sd(&s->problem, &s->layout) + k - n;
    int b = 0;
    while (k >= theta->block[b].rows * theta->block[b].cols) {
        k -= theta->block[b].rows * theta->block[b].cols;
        b++;
    }
    return theta->block[b].offset + k;
}

/* The curvature of the model by a value, standardised by its scale, from the gradient g by the scale's logarithm. */
static double curvature_of(double g) { return fmax(0.1, 1 + g); }
static double metric_of_log_scale(double g)
{
    return fabs(g) > 1e-6 ? 0.5 * log(curvature_of(g)) / (curvature_of(g) - 1) : 0.5;
}

/* As set_metric, of a q(theta) that is a family's: what is in units of a scale has that scale's curvature. */
static void set_family_metric(const solve *v)
{
    const avi_session *s = v->s;
    const avi_family *f = s->problem.global_family;
    const double rows = (double)s->partition.rows;
    for (int64_t k = 0; k < f->width; k++) {
        const int64_t scale = f->ops->scale_of(f, k), at = place_of(s, k);
        const int64_t of = scale < 0 ? at : place_of(s, scale);
        const double g = rows * v->g0[of];
        v->metric[at] = scale == k  ? rows * metric_of_log_scale(g)
                        : scale < 0 ? 0.5 * rows
                                    : rows * exp(2 * v->x0[of]) / curvature_of(g);
    }
}

/* The scale of every value, for the first guess of the inverse Hessian of -ELBO / N. A Gaussian q(theta) tells the
 * curvature of the model from its own gradient: that of -ELBO by log s is s^2 E[H] - 1, H the second derivative of -log
 * p (Opper & Archambeau 2009). The best s^2 would be 1 / E[H] if the model were quadratic, and the mean's curvature is
 * E[H]. Weights of an inference function have a gradient of the order of a row's already. */
static void set_metric(const solve *v)
{
    const avi_session *s = v->s;
    const double rows = (double)s->partition.rows;
    const int64_t theta = s->problem.global_gaussian && !s->problem.global_family ? s->layout.theta : 0,
                  log_sd = avi_parameter_layout_log_sd(&s->problem, &s->layout);
    for (int64_t i = 0; i < s->layout.size; i++) v->metric[i] = 1;
    if (s->problem.global_family) set_family_metric(v);
    for (int64_t i = 0; i < theta; i++) {
        const double g = rows * v->g0[log_sd + i];
        v->metric[i] = rows * exp(2 * v->x0[log_sd + i]) / curvature_of(g);
        v->metric[log_sd + i] = rows * metric_of_log_scale(g);
    }
}

/* Below what the run's precision can tell, a tolerance would never be met. */
static double tolerance(const avi_session *s)
{
    const double asked = s->optim.number[1];
    return s->precision == AVI_PRECISION_SINGLE && asked < 1e-5 ? 1e-5 : asked;
}

/* Whether the step kept the scales of q(theta): a pair of points between which the curvature changed by a factor says
 * little about either. */
static bool same_scale(const solve *v)
{
    const avi_session *s = v->s;
    const avi_family *f = s->problem.global_family;
    const int64_t theta = s->problem.global_gaussian && !f ? s->layout.theta : 0,
                  log_sd = avi_parameter_layout_log_sd(&s->problem, &s->layout);
    for (int64_t k = f ? f->latent : 0; f && k < f->width; k++) {
        const int64_t at = place_of(s, k);
        if (f->ops->scale_of(f, k) == k && fabs(v->x1[at] - v->x0[at]) > 0.5) return false;
    }
    for (int64_t i = log_sd; i < log_sd + theta; i++)
        if (fabs(v->x1[i] - v->x0[i]) > 0.5) return false;
    return true;
}

/* Back to where the iteration began: parameters, local factors, and what the trace says of them. */
static avi_status put_back(solve *v, avi_step_result *r)
{
    double f;
    if (v->st->table)
        memcpy(v->st->table, v->table0, (size_t)avi_state_table_values(v->s) * avi_real_size(v->s->precision));
    return value(v, v->x0, false, &f, v->g0, r); /* sets the parameters */
}

/* Local factors need only be so good that what they still lack is small against the global gradient. */
static double local_tolerance(const solve *v, double gradient)
{
    const double least = v->s->precision == AVI_PRECISION_DOUBLE ? 1e-10 : 1e-5;
    return v->s->layout.size == 0 ? least : fmax(least, 1e-3 * fmin(1, gradient));
}

static avi_status iterate(solve *v, avi_step_result *r)
{
    const avi_session *s = v->s;
    avi_state *st = v->st;
    const int64_t n = s->layout.size;
    double f0, f1 = 0;
    bool moved = false;
    avi_vector_to_double(s->precision, st->params, n, v->x0);
    v->local_tolerance = local_tolerance(v, 1);
    AVI_TRY(value(v, v->x0, st->step == 0 || n == 0, &f0, v->g0, r)); /* later the line search has moved them */
    if (!r->finite) return AVI_OK;
    v->local_tolerance = local_tolerance(v, largest(v->g0, n));
    set_metric(v);
    r->grad_norm = sqrt(dot(v->g0, v->g0, n));
    r->converged =
        largest(v->g0, n) <= tolerance(s) && sqrt(r->sums[AVI_SUM_LOCAL_SQ] / r->sums[AVI_SUM_ROWS]) <= tolerance(s);
    if (n == 0) return AVI_OK; /* nothing global: local factors alone, and they have had their steps */
    if (r->converged) return AVI_OK;
    if (st->table) memcpy(v->table0, st->table, (size_t)avi_state_table_values(s) * avi_real_size(s->precision));
    AVI_TRY(avi_lbfgs_direction(&st->lbfgs, v->g0, v->metric, v->direction));
    double slope = dot(v->g0, v->direction, n);
    if (!(slope < 0)) { /* the memory has gone stale: start it anew from steepest descent */
        st->lbfgs.pairs = 0;
        AVI_TRY(avi_lbfgs_direction(&st->lbfgs, v->g0, v->metric, v->direction));
        slope = dot(v->g0, v->direction, n);
    }
    AVI_TRY(line_search(v, f0, slope, &f1, r, &moved));
    if (!moved && st->lbfgs.pairs) {
        st->lbfgs.pairs = 0;
        return put_back(v, r);
    }
    if (!moved) { /* not even steepest descent lowers the value: it is as low as this precision tells */
        AVI_TRY(put_back(v, r));
        r->converged = true;
        r->stalled = !(r->grad_norm <= AVI_SMALL_GRADIENT);
        return AVI_OK;
    }
    if (same_scale(v)) avi_lbfgs_add(&st->lbfgs, v->x0, v->x1, v->g0, v->g1);
    return AVI_OK;
}

avi_status avi_lbfgs_step(const avi_session *s, avi_state *st, avi_row_ranges *job, avi_step_result *r)
{
    solve v;
    double requests[2] = {r->sums[AVI_SUM_STOP], r->sums[AVI_SUM_SAVE]};
    AVI_TRY(avi_agree(s->comm, avi_row_ranges_step(s, 0, job)));
    avi_status status = avi_agree(s->comm, make_solve(s, st, job, &v));
    if (status != AVI_OK) {
        free_solve(&v);
        return status;
    }
    /* Requests of the ranks are summed apart: an iteration has several reductions, and they must count once. */
    status = avi_comm_sum_double(s->comm, requests, 2);
    r->sums[AVI_SUM_STOP] = r->sums[AVI_SUM_SAVE] = 0;
    r->learning_rate = 1;
    if (status == AVI_OK) status = iterate(&v, r);
    r->sums[AVI_SUM_STOP] = requests[0];
    r->sums[AVI_SUM_SAVE] = requests[1];
    st->step++;
    free_solve(&v);
    return status;
}
