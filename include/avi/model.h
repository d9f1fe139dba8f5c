/* Models: p(theta) prod_n p(z_n | theta) p(x_n | z_n, theta). One file src/model/model_<name>.c and one line
 * AVI_MODEL(<name>) in registry.def; the symbol is `const avi_model_ops avi_model_<name>`. A model sees neither ranks
 * nor files. */
#ifndef AVI_MODEL_H
#define AVI_MODEL_H

#include "avi/config.h"
#include "avi/data.h"
#include "avi/param.h"
#include "avi/registry.h"
#include "avi/tape.h"

typedef enum avi_coupling {
    AVI_INDEPENDENT, /* z_n independent given theta */
    AVI_CHAIN,       /* z_n depends on z_{n-1} */
    AVI_DENSE        /* every dimension of z is a draw from N(0, K) over all rows; K is given */
} avi_coupling;

/* Rows a model is asked about: B rows with S draws each (tape.h tells how they are laid out). */
typedef struct avi_batch {
    int64_t rows, draws;  /* B, S */
    avi_node *x;          /* (B, D); of ragged rows their entries, one after the other: (E, D) */
    const int64_t *entry; /* ragged rows: (B + 1) entries of x before each row, from 0 to E; NULL: dense. For models
                             with ops->ragged; borrowed until the next reset of the tape */
    avi_node *mask;   /* (B, D): 1, or 0 where the value of x is missing (and 0); NULL: all are there. For models with
                         ops->masks */
    avi_node *x_next; /* (B, D): the following row of the data; only for models with lookahead, NULL else */
} avi_batch;

typedef struct avi_model avi_model;

enum { AVI_MOMENT_BLOCKS = 64 /* most blocks of theta of a model with expected_log_likelihood */ };

typedef struct avi_model_ops {
    AVI_PLUGIN_FIELDS; /* keys: of section [model] */
    avi_coupling coupling;
    int lookahead;     /* 1: log_likelihood uses x_next; the data then have one row more than the model has z */
    bool ragged;       /* log_likelihood takes ragged rows (data.h), of which a datapoint has any number of entries */
    bool scalar_theta; /* every block of theta is one value: draws of theta come as (S, 1), evaluated together with the
                          draws of z */
    /* Required. Reads its keys, sets latent, declares theta (and prior_sd); shape is what the data look like. Errors:
     * CONFIG, DATA (data that this model cannot explain), INTERNAL. */
    avi_status (*create)(avi_model *m, const avi_config *config, const avi_shape *shape);
    void (*destroy)(avi_model *m); /* optional */
    /* Optional. What values log_likelihood can have in a column of the data, and what to use where they are others:
     * "use model.likelihood = gaussian". NULL: any real number. */
    avi_support (*support)(const avi_model *m, int64_t column);
    const char *support_remedy;
    bool masks; /* log_likelihood leaves out the values that avi_batch.mask says are missing (data.missing = mask) */
    /* Required. log p(x | z, theta): z (B*S, L) -> (B*S, 1); theta[i] is block i of m->theta, (rows, cols), or (S, 1)
     * for scalar_theta. */
    avi_node *(*log_likelihood)(const avi_model *m, avi_tape *t, const avi_batch *b, avi_node *z, avi_node **theta);
    /* Optional. log p(z | x, theta) of independent models: (B*S, 1). NULL: z ~ N(0, 1), and its KL is taken in closed
     * form. */
    avi_node *(*log_prior)(const avi_model *m, avi_tape *t, const avi_batch *b, avi_node *z, avi_node **theta);
    /* Optional, for independent models with one latent dimension: the means over the draws of log_likelihood and of
     * log_prior at z = mean + exp(log_sd) eps, in one pass over eps (B*S, 1) that never stores z: nu (B, 2) = (mean,
     * log_sd) of a row; weight of the draws (S), NULL: all alike -> (B, 1). Faster, else the same. */
    avi_node *(*mean_log_likelihood)(const avi_model *m, avi_tape *t, const avi_batch *b, avi_node *nu, avi_node *eps,
                                     avi_node **theta, const double *weight);
    avi_node *(*mean_log_prior)(const avi_model *m, avi_tape *t, const avi_batch *b, avi_node *nu, avi_node *eps,
                                avi_node **theta, const double *weight);
    /* Optional, for independent models with one latent dimension and without log_prior: E log p(x | z, theta) under
     * q(z_n) = (mean, log_sd) = nu (B, 2) and a factorized Gaussian q(theta) whose means and log sds are those blocks:
     * (B, 1). E f(u) of a standard normal u is sum_s weight[s] f(point[s]), s < points; borrowed by the tape until its
     * next reset. With it objective.draws = 0 serves with global = gaussian for any number of global parameters. */
    avi_node *(*expected_log_likelihood)(const avi_model *m, avi_tape *t, const avi_batch *b, avi_node *nu,
                                         avi_node **theta_mean, avi_node **theta_log_sd, int points,
                                         const double *point, const double *weight);
    /* Required for chains. log p(z_n | z_{n-1}, theta) with z_before (B*S, L) the z of the row before. */
    avi_node *(*log_transition)(const avi_model *m, avi_tape *t, avi_node *z_before, avi_node *z, avi_node **theta);
    /* Required for chains. log p(z_1 | theta): z (S, L) -> (S, 1). */
    avi_node *(*log_initial)(const avi_model *m, avi_tape *t, avi_node *z, avi_node **theta);
    /* Required for dense models. Entry (i, j) of K, jitter included: given rows i, j (row_i, row_j: their D values).
     * Symmetric; a function of its arguments alone. */
    double (*covariance)(const avi_model *m, int64_t i, const double *row_i, int64_t j, const double *row_j);
    /* Optional. E[x | z, theta]: (B*S, D), for reconstructions. b->x is NULL where z belongs to no rows. */
    avi_node *(*reconstruct)(const avi_model *m, avi_tape *t, const avi_batch *b, avi_node *z, avi_node **theta);
    /* Optional, with reconstruct. x (rows, D) comes as E[x | z, theta] and becomes draws from p(x | z, theta), made
     * with the standard normals noise (rows, D); z (rows, L), theta[k] block k of theta, all in double. */
    void (*draw)(const avi_model *m, int64_t rows, const double *z, const double *const *theta, const double *noise,
                 double *x);
    /* Optional, one of the two (avi_model_simulate calls either). Draws rows of a data set of `rows` rows from the
     * model, a pure function of (seed, row): x (count, D) into out. Rows come with lookahead (one more than the model
     * has z). theta as set by the model's keys, or drawn with m->theta_seed and never with seed: training and test rows
     * have different seeds and one theta. Errors: INTERNAL. simulate: rows [first, first + count), for models
     * that draw a row from those before it. simulate_rows: the rows that `row` lists, in any order, each at its own
     * cost alone: such data can be streamed (data.h). It is first called with count = 0: what it allocates then, into
     * m->self, serves all later calls, which come in the steps of a fit and have the same seed. */
    avi_status (*simulate)(const avi_model *m, uint64_t seed, int64_t rows, int64_t first, int64_t count, double *out);
    avi_status (*simulate_rows)(const avi_model *m, uint64_t seed, const int64_t *row, int64_t count, double *out);
    /* Optional, with these: columns D of simulated data; NULL: 1. */
    int64_t (*simulated_width)(const avi_config *config);
    /* Lines of keys, beside `small`, that make simulated data ragged, for tests; NULL: no tests on such data. */
    const char *small_ragged;
    /* Optional, both with simulate_rows: whether simulated data are ragged, and the number of entries of a row. Then
     * simulate_rows gives the entries of the rows, one row after the other. */
    bool (*simulates_ragged)(const avi_config *config);
    int64_t (*simulated_entries)(const avi_model *m, uint64_t seed, int64_t row);
    /* Optional. Polynomial degree of log p(x, z, theta) in (z, theta) when it is 2 or less: expectations under Gaussian
     * factors are then exact with 2 points a dimension (objective.draws = 0). 0: not polynomial, Gauss-Hermite in z. */
    int quadratic;
    /* Optional. The constant that turns nats into the unit of Margossian & Blei's code: loss = -ELBO + offset (N rows).
     */
    double (*loss_offset)(const avi_model *m, int64_t rows);
} avi_model_ops;

struct avi_model {
    const avi_model_ops *ops;
    avi_shape shape;  /* of the data */
    int64_t latent;   /* L */
    avi_params theta; /* global parameters: blocks and their initial values (of the mean, when global = gaussian) */
    double prior_sd;  /* theta ~ N(0, prior_sd^2) for every value; 0: flat */
    double initial_log_sd;      /* of q(theta), when global = gaussian */
    const char *support_remedy; /* set by create: in place of ops->support_remedy; NULL: that one */
    bool given_rows; /* set by create: reconstruct takes something of the row that the model does not draw, so that rows
                        cannot be drawn from the prior */
    uint64_t theta_seed; /* of parameters that simulated data are drawn with, where the model draws any: set by who
                            simulates, and the same for training and test rows, whose own seeds differ */
    void *self;          /* the model's own; freed with free() unless ops->destroy */
};

/* Adds a model to the registry. Errors: INTERNAL when a required entry is missing or the name is taken. */
AVI_API avi_status avi_model_register(avi_registry *registry, const avi_model_ops *ops);
/* The keys that every model has: [model] name, global. */
avi_status avi_model_register_keys(avi_registry *registry);
/* What [model] name selects. */
const avi_model_ops *avi_model_selected(const avi_config *config);
/* Creates the model that [model] name selects. Owner: caller. */
avi_status avi_model_create(const avi_config *config, const avi_shape *shape, avi_model **model);
void avi_model_destroy(avi_model **model);
/* Whether the model can draw data, and rows [first, first + count) of them, unless these are ragged. Errors: those of
 * its simulate or simulate_rows. Not collective. */
bool avi_model_simulates(const avi_model_ops *ops);
avi_status avi_model_simulate(const avi_model *m, uint64_t seed, int64_t rows, int64_t first, int64_t count,
                              double *out);

#endif
