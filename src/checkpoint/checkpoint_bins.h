/* Means of the ELBO over the steps (state/elbo_bins.h) in a checkpoint. */
#ifndef AVI_CHECKPOINT_CHECKPOINT_BINS_H
#define AVI_CHECKPOINT_CHECKPOINT_BINS_H

#include "avi/store.h"
#include "state/state.h"

/* Not collective. Borrows b. */
avi_field avi_checkpoint_bins(const avi_elbo_bins *b);
/* Not collective. What the field says nothing of; returns how many. */
int avi_checkpoint_bins_attributes(const avi_elbo_bins *b, avi_attribute a[2]);
/* Collective. As they were saved; empty from a checkpoint of an earlier version, and where an epoch has another number
 * of steps now. Errors: DATA (what no run can have made). */
avi_status avi_checkpoint_restore_bins(const avi_session *s, avi_store *store, const char *path, avi_state *st);

#endif
