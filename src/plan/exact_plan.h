/* What --dry-run says of task exact, alone and after a fit. */
#ifndef AVI_PLAN_EXACT_PLAN_H
#define AVI_PLAN_EXACT_PLAN_H

#include "plan/plan.h"

/* Collective. The answer of few rows is computed, and scaled to all. Errors: those of the answer. */
avi_status avi_exact_plan(avi_session *s, avi_state *st, avi_plan *p);
avi_status avi_exact_plan_after(avi_session *s, avi_state *st, avi_plan *p);

#endif
