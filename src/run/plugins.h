/* Plug-ins that are loaded when a run starts: the shared objects of [run] plugins (avi/plugin.h). */
#ifndef AVI_RUN_PLUGINS_H
#define AVI_RUN_PLUGINS_H

#include "avi/registry.h"

/* The key [run] plugins. Not collective. Errors: INTERNAL. */
avi_status avi_plugins_register_keys(avi_registry *registry);

/* Not collective. A configuration that knows [run] plugins and passes over everything else: what must be read before
 * the keys of the plug-ins are known. Owner: caller, avi_config_destroy. Errors: INTERNAL. */
avi_status avi_plugins_config(avi_config **config);

/* Not collective. Loads the shared objects that [run] plugins of `config` names, in their order, and adds what they
 * have to the registry, which must be open and takes nothing more from then on if there are any. They stay loaded until
 * the program ends. Errors: CONFIG: a file is no plug-in, was compiled for another ABI, its add fails, or its keys do
 * not go with others. */
avi_status avi_plugins_add(const avi_config *config, avi_registry *registry);
/* Collective. The same on all ranks, which return the same status. Errors: CONFIG, also when a file is not there, or is
 * another one on another rank. */
avi_status avi_plugins_load(avi_comm *comm, const avi_config *config, avi_registry *registry);

#endif
