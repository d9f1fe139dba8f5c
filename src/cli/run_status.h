/* avi_mpi --status FOLDER ...: how the runs in these folders stand, from their files alone. */
#ifndef AVI_CLI_RUN_STATUS_H
#define AVI_CLI_RUN_STATUS_H

#include "avi/status.h"

/* Prints to standard output: some lines for one folder, a table for several. MPI is not needed, and nothing is written
 * or locked. Not collective. Errors: USAGE (no folder), NOINPUT (one folder, and it is no run's). */
avi_status avi_run_status(int count, char **folder);

#endif
