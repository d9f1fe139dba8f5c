/* The best evaluation on test rows (state/best.h) in a checkpoint: which it was, and its parameters. */
#ifndef AVI_CHECKPOINT_CHECKPOINT_BEST_H
#define AVI_CHECKPOINT_CHECKPOINT_BEST_H

#include "avi/store.h"
#include "state/state.h"

/* Its parameters, flat as /state/global/value; its local factors, as /state/local/value. */
#define AVI_CHECKPOINT_BEST       "/state/best/global"
#define AVI_CHECKPOINT_BEST_LOCAL "/state/best/local"

/* Attributes that say which it was; returns how many: none where there is no best one. Not collective. */
int avi_checkpoint_best_attributes(const avi_state *st, avi_attribute a[2]);
/* Collective. From these to st->best, where the state has room for the parameters. Errors: DATA. */
avi_status avi_checkpoint_best_restore(avi_store *store, avi_state *st);
/* Collective. The step of the best evaluation; 0 in a checkpoint without. */
int64_t avi_checkpoint_best_step(avi_store *store);

#endif
