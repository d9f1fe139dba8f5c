/* q(theta) as one factor of a variational family, whose dimensions are the values of theta (avi_problem.global_family):
 * its draws, their gradient and the KL, on a tape of its own in double. Every rank does all of it alike: it is small
 * beside the rows, and bits do not depend on ranks. */
#ifndef AVI_ELBO_THETA_FAMILY_H
#define AVI_ELBO_THETA_FAMILY_H

#include "avi/elbo.h"

typedef struct avi_theta_family {
    const avi_problem *p; /* borrowed */
    const avi_family *family;
    avi_tape *tape;
    int64_t count;           /* n: values of theta, without padding */
    int64_t *place;          /* (n): where each is in the padded vector of theta */
    double *nu, *gradient;   /* (width) */
    avi_node *factor, *draw; /* on the tape: nu (1, width) and the draws (S, n); of the last drawing */
} avi_theta_family;

/* Not collective. Errors: INTERNAL (memory). Owner: caller, avi_theta_family_destroy. */
avi_status avi_theta_family_create(const avi_problem *p, avi_theta_family **q);
void avi_theta_family_destroy(avi_theta_family **q);
size_t avi_theta_family_bytes(const avi_theta_family *q);
/* The tape's status: memory that ran out. */
avi_status avi_theta_family_status(const avi_theta_family *q);

/* Draws `draws` values of every theta from q(theta) of params: draw s with standard normals (stream, s), or with the
 * coordinates of the rule, or at the mean. out (S, n): compact, borrowed until the next call. Not collective. */
const double *avi_theta_family_draw(avi_theta_family *q, const void *params, const avi_quadrature *rule,
                                    avi_stream stream, int draws, bool at_mean);
/* After a drawing: the gradient by nu (width) of sum(of_draws * draws) + weight * KL(q(theta) || p(theta)), of_draws
 * (S, n); borrowed until the next call. Not collective. */
const double *avi_theta_family_gradient(avi_theta_family *q, const double *of_draws, double weight);
/* KL(q(theta) || p(theta)) of params, nats. Forgets the last drawing. Not collective. */
double avi_theta_family_kl(avi_theta_family *q, const void *params);

#endif
