/* Steps of opening a session, for who opens one in another way. */
#ifndef AVI_SESSION_BUILD_H
#define AVI_SESSION_BUILD_H

#include "session/session.h"

/* Collective. An empty session with seed and precision. Owner: caller, avi_session_close, also when it fails. */
avi_status avi_session_begin(avi_comm *comm, const avi_config *config, const avi_options *options,
                             avi_session **session);
/* Not collective. Model, family, objective, inference function and the estimator's settings, from s->shape. Errors:
 * CONFIG, DATA, INTERNAL. */
avi_status avi_session_make_problem(avi_session *s);
/* Collective. s->hosts. */
avi_status avi_session_gather_hosts(avi_session *s);

#endif
