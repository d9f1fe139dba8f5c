#include "checkpoint/checkpoint_identity.h"
#include "session/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_KEYS = 64 };

/* Two commands that differ in these alone are the same: where they write, what they print, how long they may take. */
static const char *const same_command[] = {"run.output",    "run.time_limit",   "run.task",  "run.after",
                                           "run.reduction", "run.exact_degree", "log.*",     "checkpoint.*",
                                           "output.*",      "data.storage",     "data.path", "data.test_path",
                                           "gap.*",         "diagnose.*",       NULL};

avi_status avi_identity_read(const avi_session *s, const char *path, const char *dataset, char **effective)
{
    avi_store *store = NULL;
    *effective = NULL;
    AVI_TRY(avi_store_open(s->comm, path, &store));
    const avi_status status = avi_store_read_text(store, dataset, effective);
    avi_store_close(&store);
    return status;
}

bool avi_identity_by_name(const avi_session *s)
{
    return !strcmp(avi_config_get_string(s->config, "checkpoint", "resume"), "yes") ||
           *avi_config_get_string(s->config, "checkpoint", "from");
}

/* Steps are numbered through: with another batch an epoch has another number of them, so that neither a length in
 * epochs nor the visits of a row's own factor can be told any more. */
static bool batch_may_change(const avi_session *s)
{
    return avi_config_get_int(s->config, "optim", "steps") > 0 && !s->infer->ops->local;
}

static int add(const char *list[MOST_KEYS], int n, const char *const *more)
{
    for (; *more && n < MOST_KEYS - 1; more++) list[n++] = *more;
    list[n] = NULL;
    return n;
}

static char *difference(const avi_session *s, const char *effective, bool future)
{
    const char *list[MOST_KEYS];
    int n = add(list, 0, avi_keys_resume_may_change);
    if (future) n = add(list, n, avi_keys_of_the_future);
    if (future && batch_may_change(s)) add(list, n, avi_keys_of_batches);
    return avi_config_difference(s->config, effective, list);
}

char *avi_identity_changes(const avi_session *s, const char *effective) { return difference(s, effective, false); }

bool avi_identity_same(const avi_session *s, const char *effective)
{
    char *text = avi_config_difference(s->config, effective, same_command);
    const bool same = text && !*text;
    free(text);
    return same;
}

/* What to do about a difference: go on with it by name, where that is allowed, or keep it apart. */
static const char *remedy(const avi_session *s, const char *hard, char *room, size_t size)
{
    const char *task = avi_config_get_string(s->config, "run", "task");
    if (strcmp(task, "fit") != 0) {
        snprintf(room, size, "use the configuration of the fit: avi_mpi %s run.task=%s with another run.output",
                 avi_config_get_string(s->config, "run", "output"), task);
        return room;
    }
    if (!*hard) return "use --resume to resume with the change, or --fresh to begin anew";
    if (strstr(hard, "[optim] batch") && !s->infer->ops->local)
        return "use optim.steps for the length of the run to change optim.batch, another run.output to keep both, or "
               "--fresh to begin anew";
    return "use another run.output to keep both, or --fresh (checkpoint.resume = no) to begin anew";
}

avi_status avi_identity_check(const avi_session *s, const char *path, const char *effective)
{
    char *here = difference(s, effective, avi_identity_by_name(s)), *hard = difference(s, effective, true);
    char room[512];
    avi_status status = here && hard ? AVI_OK : avi_fail_memory(1024, "the configuration of a checkpoint");
    if (status == AVI_OK && *here)
        status =
            avi_fail(AVI_ERR_DATA, "%s: is of another run:\n%s\n%s", path, here, remedy(s, hard, room, sizeof room));
    free(here);
    free(hard);
    return avi_agree(s->comm, status);
}

avi_status avi_checkpoint_to_use(const avi_session *s, avi_folder *folder, char **path)
{
    const char *from = avi_config_get_string(s->config, "checkpoint", "from");
    if (!*from) return avi_checkpoint_find(folder, s->comm, path);
    *path = strdup(from);
    return avi_agree(s->comm, *path ? AVI_OK : avi_fail_memory(strlen(from), "a path"));
}
