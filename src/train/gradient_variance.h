/* log.gradient_variance: how much the gradient of a step varies with its rows and its draws, at the parameters of an
 * evaluation. */
#ifndef AVI_TRAIN_GRADIENT_VARIANCE_H
#define AVI_TRAIN_GRADIENT_VARIANCE_H

#include "state/state.h"

/* Refuses log.gradient_variance where it has no meaning. Not collective. Errors: CONFIG. */
avi_status avi_gradient_variance_check(const avi_session *s);
/* Collective; nothing where log.gradient_variance = 0. Adds a row to st->gradient_variance, in place of one of the same
 * step. The same bits on any number of ranks where sums are reproducible; what a step makes afterwards is as without.
 * Errors: MEMORY, those of the data. */
avi_status avi_gradient_variance_measure(const avi_session *s, avi_state *st);

#endif
