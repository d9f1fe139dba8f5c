/* Tasks: what [run] task chooses. Collective; all ranks return the same status. */
#ifndef AVI_TASKS_TASKS_H
#define AVI_TASKS_TASKS_H

#include "session/session.h"

avi_status avi_task_fit(avi_session *s);
avi_status avi_task_evaluate(avi_session *s);
avi_status avi_task_exact(avi_session *s);
avi_status avi_task_simulate(avi_comm *comm, const avi_config *config, const avi_options *options);
avi_status avi_task_plan(avi_session *s);           /* --dry-run */
avi_status avi_task_check_gradient(avi_session *s); /* --check-gradient */

#endif
