/* The best parameters of a fit by its evaluations on test rows (stop.patience): kept beside those of the steps, written
 * with every checkpoint, and taken for the results at the end. */
#ifndef AVI_STATE_BEST_H
#define AVI_STATE_BEST_H

#include "state/state.h"

/* Not collective. Whether the run keeps them: stop.patience. */
bool avi_best_wanted(const avi_session *s);

/* Not collective. Room for the copies, those aside that ranks have in common. Owner: the state. Errors: INTERNAL
 * (memory). */
avi_status avi_best_allocate(const avi_session *s, avi_state *st);
void avi_best_free(avi_state *st);

/* All ranks must do this; waits for them where they have parameters in common. The parameters as they are become the
 * best ones, of step st->step. elbo: ELBO on test rows, nats per row. */
void avi_best_keep(const avi_session *s, avi_state *st, double elbo);
/* All ranks must do this. From here on the state's parameters are the best ones; st->step stays the number of steps
 * that were done. Nothing where there are none. */
void avi_best_take(const avi_session *s, avi_state *st);
/* Not collective. There is no best evaluation. */
void avi_best_clear(avi_state *st);

/* Not collective. The state as results show it: with the best parameters where there are some. Borrows from st. */
avi_state avi_best_shown(const avi_state *st);
/* Not collective. The step after which the parameters were what they are: st->step but for parameters that were taken.
 */
int64_t avi_best_step_of(const avi_state *st);

#endif
