#include "sweep/sweep_table.h"
#include "output/run_file.h"
#include "output/console.h"
#include "session/version.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Columns that are numbers of the record. */
typedef struct column {
    const char *name, *units, *description;
    size_t offset;
    bool real;
} column;

#define WHOLE(name, units, description)                                                                                \
    {                                                                                                                  \
#name, units, description, offsetof(avi_sweep_record, name), false                                             \
    }
#define REAL(name, units, description)                                                                                 \
    {                                                                                                                  \
#name, units, description, offsetof(avi_sweep_record, name), true                                              \
    }
static const column columns[] = {
    WHOLE(steps, "steps", "steps done"),
    REAL(seconds, "s", "seconds of stepping, resumed parts included"),
    WHOLE(rows, "rows", "of the training data"),
    REAL(elbo_train, "nats per row", "ELBO of the training rows, last evaluation"),
    REAL(elbo_test, "nats per row", "ELBO of the test rows, last evaluation"),
    REAL(mse_train, "data units squared",
         "mean squared reconstruction error of a value, training rows, last evaluation"),
    REAL(mse_test, "data units squared", "mean squared reconstruction error of a value, test rows, last evaluation"),
    REAL(elbo_train_error, "nats per row", "standard error of elbo_train; 0 where the evaluation takes no draws"),
    REAL(elbo_test_error, "nats per row", "standard error of elbo_test; 0 where the evaluation takes no draws"),
    REAL(mse_train_error, "data units squared", "standard error of mse_train; 0 where the evaluation takes no draws"),
    REAL(mse_test_error, "data units squared", "standard error of mse_test; 0 where the evaluation takes no draws"),
    REAL(elbo, "nats", "ELBO of the training data, last evaluation: elbo_train for all rows"),
    REAL(elbo_error, "nats", "standard error of elbo"),
    REAL(gap_fit, "nats",
         "ELBO of the F-VI optimum less that of the fit, where run.after = exact has it in closed form"),
    REAL(gap_fit_error, "nats", "standard error of gap_fit; 0 where the fit's ELBO is in closed form too"),
    REAL(slope, "nats per row and epoch", "of the ELBO over the last tenth of the steps"),
    REAL(slope_error, "nats per row and epoch", "standard error of slope"),
    REAL(loss, "nats",
         "-ELBO of the training data + constant, the unit of Margossian & Blei's code; NaN for other models"),
    REAL(best_elbo, "nats per row", "largest ELBO of the trace"),
};
enum { COLUMNS = sizeof columns / sizeof columns[0], PRINTED = 60 };

static double real_of(const avi_sweep_record *r, const column *c)
{
    return *(const double *)(const void *)((const char *)r + c->offset);
}
static int64_t whole_of(const avi_sweep_record *r, const column *c)
{
    return *(const int64_t *)(const void *)((const char *)r + c->offset);
}

int64_t avi_sweep_table_best(const avi_sweep_table *t)
{
    int64_t best = -1;
    for (int64_t i = 0; i < t->spec->runs; i++) {
        const avi_sweep_record *r = &t->record[i];
        if (r->status == AVI_SWEEP_DONE && isfinite(r->elbo_train) &&
            (best < 0 || r->elbo_train > t->record[best].elbo_train))
            best = i;
    }
    return best;
}

/* ---- the screen ---- */

static void print_value(double value, int width, int digits)
{
    if (isfinite(value))
        printf("  %*.*f", width, digits, value);
    else
        printf("  %*s", width, "-");
}

/* Columns of the screen that not every sweep has. */
typedef struct shown {
    bool errors, gaps, losses;
} shown;

static void print_run(const avi_sweep_table *t, int64_t i, shown s)
{
    char label[200];
    const avi_sweep_record *r = &t->record[i];
    avi_sweep_spec_label(t->spec, i, label, sizeof label);
    printf("  %03" PRId64 "  %-8s %4" PRId64 " %9" PRId64, i, avi_sweep_status_text(r->status), r->code, r->steps);
    print_value(r->seconds, 8, 1);
    print_value(r->elbo_train, 12, 5);
    if (s.errors) print_value(r->elbo_train_error, 8, 5);
    print_value(r->elbo_test, 12, 5);
    if (s.errors) print_value(r->elbo_test_error, 8, 5);
    if (s.gaps) print_value(r->gap_fit, 12, 4);
    if (s.losses) print_value(r->loss, 12, 3);
    printf("  %s\n", label);
}

void avi_sweep_table_print(const avi_sweep_table *t, const char *folder)
{
    const int64_t n = t->spec->runs, best = avi_sweep_table_best(t);
    shown s = {0};
    for (int64_t i = 0; i < n; i++) {
        s.errors = s.errors || t->record[i].elbo_train_error > 0;
        s.gaps = s.gaps || isfinite(t->record[i].gap_fit);
        s.losses = s.losses || isfinite(t->record[i].loss);
    }
    printf("  run  status   exit     steps   seconds    ELBO train%s     ELBO test%s%s%s  (ELBO: nats per row)\n",
           s.errors ? "     error" : "", s.errors ? "     error" : "", s.gaps ? "   gap (nats)" : "",
           s.losses ? "          loss" : "");
    for (int64_t i = 0; i < n && i < PRINTED; i++) print_run(t, i, s);
    if (n > PRINTED) printf("  ... and %" PRId64 " more\n", n - PRINTED);
    if (best >= 0) {
        printf("best by the ELBO on training data:\n");
        print_run(t, best, s);
    }
    printf("  table        %s/sweep.csv, %s/sweep.h5\n", folder, folder);
    fflush(stdout);
}

/* ---- sweep.csv ---- */

static void put_text(FILE *f, const char *text)
{
    if (!strpbrk(text, ",\"\n\r")) {
        fprintf(f, ",%s", text);
        return;
    }
    fputs(",\"", f);
    for (; *text; text++) fprintf(f, *text == '"' ? "\"\"" : "%c", *text);
    fputc('"', f);
}

static void put_run(const avi_sweep_table *t, int64_t i, FILE *f)
{
    char name[AVI_SWEEP_NAME];
    const avi_sweep_record *r = &t->record[i];
    fprintf(f, "%" PRId64, i);
    for (int k = 0; k < t->spec->keys; k++) put_text(f, avi_sweep_spec_value(t->spec, i, k));
    fprintf(f, ",%s,%" PRId64, avi_sweep_status_text(r->status), r->code);
    for (int c = 0; c < COLUMNS; c++) {
        if (!columns[c].real)
            fprintf(f, ",%" PRId64, whole_of(r, &columns[c]));
        else if (isfinite(real_of(r, &columns[c])))
            fprintf(f, ",%.17g", real_of(r, &columns[c]));
        else
            fputc(',', f); /* empty: what every reader takes for missing */
    }
    avi_sweep_spec_name(t->spec, i, name);
    put_text(f, name);
    put_text(f, r->message);
    fputc('\n', f);
}

/* Owner: caller. NULL when memory is short. */
static char *csv_text(const avi_sweep_table *t)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f) return NULL;
    fputs("run", f);
    for (int k = 0; k < t->spec->keys; k++) put_text(f, t->spec->key[k].name);
    fputs(",status,exit_code", f);
    for (int c = 0; c < COLUMNS; c++) fprintf(f, ",%s", columns[c].name);
    fputs(",folder,message\n", f);
    for (int64_t i = 0; i < t->spec->runs; i++) put_run(t, i, f);
    const bool good = !ferror(f);
    if (fclose(f) == 0 && good) return text;
    free(text);
    return NULL;
}

/* ---- sweep.h5 ---- */

static avi_status need(const void *p) { return p ? AVI_OK : avi_fail_memory(1, "the table of a sweep"); }

static avi_status add_whole(const avi_sweep_table *t, avi_fields *l, const char *name, size_t offset, const char *units,
                            const char *description)
{
    int64_t *value = avi_fields_memory(l, (size_t)t->spec->runs * sizeof *value);
    char *path = avi_fields_text(l, "/runs/%s", name);
    AVI_TRY(need(value && path ? value : NULL));
    const column c = {.offset = offset};
    for (int64_t i = 0; i < t->spec->runs; i++) value[i] = whole_of(&t->record[i], &c);
    return avi_fields_add(l, (avi_field){.path = path,
                                         .type = AVI_I64,
                                         .rank = 1,
                                         .dims = {t->spec->runs},
                                         .data = value,
                                         .description = description,
                                         .units = units,
                                         .axes = "run"});
}

static avi_status add_real(const avi_sweep_table *t, avi_fields *l, const column *c)
{
    double *value = avi_fields_memory(l, (size_t)t->spec->runs * sizeof *value);
    char *path = avi_fields_text(l, "/runs/%s", c->name);
    AVI_TRY(need(value && path ? value : NULL));
    for (int64_t i = 0; i < t->spec->runs; i++) value[i] = real_of(&t->record[i], c);
    return avi_fields_add(l, (avi_field){.path = path,
                                         .type = AVI_F64,
                                         .rank = 1,
                                         .dims = {t->spec->runs},
                                         .data = value,
                                         .description = c->description,
                                         .units = c->units,
                                         .axes = "run"});
}

/* A key of the sweep: numbers where all its values are, else a text with one line a run. */
static avi_status add_key(const avi_sweep_table *t, avi_fields *l, int key)
{
    const avi_sweep_spec *s = t->spec;
    double *value = avi_fields_memory(l, (size_t)s->runs * sizeof *value);
    char *path = avi_fields_text(l, "/runs/%s", s->key[key].name), *text = NULL;
    size_t size = 0;
    bool numbers = true;
    AVI_TRY(need(value && path ? value : NULL));
    FILE *f = open_memstream(&text, &size);
    AVI_TRY(need(f));
    for (int64_t i = 0; i < s->runs; i++) {
        const char *word = avi_sweep_spec_value(s, i, key);
        char *end;
        value[i] = strtod(word, &end);
        numbers = numbers && *word && !*end;
        fprintf(f, "%s%s", i ? "\n" : "", word);
    }
    char *copy = fclose(f) == 0 && text ? avi_fields_memory(l, size + 1) : NULL;
    if (copy) memcpy(copy, text, size + 1);
    free(text);
    AVI_TRY(need(copy));
    if (numbers)
        return avi_fields_add(l, (avi_field){.path = path,
                                             .type = AVI_F64,
                                             .rank = 1,
                                             .dims = {s->runs},
                                             .data = value,
                                             .description = "swept key",
                                             .units = "",
                                             .axes = "run"});
    return avi_fields_add(
        l,
        (avi_field){.path = path, .text = copy, .description = "swept key, one line a run", .units = "", .axes = ""});
}

static avi_status add_columns(const avi_sweep_table *t, const char *csv, avi_fields *l)
{
    for (int k = 0; k < t->spec->keys; k++) AVI_TRY(add_key(t, l, k));
    AVI_TRY(add_whole(t, l, "status", offsetof(avi_sweep_record, status), "",
                      "0 waiting, 1 done, 2 stopped, 3 diverged, 4 failed"));
    AVI_TRY(
        add_whole(t, l, "exit_code", offsetof(avi_sweep_record, code), "", "what the run alone would have ended with"));
    for (int c = 0; c < COLUMNS; c++) {
        if (columns[c].real)
            AVI_TRY(add_real(t, l, &columns[c]));
        else
            AVI_TRY(add_whole(t, l, columns[c].name, columns[c].offset, columns[c].units, columns[c].description));
    }
    return avi_fields_add(l, (avi_field){.path = "/csv",
                                         .text = csv,
                                         .description = "the table as text, with folders and messages",
                                         .units = "",
                                         .axes = ""});
}

static int list_attributes(const avi_sweep_table *t, const avi_options *options, int ranks, avi_fields *l,
                           avi_attribute a[12])
{
    const avi_version v = avi_version_of();
    char *argv = avi_fields_memory(l, 4096);
    size_t used = 0;
    for (int i = 0; argv && i < options->argc && used < 4000; i++)
        used += (size_t)snprintf(argv + used, 4096 - used, "%s%s", i ? " " : "", options->argv[i]);
    int n = 0;
    a[n++] = (avi_attribute){.group = "/", .name = "format", .text = "avi_mpi sweep"};
    a[n++] = (avi_attribute){.group = "/", .name = "format_version", .integer = 1};
    a[n++] = (avi_attribute){.group = "/", .name = "best", .integer = avi_sweep_table_best(t)};
    a[n++] = (avi_attribute){.group = "/provenance", .name = "version", .text = v.version};
    a[n++] = (avi_attribute){.group = "/provenance", .name = "git_revision", .text = v.revision};
    a[n++] = (avi_attribute){.group = "/provenance", .name = "argv", .text = argv ? argv : ""};
    a[n++] = (avi_attribute){.group = "/provenance", .name = "ranks", .integer = ranks};
    a[n++] = (avi_attribute){.group = "/provenance", .name = "groups", .integer = t->groups};
    return n;
}

avi_status avi_sweep_table_write(const avi_sweep_table *t, avi_comm *comm, avi_folder *folder,
                                 const avi_options *options)
{
    avi_fields l = {0};
    avi_attribute a[12];
    char *csv = csv_text(t), *path = avi_fields_memory(&l, strlen(avi_folder_path(folder)) + 16);
    avi_status status = need(csv && path ? csv : NULL);
    if (status == AVI_OK) status = add_columns(t, csv, &l);
    status = avi_agree(comm, status);
    if (status == AVI_OK) status = avi_folder_write_text(folder, comm, "sweep.csv", csv);
    if (status == AVI_OK) {
        sprintf(path, "%s/sweep.h5", avi_folder_path(folder));
        status = avi_store_write_results(comm, path, l.field, l.count, a,
                                         list_attributes(t, options, avi_comm_size(comm), &l, a));
    }
    avi_fields_free(&l);
    free(csv);
    return status;
}
