/* What the files of this room share: a run as the library and the command hold it. */
#ifndef AVI_RUN_INTERNAL_H
#define AVI_RUN_INTERNAL_H

#include "avi/run.h"
#include "gap/fixed_theta.h"
#include "run/setup.h"
#include "session/moments.h"

struct avi_run {
    avi_comm *comm, *self; /* borrowed; of this rank alone, owned */
    avi_setup setup;
    avi_config *config;
    avi_options options;
    /* Of a fit that is loaded; session NULL else. */
    avi_session *session;
    avi_state *state;
    avi_fixed_theta fixed;
    avi_moments moments;
    avi_estimator *decoder;
};

/* Collective. A run of what the command line says; the command prints what is wrong. Owner: caller, avi_run_close. */
avi_status avi_run_start(avi_comm *comm, avi_setup *setup, const avi_options *options, avi_run **run);

#endif
