/* Factors of test rows, which a factorized run has none of: fitted with the model's parameters fixed, as run.task =
 * encode does for new rows (factors/fixed_theta.h, avi_estimator_refine). */
#ifndef AVI_FACTORS_TEST_FACTORS_H
#define AVI_FACTORS_TEST_FACTORS_H

#include "state/state.h"

/* Collective. The factors of test rows [0, limit) by position (0: all), each from where a fit's factors start, to
 * within 0.001 nats of the optimum of its ELBO with theta at the mean of q(theta). *table: (1 + own rows + 1, width) as
 * avi_state has it; owner: caller, free(), also when it fails. count: of all ranks. Errors: CONFIG, INTERNAL, STOPPED.
 */
avi_status avi_test_factors_fit(const avi_session *s, const avi_state *st, int64_t limit, void **table,
                                avi_test_factors *count);

#endif
