/* Dense coupling: every dimension of z is a draw from N(0, K) over all rows, K given by the model.
 *
 * For Gaussian factors with means m and sds s, per dimension,
 *   E_q[log p(z)] = -1/2 (m' K^-1 m + sum_n s_n^2 (K^-1)_nn) - 1/2 log det(2 pi K)
 *                 = sum_n { -1/2 (m_n c_n + s_n^2 kappa_n) } + const,   c = K^-1 m, kappa = diag(K^-1):
 * a sum over rows once c is known, whose gradient is -c_n for m_n and -kappa_n s_n^2 for log s_n. A pass over rows is
 * then preceded by one collective solve with the factor of K, which is made once. */
#ifndef AVI_GRAPH_DENSE_H
#define AVI_GRAPH_DENSE_H

#include "avi/linalg.h"
#include "graph/context.h"

/* What the terms of a block of rows need. */
typedef struct avi_dense_term {
    int64_t latent;      /* L */
    const double *c;     /* (B, L) */
    const double *kappa; /* (B) */
    double constant;     /* of each row */
} avi_dense_term;

typedef struct avi_dense {
    int64_t rows, latent, width; /* N, L, D */
    const avi_model *model;      /* borrowed */
    avi_comm *alone;             /* reproducible sums: rank 0 by itself, the other ranks together; NULL else */
    avi_linalg_spd *prior;       /* K; of all ranks, or of rank 0 where it works alone */
    double *row;                 /* (N, D): all rows of the data in given order, on every rank */
    double *slab;                /* (slab rows, L), or (N, L) where rank 0 works alone */
    double *mean, *c, *kappa;    /* own rows: (count, L), (count, L), (count) */
    avi_linalg_spd *newton;      /* K + W^-1 of the last Newton steps (newton_dense.c), NULL before */
    double *inverse_weight;      /* (N): W^-1 of that factor, on all ranks */
    double constant;             /* -1/2 log det(2 pi K) / N */
    avi_dense_term term;         /* of the block on the tape */
} avi_dense;

/* Collective. The factor of the matrix of these entries over all rows; one for a run's K is kept inside. With
 * reproducible sums rank 0 works alone, and *spd is NULL elsewhere. */
avi_status avi_dense_factor(avi_graph_context *c, avi_linalg_entry entry, void *self, avi_linalg_spd **spd);
/* Collective. out = A^-1 in, own rows in order of position: (count, k), 1 <= k <= L; in and out may be the same. */
avi_status avi_dense_solve(avi_graph_context *c, avi_linalg_spd *spd, int64_t k, const double *in, double *out);
/* Collective. Own values in order of position -> all ranks' at their place of (N, k), on all ranks, to the bit. */
avi_status avi_dense_gather(avi_graph_context *c, int64_t k, const double *own, double *all);
/* Entry (i, j) of K; self: the avi_dense. Not collective. */
double avi_dense_covariance(void *self, int64_t i, int64_t j);
/* How many own rows from position `first` are to be passed at once; 0 at the end. With reproducible sums a tile, so
 * that bits do not depend on the ranks. Not collective. */
int64_t avi_dense_piece(const avi_graph_context *c, int64_t first);

/* nu (B, 2L) = (means, log sds) -> the terms of the rows, (B, 1): k_dense.c. */
void avi_forward_dense_prior_f32(avi_tape *t, avi_node *n);
void avi_forward_dense_prior_f64(avi_tape *t, avi_node *n);
/* The same in double on a tape in single precision. */
void avi_precise_dense_prior(avi_tape *t, avi_node *n, double *out);
void avi_backward_dense_prior_f32(avi_tape *t, avi_node *n);
void avi_backward_dense_prior_f64(avi_tape *t, avi_node *n);

#endif
