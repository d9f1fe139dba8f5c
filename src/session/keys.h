/* The keys of a run that belong to no plug-in: [run], [objective], [stop], [log], [checkpoint], [output], [nan]. */
#ifndef AVI_SESSION_KEYS_H
#define AVI_SESSION_KEYS_H

#include "avi/registry.h"

/* Not collective. */
avi_status avi_session_register_keys(avi_registry *registry);

/* Keys that may differ between a checkpoint and the run that resumes it: ends with NULL. */
extern const char *const avi_keys_resume_may_change[];
/* Keys that concern only the steps to come: a run that is resumed by name (checkpoint.resume = yes, checkpoint.from)
 * may change them. Those of batches too where the length of the run is a number of steps and no row has a factor of its
 * own, whose visits are counted by epochs. */
extern const char *const avi_keys_of_the_future[];
extern const char *const avi_keys_of_batches[];

#endif
