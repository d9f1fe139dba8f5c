/* Logistic regression with a random intercept for each group: z_n ~ N(0, 1), y_nj ~ Bernoulli(logit = alpha + tau z_n +
 * x_nj' beta), j = 1 .. m_n; a row of the data is a group: m outcomes and their covariates in a row of one width, or
 * any number of entries of an outcome and its covariates each. theta = alpha, log tau, beta, each with the prior N(0,
 * prior_sd^2). (Non-centred: Papaspiliopoulos, Roberts & Skoeld 2007.) */
#include "density/logistic_groups.h"
#include "avi/rng.h"
#include "model/scalar.h"
#include "tape/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ALPHA, LOG_TAU, BETA };

/* Trials of the groups of simulated data. */
typedef enum group_sizes { PADDED, EQUAL, UNIFORM, GEOMETRIC } group_sizes;

typedef struct hier_logistic {
    avi_group_shape shape;   /* of groups of one width */
    double alpha, tau, beta; /* of simulated data */
    double *draw;            /* (room): draws of a block of them; owned, NULL before the first */
    int64_t room;
    group_sizes sizes;
} hier_logistic;

enum { BLOCK = 64 };

static const avi_key keys[] = {
    {"model", "trials", AVI_KEY_INT, "10", 1, 65536, NULL, NULL,
     "outcomes m of a group (0 or 1; below 0: no trial) in rows of one width; of simulated groups of any number of "
     "entries the mean of m"},
    {"model", "covariates", AVI_KEY_INT, "2", 0, 65536, NULL, NULL,
     "covariates p of each trial; a row of one width holds m outcomes, then m times p covariates, an entry of a group "
     "an "
     "outcome, then p covariates"},
    {"model", "group_sizes", AVI_KEY_CHOICE, "padded", 0, 0, "padded | equal | uniform | geometric", NULL,
     "simulated data: rows of one width with m outcomes each (padded), or groups of entries: m in each (equal), 0 to 2 "
     "m "
     "(uniform), or a geometric number with mean m"},
    {"model", "prior_sd", AVI_KEY_REAL, "2.5", 0, 1e6, NULL, NULL, "alpha, log tau, beta ~ N(0, prior_sd^2); 0: flat"},
    {"model", "global_log_sd", AVI_KEY_REAL, "-2", -30, 5, NULL, NULL,
     "initial log sd of q(theta), where it is a Gaussian"},
    {"model", "simulate_alpha", AVI_KEY_REAL, "0.5", -100, 100, NULL, NULL, "alpha of simulated data"},
    {"model", "simulate_tau", AVI_KEY_REAL, "1", 0, 100, NULL, NULL, "tau of simulated data"},
    {"model", "simulate_beta", AVI_KEY_REAL, "1", -100, 100, NULL, NULL,
     "slopes of simulated data: beta, -beta, beta, ..."},
};

static int64_t row_width(const avi_group_shape *s) { return s->trials * (1 + s->covariates); }

static group_sizes sizes_of(const avi_config *config)
{
    const char *name = avi_config_get_string(config, "model", "group_sizes");
    if (!strcmp(name, "padded")) return PADDED;
    return !strcmp(name, "equal") ? EQUAL : !strcmp(name, "uniform") ? UNIFORM : GEOMETRIC;
}

static avi_status check_width(const avi_model *m, const avi_config *config, const avi_shape *shape)
{
    const hier_logistic *h = m->self;
    if (!shape->ragged)
        return avi_model_need_width(m, row_width(&h->shape), "model.trials outcomes and model.covariates for each");
    if (shape->width == 1 + h->shape.covariates) return AVI_OK;
    return avi_config_fail(config, "model", "covariates",
                           "an entry of the data has %lld values, an outcome and its covariates; use %lld",
                           (long long)shape->width, (long long)(shape->width - 1));
}

static avi_status create(avi_model *m, const avi_config *config, const avi_shape *shape)
{
    hier_logistic *h = m->self = calloc(1, sizeof *h);
    if (!h) return avi_fail_memory(sizeof *h, "the model");
    h->shape = (avi_group_shape){.trials = avi_config_get_int(config, "model", "trials"),
                                 .covariates = avi_config_get_int(config, "model", "covariates")};
    h->sizes = sizes_of(config);
    h->alpha = avi_config_get_real(config, "model", "simulate_alpha");
    h->tau = avi_config_get_real(config, "model", "simulate_tau");
    h->beta = avi_config_get_real(config, "model", "simulate_beta");
    m->prior_sd = avi_config_get_real(config, "model", "prior_sd");
    m->initial_log_sd = avi_config_get_real(config, "model", "global_log_sd");
    AVI_TRY(check_width(m, config, shape));
    AVI_TRY(avi_params_add(&m->theta, "alpha", 1, 1, AVI_INIT_CONSTANT, 0, NULL));
    AVI_TRY(avi_params_add(&m->theta, "log_tau", 1, 1, AVI_INIT_CONSTANT, 0, NULL));
    AVI_TRY(
        avi_params_describe(&m->theta, "alpha", "value", "mean of the intercepts of the groups, on the logit scale"));
    AVI_TRY(avi_params_describe(&m->theta, "log_tau", "value",
                                "logarithm of the standard deviation of the intercepts of the groups"));
    if (!h->shape.covariates) return AVI_OK;
    AVI_TRY(avi_params_add(&m->theta, "beta", 1, h->shape.covariates, AVI_INIT_CONSTANT, 0, NULL));
    return avi_params_describe(&m->theta, "beta", "covariate", "slope of each covariate, on the logit scale");
}

static avi_support support(const avi_model *m, int64_t column)
{
    const int64_t outcomes = m->shape.ragged ? 1 : ((const hier_logistic *)m->self)->shape.trials;
    return column < outcomes ? AVI_SUPPORT_BINARY_OR_ABSENT : AVI_SUPPORT_REAL;
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
    const int64_t width = shape->entry ? 1 + shape->covariates : row_width(shape),
                  groups = shape->entry ? shape->groups : x->rows;
    avi_tape_require(x->cols == width && intercept->cols == 1 && intercept->rows % groups == 0, "group_logit",
                     "operands are not (B, m + m p) or (E, 1 + p), and (B*S, 1)", x, intercept);
    return avi_custom(t, &group_logit_op, intercept->rows, 1, beta ? 3 : 2, (avi_node *[]){x, intercept, beta}, shape);
}

/* A copy of `bytes` bytes that lives as long as the block. */
static void *keep(avi_tape *t, const void *from, size_t bytes)
{
    return memcpy(avi_tape_alloc(t, (int64_t)(bytes / sizeof(float)) + 1), from, bytes);
}

/* The groups of a block. */
static avi_group_shape shape_of(const hier_logistic *h, const avi_batch *b)
{
    return (avi_group_shape){h->shape.trials, h->shape.covariates, b->rows, b->entry};
}

static avi_node *log_likelihood(const avi_model *m, avi_tape *t, const avi_batch *b, avi_node *z, avi_node **theta)
{
    const hier_logistic *h = m->self;
    avi_node *intercept = avi_add(t, avi_mul(t, z, avi_map(t, theta[LOG_TAU], AVI_EXP)), theta[ALPHA]);
    const avi_group_shape shape = shape_of(h, b);
    return avi_group_logit_lpdf(t, keep(t, &shape, sizeof shape), b->x, intercept,
                                h->shape.covariates ? theta[BETA] : NULL);
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
    const int64_t width = s->entry ? 1 + s->covariates : row_width(s), groups = s->entry ? s->groups : x->rows;
    avi_tape_require(x->cols == width && nu->cols == 2 && nu->rows == groups, "group_expected",
                     "operands are not (B, m + m p) or (E, 1 + p), and (B, 2)", x, nu);
    avi_tape_require(theta_mean->cols == 2 + s->covariates && theta_log_sd->cols == theta_mean->cols, "group_expected",
                     "theta is not (1, 2 + p)", theta_mean, theta_log_sd);
    return avi_custom(t, &group_expected_op, nu->rows, 1, 4, (avi_node *[]){x, nu, theta_mean, theta_log_sd}, points);
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
    const hier_logistic *h = m->self;
    const avi_group_points p = {shape_of(h, b), points, point, weight};
    return avi_group_logit_expected(t, keep(t, &p, sizeof p), b->x, nu, row_of(t, h, theta_mean),
                                    row_of(t, h, theta_log_sd));
}

/* ---- simulated data ---- */

/* Trials of a row, from a uniform of a stream of its own. Nothing but padded rows have all m. */
static int64_t simulated_entries(const avi_model *m, uint64_t seed, int64_t row)
{
    const hier_logistic *h = m->self;
    const double mean = (double)h->shape.trials;
    double u;
    if (h->sizes == PADDED || h->sizes == EQUAL) return h->shape.trials;
    avi_uniform_f64(avi_stream_make(seed, AVI_DRAW_DATA, 2), (uint64_t)row, 1, 0, 1, &u);
    return (int64_t)(h->sizes == UNIFORM ? u * (2 * mean + 1) : log(u) / log(mean / (1 + mean)));
}

/* The outcome of a trial from its uniform u: z is that of the group, x are its covariates. */
static double outcome(const hier_logistic *h, double z, const double *x, double u)
{
    double logit = h->alpha + h->tau * z;
    for (int64_t k = 0; k < h->shape.covariates; k++) logit += (k & 1 ? -h->beta : h->beta) * x[k];
    return u < 1 / (1 + exp(-logit)) ? 1 : 0;
}

static void draw_uniforms(uint64_t seed, int64_t row, int64_t trials, double *out)
{
    avi_uniform_f64(avi_stream_make(seed, AVI_DRAW_DATA, 1), (uint64_t)row, 1, 0, trials, out);
}

/* draw: z, then the covariates of all trials. */
static void simulate_row(const hier_logistic *h, uint64_t seed, int64_t row, const double *draw, double *y)
{
    const int64_t trials = h->shape.trials, p = h->shape.covariates;
    memcpy(y + trials, draw + 1, (size_t)(trials * p) * sizeof *y);
    draw_uniforms(seed, row, trials, y);
    for (int64_t j = 0; j < trials; j++) y[j] = outcome(h, draw[0], draw + 1 + j * p, y[j]);
}

static avi_status reserve(hier_logistic *h, int64_t values)
{
    if (values <= h->room) return AVI_OK;
    free(h->draw);
    h->room = values;
    h->draw = malloc((size_t)values * sizeof *h->draw);
    if (!h->draw) h->room = 0;
    return h->draw ? AVI_OK : avi_fail_memory((size_t)values * sizeof *h->draw, "simulated data");
}

static avi_status simulate_groups(const avi_model *m, uint64_t seed, const int64_t *row, int64_t count, double *out)
{
    hier_logistic *h = m->self;
    const int64_t p = h->shape.covariates, width = 1 + p;
    for (int64_t i = 0; i < count; i++) {
        const int64_t trials = simulated_entries(m, seed, row[i]);
        AVI_TRY(reserve(h, 1 + trials * width));
        double *x = h->draw + 1, *u = x + trials * p;
        avi_simulate_normals_rows(seed, row + i, 1, 0, 1 + trials * p, h->draw);
        draw_uniforms(seed, row[i], trials, u);
        for (int64_t j = 0; j < trials; j++, out += width) {
            out[0] = outcome(h, h->draw[0], x + j * p, u[j]);
            memcpy(out + 1, x + j * p, (size_t)p * sizeof *out);
        }
    }
    return AVI_OK;
}

static avi_status simulate_rows(const avi_model *m, uint64_t seed, const int64_t *row, int64_t count, double *out)
{
    hier_logistic *h = m->self;
    const int64_t cols = 1 + h->shape.trials * h->shape.covariates;
    if (h->sizes != PADDED) return simulate_groups(m, seed, row, count, out);
    AVI_TRY(reserve(h, BLOCK * cols));
    for (int64_t done = 0; done < count; done += BLOCK) {
        const int64_t n = count - done < BLOCK ? count - done : BLOCK;
        avi_simulate_normals_rows(seed, row + done, n, 0, cols, h->draw);
        for (int64_t i = 0; i < n; i++)
            simulate_row(h, seed, row[done + i], h->draw + i * cols, out + (done + i) * row_width(&h->shape));
    }
    return AVI_OK;
}

static bool simulates_ragged(const avi_config *config) { return sizes_of(config) != PADDED; }

static void destroy(avi_model *m)
{
    hier_logistic *h = m->self;
    if (h) free(h->draw);
    free(h);
}

static int64_t simulated_width(const avi_config *config)
{
    const int64_t entry = 1 + avi_config_get_int(config, "model", "covariates");
    return simulates_ragged(config) ? entry : avi_config_get_int(config, "model", "trials") * entry;
}

const avi_model_ops avi_model_hier_logistic = {
    .name = "hier_logistic",
    .doc = "logistic regression with a random intercept for each group; a row is a group: m outcomes, then their "
           "covariates, or any number of entries of an outcome and its covariates",
    .keys = keys,
    .key_count = (int)(sizeof keys / sizeof keys[0]),
    .small = "trials = 4\ncovariates = 3\n",
    .small_ragged = "group_sizes = geometric\n",
    .coupling = AVI_INDEPENDENT,
    .ragged = true,
    .create = create,
    .support = support,
    .support_remedy = "write the outcomes as 0 and 1, first in an entry, or first in a row all model.trials of it",
    .destroy = destroy,
    .log_likelihood = log_likelihood,
    .expected_log_likelihood = expected_log_likelihood,
    .simulate_rows = simulate_rows,
    .simulated_width = simulated_width,
    .simulates_ragged = simulates_ragged,
    .simulated_entries = simulated_entries,
};
