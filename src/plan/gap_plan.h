/* What --dry-run says of the gap ledger, alone and after a fit. */
#ifndef AVI_PLAN_GAP_PLAN_H
#define AVI_PLAN_GAP_PLAN_H

#include "plan/plan.h"

/* Collective. The ledger of few rows is made with parameters that were not fitted, and scaled to all. Errors: those of
 * the ledger. */
avi_status avi_gap_plan(avi_session *s, avi_state *st, avi_plan *p);

#endif
