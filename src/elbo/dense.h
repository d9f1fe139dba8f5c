/* Dense coupling: every dimension of z is a draw from N(0, K) over all rows, K given by the model.
 *
 * For Gaussian factors with means m and sds s, per dimension,
 *   E_q[log p(z)] = -1/2 (m' K^-1 m + sum_n s_n^2 (K^-1)_nn) - 1/2 log det(2 pi K)
 *                 = sum_n { -1/2 (m_n c_n + s_n^2 kappa_n) } + const,   c = K^-1 m, kappa = diag(K^-1):
 * a sum over rows once c is known, whose gradient is -c_n for m_n and -kappa_n s_n^2 for log s_n. A pass over rows is then preceded by one collective
 * solve with the factor of K, which is made once. */
#ifndef AVI_ELBO_DENSE_H
#define AVI_ELBO_DENSE_H

#include "avi/linalg.h"
#include "elbo/internal.h"

/* What the terms of a block of rows need. */
typedef struct avi_dense_term {
    int64_t latent;      /* L */
    const double *c;     /* (B, L) */
    const double *kappa; /* (B) */
    double constant;     /* of each row */
} avi_dense_term;

/* Collective. The factor of the matrix of these entries over all rows; one for a run's K is kept inside. With exact sums rank 0 works alone, and *spd is NULL elsewhere. */
avi_status avi_dense_factor(avi_estimator *e, avi_linalg_entry entry, void *self, avi_linalg_spd **spd);
/* Collective. out = A^-1 in, own rows in order of position: (count, k), 1 <= k <= L; in and out may be the same. */
avi_status avi_dense_solve(avi_estimator *e, avi_linalg_spd *spd, int64_t k, const double *in, double *out);
/* Entry (i, j) of K. Not collective. */
double avi_dense_covariance(const avi_estimator *e, int64_t i, int64_t j);

/* nu (B, 2L) = (means, log sds) -> the terms of the rows, (B, 1): k_dense.c. */
void avi_forward_dense_prior_f32(avi_tape *t, avi_node *n);
void avi_forward_dense_prior_f64(avi_tape *t, avi_node *n);
void avi_backward_dense_prior_f32(avi_tape *t, avi_node *n);
void avi_backward_dense_prior_f64(avi_tape *t, avi_node *n);

#endif
