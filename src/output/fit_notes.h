/* What the last evaluation of a fit shows that its user has to know, with the key that helps. */
#ifndef AVI_OUTPUT_FIT_NOTES_H
#define AVI_OUTPUT_FIT_NOTES_H

#include "session/session.h"

/* Not collective. Prints notes on an evaluation of the fit: a posterior that has collapsed (`used` of its latent
 * dimensions differ from the prior, -1: not known; `kl` nats per row in all), and an error that is above the variance
 * of the data. evaluation: (AVI_EVAL_COLUMNS). */
void avi_fit_notes_print(const avi_session *s, const double *evaluation, int used, double kl);

#endif
