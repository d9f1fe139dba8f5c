/* run.time_limit: when a fit is to end by itself, with a checkpoint. */
#ifndef AVI_SESSION_TIME_LIMIT_H
#define AVI_SESSION_TIME_LIMIT_H

#include "session/session.h"

/* Not collective, what rank 0 reads counts. Sets s->time_limit: minutes from the start, or, for `auto`, the end of the
 * Slurm job (SLURM_JOB_END_TIME, which Slurm sets since 23.02 and jobs/run.sbatch where it does not); without a job
 * there is no limit. Errors: CONFIG. */
avi_status avi_time_limit_read(avi_session *s);
/* Whether a fit that counts from `start` (avi_seconds) and writes a checkpoint in save_seconds has to end now. Not
 * collective. */
bool avi_time_limit_is_near(const avi_session *s, double start, double save_seconds);

#endif
