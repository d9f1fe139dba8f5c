/* Log densities of one scalar z and one scalar theta, fused: value and gradient in one pass. */
#ifndef AVI_DENSITY_NORMAL_1D_H
#define AVI_DENSITY_NORMAL_1D_H

#include "avi/tape.h"

/* log N(y; a u + b theta, sd^2), fused. Borrowed by the tape until its next reset. */
typedef struct avi_scalar_normal {
    double a, b, sd;
} avi_scalar_normal;
/* y (B, 1) repeated over draws or (B*S, 1); u (B*S, 1); theta (S, 1), (1, 1) or NULL -> (B*S, 1). All three may have
 * gradients. */
avi_node *avi_scalar_normal_lpdf(avi_tape *t, const avi_scalar_normal *p, avi_node *y, avi_node *u, avi_node *theta);

/* log N(x; theta + z sin z + z, exp(cos z)^2), fused: x (B, 1), z (B*S, 1), theta (S, 1) or (1, 1) -> (B*S, 1).
 * *drop_log_sigma leaves out the term -cos z. */
avi_node *avi_wave_lpdf(avi_tape *t, const bool *drop_log_sigma, avi_node *x, avi_node *z, avi_node *theta);

/* The means over draws of both, at z = mean + exp(log_sd) eps with (mean, log_sd) the rows of nu (B, 2): in one pass
 * over eps (B*S, 1), without z. weight: of the draws (S, borrowed), NULL: all alike. y or x: (B, 1); theta as above ->
 * (B, 1). All but eps may have gradients. */
avi_node *avi_scalar_normal_draws(avi_tape *t, const avi_scalar_normal *p, avi_node *y, avi_node *nu, avi_node *eps,
                                  avi_node *theta, const double *weight);
avi_node *avi_wave_draws(avi_tape *t, bool drop_log_sigma, avi_node *x, avi_node *nu, avi_node *eps, avi_node *theta,
                         const double *weight);
/* Of such a node (k_normal_1d_draws.c). */
typedef struct avi_scalar_draws {
    double a, b, sd;
    bool drop_log_sigma;
    const double *weight;
} avi_scalar_draws;

#endif
