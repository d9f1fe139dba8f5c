/* Log densities of values that have K levels: level k = 0 .. K - 1 is the value k * step. Summed over the values of a
 * row: x (B, D) without a gradient, repeated over draws -> (B*S, 1). mask (B, D): 0 where a value is missing (and 0 in
 * x), which leaves the sum; NULL: all are there. A value beyond the levels gives NaN. */
#ifndef AVI_DENSITY_LEVELS_H
#define AVI_DENSITY_LEVELS_H

#include "avi/tape.h"

/* Borrowed by the nodes until the tape is reset. */
typedef struct avi_levels {
    int64_t count; /* K, at least 2 */
    double step;
    /* Of the logits of a row: level k of value d is at k * level_stride + d * value_stride. */
    int64_t level_stride, value_stride;
} avi_levels;

/* x_d is level k with probability softmax(logits of d)_k: logits (B*S, K D). */
avi_node *avi_categorical_levels_lpdf(avi_tape *t, const avi_levels *levels, avi_node *x, avi_node *mask,
                                      avi_node *logits);
/* The discretised logistic distribution (Salimans, Karpathy, Chen & Kingma 2017, eq. 2): x_d is level k when a logistic
 * variable is between k - 1/2 and k + 1/2, the first and the last level taking the tails. Its location is (K - 1)
 * location_d and its scale (K - 1) exp(log_scale_d), so that both are parts of the range: location (B*S, D), log_scale
 * (1, D). */
avi_node *avi_discretised_logistic_lpdf(avi_tape *t, const avi_levels *levels, avi_node *x, avi_node *mask,
                                        avi_node *location, avi_node *log_scale);
/* Means of both, (B*S, D), constants of the tape: they have no gradient. */
avi_node *avi_categorical_levels_mean(avi_tape *t, const avi_levels *levels, avi_node *logits);
avi_node *avi_discretised_logistic_mean(avi_tape *t, const avi_levels *levels, avi_node *location, avi_node *log_scale);

#endif
