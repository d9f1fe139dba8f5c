/* Checkpoints: the state as fields of a store, in data order, independent of the number of ranks. */
#ifndef AVI_CHECKPOINT_CHECKPOINT_STATE_H
#define AVI_CHECKPOINT_CHECKPOINT_STATE_H

#include "avi/store.h"
#include "state/state.h"

/* Collective. Writes checkpoint/step_N.h5. Before it a hash of the replicated parameters is compared across ranks:
 * drift is INTERNAL. A state that is not finite is not written: DIVERGED. */
avi_status avi_checkpoint_state_save(const avi_session *s, const avi_state *st, avi_folder *folder);
/* Collective. Of a run that diverged: the state before the first of the bad steps into <output>/dump.h5, so that
 * checkpoint.from can replay them on any number of ranks. The name to `path`. */
avi_status avi_checkpoint_state_dump(const avi_session *s, const avi_state *st, const avi_folder *folder, char *path,
                                     size_t size);
/* Collective. Reads `path` into st. Errors: DATA when it belongs to another model, data or optimizer: the difference is
 * named. */
avi_status avi_restore(const avi_session *s, avi_state *st, const char *path);
/* Collective. The same for a task that works with the fit: its parameters are the results of the run, which are the
 * best ones where those were kept (state/best.h), whatever this configuration says of it. */
avi_status avi_restore_results(const avi_session *s, avi_state *st, const char *path);

#endif
