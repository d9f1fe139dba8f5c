/* Log densities of counts, summed over the values of a row: x (B, D) without a gradient, repeated over the draws of
 * log_mean (B*S, D) -> (B*S, 1). mask (B, D): 0 where a value is missing (and 0 in x), which leaves the sum; NULL: all
 * are there. All normalizing constants are kept; a count below 0 gives NaN. */
#ifndef AVI_DENSITY_COUNTS_H
#define AVI_DENSITY_COUNTS_H

#include "avi/tape.h"

/* x ~ Poisson(exp(log_mean)). */
avi_node *avi_poisson_counts_lpdf(avi_tape *t, avi_node *x, avi_node *mask, avi_node *log_mean);
/* x ~ NB(mu, r) with mean mu = exp(log_mean) and variance mu + mu^2 / r, r = exp(log_r): log_r (1, D). */
avi_node *avi_negative_binomial_lpdf(avi_tape *t, avi_node *x, avi_node *mask, avi_node *log_mean, avi_node *log_r);

#endif
