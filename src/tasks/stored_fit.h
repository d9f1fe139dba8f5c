/* A fit as its newest checkpoint has it, for tasks that come after it in a run of their own. */
#ifndef AVI_TASKS_STORED_FIT_H
#define AVI_TASKS_STORED_FIT_H

#include "avi/store.h"
#include "session/state.h"

typedef struct avi_stored_fit {
    avi_folder *folder; /* run.output, locked */
    avi_state *st;
} avi_stored_fit;

/* Collective. Owner: caller, avi_stored_fit_close, also when it fails. Errors: CONFIG when run.output holds no fit,
 * DATA when it is of another configuration or damaged, CANTCREATE, IO, INTERNAL. */
avi_status avi_stored_fit_open(avi_session *s, avi_stored_fit *f);
/* Collective. Evaluates the fit as its end does, where the checkpoint is older than that evaluation: so that run.h5,
 * when it is written again, has what it had. */
avi_status avi_stored_fit_evaluate(avi_session *s, avi_stored_fit *f);
void avi_stored_fit_close(avi_stored_fit *f);

#endif
