/* What --dry-run says of a fit. */
#ifndef AVI_PLAN_FIT_PLAN_H
#define AVI_PLAN_FIT_PLAN_H

#include "plan/plan.h"

/* Collective. Steps, evaluations, checkpoints and results, and the tasks of run.after, added to the plan; prints lines
 * of its own. Errors: those of a step and of an evaluation. */
avi_status avi_fit_plan(avi_session *s, avi_state *st, avi_plan *p);

#endif
