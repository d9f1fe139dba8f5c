#include "sweep/sweep_plan.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "key=value" of a run's overrides; NULL when memory is short. Owner: caller. */
static char *assignment(const char *key, const char *value, const char *more)
{
    char *text = malloc(strlen(key) + strlen(value) + strlen(more) + 2);
    if (text) sprintf(text, "%s=%s%s", key, value, more);
    return text;
}

static avi_status derive(const avi_sweep_plan *p, avi_config *config, int count, char **override, bool good)
{
    if (!good) return avi_fail_memory(1, "the configuration of a run");
    return avi_config_derive(config, p->base, count, (const char *const *) override);
}

avi_status avi_sweep_plan_config(const avi_sweep_plan *p, int64_t run, avi_config **config)
{
    char name[AVI_SWEEP_NAME + 1] = "/";
    int n = 0;
    bool good = true;
    AVI_TRY(avi_registry_config(p->registry, config));
    char **override = calloc((size_t)p->spec.keys + 2, sizeof *override);
    for (; override && n < p->spec.keys; n++)
        good = (override[n] = assignment(p->spec.key[n].name, avi_sweep_spec_value(&p->spec, run, n), "")) && good;
    avi_sweep_spec_name(&p->spec, run, name + 1);
    if (override && p->output) good = (override[n++] = assignment("run.output", p->output, name)) && good;
    if (override && p->again) good = (override[n++] = assignment("checkpoint.resume", "auto", "")) && good;
    const avi_status status = derive(p, *config, n, override, override && good);
    for (int i = 0; override && i < n; i++) free(override[i]);
    free(override);
    if (status != AVI_OK) avi_config_destroy(config);
    return status;
}

void avi_sweep_plan_free(avi_sweep_plan *p)
{
    avi_sweep_spec_free(&p->spec);
    avi_config_destroy(&p->base);
    free(p->output);
    *p = (avi_sweep_plan){0};
}

/* ---- checks ---- */

/* Adds the lines of `more` that are not in `all` (size bytes) yet: every run has the file's own mistakes. */
static void add_lines(char *all, size_t size, const char *more)
{
    while (*more) {
        const size_t length = strcspn(more, "\n"), used = strlen(all);
        bool known = false;
        for (const char *at = all; *at && !known; at += strcspn(at, "\n"), at += *at == '\n')
            known = strcspn(at, "\n") == length && !memcmp(at, more, length);
        if (!known && used + length + 2 < size) sprintf(all + used, "%s%.*s", used ? "\n" : "", (int)length, more);
        more += length + (more[length] == '\n');
    }
}

/* Tasks that leave a run.h5 to be put into the table. */
static avi_status check_task(const avi_config *config)
{
    const char *task = avi_config_get_string(config, "run", "task");
    if (strcmp(task, "simulate") && strcmp(task, "evaluate")) return AVI_OK;
    return avi_config_fail(config, "run", "task", "a sweep makes a table of fits; use fit");
}

/* Counts, for each key, the runs in which it changes nothing. */
static void count_unused(const avi_sweep_plan *p, const avi_config *config, int64_t *unused)
{
    char name[256];
    char *text = avi_config_unused(config);
    for (int k = 0; text && k < p->spec.keys; k++) {
        snprintf(name, sizeof name, "%s (", p->spec.key[k].name);
        unused[k] += strstr(text, name) != NULL;
    }
    free(text);
}

/* Plug-ins are loaded before there are runs, for all of them. */
static avi_status check_plugins(const avi_sweep_plan *p, const avi_config *config)
{
    const char *loaded = avi_config_get_string(p->base, "run", "plugins");
    if (!strcmp(loaded, avi_config_get_string(config, "run", "plugins"))) return AVI_OK;
    return avi_config_fail(config, "run", "plugins",
                           "all runs of a sweep have the same plug-ins; use run.plugins = FILE, FILE in the file, and "
                           "--sweep with what they add");
}

static avi_status check_run(avi_sweep_plan *p, int64_t run, int64_t *unused)
{
    avi_config *config = NULL;
    AVI_TRY(avi_sweep_plan_config(p, run, &config));
    avi_status status = check_plugins(p, config);
    if (status == AVI_OK) status = check_task(config);
    count_unused(p, config, unused);
    if (status == AVI_OK && !p->output) {
        const char *resume = avi_config_get_string(config, "checkpoint", "resume");
        p->output = strdup(avi_config_get_string(config, "run", "output"));
        p->fresh = !strcmp(resume, "no");
        p->again = !strcmp(resume, "yes");
    }
    avi_config_destroy(&config);
    return status;
}

static avi_status check_runs(avi_sweep_plan *p, int64_t *unused)
{
    char all[7800] = "";
    int64_t wrong = 0;
    for (int64_t run = 0; run < p->spec.runs; run++) {
        const avi_status status = check_run(p, run, unused);
        if (status == AVI_OK) continue;
        if (status != AVI_ERR_CONFIG) return status;
        add_lines(all, sizeof all, avi_error_text());
        avi_error_clear();
        wrong++;
    }
    if (wrong)
        return avi_fail(AVI_ERR_CONFIG,
                        "%s\n%" PRId64 " of the %" PRId64 " runs of the sweep cannot be configured; nothing was run",
                        all, wrong, p->spec.runs);
    return p->output ? AVI_OK : avi_fail_memory(1, "a sweep");
}

static void tell_unused(const avi_sweep_plan *p, const int64_t *unused)
{
    for (int k = 0; k < p->spec.keys; k++)
        if (unused[k])
            avi_warn("--sweep: %s is not used in %" PRId64 " of the %" PRId64 " runs: they differ only in their names",
                     p->spec.key[k].name, unused[k], p->spec.runs);
}

/* ---- folders of an earlier sweep ---- */

/* A folder is known by what stands behind its number, so that a sweep with more values finds the runs that it has
 * already. name: (runs), as the runs would be called; known: (runs), the number found, -1 for none. One entry of the
 * folder. */
static void match_entry(const avi_sweep_plan *p, const char *entry, char (*name)[AVI_SWEEP_NAME], int64_t *known)
{
    char *rest;
    int64_t match = -1, matches = 0;
    const long long number = strtoll(entry, &rest, 10);
    if (rest == entry || *rest != '_' || number < 0) return;
    for (int64_t run = 0; run < p->spec.runs; run++)
        if (!strcmp(rest, strchr(name[run], '_'))) {
            match = run;
            matches++;
        }
    if (matches != 1) return; /* long names are cut and may become equal: then the numbers decide */
    if (number == match || (known[match] != match && (known[match] < 0 || number < known[match])))
        known[match] = number;
}

static avi_status find_folders(avi_sweep_plan *p, int64_t *known)
{
    const size_t runs = (size_t)p->spec.runs;
    char(*name)[AVI_SWEEP_NAME] = malloc(runs * sizeof *name);
    if (!name) return avi_fail_memory(runs * sizeof *name, "the folders of a sweep");
    for (size_t i = 0; i < runs; i++) {
        avi_sweep_spec_name(&p->spec, (int64_t)i, name[i]);
        known[i] = -1;
    }
    DIR *folder = opendir(p->output);
    for (const struct dirent *entry; folder && (entry = readdir(folder));) match_entry(p, entry->d_name, name, known);
    if (folder) closedir(folder);
    for (size_t i = 0; i < runs; i++)
        if (known[i] < 0) known[i] = (int64_t)i;
    free(name);
    return AVI_OK;
}

static avi_status adopt_folders(avi_comm *comm, avi_sweep_plan *p)
{
    int64_t *number = calloc((size_t)p->spec.runs, sizeof *number);
    avi_status status =
        number ? AVI_OK : avi_fail_memory((size_t)p->spec.runs * sizeof *number, "the folders of a sweep");
    if (status == AVI_OK && avi_comm_rank(comm) == 0) status = find_folders(p, number);
    status = avi_agree(comm, status);
    if (status == AVI_OK) status = avi_comm_bcast(comm, number, (size_t)p->spec.runs * sizeof *number, 0);
    if (status == AVI_OK)
        p->spec.number = number;
    else
        free(number);
    return status;
}

avi_status avi_sweep_plan_make(avi_comm *comm, const char *spec, const avi_options *options, avi_sweep_plan *p)
{
    *p = (avi_sweep_plan){.registry = options->registry};
    AVI_TRY(avi_agree(comm, avi_sweep_spec_parse(spec, options->overrides, options->override, &p->spec)));
    AVI_TRY(avi_agree(comm, avi_registry_config(p->registry, &p->base)));
    const avi_status status = avi_config_derive(p->base, options->given, 0, NULL);
    if (status != AVI_OK && (status != AVI_ERR_CONFIG || !*avi_config_text(p->base))) return status;
    avi_error_clear(); /* what is wrong with the file and is not replaced by the sweep, every run will say again */
    int64_t *unused = calloc((size_t)p->spec.keys, sizeof *unused);
    AVI_TRY(avi_agree_memory(comm, unused, 1, "a sweep"));
    const avi_status checked = avi_agree(comm, check_runs(p, unused));
    if (checked == AVI_OK && avi_comm_rank(comm) == 0) tell_unused(p, unused);
    free(unused);
    return checked == AVI_OK ? adopt_folders(comm, p) : checked;
}
