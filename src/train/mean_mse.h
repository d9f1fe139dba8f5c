/* The reconstruction error at the means of q, in place of draws from it (log.mse_at). */
#ifndef AVI_TRAIN_MEAN_MSE_H
#define AVI_TRAIN_MEAN_MSE_H

#include "state/state.h"

/* Collective. Mean squared error of a value of E[x | z, theta] at the means of q(z_n) and q(theta), over rows [0,
 * limit) by position (0: all) on all ranks. Memory: a piece of rows. */
avi_status avi_mean_mse(const avi_session *s, const avi_state *st, avi_estimator *e, const avi_data *data, void *table,
                        int64_t limit, double *mse);

#endif
