/* What an output folder says of its run, to who only reads: no lock is taken, nothing is written, no MPI is needed. */
#ifndef AVI_IO_FOLDER_STATE_H
#define AVI_IO_FOLDER_STATE_H

#include "avi/status.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct avi_folder_state {
    bool is_run; /* something that a run leaves is there */
    bool held;   /* a process holds the lock; where the file system has no locks, the lock file says so */
    char host[256], since[64];
    long pid;                /* of the holder; 0: unknown */
    int64_t checkpoint_step; /* of the newest one; -1: none */
    double checkpoint_age;   /* seconds */
    char status[32];         /* of run.h5: running, done, stopped or diverged; empty: there is none */
    char why[256];           /* why_stopped of run.h5 */
} avi_folder_state;

/* Not collective. Errors: NOINPUT when `path` is no folder that can be read; what is damaged in it is left out. */
avi_status avi_folder_state_read(const char *path, avi_folder_state *state);

#endif
