/* run.after: tasks that a fit does by itself when it is done. */
#ifndef AVI_TASKS_POST_FIT_H
#define AVI_TASKS_POST_FIT_H

#include "closed_form/optimum.h"

/* CONFIG when a name is unknown, or a task cannot be done with this model: asked before the fit, not after it. Not
 * collective. */
avi_status avi_post_fit_check(const avi_session *s);
/* Collective. Does the tasks: evaluation is the last row of the eval table. *answer: fields for avi_run_file_write,
 * NULL when run.after does not name exact. Owner: caller, avi_optimum_destroy. */
avi_status avi_post_fit(const avi_session *s, avi_state *st, const double evaluation[AVI_EVAL_COLUMNS],
                        avi_optimum **answer, avi_fit_comparison *fit);
/* What they say, on rank 0. Not collective. */
void avi_post_fit_print(const avi_session *s, const avi_state *st, const double evaluation[AVI_EVAL_COLUMNS],
                        const avi_optimum *answer, const avi_fit_comparison *fit);

#endif
