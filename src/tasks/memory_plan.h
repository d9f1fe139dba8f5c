/* What the memory of a run is at its most: what this process holds once steps and an evaluation have been tried, and
 * what is taken on top of that when files are written, worked out from the shapes. */
#ifndef AVI_TASKS_MEMORY_PLAN_H
#define AVI_TASKS_MEMORY_PLAN_H

#include "session/state.h"

/* Resident bytes of this process, now and at the most so far; 0 where the system does not say. Not collective. */
double avi_memory_now(void);
double avi_memory_most(void);
/* Bytes that writing a checkpoint or the results of a fit takes on this rank. Not collective. */
double avi_memory_writing(const avi_session *s);
/* Collective. The largest of all ranks of the peak of a fit, after steps and an evaluation were tried in this process.
 */
avi_status avi_memory_of_fit(const avi_session *s, double *bytes);
/* Collective. The largest of all ranks of the peak of run.task = exact without a fit beside it; now: avi_memory_now
 * once the data were loaded. */
avi_status avi_memory_of_exact(const avi_session *s, double now, double *bytes);

#endif
