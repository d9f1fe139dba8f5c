/* Any bytes as a command line: arguments with a NUL between them. What is accepted keeps its promises: one file at
 * most, overrides with an =, one of --resume and --fresh. What --sweep has been given is parsed as far as its runs'
 * names. */
#include "cli/command.c"

#include "input.h"
#include "sweep/sweep_spec.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_ARGUMENTS = 32, MOST_NAMES = 50 };

static void check(const command *c)
{
    bool resume = false, fresh = false;
    must(c->action != RUN || c->options.file, "accepted without a file");
    for (int i = 0; i < c->options.overrides; i++) {
        must(strchr(c->options.override[i], '=') != NULL, "an override without =");
        resume = resume || c->options.override[i] == c->begin;
        fresh = fresh || (c->begin && !strcmp(c->begin, "checkpoint.resume=no"));
    }
    must(!c->begin || resume || fresh, "--resume or --fresh is lost");
    must(c->groups >= 0 && (!c->groups || c->sweep), "--groups without --sweep");
}

/* Names of the runs are those of folders: never empty, never above their folder, all different. */
static void check_names(const avi_sweep_spec *s)
{
    char name[AVI_SWEEP_NAME], before[AVI_SWEEP_NAME] = "", label[64];
    must(s->keys > 0 && s->runs > 0 && s->runs <= AVI_SWEEP_RUNS, "a sweep of no size");
    for (int64_t run = 0; run < s->runs && run < MOST_NAMES; run++) {
        avi_sweep_spec_name(s, run, name);
        avi_sweep_spec_label(s, run, label, sizeof label);
        must(*name && !strchr(name, '/') && strcmp(name, before), "a name that is no folder's own");
        memcpy(before, name, sizeof before);
        for (int k = 0; k < s->keys; k++) must(avi_sweep_spec_value(s, run, k) != NULL, "a run without a value");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), *argument[MOST_ARGUMENTS + 1] = {(char[]){"avi_mpi"}};
    int count = 1;
    if (!text) return 0;
    if (size) memcpy(text, data, size);
    text[size] = '\0';
    for (size_t at = 0; at < size && count < MOST_ARGUMENTS; at += strlen(text + at) + 1) argument[count++] = text + at;
    command c = {.options.started = 0};
    avi_error_clear();
    avi_status status = read_arguments(&c, count, argument);
    must(status == AVI_OK || status == AVI_ERR_USAGE, "another status than OK or USAGE");
    must((status == AVI_OK) == !*avi_error_text(), "a message without a mistake, or the other way round");
    if (status == AVI_OK) check(&c);
    if (c.sweep) {
        avi_sweep_spec spec;
        avi_error_clear();
        status = avi_sweep_spec_parse(c.sweep, c.options.overrides, c.override, &spec);
        must(status == AVI_OK || status == AVI_ERR_USAGE, "another status of a sweep than OK or USAGE");
        must((status == AVI_OK) == !*avi_error_text(),
             "a message without a mistake in a sweep, or the other way round");
        if (status == AVI_OK) check_names(&spec);
        avi_sweep_spec_free(&spec);
    }
    free(c.override);
    free(text);
    return 0;
}
