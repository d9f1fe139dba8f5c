/* Tasks on a fit that is done: those of run.after, and one of them by itself. */
#ifndef AVI_TASKS_POST_FIT_H
#define AVI_TASKS_POST_FIT_H

#include "tasks/task.h"

enum { AVI_POST_FIT_TASKS = 16 };

/* The tasks of run.after, in the order in which they are named, and what they made. */
typedef struct avi_post_fit {
    int count;
    const avi_task_ops *task[AVI_POST_FIT_TASKS];
    void *self[AVI_POST_FIT_TASKS]; /* each task's own */
    avi_fields fields;              /* of all of them, for run.h5 */
} avi_post_fit;

/* CONFIG when a name is unknown, or a task cannot be done with this model: asked before the fit, not after it. Not
 * collective. */
avi_status avi_post_fit_check(const avi_session *s);
/* Reads run.after, which avi_post_fit_check accepted. Not collective. Owner: caller, avi_post_fit_free. */
void avi_post_fit_read(const avi_session *s, avi_post_fit *p);
/* Whether one of the tasks takes long enough that the fit's results are to be written before. Not collective. */
bool avi_post_fit_is_lengthy(const avi_post_fit *p);
/* Collective. Does the tasks. */
avi_status avi_post_fit_run(avi_session *s, const avi_done_fit *fit, avi_post_fit *p);
/* Tells them that their results are written. Not collective. */
void avi_post_fit_written(const avi_session *s, const avi_done_fit *fit, const avi_post_fit *p);
/* What they print, on rank 0. Not collective. */
void avi_post_fit_print(const avi_session *s, const avi_done_fit *fit, const avi_post_fit *p);
void avi_post_fit_free(avi_post_fit *p);
/* Collective. One such task on the fit in run.output, whose run.h5 is written again. Errors: those of
 * avi_stored_fit_open, of the task and of the disk. */
avi_status avi_post_fit_alone(avi_session *s, const avi_task_ops *task);

#endif
