/* Fused density of grouped logistic regression (k_hier_logistic.c). */
#ifndef AVI_DENSITY_LOGISTIC_GROUPS_H
#define AVI_DENSITY_LOGISTIC_GROUPS_H

#include "avi/tape.h"

/* Borrowed by the tape until its next reset. */
typedef struct avi_group_shape {
    int64_t trials, covariates; /* m, p; ragged groups: trials is not used */
    int64_t groups;             /* ragged groups: B */
    const int64_t *entry;       /* ragged groups: (B + 1) trials before each; NULL: all have m */
} avi_group_shape;

/* sum_j log Bernoulli(y_j; sigmoid(intercept + x_j' beta)): x (B, m + m p), the outcomes y and then the covariates x_j,
 * trial by trial; or x (E, 1 + p) of ragged groups, an outcome and its covariates in each entry; intercept (B*S, 1);
 * beta (1, p), NULL when p = 0 -> (B*S, 1). Trials with y_j < 0 do not count: groups may differ in size. */
avi_node *avi_group_logit_lpdf(avi_tape *t, const avi_group_shape *shape, avi_node *x, avi_node *intercept,
                               avi_node *beta);

/* The expectation of that density, with intercept alpha + exp(log_tau) z, under independent Gaussians: z (mean, log sd)
 * = nu (B, 2); theta = (alpha, log_tau, beta): means (1, 2 + p), log sds (1, 2 + p) -> (B, 1). Given log_tau the logit
 * of a trial is Gaussian, so that the expectation has two dimensions whatever p is: `points` for the logit, and the
 * nine of Gauss-Hermite for log_tau. E f(u) = sum_s weight[s] f(point[s]) for a standard normal u. Borrowed by the tape
 * until its next reset. */
typedef struct avi_group_points {
    avi_group_shape shape;
    int points;
    const double *point, *weight;
} avi_group_points;
avi_node *avi_group_logit_expected(avi_tape *t, const avi_group_points *points, avi_node *x, avi_node *nu,
                                   avi_node *theta_mean, avi_node *theta_log_sd);

#endif
