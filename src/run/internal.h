/* What the files of this room share: a run as the library and the command hold it. */
#ifndef AVI_RUN_INTERNAL_H
#define AVI_RUN_INTERNAL_H

#include "avi/run.h"
#include "rows/row_use.h"
#include "run/setup.h"

/* Rows of a tile, and values of the rows of a block, about. */
enum { AVI_RUN_TILE = 64, AVI_RUN_BLOCK_VALUES = 1 << 20 };

/* Groups where there are none: one without entries. */
extern const int64_t avi_run_no_entries[2];

/* A fit that is loaded, with the rows of one call. Each rank has its own, on a communicator of its own. */
typedef struct avi_run_fit {
    avi_fitted fitted;
    avi_session *session;
    avi_source source; /* the rows of the call; owned by this struct while a call lasts, see session->train_source */
    avi_row_use use;
    int64_t most; /* rows of a block */
    avi_run_about about;
} avi_run_fit;

struct avi_run {
    avi_comm *comm, *self; /* borrowed; of this rank alone, owned */
    avi_setup setup;
    avi_config *config;
    avi_options options;
    avi_run_fit *fit; /* NULL: none is loaded */
};

/* Collective. A run of what the setup has read; the setup becomes the run's, also when this fails. Owner: caller,
 * avi_run_close. */
avi_status avi_run_start(avi_comm *comm, avi_setup *setup, const avi_options *options, avi_run **run);

/* Collective over `self`. Opens the fit that run.from, checkpoint.from or run.output names. Owner: caller,
 * avi_run_fit_close. */
avi_status avi_run_fit_open(avi_comm *self, const avi_config *config, const avi_options *options, avi_run_fit **fit);
void avi_run_fit_close(avi_run_fit **fit);

#endif
