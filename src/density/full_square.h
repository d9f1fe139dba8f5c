/* The second moment of Gaussian factors with full covariance (tape.h). */
#ifndef AVI_DENSITY_FULL_SQUARE_H
#define AVI_DENSITY_FULL_SQUARE_H

#include "avi/tape.h"

/* E |z|^2 = |mean|^2 + the squares of the Cholesky factor's entries: nu (B, L + L(L+1)/2) -> (B, 1). */
avi_node *avi_gaussian_full_square(avi_tape *t, avi_node *nu, int64_t latent);

#endif
