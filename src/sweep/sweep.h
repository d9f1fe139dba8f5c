/* Sweeps: many runs in one job. The ranks are split into groups; each group takes the next run until there is none, so
 * that a run that fails, diverges or takes long holds nobody else up. */
#ifndef AVI_SWEEP_SWEEP_H
#define AVI_SWEEP_SWEEP_H

#include "session/session.h"

/* What [run] task chooses. Collective over the communicator; all its ranks return the same status. */
typedef avi_status (*avi_task)(avi_comm *comm, const avi_config *config, const avi_options *options);

/* Which runs of a sweep a job makes, of several jobs that share it: part `index` (from 0) of `count`, runs index,
 * index + count, ... Such jobs work side by side in one run.output, and write no table: the sweep without a part does,
 * when they are done. count = 0: all runs. */
typedef struct avi_sweep_part {
    int64_t index, count;
} avi_sweep_part;

/* Collective. Runs every combination of `spec` (sweep_spec.h) on the file and overrides of `options`, each in
 * run.output/<number>_<key=value,...>, and writes run.output/sweep.csv and sweep.h5. groups: of ranks; 0: as many as
 * there are runs, at most one a rank. Runs that are done stay as they are, others resume from their checkpoint. Returns
 * OK when all runs are done, STOPPED when runs are left to do, else the largest code of a run. Errors: USAGE, CONFIG
 * before anything runs; IO, CANTCREATE. */
avi_status avi_sweep(avi_comm *comm, const char *spec, int groups, avi_sweep_part part, const avi_options *options,
                     avi_task task);

#endif
