/* run.h5 from the start of a fit on, so that who looks at a run finds it at any time. */
#ifndef AVI_TRAIN_FIRST_RESULTS_H
#define AVI_TRAIN_FIRST_RESULTS_H

#include "avi/store.h"
#include "state/state.h"

/* Collective. Writes folder/run.h5 of a fit that is about to take steps, with status `running` and no more than the
 * initial parameters, where there is none, or that of a start before which left no checkpoint. Complete results of
 * another task, and those that belong to the checkpoint that the fit resumes from, stay as they are. Errors: IO,
 * CANTCREATE, INTERNAL. */
avi_status avi_first_results(const avi_session *s, avi_state *st, avi_folder *folder);

#endif
