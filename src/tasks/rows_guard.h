/* What must hold before a task that uses a fit writes: a fit that is not in the folder of the results, and no results
 * of something else. */
#ifndef AVI_TASKS_ROWS_GUARD_H
#define AVI_TASKS_ROWS_GUARD_H

#include "avi/store.h"
#include "fitted/fitted.h"

/* Collective. Opens the fit that run.from names, or checkpoint.from, and refuses a run.output that is its folder.
 * Owner: caller, avi_fitted_close, also when it fails. Errors: CONFIG, NOINPUT, DATA. */
avi_status avi_rows_task_fit(avi_comm *comm, const avi_config *config, const avi_options *options, avi_fitted *fit);

/* Not collective. Of the parameters of the fit and of the keys that the results depend on. */
uint64_t avi_rows_task_hash(const avi_session *s, const void *params);
/* Collective. Whether the file is in the folder already: *done where it was made from the same, which is said; CONFIG
 * where it was made from something else. */
avi_status avi_rows_task_look(const avi_session *s, const avi_folder *folder, const char *name, const char *identity,
                              bool *done);

#endif
