/* What --dry-run says of the gap ledger, alone and after a fit. */
#ifndef AVI_TASKS_GAP_PLAN_H
#define AVI_TASKS_GAP_PLAN_H

#include "tasks/plan.h"

/* Collective. The ledger of few rows is made with parameters that were not fitted, and scaled to all. Errors: those of
 * the ledger. */
avi_status avi_gap_plan(avi_session *s, avi_state *st, avi_plan *p);

#endif
