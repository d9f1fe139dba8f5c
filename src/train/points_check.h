/* Whether the points of a quadrature are enough for the fit that it was used for. */
#ifndef AVI_TRAIN_POINTS_CHECK_H
#define AVI_TRAIN_POINTS_CHECK_H

#include "state/state.h"

/* Collective. Compares the ELBO of some rows by the quadrature of the evaluations with that of twice the points, and
 * warns on rank 0 where they differ: with the difference in nats, and how many points to take. Nothing is done where
 * there is no quadrature, where it is exact (quadratic models), and where there is none of twice the points. Errors:
 * INTERNAL, STOPPED. */
avi_status avi_points_check(const avi_session *s, avi_state *st);

#endif
