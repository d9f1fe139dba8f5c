/* Whether a checkpoint, or a run.h5, is of this run, by its configuration. */
#ifndef AVI_CHECKPOINT_CHECKPOINT_IDENTITY_H
#define AVI_CHECKPOINT_CHECKPOINT_IDENTITY_H

#include "avi/store.h"
#include "session/session.h"

/* Collective. The effective configuration in a dataset of a file ("/config" of checkpoints, "/config/effective" of
 * run.h5). Owner: caller. */
avi_status avi_identity_read(const avi_session *s, const char *path, const char *dataset, char **effective);
/* Collective. DATA, with the keys that differ and what to do, when `effective` is of a run that this one cannot go on
 * from. What may differ: see session/keys.h. */
avi_status avi_identity_check(const avi_session *s, const char *path, const char *effective);
/* Whether the run was asked for by name (checkpoint.resume = yes, checkpoint.from), and may change more. Not
 * collective.
 */
bool avi_identity_by_name(const avi_session *s);
/* Lines "[optim] learning_rate: '1e-4' here, '1e-3' there" of keys that differ and concern the steps to come; ""
 * when there are none. Not collective. Owner: caller. NULL when memory is short. */
char *avi_identity_changes(const avi_session *s, const char *effective);
/* Whether the same command has made it, but for where it writes and what it prints. Not collective. */
bool avi_identity_same(const avi_session *s, const char *effective);

/* Collective. The checkpoint that a task works with: checkpoint.from where it is given, else the newest of the folder.
 * *path = NULL when there is none. Owner: caller. */
avi_status avi_checkpoint_to_use(const avi_session *s, avi_folder *folder, char **path);

#endif
