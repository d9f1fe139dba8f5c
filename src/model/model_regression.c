/* Bayesian linear regression: y_n ~ N(alpha + x_n' beta + tau z_n, sigma^2), z_n ~ N(0, 1); a row of the data is y_n
 * and its p covariates. theta = alpha, beta_1 .. beta_p, each with the prior N(0, prior_sd^2). With tau = 0 there is
 * nothing to be known of z_n, and the posterior of theta is a Gaussian whose precision is X'X / sigma^2 + 1 /
 * prior_sd^2: what a q(theta) with correlated values reaches and one with independent values does not. */
#include "model/scalar.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST_COVARIATES = 64 };

typedef struct regression {
    double tau, sigma;
    double alpha, beta, correlation; /* of simulated data */
} regression;

static const avi_key keys[] = {
    {"model", "covariates", AVI_KEY_INT, "2", 0, MOST_COVARIATES, NULL, NULL,
     "covariates p; a row of the data is y, then these"},
    {"model", "tau", AVI_KEY_REAL, "0", 0, 1e6, NULL, "data units",
     "standard deviation of what z_n adds to the row; 0: ordinary regression"},
    {"model", "sigma", AVI_KEY_REAL, "1", 1e-6, 1e6, NULL, "data units", "standard deviation of the noise"},
    {"model", "prior_sd", AVI_KEY_REAL, "10", 0, 1e6, NULL, NULL, "alpha, beta ~ N(0, prior_sd^2); 0: flat"},
    {"model", "global_log_sd", AVI_KEY_REAL, "-2", -30, 5, NULL, NULL,
     "initial log sd of q(theta), where it is a Gaussian"},
    {"model", "simulate_alpha", AVI_KEY_REAL, "1", -1e6, 1e6, NULL, NULL, "alpha of simulated data"},
    {"model", "simulate_beta", AVI_KEY_REAL, "1", -1e6, 1e6, NULL, NULL,
     "beta of simulated data: this for the first covariate, minus this for the second, and so on"},
    {"model", "simulate_correlation", AVI_KEY_REAL, "0.5", -0.999, 0.999, NULL, NULL,
     "correlation of a covariate with the one before it in simulated data"},
};

static int64_t covariates_of(const avi_model *m) { return m->theta.count - 1; }

static avi_status create(avi_model *m, const avi_config *config, const avi_shape *shape)
{
    (void)shape;
    regression *r = m->self = calloc(1, sizeof *r);
    if (!r) return avi_fail_memory(sizeof *r, "the model");
    const int64_t p = avi_config_get_int(config, "model", "covariates");
    *r = (regression){.tau = avi_config_get_real(config, "model", "tau"),
                      .sigma = avi_config_get_real(config, "model", "sigma"),
                      .alpha = avi_config_get_real(config, "model", "simulate_alpha"),
                      .beta = avi_config_get_real(config, "model", "simulate_beta"),
                      .correlation = avi_config_get_real(config, "model", "simulate_correlation")};
    m->prior_sd = avi_config_get_real(config, "model", "prior_sd");
    m->initial_log_sd = avi_config_get_real(config, "model", "global_log_sd");
    AVI_TRY(avi_model_need_width(m, 1 + p, "y and model.covariates"));
    AVI_TRY(avi_params_add(&m->theta, "alpha", 1, 1, AVI_INIT_CONSTANT, 0, NULL));
    AVI_TRY(avi_params_describe(&m->theta, "alpha", "value", "mean of y where all covariates are 0"));
    for (int64_t k = 1; k <= p; k++) {
        char name[32], what[64];
        snprintf(name, sizeof name, "beta_%lld", (long long)k);
        snprintf(what, sizeof what, "slope of y in covariate %lld", (long long)k);
        AVI_TRY(avi_params_add(&m->theta, name, 1, 1, AVI_INIT_CONSTANT, 0, NULL));
        AVI_TRY(avi_params_describe(&m->theta, name, "value", what));
    }
    return AVI_OK;
}

/* alpha + x' beta + tau z: (B*S, 1). A draw of theta is beside every draw of z. */
static avi_node *mean_of(const avi_model *m, avi_tape *t, avi_node *x, avi_node *z, avi_node **theta)
{
    avi_node *mean = avi_add(t, avi_scale(t, z, ((const regression *)m->self)->tau, 0), theta[0]);
    for (int64_t k = 1; k <= covariates_of(m); k++) {
        avi_node *x_k = avi_repeat(t, avi_slice(t, x, k, 1), z->rows / x->rows);
        mean = avi_add(t, mean, avi_mul(t, x_k, theta[k]));
    }
    return mean;
}

static avi_node *log_likelihood(const avi_model *m, avi_tape *t, const avi_batch *b, avi_node *z, avi_node **theta)
{
    return avi_normal_lpdf_sd(t, avi_slice(t, b->x, 0, 1), mean_of(m, t, b->x, z, theta),
                              ((const regression *)m->self)->sigma);
}

/* Draws of a row: z, the noise, the covariates. */
static void simulate_row(const avi_model *m, const double *draw, double *out)
{
    const regression *r = m->self;
    const double rest = sqrt(1 - r->correlation * r->correlation);
    out[0] = r->alpha + r->tau * draw[0] + r->sigma * draw[1];
    for (int64_t k = 1; k <= covariates_of(m); k++) {
        out[k] = k > 1 ? r->correlation * out[k - 1] + rest * draw[1 + k] : draw[1 + k];
        out[0] += (k % 2 ? r->beta : -r->beta) * out[k];
    }
}

static avi_status simulate_rows(const avi_model *m, uint64_t seed, const int64_t *row, int64_t count, double *out)
{
    const int64_t p = covariates_of(m);
    double draw[2 + MOST_COVARIATES];
    for (int64_t i = 0; i < count; i++) {
        avi_simulate_normals_rows(seed, row + i, 1, 0, 2 + p, draw);
        simulate_row(m, draw, out + i * (1 + p));
    }
    return AVI_OK;
}

static int64_t simulated_width(const avi_config *config)
{
    return 1 + avi_config_get_int(config, "model", "covariates");
}

const avi_model_ops avi_model_regression = {
    .name = "regression",
    .doc = "Bayesian linear regression: y_n ~ N(alpha + x_n' beta + tau z_n, sigma^2); a row is y and its covariates",
    .keys = keys,
    .key_count = (int)(sizeof keys / sizeof keys[0]),
    .small = "tau = 0.7\n",
    .coupling = AVI_INDEPENDENT,
    .scalar_theta = true,
    .create = create,
    .log_likelihood = log_likelihood,
    .simulate_rows = simulate_rows,
    .simulated_width = simulated_width,
    .quadratic = 2,
};
