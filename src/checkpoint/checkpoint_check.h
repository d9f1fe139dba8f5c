/* What a checkpoint says must make sense before a run resumes from it: checksums tell that its bytes are those that
 * were written, not that a run wrote them. */
#ifndef AVI_CHECKPOINT_CHECKPOINT_CHECK_H
#define AVI_CHECKPOINT_CHECKPOINT_CHECK_H

#include "avi/store.h"
#include "state/state.h"

/* Each refuses with DATA and a message that names `path` and the value. Those that are not called collective look at
 * what is the same on all ranks. */

/* Steps, skipped steps, seconds and the factor on the learning rate. */
avi_status avi_check_counters(const char *path, const avi_state *st);
/* Lines of /trace or /eval (name) that are of steps in order, none beyond st->step. */
avi_status avi_check_lines(const char *path, const char *name, const avi_state *st, const avi_trace *t);
/* Scales of reproducible sums: magnitudes that the gradient of a run can have. */
avi_status avi_check_scales(const char *path, const double *scale, int count);
/* Means and standard deviations that the inference function's inputs are standardised by: finite, none below 0. */
avi_status avi_check_features(const char *path, const avi_column_moments *m);
/* Collective. Parameters, local factors and the optimizer's state: finite, means of squares not below 0, L-BFGS's pairs
 * of positive curvature. */
avi_status avi_check_state(const char *path, const avi_session *s, const avi_state *st);
/* Collective. The rows of the checkpoint: by the sum over all rows where both runs hold theirs, else by what the rows
 * are made from. */
avi_status avi_check_data(const char *path, const avi_session *s, avi_store *store);

/* Collective. Before a checkpoint is written. Parameters and the optimizer's state are replicated: a rank whose copy
 * differs has computed something else, and nothing it says can be trusted. Errors: INTERNAL. */
avi_status avi_check_replicas(const avi_session *s, const avi_state *st);

#endif
