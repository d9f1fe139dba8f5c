/* Networks that have died: all units of a layer are inactive for every row, so nothing before it has a gradient. */
#ifndef AVI_TRAIN_DEAD_BLOCK_H
#define AVI_TRAIN_DEAD_BLOCK_H

#include "state/state.h"

/* The name of the first block of weights of the inference function whose gradient in the last step is exactly 0 in
 * every value, though what the function sees differs between rows; NULL: none. Owned by the session. The same on all
 * ranks, after the step's reduction. Not collective. */
const char *avi_dead_block(const avi_session *s, const avi_state *st);

#endif
