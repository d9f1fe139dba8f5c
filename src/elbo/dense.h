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

/* What the term of a block of rows needs; on the tape's arena. */
typedef struct avi_dense_term {
    int64_t latent;      /* L */
    const double *c;     /* (B, L) */
    const double *kappa; /* (B) */
    double constant;     /* of each row */
} avi_dense_term;

/* nu (B, 2L) = (means, log sds) -> the terms of the rows, (B, 1): k_dense.c. */
void avi_forward_dense_prior_f32(avi_tape *t, avi_node *n);
void avi_forward_dense_prior_f64(avi_tape *t, avi_node *n);
void avi_backward_dense_prior_f32(avi_tape *t, avi_node *n);
void avi_backward_dense_prior_f64(avi_tape *t, avi_node *n);

#endif
