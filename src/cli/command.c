#include "cli/command.h"
#include "base/blas.h"
#include "base/launch.h"
#include "base/signals.h"
#include "base/streams.h"
#include "run/internal.h"
#include "cli/options.h"
#include "cli/pages.h"
#include "run/run_folder.h"
#include "cli/run_status.h"
#include "sweep/sweep.h"
#include "tasks/task.h"
#include "session/version.h"
#include "verify/verify.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef enum action { RUN, HELP, VERSION, LIST, KEYS, REFERENCE } action;

typedef struct command {
    action action;
    const char *section; /* of --help-keys; the word behind --list= and --reference= */
    avi_options options;
    const char *sweep;   /* of --sweep, or NULL */
    int groups;          /* of --groups, or 0 */
    avi_sweep_part part; /* of --part */
    bool verify;         /* --verify: options.file is the folder */
    const char *steps;   /* of --steps, or NULL */
    avi_verify_steps verify_steps;
    const char *begin;     /* the override of --resume or --fresh, or NULL */
    const char **override; /* owned; room for argc + 1 */
} command;

/* --resume or --fresh, as the override that each is short for. */
static avi_status begin_how(command *c, const char *override)
{
    if (c->begin && strcmp(c->begin, override))
        return avi_fail(AVI_ERR_USAGE, "--resume resumes from a checkpoint and --fresh begins anew; use one of them");
    c->begin = c->override[c->options.overrides++] = override;
    return AVI_OK;
}

static const char *closest_option(const char *text)
{
    const char *names[64];
    int count = 0;
    while (count < 64 && avi_command_options[count].name) {
        names[count] = avi_command_options[count].name;
        count++;
    }
    return avi_closest(text, names, count);
}

/* What stands behind the = of an option that takes one of two words (the second may be NULL). */
static avi_status only(const char *option, const char *word, const char *first, const char *second)
{
    if (!strcmp(word, first) || (second && !strcmp(word, second))) return AVI_OK;
    return avi_fail(AVI_ERR_USAGE, "%s: unknown; use %.*s%s%s%s", option, (int)(word - option), option, first,
                    second ? " or =" : "", second ? second : "");
}

static avi_status read_option(command *c, const char *text)
{
    static const struct {
        const char *name;
        action action;
    } actions[] = {{"--help", HELP}, {"-h", HELP},          {"--version", VERSION},
                   {"--list", LIST}, {"--help-keys", KEYS}, {"--reference", REFERENCE}};
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
        if (!strcmp(text, actions[i].name)) {
            c->action = actions[i].action;
            return AVI_OK;
        }
    if (!strncmp(text, "--list=", 7)) {
        c->action = LIST;
        c->section = text + 7;
        return only(text, c->section, "data", NULL);
    } else if (!strncmp(text, "--reference=", 12)) {
        c->action = REFERENCE;
        c->section = text + 12;
        return only(text, c->section, "man", "bash");
    } else if (!strcmp(text, "--status")) {
        return avi_fail(AVI_ERR_USAGE, "--status takes no other option; use avi_mpi --status FOLDER ...");
    } else if (!strncmp(text, "--help-keys=", 12)) {
        c->action = KEYS;
        c->section = text + 12;
    } else if (!strcmp(text, "--dry-run"))
        c->options.dry_run = true;
    else if (!strcmp(text, "--check-gradient"))
        c->options.check_gradient = true;
    else if (!strcmp(text, "--resume"))
        return begin_how(c, "checkpoint.resume=yes");
    else if (!strcmp(text, "--fresh"))
        return begin_how(c, "checkpoint.resume=no");
    else if (!strcmp(text, "-q"))
        c->options.verbosity = 0;
    else if (!strcmp(text, "-v"))
        c->options.verbosity = 2;
    else {
        const char *near = closest_option(text);
        return avi_fail(AVI_ERR_USAGE, "%s: unknown option%s%s%s; --help lists them", text,
                        near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    }
    return AVI_OK;
}

static avi_status read_groups(command *c, const char *text)
{
    char *end;
    const long n = strtol(text, &end, 10);
    if (*end || end == text || n < 1 || n > INT_MAX)
        return avi_fail(AVI_ERR_USAGE, "--groups %s: use a number of groups of ranks, at least 1", text);
    c->groups = (int)n;
    return AVI_OK;
}

static avi_status read_part(command *c, const char *text)
{
    char *slash, *end;
    const long k = strtol(text, &slash, 10), n = *slash == '/' ? strtol(slash + 1, &end, 10) : 0;
    if (n < 1 || *end || slash == text || k < 1 || k > n)
        return avi_fail(AVI_ERR_USAGE, "--part %s: use K/N, part K of N with K from 1 to N, as --part 2/6", text);
    c->part = (avi_sweep_part){k - 1, n};
    return AVI_OK;
}

static avi_status read_verify(command *c, const char *folder)
{
    if (c->options.file) return avi_fail(AVI_ERR_USAGE, "--verify %s: takes one folder, and no FILE.ini", folder);
    c->verify = true;
    c->options.file = folder;
    return AVI_OK;
}

/* Options with a value, as --name=value or --name value: *i moves on. *taken: it was one. */
static avi_status read_valued(command *c, int argc, char **argv, int *i, bool *taken)
{
    static const char *const names[] = {"--sweep", "--groups", "--part", "--verify", "--steps"};
    for (int k = 0; k < 5; k++) {
        const size_t n = strlen(names[k]);
        if (strncmp(argv[*i], names[k], n) || (argv[*i][n] && argv[*i][n] != '=')) continue;
        *taken = true;
        const char *value = argv[*i][n] ? argv[*i] + n + 1 : *i + 1 < argc ? argv[++*i] : NULL;
        if (!value)
            return avi_fail(AVI_ERR_USAGE, "%s: its value is missing; --help tells how it is written", names[k]);
        if (k == 1) return read_groups(c, value);
        if (k == 2) return read_part(c, value);
        if (k == 3) return read_verify(c, value);
        if (k == 4) return avi_verify_read_steps(c->steps = value, &c->verify_steps);
        if (c->sweep) return avi_fail(AVI_ERR_USAGE, "--sweep is given twice; keys are joined by ; in one");
        c->sweep = value;
    }
    return AVI_OK;
}

/* section.key=value: no section has a slash in its name, but the folders of a sweep's runs have an = in theirs. */
static bool is_override(const char *text)
{
    const size_t name = strcspn(text, "=/");
    return text[name] == '=';
}

static bool is_file(const char *text) { return !is_override(text) || access(text, F_OK) == 0; }

static avi_status read_arguments(command *c, int argc, char **argv)
{
    c->options.argc = argc;
    c->options.argv = argv;
    c->options.verbosity = 1;
    c->override = calloc((size_t)argc + 1, sizeof *c->override);
    if (!c->override) return avi_fail_memory((size_t)argc, "the command line");
    for (int i = 1; i < argc; i++) {
        bool taken = false;
        AVI_TRY(read_valued(c, argc, argv, &i, &taken));
        if (taken) continue;
        if (argv[i][0] == '-')
            AVI_TRY(read_option(c, argv[i]));
        else if (!c->options.file && is_file(argv[i]))
            c->options.file = argv[i];
        else if (is_override(argv[i]))
            c->override[c->options.overrides++] = argv[i];
        else
            return avi_fail(AVI_ERR_USAGE, "%s: a second configuration file; use one FILE.ini and section.key=value",
                            argv[i]);
    }
    c->options.override = c->override;
    if (c->action == RUN && !c->options.file)
        return avi_fail(AVI_ERR_USAGE, "no configuration file given; avi_mpi FILE.ini, or --help");
    if (c->groups && !c->sweep) return avi_fail(AVI_ERR_USAGE, "--groups goes with --sweep");
    if (c->part.count && !c->sweep) return avi_fail(AVI_ERR_USAGE, "--part goes with --sweep");
    if (c->steps && !c->verify) return avi_fail(AVI_ERR_USAGE, "--steps goes with --verify");
    if (c->verify && (c->sweep || c->begin || c->options.dry_run || c->options.check_gradient))
        return avi_fail(AVI_ERR_USAGE, "--verify does the steps of a run again and writes nothing; use it alone, with "
                                       "--steps a..b for some of them");
    if (c->sweep && c->options.check_gradient)
        return avi_fail(AVI_ERR_USAGE,
                        "--check-gradient checks one configuration; --sweep with --dry-run checks the keys of all");
    return AVI_OK;
}

static void print_version(void)
{
    const avi_version v = avi_version_of();
    printf("avi_mpi %s\nrevision   %s\ncompiler   %s\nflags      %s\nMPI        %s\nHDF5       %s\nBLAS       "
           "%s\nScaLAPACK  %s\noneDNN     %s\n",
           v.version, v.revision, v.compiler, v.flags, v.mpi, v.hdf5, v.blas, v.scalapack, v.onednn);
}

/* The table of the README. */
static void print_accepted(const avi_registry *r)
{
    printf("| data | keys |\n|---|---|\n");
    for (int i = 0; i < avi_registry_count(r, AVI_KIND_SOURCE); i++) {
        const avi_source_ops *s = avi_registry_at(r, AVI_KIND_SOURCE, i);
        for (int k = 0; k < s->accept_count; k++) printf("| %s | %s |\n", s->accepts[k].what, s->accepts[k].keys);
    }
}

static void print_list(const avi_registry *r)
{
    for (int k = 0; k < AVI_KINDS; k++) {
        if (k == AVI_KIND_CLOSED_FORM) continue; /* part of task exact, chosen by the model */
        printf("%s (%s)\n", avi_kind_plural((avi_kind)k), avi_kind_key((avi_kind)k));
        for (int i = 0; i < avi_registry_count(r, (avi_kind)k); i++) {
            const avi_plugin *p = avi_registry_at(r, (avi_kind)k, i);
            const bool follows =
                k == AVI_KIND_TASK && ((const avi_task_ops *)avi_registry_at(r, AVI_KIND_TASK, i))->follows_fit;
            printf("  %-16s %s%s\n", p->name, p->doc, follows ? " (run.after too)" : "");
        }
    }
}

static avi_status print_information(const command *c, const avi_config *config)
{
    avi_status status = AVI_OK;
    switch (c->action) {
    case HELP:
        avi_command_help(stdout);
        break;
    case VERSION:
        print_version();
        break;
    case LIST:
        c->section ? print_accepted(c->options.registry) : print_list(c->options.registry);
        break;
    case KEYS:
        status = avi_config_help(config, c->section, stdout);
        break;
    case REFERENCE:
        if (!c->section)
            avi_config_reference(config, stdout);
        else if (!strcmp(c->section, "man"))
            avi_manual_page(c->options.registry, config, stdout);
        else
            avi_bash_completion(config, stdout);
        break;
    case RUN:
        break;
    }
    return status == AVI_OK ? avi_streams_flush() : status;
}

static avi_status inform(avi_comm *comm, const command *c)
{
    avi_config *config = NULL;
    AVI_TRY(avi_agree(comm, avi_registry_config(c->options.registry, &config)));
    const avi_status status = avi_comm_rank(comm) == 0 ? print_information(c, config) : AVI_OK;
    avi_config_destroy(&config);
    return avi_agree(comm, status);
}

static avi_status run(avi_comm *comm, const command *c, avi_setup *setup)
{
    avi_run *run = NULL;
    if (!c->options.dry_run && !c->options.check_gradient) AVI_TRY(avi_agree(comm, avi_run_folder_check_output(setup)));
    AVI_TRY(avi_run_start(comm, setup, &c->options, &run));
    char *unused = avi_config_unused(run->config);
    if (unused && *unused && avi_comm_rank(comm) == 0 && c->options.verbosity > 0)
        printf("keys that this run does not use: %s\n", unused);
    free(unused);
    const avi_status status = avi_run_task(run);
    avi_run_close(&run);
    return status;
}

/* --help and --version ask for no file and no plug-in. */
static avi_status configure_and_run(avi_comm *comm, command *c)
{
    const bool plain = c->action == HELP || c->action == VERSION;
    bool folder = true;
    if (c->verify && !plain) AVI_TRY(avi_run_folder_is(comm, c->options.file, &folder));
    if (!folder) return avi_fail(AVI_ERR_NOINPUT, "%s: is no folder of a run; use --verify runs/vae", c->options.file);
    avi_setup setup;
    avi_status status = avi_setup_file(comm, plain ? NULL : c->options.file, plain ? 0 : c->options.overrides,
                                       c->options.override, &setup);
    c->options.registry = setup.registry;
    c->options.given = setup.given;
    if (status == AVI_OK) {
        if (c->action != RUN)
            status = inform(comm, c);
        else if (c->verify)
            status = avi_verify(comm, &setup, &c->options, c->verify_steps);
        else if (c->sweep)
            status = avi_sweep(comm, c->sweep, c->groups, c->part, &c->options, avi_task_perform);
        else
            status = run(comm, c, &setup);
    }
    avi_setup_free(&setup);
    return status;
}

/* --status reads files only: it works where MPI does not start, as on the login node of some clusters. */
static avi_status report_status(int argc, char **argv)
{
    avi_status status = avi_run_status(argc - 2, argv + 2);
    if (status == AVI_OK) status = avi_streams_flush();
    if (status != AVI_OK) fprintf(stderr, "avi_mpi: error: %s\n", avi_error_text());
    return status;
}

int avi_command(int argc, char **argv)
{
    avi_streams_open();
    avi_data_child(argc, argv);
    if (argc > 1 && !strcmp(argv[1], "--status")) return (int)report_status(argc, argv);
    avi_blas_choose_kernels(argv);
    avi_signals_install(); /* before message passing starts: SIGPIPE is to be ignored in there, too */
    avi_comm *comm = NULL;
    command c = {.options.started = avi_seconds()};
    avi_status status = avi_comm_start(&argc, &argv, &comm);
    if (status == AVI_OK) {
        avi_signals_install(); /* the library may have put handlers of its own in place */
        avi_signals_speak(avi_comm_rank(comm) == 0);
        status = avi_agree(comm, read_arguments(&c, argc, argv));
        const bool alone = status == AVI_OK && c.action == RUN && avi_launch_check(avi_comm_size(comm)) != AVI_OK;
        if (alone) status = AVI_ERR_USAGE;
        if (status == AVI_OK) status = avi_agree(comm, avi_blas_reserve());
        if (status == AVI_OK) status = configure_and_run(comm, &c);
        avi_signals_speak(false); /* one message is enough */
        if (status != AVI_OK && avi_comm_rank(comm) == 0 && !(alone && avi_launch_is_another()))
            fprintf(stderr,
                    status == AVI_ERR_STOPPED || status == AVI_ERR_BUDGET || status == AVI_ERR_DIFFERS
                        ? "avi_mpi: %s\n"
                        : "avi_mpi: error: %s\n",
                    avi_error_text());
        avi_comm_finish(&comm);
    } else {
        fprintf(stderr, "avi_mpi: error: %s\n", avi_error_text());
    }
    free(c.override);
    return (int)status;
}
