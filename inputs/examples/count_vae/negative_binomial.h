/* The negative binomial density as an operation of the tape. */
#ifndef NEGATIVE_BINOMIAL_H
#define NEGATIVE_BINOMIAL_H

#include "avi/tape.h"

/* sum_d log NB(x_d; mu_d, r_d) with mean mu and variance mu + mu^2 / r: x (B, D), log_mu (B*S, D), log_r (1, D)
 * -> (B*S, 1). No gradient of x. */
avi_node *negative_binomial_lpdf(avi_tape *t, avi_node *x, avi_node *log_mu, avi_node *log_r);

/* k_negative_binomial.c, by precision. */
void forward_negative_binomial_f32(avi_tape *t, avi_node *n);
void forward_negative_binomial_f64(avi_tape *t, avi_node *n);
void backward_negative_binomial_f32(avi_tape *t, avi_node *n);
void backward_negative_binomial_f64(avi_tape *t, avi_node *n);

#endif
