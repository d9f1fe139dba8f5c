/* A run folder, or one of its checkpoints, in the place of FILE.ini: its configuration and its fit are the start. */
#ifndef AVI_RUN_RUN_FOLDER_H
#define AVI_RUN_RUN_FOLDER_H

#include "run/setup.h"

/* Collective. Whether `file` is a folder or an HDF5 file in place of a configuration. */
avi_status avi_run_folder_is(avi_comm *comm, const char *file, bool *is);
/* Collective. The checkpoint that is the fit there, and its configuration. Owner of both: caller, also when it fails.
 * Errors: those of avi_fitted_find. */
avi_status avi_run_folder_read(avi_comm *comm, const char *folder, char **checkpoint, char **effective);
/* Not collective. Parses what s->given has read, with the fit as the start: for tasks that use a fit run.from is the
 * folder, for the others checkpoint.from is the checkpoint. *config knows all keys, and is made anew where that is
 * needed. Errors: those of avi_config_parse. */
avi_status avi_run_folder_derive(const avi_setup *s, avi_config **config);
/* Not collective. USAGE unless run.output is among the overrides: nothing is written where the fit is. */
avi_status avi_run_folder_check_output(const avi_setup *s);

#endif
