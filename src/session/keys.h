/* The keys of a run that belong to no plug-in: [run], [objective], [stop], [log], [checkpoint], [output], [nan]. */
#ifndef AVI_SESSION_KEYS_H
#define AVI_SESSION_KEYS_H

#include "avi/registry.h"

/* Not collective. */
avi_status avi_session_register_keys(avi_registry *registry);

/* Keys that may differ between a checkpoint and the run that resumes it: ends with NULL. */
extern const char *const avi_keys_resume_may_change[];

#endif
