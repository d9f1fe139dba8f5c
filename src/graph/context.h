/* The graph of a block of rows on the tape: data -> inference function -> family -> model -> objective.
 *
 * A block is one or more ranges of rows. Everything that its graph needs is in the context: the estimator above fills
 * it, and nothing here knows of sums over ranks. Files: leaves.c (leaves, rows, draws), prior.c (what couples rows),
 * dense.c (all rows at once), refinement*.c (steps behind an inference function, and their gradient),
 * terms.c (log likelihood and KL over a group of draws), builder.c (the one builder). */
#ifndef AVI_GRAPH_CONTEXT_H
#define AVI_GRAPH_CONTEXT_H

#include "avi/elbo.h"
#include "tape/gradient_sink.h"

/* dreg.c: what the gradient by z of the importance-weighted bound is multiplied by. */
typedef struct avi_dreg avi_dreg;

typedef struct avi_graph_context {
    const avi_problem *p; /* borrowed, as everything here unless it says otherwise */
    const avi_parameter_layout *layout;
    avi_comm *comm;
    const avi_data *data;
    avi_tape *tape;
    double *phase; /* (AVI_PHASES) seconds: input and draws are counted here */
    /* The draws of theta in this pass: (theta_draws, theta), or where they ride with those of z (avi_theta_rides)
     * (theta, theta_draws); the parameters themselves when theta is a point. */
    const void *theta_draws;
    avi_node **theta, **theta_fixed, **phi; /* owned: leaves of the block that is on the tape */
    avi_node **theta_seen;                  /* owned: the means, where nu depends on them (avi_problem_sees_means) */
    int first_draw;                         /* of z, of the group of draws that is being built */
    struct avi_dense *dense;                /* owned: of models with dense coupling; NULL until the first pass */
    struct avi_refinement *refinement;      /* owned: NULL unless the inference function has steps behind it */
    /* For checks by finite differences (avi_estimator_hold): what is held fixed of the rows, or NULL. Owned. */
    void *held;
    avi_dreg *dreg;  /* of the draws that avi_graph_z made last, on the tape; NULL: none */
    int64_t held_at; /* values taken by the blocks before */
    bool held_taken;
} avi_graph_context;

/* How a block is to be evaluated. */
typedef struct avi_pass {
    const void *params;
    void *table, *table_grad;      /* with halo row; may be NULL */
    const avi_gradient_sink *sink; /* of the gradient (layout.gradient); NULL: values only */
    avi_stream stream;             /* of the draws of z */
    int64_t refine_step;           /* of the draws of a refinement: 1 + the step; 0: those of evaluations */
    double kl_weight;              /* of the KL of z in what is differentiated */
    bool reconstruct;
    bool log_weights; /* keep log p(x, z) - log q(z) of every draw */
    bool precise;     /* single precision: row values are worked out in double (avi_tape_row_values) */
} avi_pass;

/* Ranges of rows that make a block: positions and lengths. */
typedef struct avi_block_rows {
    int runs;
    const int64_t *first, *rows;
    int64_t total; /* B */
} avi_block_rows;

/* The graph of a block. */
typedef struct avi_graph {
    int64_t rows;
    avi_node *value;  /* (B, 1): what a step follows; the same node as elbo where nothing is weighed */
    avi_node *elbo;   /* (B, 1): the reported value of each row: its local ELBO */
    avi_node *loglik; /* (B, 1) */
    avi_node *edge; /* (1, 1) or NULL: a factor whose value belongs to the next tile, but whose gradient touches this */
    avi_node *nu;   /* (B, width); of the first draw of theta where the inference function sees each */
    avi_node *mean_x;     /* (B, D) or NULL */
    avi_node *draw_x;     /* (B*S, D): E[x | z, theta] of each draw, or NULL: of several draws of theta in one graph */
    avi_node *z;          /* (B*S, L): the draws; NULL where they are never made, or are of several draws of theta */
    avi_node *x;          /* (B, D); of ragged rows (E, D) */
    const int64_t *entry; /* ragged rows: (B + 1) entries before each; NULL: dense */
    avi_node *mask;       /* (B, D): 0 where a value of x is missing; NULL: all are there */
    avi_node *log_weight; /* (B*S, 1) or NULL */
    avi_node *draw_loglik, *draw_log_q; /* (B*S, 1): log p(x | z, theta) and log q(z) of each draw; NULL as z is */
} avi_graph;

/* Not collective. Errors: INTERNAL (memory). */
avi_status avi_graph_context_create(const avi_problem *p, const avi_parameter_layout *layout, avi_comm *comm,
                                    const avi_data *data, avi_tape *tape, double *phase, avi_graph_context *c);
void avi_graph_context_free(avi_graph_context *c);

/* builder.c: leaves and graph of runs [0, runs) of ranges from `first`, on a tape that is reset. A chain takes one run
 * at a time. Not collective. */
void avi_graph_build(avi_graph_context *c, const avi_pass *pass, int runs, const int64_t *first, const int64_t *rows,
                     avi_graph *g);
/* AVI_OK, or INTERNAL when memory ran out in the block that is on the tape. */
avi_status avi_graph_status(const avi_graph_context *c);
/* Values of nu (rows, width) alone, on a tape that is reset. Not collective. */
avi_node *avi_graph_factors(avi_graph_context *c, const avi_pass *pass, int64_t first, int64_t rows);

/* dense.c. Collective: c = K^-1 m for the means of all rows, before a pass over blocks; nothing for other models.
 * Errors: DATA (K is not positive definite), INTERNAL. */
avi_status avi_dense_update(avi_graph_context *c, const avi_pass *pass);
/* Of this rank, its share of the (N, N) matrices included; 0 for other models. Not collective. */
size_t avi_dense_bytes(const avi_graph_context *c);

/* ---- for the files of graph/ ---- */

/* leaves.c: leaves for the parameters; theta of draw s (all draws at once where they ride with those of z). */
void avi_graph_leaves(avi_graph_context *c, const avi_pass *pass, int s);
/* Rows of the data at the block's positions + shift: (B, D). */
avi_node *avi_graph_fetch(avi_graph_context *c, const avi_block_rows *b, int64_t shift);
/* 1, or 0 where a value of these rows is missing: (B, D). NULL where none can be. */
avi_node *avi_graph_mask(avi_graph_context *c, const avi_block_rows *b, int64_t shift);
/* Of ragged data the entries before each row of the block, (B + 1), on the tape's memory; NULL: dense. */
const int64_t *avi_graph_entries(avi_graph_context *c, const avi_block_rows *b);
/* The rows of the block with all that a model may ask of them; one draw. */
avi_batch avi_graph_batch(avi_graph_context *c, const avi_block_rows *b);
/* nu (B, width) from the rows x (B, D), or from entries x (E, D). */
avi_node *avi_graph_nu(avi_graph_context *c, const avi_pass *pass, const avi_block_rows *b, avi_node *x,
                       const int64_t *entry);
/* refinement.c: nu (B, width) after the steps that the inference function has behind it; nu itself without any. The
 * batch's draws do not matter. */
avi_node *avi_graph_refined(avi_graph_context *c, const avi_pass *pass, const avi_block_rows *b, const avi_batch *of,
                            avi_node *nu);
/* Errors: INTERNAL (memory). */
avi_status avi_refinement_create(avi_graph_context *c);
void avi_refinement_destroy(struct avi_refinement **refinement);
size_t avi_refinement_bytes(const avi_graph_context *c);
/* In a check by finite differences the values of a constant (B, width) are what they were when it began. */
void avi_graph_hold(avi_graph_context *c, avi_node *constant);
/* Standard normals, or the points of a quadrature: draws [first_draw, first_draw + draws) of each row, (B*S, L). */
avi_node *avi_graph_eps(avi_graph_context *c, const avi_pass *pass, const avi_block_rows *b, int first_draw, int draws);
/* z, and log q(z) of every draw when log_q is not NULL. nu_of_q: the parameters that log q(z; nu) sees; nu itself where
 * they are the same. eps_before: draws of the rows before, for families of chains (draw_after); NULL: a draw of z_n
 * from its marginal. */
avi_node *avi_graph_z(avi_graph_context *c, avi_node *nu, avi_node *nu_of_q, avi_node *eps, avi_node *eps_before,
                      avi_node **log_q);
/* avi_graph_eps of the rows before those of the block, where the family wants them; else NULL. The first row of the
 * data has none before it: its draws are of no effect, since its nu is not tied. */
avi_node *avi_graph_eps_before(avi_graph_context *c, const avi_pass *pass, const avi_block_rows *b, int first_draw,
                               int draws);
/* With sticking the landing the parameters of q held fixed, so that no score term arises; else nu itself. */
avi_node *avi_graph_nu_of_q(avi_graph_context *c, avi_node *nu);

/* dreg.c: z as it is, whose gradient is multiplied by the normalised weight of the draw: the gradient of the
 * importance-weighted bound by z, which has the weights once, then has their squares. The weights come with the second
 * function, once they are known: log_weight (B*S, 1). */
avi_node *avi_graph_dreg(avi_tape *t, avi_node *z, int draws, avi_dreg **dreg);
void avi_graph_dreg_weigh(avi_dreg *dreg, avi_node *log_weight);

/* prior.c: log p(z | ..) of every draw, (B*S, 1), of independent rows and chains. before: z as the row after each row
 * has it for the one before; z itself where rows are independent under q. */
avi_node *avi_graph_prior(avi_graph_context *c, const avi_pass *pass, const avi_block_rows *b, const avi_batch *batch,
                          avi_node *z, avi_node *before);
/* The factor between the block's last row and the next one, whose gradient belongs here: (1, 1), or NULL. before: as in
 * avi_graph_prior. */
avi_node *avi_graph_edge(avi_graph_context *c, const avi_pass *pass, const avi_block_rows *b, avi_node *before);

/* dense.c: E_q[log p(z)] of the block's rows in closed form, (B, 1). */
avi_node *avi_graph_dense_prior(avi_graph_context *c, const avi_block_rows *b, avi_node *nu);
void avi_dense_destroy(struct avi_dense **dense);

#endif
