#include "cli/run_folder.h"
#include "session/fitted.h"
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

/* Whether an override gives this key. */
static bool gives(const avi_options *o, const char *key)
{
    const size_t n = strlen(key);
    for (int i = 0; i < o->overrides; i++) {
        const char *at = o->override[i] + strspn(o->override[i], " \t");
        if (!strncmp(at, key, n) && at[n + strspn(at + n, " \t")] == '=') return true;
    }
    return false;
}

/* Other data have rows of their own: the number that the fit used says nothing of them. */
static bool names_data(const avi_options *o)
{
    return gives(o, "data.path") || gives(o, "data.dataset") || gives(o, "data.source");
}

typedef struct plan {
    const avi_options *options;
    const char *path; /* of the checkpoint */
    char *effective;  /* its configuration */
} plan;

/* The configuration with one override before those of the command line. */
static avi_status parse(const plan *p, const char *first, avi_config **config)
{
    const avi_options *o = p->options;
    const char **list = malloc((size_t)(o->overrides + 2) * sizeof *list);
    int n = 0;
    if (!list) return avi_fail_memory((size_t)o->overrides * sizeof *list, "the command line");
    list[n++] = first;
    if (names_data(o)) list[n++] = "data.rows=0";
    for (int i = 0; i < o->overrides; i++) list[n++] = o->override[i];
    avi_status status = avi_registry_config(o->registry, config);
    if (status == AVI_OK) status = avi_config_parse(*config, p->path, p->effective, n, list);
    free(list);
    return status;
}

static avi_status parse_for_task(const plan *p, const char *from, avi_config **config)
{
    const size_t room = strlen(from) + strlen(p->path) + 32;
    char *text = malloc(room);
    if (!text) return avi_fail_memory(room, "the command line");
    snprintf(text, room, "run.from=%s", from);
    avi_status status = parse(p, text, config);
    if (status == AVI_OK) {
        const avi_task_ops *task =
            avi_registry_find(p->options->registry, AVI_KIND_TASK, avi_config_get_string(*config, "run", "task"));
        if (!task->run_alone || !task->plans) { /* it does not use a fit on rows: it goes on from its checkpoint */
            avi_config_destroy(config);
            snprintf(text, room, "checkpoint.from=%s", p->path);
            status = parse(p, text, config);
        }
    }
    free(text);
    return status;
}

avi_status avi_run_folder_read(avi_comm *comm, const avi_options *options, avi_config **config)
{
    char *path = NULL;
    plan p = {.options = options};
    *config = NULL;
    if (!gives(options, "run.output") && !options->dry_run && !options->check_gradient)
        return avi_fail(AVI_ERR_USAGE,
                        "%s: is the folder of a run, which is only read; add run.output=FOLDER for what this command "
                        "writes, as in avi_mpi %s run.task=encode data.path=new.h5 run.output=%s_new",
                        options->file, options->file, options->file);
    AVI_TRY(avi_fitted_find(comm, options->file, &path));
    p.path = path;
    avi_status status = avi_fitted_config(comm, path, &p.effective);
    if (status == AVI_OK) {
        status = parse_for_task(&p, options->file, config);
        /* Mistakes are the same on all ranks, with the same message; only a shortage of memory may hit one alone. */
        const avi_status agreed = avi_agree(comm, status == AVI_ERR_CONFIG ? AVI_OK : status);
        if (agreed != AVI_OK) status = agreed;
    }
    free(p.effective);
    free(path);
    return status;
}
