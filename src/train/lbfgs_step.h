/* One iteration of L-BFGS over the global parameters; local factors follow by Newton's method, so that what L-BFGS sees
 * is the profile of the ELBO: its value at the best local factors, whose gradient is the partial one (envelope
 * theorem). */
#ifndef AVI_TRAIN_LBFGS_STEP_H
#define AVI_TRAIN_LBFGS_STEP_H

#include "train/step.h"

/* Collective. As avi_step. */
avi_status avi_lbfgs_step(const avi_session *s, avi_state *st, avi_row_ranges *job, avi_step_result *r);

#endif
