/* Inside the estimator. */
#ifndef AVI_ELBO_INTERNAL_H
#define AVI_ELBO_INTERNAL_H

#include "avi/elbo.h"
#include "elbo/theta_family.h"
#include "graph/context.h"
#include "reduce/gradient_route.h"

struct avi_estimator {
    avi_problem p;
    const avi_family *exact_family; /* p.family of evaluations; with p.notebook steps have `notebook` */
    avi_family notebook;
    avi_parameter_layout layout;
    avi_comm *comm;
    const avi_data *data;
    avi_tape *tape;
    avi_graph_context graph;        /* of blocks: leaves, draws of theta, coupling */
    void *own_draws;                /* NULL when theta is a point */
    void *theta_eps;                /* the standard normals behind them; theta_family has its own */
    avi_theta_family *theta_family; /* q(theta) with a global_family; NULL else */
    double *of_draws;        /* (theta_draws, values of theta): the gradient by its draws; NULL without theta_family */
    struct avi_shard *share; /* reduce/shard.c; NULL: every rank makes all of the gradient */
    avi_reducer *reducer;
    double phase[AVI_PHASES]; /* seconds */
    avi_status failed;        /* of a block on this rank */
    avi_gradient_route route; /* from the tape to the reducer */
    bool met_largest;         /* ragged rows: the tape has held the largest block */
    /* estimate.c: as own_draws and theta_eps, where evaluations take more draws of theta. */
    void *eval_draws, *eval_eps;
};

/* Rows of a block of a step; of ragged ones no more than what their entries take 16 MB of, where each has the mean
 * number of the data as they are now. */
int64_t avi_rows_of_block(const avi_estimator *e);

/* Rows that a pass without gradients takes at once: no more than a block of a step, so that it needs no more memory;
 * `draws` of z a row in place of the step's. With reproducible sums, and in chains, a tile at most. */
int64_t avi_piece_rows(const avi_estimator *e, int draws);

/* Ragged rows, not collective: the tile with most entries of each own lane, those with most first (largest_block.c).
 * Errors: INTERNAL (memory). job: free() both arrays, also after a failure. */
avi_status avi_estimator_largest_job(const avi_estimator *e, avi_row_ranges *job);

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
/* Puts the family of steps, or of evaluations, into e->p.family: before a pass of either kind. */
void avi_estimator_take_family(avi_estimator *e, bool step);
/* theta = mean + sd * eps for all draws, once a step (k_global.c and global.c), to the graph's draws. at_mean: eps = 0.
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

/* reduce/shard.c, where ranks of a node divide the step of the optimizer. Collective: draws theta for a step, each rank
 * its part. */
void avi_shard_draw(avi_estimator *e, const void *params, avi_stream stream);
/* What the coming avi_reducer_finish is to make of its total. */
void avi_shard_prepare(avi_estimator *e, const void *params, void *gradient);
/* After it, of a good step: the first value of the whole gradient that is not finite, -1: none. The same on all ranks.
 */
int64_t avi_shard_bad_value(const avi_estimator *e);
void avi_shard_destroy(struct avi_shard **share);

#endif
