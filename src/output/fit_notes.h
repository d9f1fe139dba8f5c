/* What the last evaluation of a fit shows that its user has to know, with the key that helps. */
#ifndef AVI_OUTPUT_FIT_NOTES_H
#define AVI_OUTPUT_FIT_NOTES_H

#include "state/state.h"

/* Not collective. Prints notes on the last evaluation of the fit: a posterior that has collapsed (`used` of its latent
 * dimensions differ from the prior, -1: not known; `kl` nats per row in all), an error that is above the variance of
 * the data, and an ELBO on test rows that was larger before. */
void avi_fit_notes_print(const avi_session *s, const avi_state *st, int used, double kl);

/* The last line of log.gradient_variance; nothing without. Not collective. */
void avi_fit_notes_gradient(const avi_state *st);

#endif
