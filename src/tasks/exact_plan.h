/* What --dry-run says of task exact, alone and after a fit. */
#ifndef AVI_TASKS_EXACT_PLAN_H
#define AVI_TASKS_EXACT_PLAN_H

#include "tasks/plan.h"

/* Collective. The answer of few rows is computed, and scaled to all. Errors: those of the answer. */
avi_status avi_exact_plan(avi_session *s, avi_state *st, avi_plan *p);
avi_status avi_exact_plan_after(avi_session *s, avi_state *st, avi_plan *p);

#endif
