/* A fitted model used on rows: their factors, ELBO, log p(x) and reconstructions, a block of rows at a time. Where the
 * rows come from is the block's business (data/row_block.h): a file, or memory (run/fit.c). */
#ifndef AVI_ROWS_ROW_USE_H
#define AVI_ROWS_ROW_USE_H

#include "data/row_block.h"
#include "factors/fixed_theta.h"
#include "fitted/fitted.h"
#include "state/moments.h"

typedef struct avi_row_settings {
    int draws;        /* K of z per row: importance weights, reconstructions */
    int passes;       /* of the refinement of a row's own factor, at most */
    double tolerance; /* nats that it may leave */
} avi_row_settings;

/* Of the rows that this rank has of a block; borrowed. NULL where a value is not wanted. */
typedef struct avi_row_codes {
    double *mean, *log_sd; /* (rows, L) */
    double *covariance;    /* (rows, L, L): of families that have one */
    double *converged;     /* (rows): 1 where the row's own factor is at its optimum; of factorized runs */
} avi_row_codes;

typedef struct avi_row_scores {
    double *elbo, *elbo_error;   /* (rows) nats; the error is that of the draws, 0 where the expectations take none */
    double *log_likelihood, *kl; /* (rows) nats: elbo = log_likelihood - kl */
    double *log_p, *log_p_error; /* (rows) nats: by importance weighting; of independent rows */
    double *khat, *ess;          /* (rows) of the same weights */
} avi_row_scores;

typedef struct avi_row_use {
    avi_session *s; /* borrowed, by avi_session_open_fitted */
    avi_row_block block;
    avi_row_settings settings;
    avi_state st; /* params alone, owned */
    avi_fixed_theta fixed;
    avi_moments moments;
    avi_estimator *factors, *weigh, *refine, *exact; /* exact: NULL where the ELBO takes draws */
    avi_problem exact_problem;
    void *drawn;          /* parameters with a draw of theta in place of its mean; NULL: theta is a point */
    void *table, *grad;   /* own factors of the block, a halo row before and after; NULL for amortized functions */
    double *nu;           /* (block rows, width) */
    double *weight;       /* (block rows, draws) */
    double *sum, *square; /* (block rows) */
    double *part;         /* (block rows) */
    avi_refined *refined; /* (block rows) */
    int64_t *run_first, *run_rows; /* (block tiles) */
    bool local;
    bool scores_exact; /* of the rows that are scored now: by `exact` */
} avi_row_use;

/* Not collective. CONFIG where this model cannot have what is asked: own factors of rows that are coupled; scores of
 * rows that depend on all others. */
avi_status avi_row_use_check(const avi_session *s, bool scores);
/* Collective. tile, most: of the blocks (avi_row_block_create). u stays where it is until avi_row_use_free, also when
 * it fails. Errors: CONFIG, DATA, INTERNAL. */
avi_status avi_row_use_create(avi_session *s, const avi_fitted *fit, const avi_row_settings *settings, int64_t tile,
                              int64_t most, avi_row_use *u);
void avi_row_use_free(avi_row_use *u);

/* Collective. The next block, and its factors: what the other functions look at. */
avi_status avi_row_use_read(avi_row_use *u, int64_t first, int64_t count);
/* Not collective. */
void avi_row_use_codes(const avi_row_use *u, const avi_row_codes *out);
/* Collective. */
avi_status avi_row_use_scores(avi_row_use *u, const avi_row_scores *out);
/* Collective. Mean over the draws of E[x | z, theta], in the units of the user's columns: (rows, D). */
avi_status avi_row_use_reconstruct(avi_row_use *u, double *out);
/* Collective. K draws of each row from the posterior predictive: z ~ q(z_n) (rows, K, L), x ~ p(x | z, theta) (rows, K,
 * D) in the units of the user's columns. The model must have `draw`. */
avi_status avi_row_use_draw(avi_row_use *u, double *z, double *x);

#endif
