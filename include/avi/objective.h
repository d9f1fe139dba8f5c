/* Objectives: from the terms of every draw to one value for each row, which a fit maximises. One file
 * src/objective/<name>.c and one line AVI_OBJECTIVE(<name>) in registry.def; the symbol is `const avi_objective_ops
 * avi_objective_<name>`. */
#ifndef AVI_OBJECTIVE_H
#define AVI_OBJECTIVE_H

#include "avi/registry.h"
#include "avi/tape.h"

/* What a block of B rows gives with S draws of z each and one draw of theta (or, for a scalar theta, one draw of theta
 * beside every draw of z). */
typedef struct avi_terms {
    int draws;            /* S */
    const double *weight; /* (S): of the draws, where they are points of a quadrature; NULL: all alike */
    avi_node *loglik;     /* (B, 1): E_q[log p(x | z, theta)], the mean over draws */
    avi_node *minus_kl;   /* (B, 1): E_q[log p(z) - log q(z)], in closed form where there is one */
    avi_node *log_weight; /* (B*S, 1): log p(x, z) - log q(z) of every draw; only for objectives that need it */
    double kl_weight;     /* of minus_kl in this step: objective.beta and kl_warmup */
} avi_terms;

typedef struct avi_objective avi_objective;

typedef struct avi_objective_ops {
    AVI_PLUGIN_FIELDS; /* keys: of section [objective] */
    /* Whether log_weight is needed: rows must then be independent given theta, theta a point, and draws random. */
    bool needs_weights;
    bool log_mean_weight; /* with needs_weights: value is the log of the mean weight of the draws, so that
                             objective.estimator = dreg is a gradient of it */
    /* Optional. Reads keys into o->self. Errors: CONFIG, INTERNAL. */
    avi_status (*create)(avi_objective *o, const avi_config *config);
    /* Required. The value of each row that a step follows, (B, 1). */
    avi_node *(*value)(const avi_objective *o, avi_tape *t, const avi_terms *terms);
    /* Optional. The value that is reported, with the KL at its full weight, (B, 1); NULL: the ELBO, loglik + minus_kl.
     */
    avi_node *(*reported)(const avi_objective *o, avi_tape *t, const avi_terms *terms);
} avi_objective_ops;

struct avi_objective {
    const avi_objective_ops *ops;
    double beta;    /* weight of the KL of z; 1: the ELBO */
    int64_t warmup; /* steps over which the weight rises linearly from 0 to beta; 0: none */
    void *self;     /* freed with free() */
};

/* Adds an objective to the registry. Errors: INTERNAL when a required entry is missing or the name is taken. */
AVI_API avi_status avi_objective_register(avi_registry *registry, const avi_objective_ops *ops);
/* The keys that every objective has: [objective] name, beta, kl_warmup. */
avi_status avi_objective_register_keys(avi_registry *registry);
/* The objective that [objective] name selects. Owner: caller, avi_objective_destroy. Errors: CONFIG, INTERNAL. */
avi_status avi_objective_create(const avi_config *config, avi_objective **objective);
void avi_objective_destroy(avi_objective **objective);
/* Sets the steps of the warm-up for a run of total_steps. Errors: CONFIG when it would not end before the run does. */
avi_status avi_objective_plan(avi_objective *o, const avi_config *config, int64_t total_steps);
/* The weight of the KL in step `step` (0, 1, ...). */
double avi_objective_kl_weight(const avi_objective *o, int64_t step);

#endif
