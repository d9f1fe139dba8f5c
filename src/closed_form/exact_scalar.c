#include "closed_form/exact_scalar.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double LOG_2PI = 1.8378770664093454836;

static double prior_precision(const avi_optimum *a)
{
    const double sd = a->s->model->prior_sd;
    return sd > 0 ? 1 / (sd * sd) : 0;
}

/* r_n = y_n - alpha c_n ~ N(beta theta, v) once z_n is integrated out. */
static double remainder_of(const avi_exact_scalar *m, int64_t n) { return m->y[n] - m->alpha * (m->c ? m->c[n] : 0); }

/* Posterior mean of theta, whose precision is `marginal` with z integrated out; mean first, so that a large common part
 * does not swallow digits. */
static avi_status solve_theta(avi_optimum *a, const avi_exact_scalar *m, double marginal)
{
    const double n = (double)a->s->partition.rows, v = m->sigma * m->sigma + m->alpha * m->alpha;
    double sum = 0, rest = 0;
    for (int64_t i = 0; i < a->rows; i++) sum += remainder_of(m, i) / n;
    AVI_TRY(avi_comm_sum_double(a->s->comm, &sum, 1));
    for (int64_t i = 0; i < a->rows; i++) rest += (remainder_of(m, i) - sum) / n;
    AVI_TRY(avi_comm_sum_double(a->s->comm, &rest, 1));
    a->theta_mean = m->beta * n * (sum + rest) / v / marginal;
    return AVI_OK;
}

static avi_status allocate(avi_optimum *a, const avi_exact_scalar *m)
{
    avi_status status = AVI_OK;
    a->precision = avi_optimum_memory(a, a->rows, &status);
    a->self = malloc(sizeof *m);
    if (!a->self) return avi_fail_memory(sizeof *m, "exact answers");
    *(avi_exact_scalar *)a->self = *m;
    return status;
}

avi_status avi_exact_scalar_solve(avi_optimum *a, const avi_exact_scalar *m)
{
    const double n = (double)a->s->partition.rows, variance = m->sigma * m->sigma, v = variance + m->alpha * m->alpha,
                 prior = prior_precision(a);
    const double marginal = n * m->beta * m->beta / v + prior;
    double squares = 0;
    AVI_TRY(avi_agree(a->s->comm, allocate(a, m)));
    a->thetas = 1;
    a->residuals = 2;
    a->theta_prior = prior;
    a->theta_precision = n * m->beta * m->beta / variance + prior;
    AVI_TRY(solve_theta(a, m, marginal));
    for (int64_t i = 0; i < a->rows; i++) {
        const double e = remainder_of(m, i) - m->beta * a->theta_mean;
        squares += e * e;
        a->mean[1 + i] = (m->c ? m->c[i] : 0) + m->alpha * e / v;
        a->precision[i] = v / variance;
    }
    AVI_TRY(avi_comm_sum_double(a->s->comm, &squares, 1));
    a->log_joint = -0.5 * squares / v - 0.5 * prior * a->theta_mean * a->theta_mean - n * LOG_2PI - n * log(m->sigma);
    if (prior > 0) a->log_joint += 0.5 * log(prior) - 0.5 * LOG_2PI;
    /* log p(x) = log p(x, u*) + sum_n log(2 pi / P_nn) / 2 + log(2 pi / marginal) / 2: z_n given theta, then theta. A
     * point stops before theta. */
    a->log_evidence = a->log_joint + 0.5 * n * (LOG_2PI - log(v / variance));
    if (a->s->problem.global_gaussian) {
        a->log_evidence += 0.5 * (LOG_2PI - log(marginal));
        a->evidence = prior > 0 ? "theta and all z integrated out" : "theta (flat prior) and all z integrated out";
    } else {
        a->evidence = prior > 0 ? "log p(x, theta) at its maximum over theta, all z integrated out"
                                : "log p(x | theta) at its maximum over theta, all z integrated out";
    }
    return AVI_OK;
}

avi_status avi_exact_scalar_residuals(const avi_optimum *a, int64_t first, int64_t count, int64_t cols, const double *z,
                                      const double *theta, double *out)
{
    (void)first;
    const avi_exact_scalar *m = a->self;
    const double slope = m->alpha / m->sigma, shift = m->beta / m->sigma;
    for (int64_t n = 0; n < count; n++) {
        const double *u = z + (1 + n) * cols;
        double *o = out + 2 * n * cols;
        for (int64_t c = 0; c < cols; c++) {
            o[c] = u[c];
            o[cols + c] = slope * u[c] + shift * theta[c];
        }
    }
    return AVI_OK;
}

void avi_exact_scalar_destroy(avi_optimum *a) { free(a->self); }
