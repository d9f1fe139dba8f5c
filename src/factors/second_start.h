/* Whether the factors of a fit are the best ones of their rows: posteriors with several modes leave most of them
 * unseen. */
#ifndef AVI_FACTORS_SECOND_START_H
#define AVI_FACTORS_SECOND_START_H

#include "state/state.h"

/* Collective. Takes a keyed sample of the training rows with q(theta) as it is, brings the factor of each to its
 * optimum by Newton steps, once from the fit's factor and once from another place, and compares the two: fills
 * st->second_start. The other place is the best of 64: draws of the prior, wider ones, factors of other rows. Nothing
 * is done (rows = 0) where log.second_start = no, where the expectations take draws, where the model is quadratic, so
 * that there is one optimum, in chains and dense models, and where 16 rows would take more than 5 % of the work of the
 * steps. Errors: INTERNAL. */
avi_status avi_second_start(const avi_session *s, avi_state *st);
/* What it takes, in passes of a row forward (evaluation_plan.c); 0 where nothing is done. Not collective. */
double avi_second_start_passes(const avi_session *s);

#endif
