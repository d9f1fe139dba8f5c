/* Whether the nodes have the memory that a run is about to take. */
#ifndef AVI_SESSION_MEMORY_H
#define AVI_SESSION_MEMORY_H

#include "session/session.h"

/* Collective, once the session knows its shapes and before they are allocated. Adds up what the plan takes for certain
 * (rows, parameters with gradient and optimizer state, local factors, values of a block) over the ranks of each node,
 * and holds it against what is available there. Errors: CONFIG, which names the key that has the largest part. */
avi_status avi_memory_check(const avi_session *s);

#endif
