/* A run folder, or one of its checkpoints, in the place of FILE.ini: its configuration and its fit are the start. */
#ifndef AVI_CLI_RUN_FOLDER_H
#define AVI_CLI_RUN_FOLDER_H

#include "session/session.h"

/* Collective. Whether `file` is a folder or an HDF5 file in place of a configuration. */
avi_status avi_run_folder_is(avi_comm *comm, const char *file, bool *is);
/* Collective. The configuration of the fit there, with the overrides of `options`, which win: for tasks that use a fit
 * run.from is that folder, for the others checkpoint.from is the checkpoint. run.output must be among the overrides,
 * since nothing is written where the fit is. Owner: caller, avi_config_destroy, also when it fails. Errors: those of
 * avi_fitted_find and avi_config_parse. */
avi_status avi_run_folder_read(avi_comm *comm, const avi_options *options, avi_config **config);

#endif
