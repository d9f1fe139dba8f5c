/* Second moments of Gaussian factors whose dimensions are correlated: with full covariance (tape.h), and in a few
 * directions (family/gaussian_lowrank.c). */
#ifndef AVI_DENSITY_FULL_SQUARE_H
#define AVI_DENSITY_FULL_SQUARE_H

#include "avi/tape.h"

/* E |z|^2 = |mean|^2 + the squares of the Cholesky factor's entries: nu (B, L + L(L+1)/2) -> (B, 1). */
avi_node *avi_gaussian_full_square(avi_tape *t, avi_node *nu, int64_t latent);
/* E |z|^2 = |mean|^2 + |D A_K .. A_1|^2 (Frobenius): nu (B, (2 + K) L) -> (B, 1), L = latent. O(K^2 L) a row. */
avi_node *avi_gaussian_lowrank_square(avi_tape *t, avi_node *nu, int64_t latent);

#endif
