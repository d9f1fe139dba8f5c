/* Inside the estimator. */
#ifndef AVI_ELBO_INTERNAL_H
#define AVI_ELBO_INTERNAL_H

#include "avi/elbo.h"
#include "reduce/reduce.h"

struct avi_estimator {
    avi_problem p;
    avi_parameter_layout layout;
    avi_comm *comm;
    const avi_data *data;
    avi_tape *tape;
    void *theta_draws; /* (theta_draws, theta), or for a scalar theta (theta, theta_draws); the parameters themselves
                          when theta is a point. One of the two below */
    void *own_draws;   /* NULL when theta is a point */
    void *theta_eps;   /* the standard normals behind them */
    struct avi_shard *share; /* share.c; NULL: steps are not shared out */
    avi_reducer *reducer;
    double phase[AVI_PHASES];               /* seconds */
    avi_status failed;                      /* of a block on this rank */
    avi_node **theta, **theta_fixed, **phi; /* leaves of the current block */
    struct avi_dense *dense;                /* of models with dense coupling: dense.c; NULL until the first pass */
    void *held;                             /* avi_estimator_hold: parameters of q of the job's rows, or NULL */
    int64_t held_at;                        /* values taken by the blocks before */
    bool held_taken;
    avi_outlet outlet;       /* reproducible sums: apart.c */
    bool joins, joins_known; /* reproducible sums: tiles may be joined to blocks */
};

/* How a block is to be evaluated. */
typedef struct avi_pass {
    const void *params;
    void *table, *table_grad; /* with halo row; may be NULL */
    void *gradient;           /* (layout.gradient), added to; NULL: values only */
    bool apart;               /* the gradient is not initialised: leaves of avi_parameter_apart */
    avi_stream stream;        /* of the draws of z */
    bool reconstruct;
} avi_pass;

/* The graph of a block. */
typedef struct avi_graph {
    int64_t rows;
    avi_node *elbo;   /* (B, 1): local ELBO of each row */
    avi_node *loglik; /* (B, 1) */
    avi_node
        *edge; /* (1, 1) or NULL: a factor whose value belongs to the next tile, but whose gradient touches this one */
    avi_node *nu;         /* (B, width) */
    avi_node *mean_x;     /* (B, D) or NULL */
    avi_node *x;          /* (B, D) */
    avi_node *log_weight; /* (B*S, 1) or NULL */
} avi_graph;

/* Builds leaves and graph for runs [0, runs) of the job from `first`; a chain takes one run at a time. */
void avi_graph_build(avi_estimator *e, const avi_pass *pass, int runs, const int64_t *first, const int64_t *rows,
                     avi_graph *g);
/* Pieces that chain.c shares. */
avi_node *avi_graph_fetch(avi_estimator *e, int runs, const int64_t *first, const int64_t *rows, int64_t shift);
avi_node *avi_graph_nu(avi_estimator *e, const avi_pass *pass, int runs, const int64_t *first, const int64_t *rows,
                       avi_node *x);
avi_node *avi_graph_eps(avi_estimator *e, const avi_pass *pass, int runs, const int64_t *first, const int64_t *rows,
                        int first_draw, int draws);
/* The parameters that log q(z; nu) sees: with sticking the landing fixed, so that no score term arises; held ones where
 * avi_estimator_hold asks for it. */
avi_node *avi_graph_nu_of_q(avi_estimator *e, avi_node *nu);
/* Values of nu (rows, width) alone, on a tape that is reset. */
avi_node *avi_graph_factors(avi_estimator *e, const avi_pass *pass, int64_t first, int64_t rows);
void avi_graph_chain(avi_estimator *e, const avi_pass *pass, int64_t first, int64_t rows, avi_graph *g);

/* apart.c: gradients that are not added to what is there. Once. */
void avi_apart_prepare(avi_estimator *e);
enum { AVI_JOINED = 64 }; /* most tiles of a block with reproducible sums */
/* Reproducible sums: how many tiles from `at` make one block. */
int avi_apart_joined(const avi_estimator *e, const avi_row_ranges *job, int at);
/* Before a block of a pass with gradients is built, and after its backward pass, where the pass was `apart`. Errors:
 * INTERNAL. */
void avi_apart_begin(avi_estimator *e, int tiles, const int64_t *rows);
avi_status avi_apart_take(avi_estimator *e);

/* Collective. Dense coupling: c = K^-1 m for the means of all rows, before a pass over blocks. A no-op for other
 * models. Errors: DATA (K is not positive definite), INTERNAL. */
avi_status avi_dense_update(avi_estimator *e, const avi_pass *pass);
void avi_dense_destroy(struct avi_dense **dense);
/* Of this rank, its share of the (N, N) matrices included; 0 for other models. Not collective. */
size_t avi_dense_bytes(const avi_estimator *e);
void avi_graph_dense(avi_estimator *e, const avi_pass *pass, int64_t first, int64_t rows, avi_graph *g);

/* avi_estimator_newton for dense coupling: newton_dense.c. */
avi_status avi_dense_newton(avi_estimator *e, const avi_pass *pass, int iterations, double tolerance);

/* Collective. F-VI of a chain: the neighbours' factors into the table's halo rows at both ends. Nothing else needs it
 * (a no-op). */
avi_status avi_estimator_exchange_halo(avi_estimator *e, void *table);

/* Ranges of theta and of phi. */
typedef struct avi_global_part {
    int64_t theta, theta_end, phi, phi_end;
} avi_global_part;
avi_global_part avi_global_all(const avi_estimator *e);
/* theta = mean + sd * eps for all draws, once a step (k_global.c and global.c), to e->theta_draws. at_mean: eps = 0.
 * _into: a part, to `draws`. */
void avi_global_draw(avi_estimator *e, const void *params, avi_stream stream, bool at_mean);
void avi_global_draw_into(avi_estimator *e, const void *params, avi_stream stream, bool at_mean,
                          const avi_global_part *part, void *draws);
/* From the reduced gradient (layout.gradient) of the sum over a step's rows to a part of that of the variational
 * parameters, times E / N (elbo.h), with KL / N added. */
void avi_global_gradient(const avi_estimator *e, const void *params, const void *summed, const avi_global_part *part,
                         void *gradient);
/* The first value of such a part that is not finite, -1: none. */
int64_t avi_global_bad_value(const avi_estimator *e, const avi_global_part *part, const void *gradient);

/* share.c, where steps are shared out. Collective: draws theta for a step, each rank its part. */
void avi_shard_draw(avi_estimator *e, const void *params, avi_stream stream);
/* What the coming avi_reducer_finish is to make of its total. */
void avi_shard_prepare(avi_estimator *e, const void *params, void *gradient);
/* After it, of a good step: the first value of the whole gradient that is not finite, -1: none. The same on all ranks.
 */
int64_t avi_shard_bad_value(const avi_estimator *e);
void avi_shard_destroy(struct avi_shard **share);

#endif
