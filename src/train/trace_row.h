/* A line of the trace from what a step made. */
#ifndef AVI_TRAIN_TRACE_ROW_H
#define AVI_TRAIN_TRACE_ROW_H

#include "train/step.h"

/* Of the step that st has just done, with r->measure: (AVI_TRACE_COLUMNS). Not collective; the same on all ranks but
 * for the seconds. */
void avi_trace_row(const avi_session *s, const avi_state *st, const avi_step_result *r, double row[AVI_TRACE_COLUMNS]);

#endif
