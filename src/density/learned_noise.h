/* The normal density whose standard deviation is a parameter, one for all values. */
#ifndef AVI_DENSITY_LEARNED_NOISE_H
#define AVI_DENSITY_LEARNED_NOISE_H

#include "avi/tape.h"

/* log N(x; mean, exp(log_sd)^2), summed over the values of a row: x (B, D) without a gradient, mean (B*S, D), log_sd
 * (1, 1) -> (B*S, 1). mask (B, D): 0 where a value is missing (and 0 in x), which leaves the sum; NULL: all are there.
 */
avi_node *avi_learned_noise_lpdf(avi_tape *t, avi_node *x, avi_node *mask, avi_node *mean, avi_node *log_sd);

#endif
