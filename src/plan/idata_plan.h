#ifndef AVI_PLAN_IDATA_PLAN_H
#define AVI_PLAN_IDATA_PLAN_H

#include "plan/plan.h"

/* Collective. What posterior.nc takes at the end of a fit, where output.idata asks for it: a few of its rows are made,
 * the rest is counted. */
avi_status avi_idata_plan_add(avi_session *s, const avi_state *st, avi_plan *p);

#endif
