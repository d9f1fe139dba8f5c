/* Folders that a fit is looked for in, and that have no checkpoint. */
#ifndef AVI_FITTED_MISSING_H
#define AVI_FITTED_MISSING_H

#include "avi/comm.h"

/* Collective. NOINPUT, with what is missing and what to do: the results may be there, with checkpoints that somebody
 * has removed, or there was no fit yet. */
avi_status avi_fitted_missing(avi_comm *comm, const char *folder);

#endif
