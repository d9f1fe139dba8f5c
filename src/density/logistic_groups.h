/* Fused density of grouped logistic regression (k_hier_logistic.c). */
#ifndef AVI_DENSITY_LOGISTIC_GROUPS_H
#define AVI_DENSITY_LOGISTIC_GROUPS_H

#include "avi/tape.h"

/* Borrowed by the tape until its next reset. */
typedef struct avi_group_shape {
    int64_t trials, covariates; /* m, p */
} avi_group_shape;

/* sum_j log Bernoulli(y_j; sigmoid(intercept + x_j' beta)): x (B, m + m p), the outcomes y and then the covariates x_j,
 * trial by trial; intercept (B*S, 1); beta (1, p), NULL when p = 0 -> (B*S, 1). Trials with y_j < 0 do not count:
 * groups may differ in size. */
avi_node *avi_group_logit_lpdf(avi_tape *t, const avi_group_shape *shape, avi_node *x, avi_node *intercept,
                               avi_node *beta);

#endif
