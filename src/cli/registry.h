/* What is built in: registry.def. The top of the house, so that no lower floor reaches up through it. */
#ifndef AVI_CLI_REGISTRY_H
#define AVI_CLI_REGISTRY_H

#include "avi/registry.h"

/* Not collective. A registry of everything that is built in. Owner: caller, avi_registry_destroy. Errors: INTERNAL. */
avi_status avi_registry_builtin(avi_registry **registry);

#endif
