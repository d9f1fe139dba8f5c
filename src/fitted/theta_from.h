/* model.theta_from: the global parameters of another run, as the start of a fit, or to keep (model.theta_fixed). */
#ifndef AVI_FITTED_THETA_FROM_H
#define AVI_FITTED_THETA_FROM_H

#include "fitted/fitted.h"

/* Collective, once the sources are open: reads the other run's header into s->theta_from, NULL where the key is empty.
 * Standardised columns become those of that run. Errors: CONFIG (another model or transform), NOINPUT, DATA. */
avi_status avi_theta_from_open(avi_session *s);
/* Not collective, once the model is there: sets s->fixed. Errors: CONFIG. */
avi_status avi_theta_from_check(avi_session *s);
/* Collective. Its theta, q(theta) where both runs have one, into the parameters; nothing without s->theta_from. Errors:
 * DATA (of another size), INTERNAL. */
avi_status avi_theta_from_take(const avi_session *s, void *params);
/* Collective. theta of that run, q(theta) where it has the same form, into the parameters. Errors: as above. */
avi_status avi_theta_from_read(const avi_fitted *f, const avi_session *s, void *params);
/* Not collective. */
void avi_theta_from_close(avi_session *s);

#endif
