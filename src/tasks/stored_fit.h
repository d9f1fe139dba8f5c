/* A fit as its newest checkpoint has it, for tasks that come after it in a run of their own. */
#ifndef AVI_TASKS_STORED_FIT_H
#define AVI_TASKS_STORED_FIT_H

#include "avi/store.h"
#include "state/state.h"

typedef struct avi_stored_fit {
    avi_folder *folder; /* run.output, locked */
    avi_state *st;      /* NULL when there is no fit */
} avi_stored_fit;

/* Collective. Opens run.output and restores the fit there, or that of checkpoint.from. Owner: caller,
 * avi_stored_fit_close, also when it fails. Errors: CONFIG when there is no fit, DATA when it is of another
 * configuration or damaged, CANTCREATE, IO, INTERNAL. */
avi_status avi_stored_fit_open(avi_session *s, avi_stored_fit *f);
/* Collective. The same where a fit may be missing, or is not to be used (checkpoint.resume = no): f->st is NULL then.
 */
avi_status avi_stored_fit_look(avi_session *s, avi_stored_fit *f);
/* Collective. Evaluates the fit as its end does, into row and the table of evaluations, so that run.h5 has what it had
 * when it is written again: a checkpoint is older than the last evaluation. */
avi_status avi_stored_fit_evaluate(avi_session *s, avi_stored_fit *f, double row[AVI_EVAL_COLUMNS]);
void avi_stored_fit_close(avi_stored_fit *f);

#endif
