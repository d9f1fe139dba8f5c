/* The key tables of the whole program: those of run/ and, from the registry, those of every plug-in. */
#ifndef AVI_SESSION_KEYS_H
#define AVI_SESSION_KEYS_H

#include "avi/config.h"

/* Not collective. A config that knows every key. Owner: caller. */
avi_status avi_keys_config(avi_config **config);

/* Keys that may differ between a checkpoint and the run that resumes it: ends with NULL. */
extern const char *const avi_keys_resume_may_change[];

#endif
