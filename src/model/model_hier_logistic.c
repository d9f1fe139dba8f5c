/* Logistic regression with a random intercept for each group: z_n ~ N(0, 1), y_nj ~ Bernoulli(logit = alpha + tau z_n +
 * x_nj' beta), j = 1 .. m; a row of the data is a group. theta = alpha, log tau, beta, each with the prior N(0,
 * prior_sd^2). (Non-centred: Papaspiliopoulos, Roberts & Skoeld 2007.) */
#include "density/logistic_groups.h"
#include "avi/rng.h"
#include "model/scalar.h"
#include "tape/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ALPHA, LOG_TAU, BETA };

typedef struct hier_logistic {
    avi_group_shape shape;
    avi_group_points points; /* of the last expectation: the same at every call of a run */
    double alpha, tau, beta; /* of simulated data */
    double *draw;            /* (BLOCK, 1 + m p): draws of a block of them; owned, NULL before the first */
} hier_logistic;

enum { BLOCK = 64 };

static const avi_key keys[] = {
    {"model", "trials", AVI_KEY_INT, "10", 1, 65536, NULL, NULL, "outcomes m of a group (0 or 1; below 0: no trial)"},
    {"model", "covariates", AVI_KEY_INT, "2", 0, 65536, NULL, NULL,
     "covariates p of each trial; a row holds m outcomes, then m times p covariates"},
    {"model", "prior_sd", AVI_KEY_REAL, "2.5", 0, 1e6, NULL, NULL, "alpha, log tau, beta ~ N(0, prior_sd^2); 0: flat"},
    {"model", "global_log_sd", AVI_KEY_REAL, "-2", -30, 5, NULL, NULL,
     "initial log sd of q(theta), where global = gaussian"},
    {"model", "simulate_alpha", AVI_KEY_REAL, "0.5", -100, 100, NULL, NULL, "alpha of simulated data"},
    {"model", "simulate_tau", AVI_KEY_REAL, "1", 0, 100, NULL, NULL, "tau of simulated data"},
    {"model", "simulate_beta", AVI_KEY_REAL, "1", -100, 100, NULL, NULL,
     "slopes of simulated data: beta, -beta, beta, ..."},
};

static int64_t row_width(const avi_group_shape *s) { return s->trials * (1 + s->covariates); }

static avi_status create(avi_model *m, const avi_config *config, const avi_shape *shape)
{
    (void)shape;
    hier_logistic *h = m->self = calloc(1, sizeof *h);
    if (!h) return avi_fail_memory(sizeof *h, "the model");
    h->shape = (avi_group_shape){avi_config_get_int(config, "model", "trials"),
                                 avi_config_get_int(config, "model", "covariates")};
    h->alpha = avi_config_get_real(config, "model", "simulate_alpha");
    h->tau = avi_config_get_real(config, "model", "simulate_tau");
    h->beta = avi_config_get_real(config, "model", "simulate_beta");
    m->prior_sd = avi_config_get_real(config, "model", "prior_sd");
    m->initial_log_sd = avi_config_get_real(config, "model", "global_log_sd");
    AVI_TRY(avi_model_need_width(m, row_width(&h->shape), "model.trials outcomes and model.covariates for each"));
    AVI_TRY(avi_params_add(&m->theta, "alpha", 1, 1, AVI_INIT_CONSTANT, 0, NULL));
    AVI_TRY(avi_params_add(&m->theta, "log_tau", 1, 1, AVI_INIT_CONSTANT, 0, NULL));
    return h->shape.covariates ? avi_params_add(&m->theta, "beta", 1, h->shape.covariates, AVI_INIT_CONSTANT, 0, NULL)
                               : AVI_OK;
}

static avi_support support(const avi_model *m, int64_t column)
{
    return column < ((const hier_logistic *)m->self)->shape.trials ? AVI_SUPPORT_BINARY_OR_ABSENT : AVI_SUPPORT_REAL;
}

void avi_forward_group_logit_f32(avi_tape *t, avi_node *n);
void avi_forward_group_logit_f64(avi_tape *t, avi_node *n);
void avi_backward_group_logit_f32(avi_tape *t, avi_node *n);
void avi_backward_group_logit_f64(avi_tape *t, avi_node *n);
static const avi_custom_op group_logit_op = {.name = "group_logit",
                                             .forward = {avi_forward_group_logit_f32, avi_forward_group_logit_f64},
                                             .backward = {avi_backward_group_logit_f32, avi_backward_group_logit_f64}};

avi_node *avi_group_logit_lpdf(avi_tape *t, const avi_group_shape *shape, avi_node *x, avi_node *intercept,
                               avi_node *beta)
{
    avi_tape_require(x->cols == row_width(shape) && intercept->cols == 1 && intercept->rows % x->rows == 0,
                     "group_logit", "operands are not (B, m + m p) and (B*S, 1)", x, intercept);
    return avi_custom(t, &group_logit_op, intercept->rows, 1, beta ? 3 : 2, (avi_node *[]){x, intercept, beta}, shape);
}

static avi_node *log_likelihood(const avi_model *m, avi_tape *t, const avi_batch *b, avi_node *z, avi_node **theta)
{
    const hier_logistic *h = m->self;
    avi_node *intercept = avi_add(t, avi_mul(t, z, avi_map(t, theta[LOG_TAU], AVI_EXP)), theta[ALPHA]);
    return avi_group_logit_lpdf(t, &h->shape, b->x, intercept, h->shape.covariates ? theta[BETA] : NULL);
}

void avi_forward_group_expected_f32(avi_tape *t, avi_node *n);
void avi_forward_group_expected_f64(avi_tape *t, avi_node *n);
void avi_backward_group_expected_f32(avi_tape *t, avi_node *n);
void avi_backward_group_expected_f64(avi_tape *t, avi_node *n);
static const avi_custom_op group_expected_op = {
    .name = "group_expected",
    .forward = {avi_forward_group_expected_f32, avi_forward_group_expected_f64},
    .backward = {avi_backward_group_expected_f32, avi_backward_group_expected_f64}};

avi_node *avi_group_logit_expected(avi_tape *t, const avi_group_points *points, avi_node *x, avi_node *nu,
                                   avi_node *theta_mean, avi_node *theta_log_sd)
{
    const avi_group_shape *s = &points->shape;
    avi_tape_require(x->cols == row_width(s) && nu->cols == 2 && nu->rows == x->rows, "group_expected",
                     "operands are not (B, m + m p) and (B, 2)", x, nu);
    avi_tape_require(theta_mean->cols == 2 + s->covariates && theta_log_sd->cols == theta_mean->cols, "group_expected",
                     "theta is not (1, 2 + p)", theta_mean, theta_log_sd);
    return avi_custom(t, &group_expected_op, x->rows, 1, 4, (avi_node *[]){x, nu, theta_mean, theta_log_sd}, points);
}

/* alpha, log_tau and beta as one row. */
static avi_node *row_of(avi_tape *t, const hier_logistic *h, avi_node **theta)
{
    avi_node *two = avi_concat(t, theta[ALPHA], theta[LOG_TAU]);
    return h->shape.covariates ? avi_concat(t, two, theta[BETA]) : two;
}

static avi_node *expected_log_likelihood(const avi_model *m, avi_tape *t, const avi_batch *b, avi_node *nu,
                                         avi_node **theta_mean, avi_node **theta_log_sd, int points,
                                         const double *point, const double *weight)
{
    hier_logistic *h = m->self;
    h->points = (avi_group_points){h->shape, points, point, weight};
    return avi_group_logit_expected(t, &h->points, b->x, nu, row_of(t, h, theta_mean), row_of(t, h, theta_log_sd));
}

/* Draws of a row: z, then the covariates; the outcomes from uniforms of another stream. */
static void simulate_row(const hier_logistic *h, uint64_t seed, int64_t row, const double *draw, double *y)
{
    const int64_t trials = h->shape.trials, p = h->shape.covariates;
    double *x = y + trials;
    memcpy(x, draw + 1, (size_t)(trials * p) * sizeof *x);
    avi_uniform_f64(avi_stream_make(seed, AVI_DRAW_DATA, 1), (uint64_t)row, 1, 0, trials, y);
    for (int64_t j = 0; j < trials; j++) {
        double logit = h->alpha + h->tau * draw[0];
        for (int64_t k = 0; k < p; k++) logit += (k & 1 ? -h->beta : h->beta) * x[j * p + k];
        y[j] = y[j] < 1 / (1 + exp(-logit)) ? 1 : 0;
    }
}

static avi_status simulate_rows(const avi_model *m, uint64_t seed, const int64_t *row, int64_t count, double *out)
{
    hier_logistic *h = m->self;
    const int64_t cols = 1 + h->shape.trials * h->shape.covariates;
    if (!h->draw) h->draw = malloc((size_t)(BLOCK * cols) * sizeof *h->draw);
    if (!h->draw) return avi_fail_memory((size_t)(BLOCK * cols) * sizeof *h->draw, "simulated data");
    for (int64_t done = 0; done < count; done += BLOCK) {
        const int64_t n = count - done < BLOCK ? count - done : BLOCK;
        avi_simulate_normals_rows(seed, row + done, n, 0, cols, h->draw);
        for (int64_t i = 0; i < n; i++)
            simulate_row(h, seed, row[done + i], h->draw + i * cols, out + (done + i) * row_width(&h->shape));
    }
    return AVI_OK;
}

static void destroy(avi_model *m)
{
    hier_logistic *h = m->self;
    if (h) free(h->draw);
    free(h);
}

static int64_t simulated_width(const avi_config *config)
{
    return avi_config_get_int(config, "model", "trials") * (1 + avi_config_get_int(config, "model", "covariates"));
}

const avi_model_ops avi_model_hier_logistic = {
    .name = "hier_logistic",
    .doc = "logistic regression with a random intercept for each group; a row is a group: m outcomes, then their "
           "covariates",
    .keys = keys,
    .key_count = (int)(sizeof keys / sizeof keys[0]),
    .small = "trials = 4\ncovariates = 3\n",
    .coupling = AVI_INDEPENDENT,
    .create = create,
    .support = support,
    .support_remedy = "write the model.trials outcomes first in a row, as 0 and 1",
    .destroy = destroy,
    .log_likelihood = log_likelihood,
    .expected_log_likelihood = expected_log_likelihood,
    .simulate_rows = simulate_rows,
    .simulated_width = simulated_width,
};
