/* The trace, the evaluations and the ranks' shares in a checkpoint. */
#ifndef AVI_CHECKPOINT_CHECKPOINT_TRACE_H
#define AVI_CHECKPOINT_CHECKPOINT_TRACE_H

#include "avi/store.h"
#include "state/state.h"

/* Lines of log.gradient_variance, where there are any: the table, and the attribute with their number. */
extern const char avi_variance_path[], avi_variance_lines[];

/* Not collective. Borrows t. */
avi_field avi_checkpoint_table(const char *path, const avi_trace *t);
/* Collective. The ranks' shares of the lines, by slabs of lines: (own lines, columns, width). *slab: owned by the
 * caller. Errors: INTERNAL. */
avi_status avi_checkpoint_shares(const avi_session *s, const avi_shares *t, avi_field *f, double **slab);
/* Collective. The digests of the lines, (lines, columns), into *sum, owned by the caller. *f is to be written where
 * st->digests has columns. Errors: INTERNAL. */
avi_status avi_checkpoint_digests(const avi_session *s, const avi_state *st, avi_field *f, int64_t **sum);
/* Collective. Trace, shares, digests and evaluations of the state as they were saved; those of another number of ranks,
 * and checkpoints of versions that had the shares in /trace, are read too. Errors: DATA, INTERNAL. */
avi_status avi_checkpoint_restore_trace(const avi_session *s, avi_store *store, const char *path, avi_state *st);

#endif
