/* Evaluation of the fit on training and test rows. */
#ifndef AVI_TRAIN_EVALUATION_H
#define AVI_TRAIN_EVALUATION_H

#include "session/state.h"

/* Collective. One row of the eval table: limit rows of each data set (0: all). */
avi_status avi_evaluation(const avi_session *s, avi_state *st, int64_t limit, double row[AVI_EVAL_COLUMNS]);
/* Such a row on the screen, from rank 0. Not collective. */
void avi_evaluation_print(const avi_session *s, const avi_state *st, const double row[AVI_EVAL_COLUMNS]);

#endif
