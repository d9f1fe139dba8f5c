#include "run/setup.h"
#include "cli/registry.h"
#include "run/plugins.h"
#include "run/run_folder.h"

#include <stdlib.h>

static avi_status begin(avi_comm *comm, int count, const char *const *overrides, avi_setup *s)
{
    *s = (avi_setup){.count = count, .override = overrides};
    AVI_TRY(avi_agree(comm, avi_registry_builtin(&s->registry)));
    return avi_agree(comm, avi_plugins_config(&s->given));
}

/* The configuration of a run folder is that of its checkpoint. */
static avi_status read_folder(avi_comm *comm, const char *folder, avi_setup *s)
{
    char *text = NULL;
    s->folder = folder;
    avi_status status = avi_run_folder_read(comm, folder, &s->checkpoint, &text);
    if (status == AVI_OK) status = avi_config_read_text(s->given, comm, s->checkpoint, text, s->count, s->override);
    free(text);
    return status;
}

avi_status avi_setup_file(avi_comm *comm, const char *path, int count, const char *const *overrides, avi_setup *s)
{
    bool folder = false;
    AVI_TRY(begin(comm, count, overrides, s));
    if (path) AVI_TRY(avi_run_folder_is(comm, path, &folder));
    AVI_TRY(folder ? read_folder(comm, path, s) : avi_config_read(s->given, comm, path, count, overrides));
    return avi_plugins_load(comm, s->given, s->registry);
}

avi_status avi_setup_text(avi_comm *comm, const char *name, const char *text, int count, const char *const *overrides,
                          avi_setup *s)
{
    AVI_TRY(begin(comm, count, overrides, s));
    AVI_TRY(avi_config_read_text(s->given, comm, name, text, count, overrides));
    return avi_plugins_load(comm, s->given, s->registry);
}

void avi_setup_free(avi_setup *s)
{
    avi_config_destroy(&s->given);
    avi_registry_destroy(&s->registry);
    free(s->checkpoint);
    s->checkpoint = NULL;
}

avi_status avi_setup_config(avi_comm *comm, const avi_setup *s, avi_config **config)
{
    AVI_TRY(avi_agree(comm, avi_registry_config(s->registry, config)));
    /* Mistakes are the same on all ranks, with the same message; only a shortage of memory may hit one alone. */
    const avi_status status =
        s->folder ? avi_run_folder_derive(s, config) : avi_config_derive(*config, s->given, 0, NULL);
    AVI_TRY(avi_agree(comm, status == AVI_ERR_CONFIG ? AVI_OK : status));
    return status;
}
