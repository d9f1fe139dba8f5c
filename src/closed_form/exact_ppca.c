/* Probabilistic principal components (Tipping & Bishop 1999): maximum likelihood from the eigenvalues of the data's
 * covariance (pdsyevd). In the principal axes W'W is diagonal, so independent factors are the posterior itself: ELBO* =
 * log p(x | theta). Their means are affine in x_n and their variances constant: a polynomial of degree 1 closes the gap
 * (Lucas et al. 2019), and a constant leaves a Gaussian with one variance. */
#include "closed_form/optimum.h"
#include "avi/linalg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double LOG_2PI = 1.8378770664093454836;

typedef struct pca {
    int64_t l, d;
    double *mean, *covariance; /* (D), (D, D) */
    double *value;             /* (D), ascending */
    double *axis;              /* (L, D), of the largest first */
    double *weight;            /* (D, L) */
    double noise;              /* s^2 */
} pca;

static avi_status check(const avi_session *s)
{
    if (s->problem.global_gaussian)
        return avi_config_fail(s->config, "model", "global",
                               "model ppca has a closed form for theta as a point; use point");
    if (s->model->prior_sd > 0)
        return avi_config_fail(s->config, "model", "prior_sd",
                               "model ppca has a closed form under a flat prior of theta; use 0");
    if (s->model->latent >= s->shape.width)
        return avi_config_fail(s->config, "model", "latent",
                               "%lld dimensions for rows of %lld values leave no dimension to the noise; use fewer",
                               (long long)s->model->latent, (long long)s->shape.width);
    return AVI_OK;
}

static avi_status allocate(avi_optimum *a, pca *p)
{
    avi_status status = AVI_OK;
    const int64_t d = a->s->shape.width, l = a->latent;
    *p = (pca){.l = l, .d = d};
    p->mean = avi_optimum_memory(a, d, &status);
    p->covariance = avi_optimum_memory(a, d * d, &status);
    p->value = avi_optimum_memory(a, d, &status);
    p->axis = avi_optimum_memory(a, l * d, &status);
    p->weight = avi_optimum_memory(a, l * d, &status);
    return status;
}

/* W = U (Lambda - s^2)^{1/2}, s^2 the mean of the eigenvalues left over. */
static avi_status maximise(avi_optimum *a, pca *p)
{
    avi_linalg_dense dense = {p->covariance, p->d};
    AVI_TRY(avi_linalg_covariance(a->s->comm, a->rows, p->d, a->x, p->mean, p->covariance));
    AVI_TRY(avi_linalg_eigen(a->s->comm, p->d, avi_linalg_dense_entry, &dense, p->value, p->l, p->axis));
    for (int64_t k = 0; k < p->d - p->l; k++) p->noise += p->value[k] / (double)(p->d - p->l);
    if (!(p->noise > 1e-14 * p->value[p->d - 1]))
        return avi_fail(AVI_ERR_DATA,
                        "model ppca: %lld components explain the data without noise, and the likelihood has no "
                        "maximum; use model.latent lower than %lld",
                        (long long)p->l, (long long)p->l);
    for (int64_t k = 0; k < p->l; k++) {
        const double left = p->value[p->d - 1 - k] - p->noise;
        for (int64_t i = 0; i < p->d; i++) p->weight[i * p->l + k] = left > 0 ? sqrt(left) * p->axis[k * p->d + i] : 0;
    }
    return AVI_OK;
}

/* z_k has the mean w_k' (x - mean) / lambda_k and the variance s^2 / lambda_k. */
static void local_factors(avi_optimum *a, const pca *p)
{
    for (int64_t n = 0; n < a->rows; n++)
        for (int64_t k = 0; k < p->l; k++) {
            double sum = 0;
            for (int64_t i = 0; i < p->d; i++) sum += p->weight[i * p->l + k] * (a->x[n * p->d + i] - p->mean[i]);
            a->mean[(1 + n) * p->l + k] = sum / p->value[p->d - 1 - k];
            a->log_sd[n * p->l + k] = 0.5 * log(p->noise / p->value[p->d - 1 - k]);
        }
}

/* Of all rows: -N (D log 2 pi + log det + D) / 2 at the maximum, `leading` eigenvalues kept and the others one
 * variance. */
static double log_likelihood(const avi_optimum *a, const pca *p, int64_t leading)
{
    double rest = 0, logs = 0;
    for (int64_t k = 0; k < p->d - leading; k++) rest += p->value[k] / (double)(p->d - leading);
    for (int64_t k = p->d - leading; k < p->d; k++) logs += log(p->value[k]);
    return -0.5 * (double)a->s->partition.rows *
           ((double)p->d * (LOG_2PI + 1) + logs + (double)(p->d - leading) * log(rest));
}

static avi_status add_fields(avi_optimum *a, const pca *p)
{
    const avi_field f = {.path = "/exact/weight",
                         .type = AVI_F64,
                         .rank = 2,
                         .dims = {p->d, p->l},
                         .data = p->weight,
                         .description = "W at the maximum of the likelihood, columns along the principal axes",
                         .units = "",
                         .axes = "column, dimension"};
    AVI_TRY(avi_fields_add(&a->fields, f));
    AVI_TRY(avi_fields_add(&a->fields, (avi_field){.path = "/exact/bias",
                                                   .type = AVI_F64,
                                                   .rank = 1,
                                                   .dims = {p->d},
                                                   .data = p->mean,
                                                   .description = "mu at the maximum of the likelihood",
                                                   .units = "",
                                                   .axes = "column"}));
    AVI_TRY(
        avi_fields_add(&a->fields, (avi_field){.path = "/exact/eigenvalues",
                                               .type = AVI_F64,
                                               .rank = 1,
                                               .dims = {p->d},
                                               .data = p->value,
                                               .description = "of the covariance of the data (divisor N), ascending",
                                               .units = "",
                                               .axes = "component"}));
    AVI_TRY(avi_optimum_scalar(a, "noise_sd", sqrt(p->noise), "", "s at the maximum of the likelihood"));
    return avi_optimum_scalar(a, "log_likelihood_per_row", a->log_evidence / (double)a->s->partition.rows,
                              "nats per row", "maximum log-likelihood a datapoint");
}

static avi_status solve(avi_optimum *a)
{
    pca p;
    const int degree = (int)avi_config_get_int(a->s->config, "run", "exact_degree");
    AVI_TRY(avi_agree(a->s->comm, allocate(a, &p)));
    AVI_TRY(maximise(a, &p));
    local_factors(a, &p);
    a->elbo = a->log_evidence = log_likelihood(a, &p, p.l);
    a->evidence = "log p(x | theta) at its maximum over theta, all z integrated out";
    avi_optimum_add_polynomial(a, "constant", 1, a->elbo - log_likelihood(a, &p, 0));
    if (degree > 0 && !a->s->problem.domain.only_next) avi_optimum_add_polynomial(a, "degree_1", 1 + a->width, 0);
    return add_fields(a, &p);
}

/* Rows about their means, and a few matrices of all values by all. */
static int64_t bytes(const avi_session *s)
{
    const int ranks = avi_comm_size(s->comm);
    const int64_t d = s->shape.width;
    return 8 * d * ((s->partition.rows + ranks - 1) / ranks) + 4 * 8 * d * d;
}

const avi_exact_ops avi_exact_ppca = {
    .name = "ppca",
    .doc = "probabilistic principal components",
    .check = check,
    .solve = solve,
    .bytes = bytes,
};
