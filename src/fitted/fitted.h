/* A fit that is done, as one of its checkpoints has it: what tasks need that use it on other rows. It is only read: the
 * folder is neither locked nor written to, and the fit's data need not be there. */
#ifndef AVI_FITTED_FITTED_H
#define AVI_FITTED_FITTED_H

#include "avi/store.h"
#include "session/session.h"

typedef struct avi_fitted {
    char *path;         /* of the checkpoint */
    avi_store *store;   /* it, open: a fit that goes on may remove the file */
    char *effective;    /* its configuration */
    char *columns;      /* names of the columns of its data, one per line; "" where they had none */
    int64_t step, rows; /* step: that of its parameters */
    bool is_best;    /* these are the best ones of its evaluations on test rows, in place of those of its last step */
    avi_shape shape; /* of its data; height 0: not known */
    avi_data
        *like; /* what became of its columns: scale, log1p, mean, sd, ranges in stats; NULL once a session has it */
} avi_fitted;

/* Collective. The newest checkpoint of a run folder, or `from` itself where it is a file, and the effective
 * configuration that it holds. Owner of both: caller, also when it fails. Errors: NOINPUT (nothing there), DATA. */
avi_status avi_fitted_config(avi_comm *comm, const char *from, char **path, char **effective);
/* Collective. Finds and reads the checkpoint. Owner: caller, avi_fitted_close, also when it fails. Errors: NOINPUT,
 * DATA (no checkpoint, damaged), INTERNAL. */
avi_status avi_fitted_open(avi_comm *comm, const char *from, avi_fitted *f);
void avi_fitted_close(avi_fitted *f);

/* Not collective. CONFIG, with what differs, when model, inference function or transforms are not those of the fit. */
avi_status avi_fitted_check_keys(const avi_fitted *f, const avi_config *config);
/* The same of what the global parameters mean: the model and the transforms alone. */
avi_status avi_fitted_check_model(const avi_fitted *f, const avi_config *config);
/* Not collective. Whether its q(theta) has the form that model.global and model.global_rank here say. */
bool avi_fitted_same_global(const avi_fitted *f, const avi_config *config);
/* Not collective. DATA when the columns of a source are not those of the fit: their number, their names or order, the
 * shape of an image. */
avi_status avi_fitted_check_columns(const avi_fitted *f, const avi_source *source);

/* Collective. A session of the fitted model without its data. With `rows` data.source is opened, train split alone, and
 * its columns are checked; else there are no rows. s->train says what became of the fit's columns and holds no rows;
 * the inference function's statistics are those of the fit. Owner: caller, avi_session_close. Errors: CONFIG, DATA,
 * those of the source. */
avi_status avi_session_open_fitted(avi_comm *comm, const avi_config *config, const avi_options *options, avi_fitted *f,
                                   bool rows, avi_session **session);
/* Not collective. The dataset of its parameters, flat, in the checkpoint. */
const char *avi_fitted_vector(const avi_fitted *f);
/* Collective. The fit's global parameters and those of its inference function: (s->layout.size). Where model.theta_from
 * names another run than in the fit's own configuration, the global parameters are those of that run (fitted_params.c).
 * Errors: DATA, CONFIG and NOINPUT (that run). */
avi_status avi_fitted_params(const avi_fitted *f, const avi_session *s, void *params);

#endif
