/* How the factors of rows move in F-VI: a row is seen once an epoch, and has a step of its own. */
#ifndef AVI_SESSION_LOCAL_STEPS_H
#define AVI_SESSION_LOCAL_STEPS_H

#include "session/session.h"

/* Not collective, once partition and optimizer are there. Sets s->local_rate and s->local_steps. Errors: CONFIG. */
avi_status avi_local_steps_read(avi_session *s);

#endif
