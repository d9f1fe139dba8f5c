/* Expectation of the grouped Bernoulli density under Gaussian z and theta, value and gradient in one pass.
 *
 * With t = log_tau fixed, the logit of trial j is N(mu, s^2): mu = a + e^t m + x_j' b, s^2 = sa^2 + e^(2t) sz^2 + sum_k
 * x_jk^2 sb_k^2. With p(u) = sigmoid(mu + s u): d E softplus / d mu = E p, d E softplus / d s = E p u. Everything else
 * is the chain rule; y times the logit has an expectation in closed form but for tau, whose points serve it too. */
#include "avi/kernel.h"
#include "avi/vmath.h"
#include "density/group_rows.h"
#include "tape/internal.h"

#include <math.h>
#include <string.h>

enum { TAU_POINTS = 9, ALPHA = 0, LOG_TAU = 1, BETA = 2 };

static const double tau_point[TAU_POINTS] = {
    -4.5127458633997826, -3.2054290028564698, -2.0768479786778302, -1.0232556637891326, 0,
    1.0232556637891326,  2.0768479786778302,  3.2054290028564698,  4.5127458633997826};
static const double tau_weight[TAU_POINTS] = {2.2345844007746607e-05, 0.0027891413212317692, 0.049916406765217823,
                                              0.24409750289493953,    0.40634920634920635,   0.24409750289493953,
                                              0.049916406765217823,   0.0027891413212317692, 2.2345844007746607e-05};

/* E softplus(mu + s u) and its derivatives by mu and s. */
static real softplus_mean(const avi_group_points *g, real mu, real s, real *dmu, real *ds)
{
    real value = 0, by_mu = 0, by_s = 0;
    for (int k = 0; k < g->points; k++) {
        const real u = (real)g->point[k], w = (real)g->weight[k], l = mu + s * u, p = w * vm_sigmoid(l);
        value += w * vm_softplus(l);
        by_mu += p;
        by_s += p * u;
    }
    *dmu = by_mu;
    *ds = by_s;
    return value;
}

typedef struct group {
    group_row row;
    const real *mean, *log_sd; /* of theta (2 + p) */
    real z, sz;                /* mean and sd of z */
    real *d;                   /* (2 + 2 (2 + p)): derivatives by nu, means, log sds */
} group;

/* Trial j, at every point of log_tau: its value; adds to the derivatives. */
static real trial(const avi_group_points *g, const group *r, int64_t j)
{
    const int64_t p = g->shape.covariates;
    const real *x = r->row.x + j * r->row.x_stride, sa = vm_exp(r->log_sd[ALPHA]), st = vm_exp(r->log_sd[LOG_TAU]),
               y = r->row.y[j * r->row.y_stride];
    real *dmean = r->d + 2, *dls = dmean + 2 + p, slope = r->mean[ALPHA], spread = sa * sa, value = 0;
    real by_mu = 0, by_var = 0;
    for (int64_t k = 0; k < p; k++) {
        const real sb = x[k] * vm_exp(r->log_sd[BETA + k]);
        slope += x[k] * r->mean[BETA + k];
        spread += sb * sb;
    }
    for (int i = 0; i < TAU_POINTS; i++) {
        const real e = (real)tau_point[i], w = (real)tau_weight[i], tau = vm_exp(r->mean[LOG_TAU] + st * e),
                   zvar = tau * tau * r->sz * r->sz, mu = slope + tau * r->z, s = R_FN(sqrt)(spread + zvar);
        real dmu, ds;
        value += w * (y * mu - softplus_mean(g, mu, s, &dmu, &ds));
        const real of_mu = w * (y - dmu), of_var = -w * ds / (2 * s), of_tau = of_mu * tau * r->z + 2 * of_var * zvar;
        by_mu += of_mu;
        by_var += of_var;
        r->d[0] += of_mu * tau;
        r->d[1] += 2 * of_var * zvar;
        dmean[LOG_TAU] += of_tau;
        dls[LOG_TAU] += of_tau * st * e;
    }
    dmean[ALPHA] += by_mu;
    dls[ALPHA] += 2 * by_var * sa * sa;
    for (int64_t k = 0; k < p; k++) {
        const real sb = x[k] * vm_exp(r->log_sd[BETA + k]);
        dmean[BETA + k] += by_mu * x[k];
        dls[BETA + k] += 2 * by_var * sb * sb;
    }
    return value;
}

/* aux: the derivatives of each row (B, 2 + 2 (2 + p)). */
void AVI_R(avi_forward_group_expected)(avi_tape *t, avi_node *n)
{
    const avi_group_points *g = n->data;
    const int64_t all = 2 + 2 * n->in[2]->cols;
    const real *nu = n->in[1]->value;
    n->aux = avi_tape_alloc(t, n->rows * all);
    memset(n->aux, 0, (size_t)(n->rows * all) * sizeof(real));
    for (int64_t b = 0; b < n->rows; b++) {
        const group r = {.row = group_of(&g->shape, n->in[0], b),
                         .mean = n->in[2]->value,
                         .log_sd = n->in[3]->value,
                         .z = nu[2 * b],
                         .sz = vm_exp(nu[2 * b + 1]),
                         .d = (real *)n->aux + b * all};
        real sum = 0;
        for (int64_t j = 0; j < r.row.trials; j++)
            if (!(r.row.y[j * r.row.y_stride] < 0)) sum += trial(g, &r, j);
        ((real *)n->value)[b] = sum;
    }
}

void AVI_R(avi_backward_group_expected)(avi_tape *t, avi_node *n)
{
    const int64_t theta = n->in[2]->cols, all = 2 + 2 * theta;
    const real *g = n->grad, *d = n->aux;
    real *dnu = n->in[1]->needs_grad ? avi_tape_grad(t, n->in[1]) : NULL;
    real *dmean = n->in[2]->needs_grad ? avi_tape_grad(t, n->in[2]) : NULL;
    real *dls = n->in[3]->needs_grad ? avi_tape_grad(t, n->in[3]) : NULL;
    for (int64_t b = 0; b < n->rows; b++, d += all) {
        for (int64_t k = 0; dnu && k < 2; k++) dnu[2 * b + k] += g[b] * d[k];
        for (int64_t k = 0; dmean && k < theta; k++) dmean[k] += g[b] * d[2 + k];
        for (int64_t k = 0; dls && k < theta; k++) dls[k] += g[b] * d[2 + theta + k];
    }
}
