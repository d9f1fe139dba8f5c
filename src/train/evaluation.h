/* Evaluation of the fit on training and test rows. */
#ifndef AVI_TRAIN_EVALUATION_H
#define AVI_TRAIN_EVALUATION_H

#include "state/state.h"

/* Collective. One row of the eval table, by s->evaluation: `limit` rows of each data set (0: all), with as many draws
 * as an evaluation during the fit, or as at its end (`last`). Fills st->half and st->kl_dimension. A value is NaN where
 * a row is not finite. */
avi_status avi_evaluation(const avi_session *s, avi_state *st, int64_t limit, bool last, double row[AVI_EVAL_COLUMNS]);
/* Such a row on the screen, from rank 0. Not collective. */
void avi_evaluation_print(const avi_session *s, const avi_state *st, const double row[AVI_EVAL_COLUMNS]);

#endif
