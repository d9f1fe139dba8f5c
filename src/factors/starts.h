/* Several starts per datapoint (inference.starts): posteriors with several modes, of which a fit's steps find the
 * nearest. */
#ifndef AVI_FACTORS_STARTS_H
#define AVI_FACTORS_STARTS_H

#include "state/state.h"

/* Not collective. Whether the run has them, and before the fit: whether it can. Errors: CONFIG. */
bool avi_starts_wanted(const avi_session *s);
avi_status avi_starts_check(const avi_session *s);

/* Collective. With theta at the mean of q(theta), the factor of each training row at a position below `limit` (0: all)
 * goes to its optimum, by inference.starts starts: from where it is, and from the best of 16 places elsewhere for each
 * other one (draws of the prior, of wider ones, and of several widths). The best one stays in the table. All rows side
 * by side, a tile at a time where bits must not depend on the ranks; the draws are those of st->step. *better: rows of
 * all ranks that another start served better, by more than 0.001 nats. *gain: nats in all. Errors: INTERNAL. */
avi_status avi_starts_search(const avi_session *s, avi_state *st, int64_t limit, int64_t *better, double *gain);
/* Collective. The same when the steps are done, or L-BFGS has converged. *last: false where L-BFGS goes on, since a row
 * has another factor. Errors: INTERNAL. */
avi_status avi_starts_at_end(const avi_session *s, avi_state *st, bool converged, bool *last);

#endif
