/* Warnings of the runs of a sweep: with the number of the run; of each kind the first one, and a count at the end. */
#ifndef AVI_SWEEP_SWEEP_WARNINGS_H
#define AVI_SWEEP_SWEEP_WARNINGS_H

#include "avi/comm.h"

/* Around a run. Not collective. */
void avi_sweep_warnings_begin(int64_t run);
void avi_sweep_warnings_end(void);
/* Collective over all ranks of the job, when its runs are done: of each kind that came in several runs one line says in
 * how many. Errors: INTERNAL. */
avi_status avi_sweep_warnings_count(avi_comm *comm);

#endif
