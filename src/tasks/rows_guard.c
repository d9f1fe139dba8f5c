#include "tasks/rows_guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- the fit ---- */

static bool same_folder(const char *a, const char *b)
{
    struct stat x, y;
    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Whether `output` is the folder of the fit, whose checkpoint has this path. */
static bool is_own_folder(const char *path, const char *output)
{
    char folder[4096];
    snprintf(folder, sizeof folder, "%s", path);
    for (int i = 0; i < 2; i++) { /* FOLDER/checkpoint/step.h5 */
        char *slash = strrchr(folder, '/');
        if (slash)
            *slash = '\0';
        else
            snprintf(folder, sizeof folder, i ? ".." : ".");
        if (same_folder(*folder ? folder : "/", *output ? output : ".")) return true;
        if (!slash) return false;
    }
    return false;
}

avi_status avi_rows_task_fit(avi_comm *comm, const avi_config *config, const avi_options *options, avi_fitted *fit)
{
    const char *from = avi_config_get_string(config, "run", "from"),
               *output = avi_config_get_string(config, "run", "output");
    *fit = (avi_fitted){0};
    if (!*from) from = avi_config_get_string(config, "checkpoint", "from");
    if (!*from)
        return avi_config_fail(config, "run", "from",
                               "run.task = %s uses a fit; give its folder, as in run.from=runs/vae, or in place of "
                               "FILE.ini",
                               avi_config_get_string(config, "run", "task"));
    AVI_TRY(avi_fitted_open(comm, from, fit));
    int64_t own = avi_comm_rank(comm) == 0 && !options->dry_run && is_own_folder(fit->path, output);
    AVI_TRY(avi_comm_bcast(comm, &own, sizeof own, 0));
    if (!own) return AVI_OK;
    return avi_config_fail(config, "run", "output",
                           "is the folder of the fit %s, which is only read; use another folder for what run.task = %s "
                           "writes",
                           from, avi_config_get_string(config, "run", "task"));
}

/* ---- what the results depend on ---- */

static const char *const not_of_the_rows[] = {
    "run.output", "run.time_limit", "run.after", "run.reduction", "run.from", "run.exact_degree", "checkpoint.*",
    "log.*",      "output.*",       "nan.*",     "stop.*",        "optim.*",  "data.test_path",   NULL};

uint64_t avi_rows_task_hash(const avi_session *s, const void *params)
{
    const size_t n = (size_t)s->layout.size * avi_real_size(s->precision);
    uint64_t h = 0;
    for (size_t i = 0; i < n; i += sizeof h) {
        uint64_t word = 0;
        memcpy(&word, (const char *)params + i, n - i < sizeof word ? n - i : sizeof word);
        h = avi_mix64(h, word);
    }
    return avi_mix64(h, avi_config_hash(s->config, not_of_the_rows));
}

/* ---- rows.h5 that is there already ---- */

avi_status avi_rows_task_look(const avi_session *s, const avi_folder *folder, const char *name, const char *identity,
                              bool *done)
{
    char path[4096], *made = NULL;
    avi_store *store = NULL;
    *done = false;
    if (!strcmp(avi_config_get_string(s->config, "checkpoint", "resume"), "no")) return AVI_OK;
    snprintf(path, sizeof path, "%s/%s", avi_folder_path(folder), name);
    int64_t there = 0;
    struct stat info;
    if (avi_comm_rank(s->comm) == 0) there = stat(path, &info) == 0;
    AVI_TRY(avi_comm_bcast(s->comm, &there, sizeof there, 0));
    if (!there) return AVI_OK;
    if (avi_store_open(s->comm, path, &store) == AVI_OK) {
        if (avi_store_attribute_text(store, "/", "made_from", &made) != AVI_OK) made = NULL;
        avi_store_close(&store);
    }
    avi_error_clear();
    *done = made && !strcmp(made, identity);
    if (*done && avi_comm_rank(s->comm) == 0 && s->options->verbosity > 0)
        printf("done already: %s has these rows. Nothing was changed. Use --fresh to make them again\n", path);
    avi_status status = AVI_OK;
    if (!*done)
        status =
            avi_config_fail(s->config, "run", "output",
                            "%s is there, made from %s; this run would make %s. Use another run.output, or --fresh "
                            "to replace it",
                            path, made ? made : "something else", identity);
    free(made);
    return status;
}
