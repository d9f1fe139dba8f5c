/* The fitted model with theta fixed, as two problems of the same rows: factors by the inference function, and factors
 * of their own. What amortization costs a row is the difference. */
#ifndef AVI_FACTORS_FIXED_THETA_H
#define AVI_FACTORS_FIXED_THETA_H

#include "session/session.h"
#include "state/state.h"

typedef struct avi_fixed_theta {
    const avi_session *s;
    avi_infer *own;                        /* the inference function `factorized` */
    avi_family *family;                    /* of the factors of their own: the run's, or another */
    avi_infer *own_full;                   /* factors with full covariance, for rows that need them; */
    avi_family *full;                      /* NULL where the family has that already, or L is 1 */
    avi_quadrature *rule;                  /* of the refinement */
    bool exact;                            /* the rule gives expectations to rounding */
    avi_problem refine;                    /* own factors under the rule */
    avi_problem weigh_own, weigh_function; /* K draws from q, own factors and the function's */
    avi_problem weigh_full;
    void *params_own, *params_function; /* theta at its mean, then the parameters of each */
} avi_fixed_theta;

/* Takes theta (its mean, where q(theta) is a Gaussian) and the parameters of the inference function as they are. draws:
 * K, of importance weights. Owner: caller, avi_fixed_theta_free, also when it fails. Not collective.
 * Errors: CONFIG, INTERNAL. */
avi_status avi_fixed_theta_create(const avi_session *s, const avi_state *st, int draws, avi_fixed_theta *f);
void avi_fixed_theta_free(avi_fixed_theta *f);

#endif
