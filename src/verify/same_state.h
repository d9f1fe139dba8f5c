/* Whether a checkpoint holds a state, bit for bit. */
#ifndef AVI_VERIFY_SAME_STATE_H
#define AVI_VERIFY_SAME_STATE_H

#include "state/state.h"

/* Collective. Restores the checkpoint into st, which is at the same step, and says what of it differs from what was
 * there: global parameters and local factors, the optimizer's state, scales of reproducible sums, counters. what: empty
 * when nothing does. The same on all ranks. Errors: those of avi_restore. */
avi_status avi_same_state(const avi_session *s, avi_state *st, const char *path, char what[160]);

#endif
