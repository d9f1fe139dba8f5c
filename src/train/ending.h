/* Whether a fit that has come to the end of its steps may be called done. */
#ifndef AVI_TRAIN_ENDING_H
#define AVI_TRAIN_ENDING_H

#include "state/state.h"

enum { AVI_ENDING_TEXT = 320 };

/* Not collective; the same on all ranks. What is wrong, in words, of a run that ends with this state and last
 * evaluation: steps that were not finite until the end, no step that was applied, an evaluation that is not finite.
 * False, with an empty text, when nothing is. */
bool avi_ending_diverged(const avi_session *s, const avi_state *st, const double evaluation[AVI_EVAL_COLUMNS],
                         char text[AVI_ENDING_TEXT]);

/* Collective. Why a run whose parameters have not moved yet cannot make its first step: the largest value of the data
 * and the key that helps, as the end of a message. */
avi_status avi_ending_first_step(const avi_session *s, char text[AVI_ENDING_TEXT]);
/* Collective. What to use for a run that has diverged, as the end of a message: a scale, where the data are large; else
 * what concerns the steps. */
avi_status avi_ending_advice(const avi_session *s, const avi_state *st, char text[AVI_ENDING_TEXT]);

#endif
