#include "run/run_folder.h"
#include "fitted/fitted.h"
#include "tasks/task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static bool is_hdf5(const char *path)
{
    static const char signature[] = "\x89HDF\r\n\x1a\n";
    char start[8] = "";
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISREG(info.st_mode)) return false;
    FILE *file = fopen(path, "rb");
    if (!file) return false;
    const bool same = fread(start, 1, sizeof start, file) == sizeof start && !memcmp(start, signature, sizeof start);
    fclose(file);
    return same;
}

avi_status avi_run_folder_is(avi_comm *comm, const char *file, bool *is)
{
    *is = avi_comm_rank(comm) == 0 && (is_folder(file) || is_hdf5(file));
    return avi_comm_bcast(comm, is, sizeof *is, 0);
}

avi_status avi_run_folder_read(avi_comm *comm, const char *folder, char **checkpoint, char **effective)
{
    return avi_fitted_config(comm, folder, checkpoint, effective);
}

/* What an override gives this key, the last of several; NULL when none does. */
static const char *given_value(const avi_setup *s, const char *key)
{
    const size_t n = strlen(key);
    const char *value = NULL;
    for (int i = 0; i < s->count; i++) {
        const char *at = s->override[i] + strspn(s->override[i], " \t");
        if (strncmp(at, key, n) != 0) continue;
        at += n + strspn(at + n, " \t");
        if (*at == '=') value = at + 1 + strspn(at + 1, " \t");
    }
    return value;
}

static bool gives(const avi_setup *s, const char *key) { return given_value(s, key) != NULL; }

avi_status avi_run_folder_check_output(const avi_setup *s)
{
    if (!s->folder || gives(s, "run.output")) return AVI_OK;
    return avi_fail(AVI_ERR_USAGE,
                    "%s: is the folder of a run, which is only read; add run.output=FOLDER for what this command "
                    "writes, as in avi_mpi %s run.task=encode data.path=new.h5 run.output=%s_new",
                    s->folder, s->folder, s->folder);
}

/* Other data have rows of their own: the number that the fit used says nothing of them. */
static bool names_data(const avi_setup *s)
{
    return gives(s, "data.path") || gives(s, "data.dataset") || gives(s, "data.source");
}

/* The configuration with key=value, unless the command line gives the key. */
static avi_status parse(const avi_setup *s, const char *key, const char *value, avi_config *config)
{
    const size_t room = strlen(key) + strlen(value) + 2;
    char *first = malloc(room);
    const char *list[2];
    int n = 0;
    if (!first) return avi_fail_memory(room, "the command line");
    snprintf(first, room, "%s=%s", key, value);
    if (!gives(s, key)) list[n++] = first;
    if (names_data(s) && !gives(s, "data.rows")) list[n++] = "data.rows=0";
    const avi_status status = avi_config_derive(config, s->given, n, list);
    free(first);
    return status;
}

avi_status avi_run_folder_derive(const avi_setup *s, avi_config **config)
{
    const char *checkpoint = given_value(s, "checkpoint.from"); /* one of this fit's, or of another */
    AVI_TRY(parse(s, "run.from", checkpoint && *checkpoint ? checkpoint : s->folder, *config));
    const avi_task_ops *task =
        avi_registry_find(s->registry, AVI_KIND_TASK, avi_config_get_string(*config, "run", "task"));
    if (task->run_alone && task->plans) return AVI_OK;
    /* It does not use a fit on rows: it resumes from its checkpoint. */
    avi_config_destroy(config);
    AVI_TRY(avi_registry_config(s->registry, config));
    return parse(s, "checkpoint.from", s->checkpoint, *config);
}
