/* The configurations of a sweep: one file, read once, and what each run changes. */
#ifndef AVI_SWEEP_SWEEP_PLAN_H
#define AVI_SWEEP_SWEEP_PLAN_H

#include "avi/config.h"
#include "session/session.h"
#include "sweep/sweep_spec.h"

typedef struct avi_sweep_plan {
    avi_registry *registry; /* borrowed */
    avi_sweep_spec spec;
    avi_config *base; /* what the file and the command line say; may have been refused for what the sweep replaces */
    char *output;     /* run.output of the sweep */
    bool fresh;       /* checkpoint.resume = no */
    bool again; /* checkpoint.resume = yes: for a sweep the same as auto, since some runs have begun and others have not
                 */
} avi_sweep_plan;

/* Collective. Reads the file, checks the configuration of every run; all mistakes are printed at once. Errors: USAGE,
 * NOINPUT, CONFIG. Owner: caller, avi_sweep_plan_free (also when it fails). */
avi_status avi_sweep_plan_make(avi_comm *comm, const char *spec, const avi_options *options, avi_sweep_plan *plan);
void avi_sweep_plan_free(avi_sweep_plan *plan);
/* Not collective. The configuration of a run with its own run.output. Owner: caller, avi_config_destroy. */
avi_status avi_sweep_plan_config(const avi_sweep_plan *plan, int64_t run, avi_config **config);

#endif
