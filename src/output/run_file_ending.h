/* What run.h5 says of how the fit ended, as attributes. */
#ifndef AVI_OUTPUT_RUN_FILE_ENDING_H
#define AVI_OUTPUT_RUN_FILE_ENDING_H

#include "output/run_file.h"
#include "state/state.h"

enum { AVI_ENDING_ATTRIBUTES = 16 };

/* Which step the parameters are of, and which was the best evaluation; of a fit that is at its end (whole) also what a
 * second start gained, and whether the ELBO still rose. st: as results show it (state/best.h); why: why it ended.
 * Texts are owned by l. Returns how many there are. Not collective. */
int avi_run_file_ending_attributes(const avi_session *s, const avi_state *st, bool whole, const char *why,
                                   avi_fields *l, avi_attribute a[AVI_ENDING_ATTRIBUTES]);

#endif
