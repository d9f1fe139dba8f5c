/* What --dry-run says of a diagnosis, alone and after a fit. */
#ifndef AVI_PLAN_DIAGNOSE_PLAN_H
#define AVI_PLAN_DIAGNOSE_PLAN_H

#include "plan/plan.h"

/* Collective. A diagnosis of few rows is made with parameters that were not fitted, and its time scaled to the sample;
 * the memory is that of the sample. Errors: those of the diagnosis. */
avi_status avi_diagnose_plan(avi_session *s, avi_state *st, avi_plan *p);

#endif
