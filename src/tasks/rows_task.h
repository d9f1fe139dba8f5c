/* Tasks that use a fit on rows, one after the other: they read the fit where it lies, and write rows.h5 (sample:
 * samples.h5) of run.output a block at a time. What is made of the rows: rows/row_results.h. */
#ifndef AVI_TASKS_ROWS_TASK_H
#define AVI_TASKS_ROWS_TASK_H

#include "rows/row_results.h"
#include "fitted/fitted.h"
#include "tasks/task.h"

/* Collective. The task: opens the fit of run.from, the rows of data.source, and writes. Errors: CONFIG, DATA, NOINPUT,
 * CANTCREATE, IO, INTERNAL. */
avi_status avi_rows_task(avi_comm *comm, const avi_config *config, const avi_options *options, int what);
/* The keys of section [rows]. */
avi_status avi_rows_task_register_keys(avi_registry *registry);

#endif
