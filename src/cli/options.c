/* The table of options, and --help. */
#include "cli/options.h"

#include <string.h>

enum { HELP_INDENT = 24, HELP_WIDTH = 120 };

const char avi_command_synopsis[] = "mpirun -n N avi_mpi [options] FILE.ini [section.key=value ...]";
const char avi_command_summary[] =
    "Fits a latent-variable model by variational inference on N ranks. FILE.ini has the keys, and section.key=value "
    "sets one of them for this command. "
    "The folder of a run, or a checkpoint, can be given in place of FILE.ini: run.task=encode, evaluate, reconstruct "
    "or "
    "sample then uses that fit on other data, and writes to run.output.";

const avi_command_option avi_command_options[] = {
    {"--dry-run", NULL, "check keys and data, print the plan, write nothing", NULL},
    {"--check-gradient", NULL, "compare the gradient of the configured model with finite differences", NULL},
    {"--sweep", " TEXT",
     "do many runs in one job: --sweep 'inference.hidden=1|4|16; run.seed=1..5' (values are separated by |, ranges are "
     "a..b or a..b..step, keys are separated by ;). Every combination is a run in run.output/NUMBER_KEY=VALUE,..., and "
     "run.output/sweep.csv and sweep.h5 have a table of the results",
     NULL},
    {"--groups", " N",
     "split the ranks into N groups that do runs of the sweep side by side; the default is as many as there are runs",
     NULL},
    {"--part", " K/N",
     "do part K of N of the sweep, in one of N jobs that share it; the sweep without --part then makes the table",
     NULL},
    {"--resume", NULL, "resume from the last checkpoint, which must exist", NULL},
    {"--fresh", NULL, "begin anew; the old results are replaced when the new ones are complete", NULL},
    {"-q", NULL, "print less", NULL},
    {"-v", NULL, "print more", NULL},
    {"--verify", " FOLDER",
     "do the steps of a run with run.reproducible=yes again, on any number of ranks, and say whether the bits agree, "
     "or "
     "what differs first; nothing is written",
     NULL},
    {"--steps", " a..b", "verify these steps, from the checkpoint before them; the default is all", NULL},
    {"--status", " FOLDER ...",
     "print the state of the runs in these folders; it reads files only, and needs no mpirun", NULL},
    {"--help-keys", "[=SECTION]", "print every key: type, default, range, unit, meaning", NULL},
    {"--list", "[=data]",
     "print the models, inference functions, families, objectives, optimizers, data sources and tasks; =data: the data "
     "that are accepted, and the keys that name them",
     "data"},
    {"--reference", "[=man|bash]",
     "print a configuration file with every key at its default; =man: the manual page; =bash: the completion for bash",
     "man bash"},
    {"--version", NULL, "print the version, the revision and the libraries of the program", NULL},
    {"--help", NULL, "print this", NULL},
    {NULL, NULL, NULL, NULL},
};

const avi_exit_status avi_exit_statuses[] = {
    {0, "done"},
    {3, "ended before the rule of [stop] was met, with stop.required=yes"},
    {4, "diverged"},
    {5, "the bits differ from those of the run that --verify does again"},
    {64, "wrong use of the command"},
    {65, "bad data or checkpoint"},
    {66, "input not found"},
    {70, "internal error"},
    {73, "cannot create the output"},
    {74, "input or output failed"},
    {75, "stopped with a checkpoint; run the same command again to resume"},
    {78, "bad configuration, or a processor without the instructions that the program was built for"},
    {0, NULL},
};

/* Words from column `at` on, broken before column HELP_WIDTH and indented. */
static void print_wrapped(FILE *out, const char *text, int at, int indent)
{
    while (*text) {
        const int length = (int)strcspn(text, " ");
        if (at > indent && at + 1 + length > HELP_WIDTH) {
            (void)fprintf(out, "\n%*s", indent, "");
            at = indent;
        } else if (at > indent) {
            (void)fputc(' ', out);
            at++;
        }
        (void)fprintf(out, "%.*s", length, text);
        at += length;
        text += length;
        while (*text == ' ') text++;
    }
    (void)fputc('\n', out);
}

void avi_command_help(FILE *out)
{
    (void)fprintf(out, "usage: %s\n", avi_command_synopsis);
    print_wrapped(out, avi_command_summary, 0, 0);
    (void)fputc('\n', out);
    for (const avi_command_option *o = avi_command_options; o->name; o++) {
        const int width = fprintf(out, "  %s%s", o->name, o->value ? o->value : "");
        (void)fprintf(out, "%*s", width < HELP_INDENT ? HELP_INDENT - width : 2, "");
        print_wrapped(out, o->doc, HELP_INDENT, HELP_INDENT);
    }
    (void)fputs("\nexit status:\n", out);
    for (const avi_exit_status *e = avi_exit_statuses; e->doc; e++)
        (void)fprintf(out, "  %-*d%s\n", HELP_INDENT - 2, e->status, e->doc);
}
