/* --reference=man: the page avi_mpi(1), in the macros of man(7). */
#include "cli/options.h"
#include "cli/pages.h"
#include "session/version.h"

#include <stdbool.h>
#include <string.h>

enum { LINE_WIDTH = 78 };
/* Of the last change of the sentences below; a page has to say one. */
static const char date[] = "2026-11-30";

/* ---- text for roff --------------------------------------------------------------------------------------------- */

/* What prints a character as itself; NULL: the character does. In what people type (`literal`) a hyphen is a minus
 * sign. */
static const char *escaped(char c, bool literal)
{
    switch (c) {
    case '\\':
        return "\\e";
    case '\'':
        return "\\(aq";
    case '`':
        return "\\(ga";
    case '^':
        return "\\(ha";
    case '~':
        return "\\(ti";
    case '-':
        return literal ? "\\-" : NULL;
    default:
        return NULL;
    }
}

/* Bytes that a word takes in the file; with `out` NULL it is only measured. */
static int put_word(FILE *out, const char *word, int length, bool literal)
{
    int bytes = 0;
    if (length > 0 && *word == '.') { /* at the beginning of a line it would be a request */
        bytes += 2;
        if (out) (void)fputs("\\&", out);
    }
    for (int i = 0; i < length; i++) {
        const char *text = escaped(word[i], literal);
        bytes += text ? (int)strlen(text) : 1;
        if (out && text)
            (void)fputs(text, out);
        else if (out)
            (void)fputc(word[i], out);
    }
    return bytes;
}

/* A paragraph: lines of at most LINE_WIDTH characters, a new one for each sentence. Words that begin with a minus sign
 * are options. */
static void put_text(FILE *out, const char *text)
{
    int at = 0;
    while (*text) {
        const int length = (int)strcspn(text, " "), bytes = put_word(NULL, text, length, *text == '-');
        if (at > 0 && at + 1 + bytes > LINE_WIDTH) {
            (void)fputc('\n', out);
            at = 0;
        } else if (at > 0) {
            (void)fputc(' ', out);
            at++;
        }
        at += put_word(out, text, length, *text == '-');
        const bool ends = length > 0 && strchr(".?!", text[length - 1]) && text[length] == ' ';
        text += length;
        while (*text == ' ') text++;
        if (ends && at > 0) {
            (void)fputc('\n', out);
            at = 0;
        }
    }
    if (at > 0) (void)fputc('\n', out);
}

static void put_literal(FILE *out, const char *text) { (void)put_word(out, text, (int)strlen(text), true); }

/* .TP with a heading of bold text and plain text, and a paragraph. */
static void put_item(FILE *out, const char *bold, const char *plain, const char *doc)
{
    (void)fputs(".TP\n\\fB", out);
    put_literal(out, bold);
    (void)fputs("\\fR", out);
    put_literal(out, plain);
    (void)fputc('\n', out);
    put_text(out, doc);
}

/* ---- sections -------------------------------------------------------------------------------------------------- */

static void put_options(FILE *out)
{
    (void)fputs(".SH OPTIONS\n", out);
    for (const avi_command_option *o = avi_command_options; o->name; o++)
        put_item(out, o->name, o->value ? o->value : "", o->doc);
}

static void put_names(FILE *out, const avi_registry *r)
{
    (void)fputs(".SH WHAT IS CHOSEN BY NAME\n", out);
    for (int k = 0; k < AVI_KINDS; k++) {
        if (k == AVI_KIND_CLOSED_FORM) continue; /* chosen by the model */
        (void)fprintf(out, ".SS %s: %s\n", avi_kind_key((avi_kind)k), avi_kind_plural((avi_kind)k));
        for (int i = 0; i < avi_registry_count(r, (avi_kind)k); i++) {
            const avi_plugin *p = avi_registry_at(r, (avi_kind)k, i);
            put_item(out, p->name, "", p->doc);
        }
    }
}

typedef struct key_page {
    FILE *out;
    const char *section;        /* of the last key, NULL before the first one */
    const avi_key_table *table; /* of the last key */
} key_page;

static void put_key(void *user, const avi_key *key, const avi_key_table *table, const char *kind)
{
    key_page *page = user;
    if (!page->section || strcmp(page->section, key->section) != 0)
        (void)fprintf(page->out, ".SS [%s]\n", key->section);
    if (table->section && table != page->table) {
        (void)fprintf(page->out, ".PP\nWith [%s] ", table->section);
        put_literal(page->out, table->key);
        (void)fputs(" = ", page->out);
        put_literal(page->out, table->values);
        (void)fputs(":\n", page->out);
    }
    page->section = key->section;
    page->table = table;
    (void)fputs(".TP\n\\fB", page->out);
    put_literal(page->out, key->name);
    (void)fputs("\\fR =", page->out);
    if (*key->fallback) (void)fputc(' ', page->out);
    put_literal(page->out, key->fallback);
    (void)fputs("  (", page->out);
    put_literal(page->out, kind);
    (void)fputs(")\n", page->out);
    put_text(page->out, key->doc ? key->doc : "");
}

static void put_keys(FILE *out, const avi_config *config)
{
    (void)fputs(".SH KEYS\n", out);
    put_text(out,
             "A key stands in FILE.ini under its [section], or on the command line as section.key=value, which wins. "
             "Below are the default of each key and, in parentheses, its type, its range and its unit.");
    avi_config_each_key(config, put_key, &(key_page){.out = out});
}

static void put_status(FILE *out)
{
    (void)fputs(".SH EXIT STATUS\nEvery rank returns the same one.\n", out);
    for (const avi_exit_status *e = avi_exit_statuses; e->doc; e++) {
        char number[16];
        (void)snprintf(number, sizeof number, "%d", e->status);
        put_item(out, number, "", e->doc);
    }
    put_item(out, "128", " + n", "ended by signal n with nothing to save, or by a second signal");
}

static void put_rest(FILE *out)
{
    (void)fputs(".SH SIGNALS\n", out);
    put_text(out,
             "INT, TERM, HUP, USR1 and USR2 make a fit write a checkpoint and end with 75. A second signal ends the "
             "program at once. mpirun kills the ranks soon after INT and TERM, so use USR1 where a checkpoint is "
             "large: kill -USR1 on the process of mpirun.");
    (void)fputs(".SH ENVIRONMENT\n", out);
    put_item(out, "AVI_STATUS_FILE", "",
             "a file that does not exist; the first rank writes the exit status into it. Some launchers return 0 after "
             "they have lost ranks: then there is no such file");
    put_item(out, "${NAME}", "", "in a value of FILE.ini stands for the environment variable NAME");
    (void)fputs(".SH FILES\nIn the folder \\fBrun.output\\fR:\n", out);
    put_item(out, "run.h5", "", "results, trace, parameters and provenance (HDF5)");
    put_item(out, "metrics.csv", "", "a line for each logged step");
    put_item(out, "checkpoint/", "", "the last checkpoints; the file latest names the newest one that is complete");
    put_item(out, "config.ini", "", "every key that was in force, with its value and where it came from");
    put_item(out, "rows.h5, samples.h5", "", "what run.task=encode, evaluate, reconstruct and sample write");
    (void)fputs(".SH EXAMPLES\n.nf\nmpirun \\-n 4 avi_mpi vae.ini\n"
                "mpirun \\-n 4 avi_mpi vae.ini model.latent=2 run.output=runs/two\n"
                "avi_mpi \\-\\-dry\\-run vae.ini\n"
                "avi_mpi \\-\\-status runs/*\n"
                "mpirun \\-n 4 avi_mpi runs/vae run.task=encode data.path=new.h5 run.output=runs/codes\n.fi\n"
                ".SH SEE ALSO\n\\fBmpirun\\fR(1), \\fBh5dump\\fR(1), \\fBsbatch\\fR(1)\n",
                out);
}

void avi_manual_page(const avi_registry *registry, const avi_config *config, FILE *out)
{
    (void)fprintf(
        out,
        ".\\\" Written by avi_mpi --reference=man from the tables of the program: change those, not this file.\n"
        ".TH AVI_MPI 1 \"%s\" \"avi_mpi %s\"\n"
        ".SH NAME\navi_mpi \\- variational inference for latent-variable models on MPI clusters\n"
        ".SH SYNOPSIS\n\\fBmpirun \\-n\\fR \\fIN\\fR \\fBavi_mpi\\fR [\\fIoptions\\fR] \\fIFILE.ini\\fR "
        "[\\fIsection.key\\fR=\\fIvalue\\fR ...]\n"
        ".SH DESCRIPTION\n",
        date, avi_version_of().version);
    put_text(out, avi_command_summary);
    put_options(out);
    put_names(out, registry);
    put_keys(out, config);
    put_status(out);
    put_rest(out);
}
