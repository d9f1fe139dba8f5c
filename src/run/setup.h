/* What must be there before the keys of a run are read: everything that is chosen by name, plug-ins included, and the
 * text of the configuration, which says where the plug-ins are. */
#ifndef AVI_RUN_SETUP_H
#define AVI_RUN_SETUP_H

#include "avi/registry.h"

typedef struct avi_setup {
    avi_registry *registry; /* what is built in, and the plug-ins of [run] plugins */
    avi_config *given;      /* text, overrides and environment as rank 0 has read them; it knows [run] plugins alone */
    int count;
    const char *const *override; /* (count) "section.key=value", borrowed */
    /* Where a run folder, or one of its checkpoints, is in the place of a file: its path as it was given, borrowed, and
     * the checkpoint whose configuration this is. NULL else. */
    const char *folder;
    char *checkpoint;
} avi_setup;

/* Collective. Reads the configuration once (path NULL: there are only overrides) and loads its plug-ins. All ranks
 * return the same status. Owner: caller, avi_setup_free, also when it fails. Errors: NOINPUT, CONFIG, DATA (a
 * checkpoint), INTERNAL. */
avi_status avi_setup_file(avi_comm *comm, const char *path, int count, const char *const *overrides, avi_setup *s);
/* Collective. The same from a text, which is that of rank 0; `name` stands for the file in messages. */
avi_status avi_setup_text(avi_comm *comm, const char *name, const char *text, int count, const char *const *overrides,
                          avi_setup *s);
void avi_setup_free(avi_setup *s);
/* Collective. The configuration with all keys. Owner: caller, avi_config_destroy. Errors: CONFIG, with all mistakes;
 * INTERNAL. */
avi_status avi_setup_config(avi_comm *comm, const avi_setup *s, avi_config **config);

#endif
