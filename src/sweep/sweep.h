/* Sweeps: many runs in one job. The ranks are split into groups; each group takes the next run until there is none, so
 * that a run that fails, diverges or takes long holds nobody else up. */
#ifndef AVI_SWEEP_SWEEP_H
#define AVI_SWEEP_SWEEP_H

#include "session/session.h"

/* What [run] task chooses. Collective over the communicator; all its ranks return the same status. */
typedef avi_status (*avi_task)(avi_comm *comm, const avi_config *config, const avi_options *options);

/* Collective. Runs every combination of `spec` (sweep_spec.h) on the file and overrides of `options`, each in
 * run.output/<number>_<key=value,...>, and writes run.output/sweep.csv and sweep.h5. groups: of ranks; 0: as many as
 * there are runs, at most one a rank. Runs that are done stay as they are, others resume from their checkpoint. Returns
 * OK when all runs are done, STOPPED when runs are left to do, else the largest code of a run. Errors: USAGE, CONFIG
 * before anything runs; IO, CANTCREATE. */
avi_status avi_sweep(avi_comm *comm, const char *spec, int groups, const avi_options *options, avi_task task);

#endif
