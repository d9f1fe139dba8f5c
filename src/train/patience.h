/* stop.patience: a fit ends when evaluations on test rows get no better, with the best parameters that it had. */
#ifndef AVI_TRAIN_PATIENCE_H
#define AVI_TRAIN_PATIENCE_H

#include "state/state.h"

enum { AVI_PATIENCE_TEXT = 96 };

/* Not collective. Before the fit: whether there are test rows and evaluations to judge by. Errors: CONFIG. */
avi_status avi_patience_check(const avi_session *s);
/* All ranks must do this after an evaluation in the step loop: where its ELBO on test rows is the largest so far, the
 * parameters become the best ones. */
void avi_patience_note(const avi_session *s, avi_state *st);
/* Not collective; the same on all ranks. Whether so many evaluations came after the best one. */
bool avi_patience_spent(const avi_session *s, const avi_state *st);
/* Not collective. The why_stopped of a run that ended by it. */
void avi_patience_describe(const avi_session *s, char text[AVI_PATIENCE_TEXT]);

#endif
