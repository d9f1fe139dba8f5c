/* What run.h5 says of how the fit ended, as attributes. */
#ifndef AVI_OUTPUT_RUN_FILE_ENDING_H
#define AVI_OUTPUT_RUN_FILE_ENDING_H

#include "avi/store.h"
#include "session/state.h"

enum { AVI_ENDING_ATTRIBUTES = 16 };

/* Which step the parameters are of, and which was the best evaluation; of a fit that is at its end (whole) also what a
 * second start gained. st: as results show it (session/best.h). Returns how many there are. Not collective. */
int avi_run_file_ending_attributes(const avi_session *s, const avi_state *st, bool whole,
                                   avi_attribute a[AVI_ENDING_ATTRIBUTES]);

#endif
