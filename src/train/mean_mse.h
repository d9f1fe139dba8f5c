/* The reconstruction error at the means of q, in place of draws from it (log.mse_at). */
#ifndef AVI_TRAIN_MEAN_MSE_H
#define AVI_TRAIN_MEAN_MSE_H

#include "session/state.h"

/* Collective. Mean squared error of a value of E[x | z, theta] at the means of q(z_n) and q(theta), over the rows of
 * the job on all ranks. nu: (rows of the job, width), the factors' parameters as avi_estimator_evaluate tells them. */
avi_status avi_mean_mse(const avi_session *s, const avi_state *st, avi_estimator *e, const avi_data *data,
                        const avi_row_ranges *job, const double *nu, double *mse);

#endif
