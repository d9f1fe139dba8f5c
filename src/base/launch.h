/* How this process was started. */
#ifndef AVI_BASE_LAUNCH_H
#define AVI_BASE_LAUNCH_H

#include "avi/status.h"

#include <stdbool.h>

/* Not collective. Slurm may start the ranks of a step without telling the MPI library, which then makes each a world of
 * its own: they would all do the same run at once. ranks: of the world. Errors: USAGE, with what to use instead. */
avi_status avi_launch_check(int ranks);
/* Whether Slurm started this process as another than the first of its step: one message is enough. */
bool avi_launch_is_another(void);

#endif
