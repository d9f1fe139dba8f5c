/* Log densities of the values that are there: those that are missing leave the sum. x and mask (B, D), repeated over
 * the draws of `mean` or `logits` (B*S, D) -> (B*S, 1); a value with mask 0 must be a number all the same (0). x and
 * mask have no gradient. */
#ifndef AVI_DENSITY_MASKED_H
#define AVI_DENSITY_MASKED_H

#include "avi/tape.h"

avi_node *avi_masked_normal_lpdf_sd(avi_tape *t, avi_node *x, avi_node *mask, avi_node *mean, double sd);
avi_node *avi_masked_bernoulli_logit_lpdf(avi_tape *t, avi_node *x, avi_node *mask, avi_node *logits);
/* How many values of each row are there, for every draw: (B*S, 1). */
avi_node *avi_masked_count(avi_tape *t, avi_node *mask, int64_t draws);

#endif
