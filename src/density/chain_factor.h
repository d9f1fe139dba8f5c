/* Gaussian factors of the rows of a chain whose joint precision is block tridiagonal. nu (B, L + L(L+1)/2 + L^2) is the
 * mean m, the rows of a lower triangle M with its diagonal as logarithm, and a matrix P. With e of row n and e' of the
 * row before it
 *     z_n = m + C e,  C C' = M M' + P P'  (the marginal),   z_n = m + P e' + M e  (given the row before),
 * which have the same covariance whatever M and P are: no value of nu needs a pass along the chain. */
#ifndef AVI_DENSITY_CHAIN_FACTOR_H
#define AVI_DENSITY_CHAIN_FACTOR_H

#include "avi/tape.h"

/* (mean, rows of C with its diagonal as logarithm): (B, L + L(L+1)/2), as gaussian_full has it. */
avi_node *avi_chain_marginal(avi_tape *t, avi_node *nu, int64_t latent);
/* m + P e' + M e: e, e' (B*S, L), without gradients -> (B*S, L). */
avi_node *avi_chain_draw_after(avi_tape *t, avi_node *nu, avi_node *eps, avi_node *eps_before);

#endif
