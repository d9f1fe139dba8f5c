#include "tasks/rows_task.h"
#include "tasks/rows_guard.h"
#include "base/signals.h"
#include "store/row_file.h"
#include "output/data_fields.h"
#include "output/names.h"
#include "output/run_file.h"
#include "rows/row_results.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { TILE = 64, BLOCK_BYTES = 64 << 20, MOST_ROWS = 131072, SCORE_ROWS = 8192, WEIGHT_VALUES = 4 << 20 };
enum { SCORE_DRAWS = 200, RECONSTRUCTION_DRAWS = 20, SAMPLE_DRAWS = 10 };

static const avi_key keys[] = {
    {"rows", "draws", AVI_KEY_INT, "0", 0, 65536, NULL, "draws",
     "of z per row: importance weights of run.task = evaluate, means of reconstruct, draws of sample; 0 = 200, 20, 10"},
    {"rows", "passes", AVI_KEY_INT, "200", 1, 100000, NULL, "passes",
     "over a new row of a factorized fit to find its own factor with the fit's parameters fixed, at most"},
    {"rows", "tolerance", AVI_KEY_REAL, "1e-6", 1e-12, 1e3, NULL, "nats",
     "that this may leave when a row counts as converged"},
    {"rows", "block", AVI_KEY_INT, "0", 0, 1e9, NULL, "rows",
     "written at a time by encode, evaluate and reconstruct, on all ranks together: what a run that is killed loses at "
     "most; 0 = chosen from the size of a row"},
};

avi_status avi_rows_task_register_keys(avi_registry *registry)
{
    return avi_registry_add_keys(registry, keys, (int)(sizeof keys / sizeof keys[0]));
}

/* ---- what is written ---- */

typedef struct job {
    avi_session *s;
    const avi_fitted *fit;
    int what;
    avi_row_use use;
    int64_t block; /* rows */
    avi_row_results results;
    avi_folder *folder;
    avi_row_file *file;
    avi_fields text; /* owner of what fields and attributes point at */
    char *identity, *columns, *effective;
    const char *name;   /* of the file */
    int64_t name_bytes; /* of the name of a row; 0: rows have none */
    char *row_names;    /* (block, name_bytes) */
} job;

/* Results first, in their order: avi_row_results_put counts them; then the names of the rows. */
static avi_status list_fields(job *j)
{
    avi_field f[AVI_ROW_RESULTS];
    avi_fields *l = &j->text;
    const int n = avi_row_results_fields(&j->results, f);
    for (int i = 0; i < n; i++) AVI_TRY(avi_fields_add(l, f[i]));
    if (j->name_bytes)
        AVI_TRY(avi_fields_add(l, (avi_field){.path = j->what & AVI_ROWS_DRAWS ? "/posterior/row" : "/row",
                                              .text_bytes = j->name_bytes,
                                              .rank = 1,
                                              .dims = {j->s->partition.rows},
                                              .distributed = true,
                                              .description = "names of the rows",
                                              .units = "",
                                              .axes = "row"}));
    AVI_TRY(avi_fields_add(l, (avi_field){.path = "/config/effective",
                                          .text = j->effective,
                                          .description = "every key in force, its value and origin",
                                          .units = "",
                                          .axes = ""}));
    if (!*j->columns) return AVI_OK;
    AVI_TRY(avi_names_of_columns(l, j->columns, j->s->shape.width));
    return avi_fields_add(l, (avi_field){.path = "/data/columns",
                                         .text = j->columns,
                                         .description = "names of the columns, one per line, in the order of the "
                                                        "values of a row",
                                         .units = "",
                                         .axes = ""});
}

/* Names of own rows of the block that is read. */
static avi_status put_names(const job *j)
{
    const avi_data *d = &j->use.block.data;
    if (!j->name_bytes || !d->count) return AVI_OK;
    AVI_TRY(avi_names_of_rows(j->s->train_source, d->first, d->count, j->name_bytes, j->row_names));
    return avi_row_file_put(j->file, j->results.count, d->first, d->count, j->row_names);
}

static int list_attributes(job *j, avi_attribute a[40])
{
    int n = avi_run_file_provenance(j->s, &j->text, "done", "done", 0, a), kept = 0;
    for (int i = 0; i < n; i++) {
        if (!strcmp(a[i].group, "/trace") || !strcmp(a[i].name, "seconds")) continue; /* of fits */
        if (!strcmp(a[i].name, "format")) a[i].text = "avi_mpi rows";
        a[kept++] = a[i];
    }
    a[kept++] =
        (avi_attribute){.group = "/", .name = "task", .text = avi_config_get_string(j->s->config, "run", "task")};
    a[kept++] = (avi_attribute){.group = "/", .name = "made_from", .text = j->identity};
    a[kept++] = (avi_attribute){.group = "/", .name = "checkpoint", .text = j->fit->path};
    return kept;
}

/* ---- identity: what must be the same for a file to be resumed ---- */

/* The file of the rows, by its size and the time of its last change: rows that were made are not read again. */
static avi_status stamp_of_data(const job *j, int64_t stamp[3])
{
    struct stat info;
    const char *source = avi_config_get_string(j->s->config, "data", "source");
    memset(stamp, 0, 3 * sizeof *stamp);
    const bool drawn = !strcmp(source, "strokes") || !strcmp(source, "model");
    if (avi_comm_rank(j->s->comm) == 0 && !drawn &&
        stat(avi_config_get_string(j->s->config, "data", "path"), &info) == 0) {
        stamp[0] = (int64_t)info.st_size;
        stamp[1] = (int64_t)info.st_mtim.tv_sec;
        stamp[2] = (int64_t)info.st_mtim.tv_nsec;
    }
    return avi_comm_bcast(j->s->comm, stamp, 3 * sizeof *stamp, 0);
}

static avi_status make_identity(job *j)
{
    int64_t stamp[3];
    AVI_TRY(stamp_of_data(j, stamp));
    j->identity =
        avi_fields_text(&j->text,
                        "%s of %s (%" PRId64 " rows, %" PRId64 " bytes, changed %" PRId64 ".%09" PRId64
                        "), parameters and keys %016" PRIx64,
                        avi_config_get_string(j->s->config, "run", "task"), j->s->train_source->label,
                        j->s->partition.rows, stamp[0], stamp[1], stamp[2], avi_rows_task_hash(j->s, j->use.st.params));
    j->columns = avi_data_column_names(j->s);
    j->effective = avi_config_effective(j->s->config);
    return avi_agree(j->s->comm,
                     j->identity && j->columns && j->effective ? AVI_OK : avi_fail_memory(1, "a file of rows"));
}

/* ---- the blocks ---- */

static bool speaks(const job *j) { return avi_comm_rank(j->s->comm) == 0 && j->s->options->verbosity > 0; }

static avi_status make_rows(job *j, int64_t done)
{
    const int64_t rows = j->s->partition.rows;
    double told = avi_seconds();
    const double from = told;
    const int64_t before = done;
    if (done && speaks(j)) printf("  resumed      after %" PRId64 " rows that are made already\n", done);
    if (speaks(j)) fflush(stdout);
    for (int64_t n; done < rows; done += n) {
        n = rows - done < j->block ? rows - done : j->block;
        AVI_TRY(avi_row_use_read(&j->use, done, n));
        AVI_TRY(avi_row_results_make(&j->results, &j->use));
        avi_status status = avi_row_results_put(&j->results, &j->use, j->file);
        if (status == AVI_OK) status = put_names(j);
        AVI_TRY(avi_row_file_commit(j->file, done + n, status));
        const double now = avi_seconds();
        if (now - told < 5 || !speaks(j)) continue;
        told = now;
        printf("  row %" PRId64 "/%" PRId64 "  %.4g rows/s\n", done + n, rows,
               (double)(done + n - before) / (now - from));
        fflush(stdout);
    }
    return avi_row_file_finish(j->file);
}

/* ---- what is printed ---- */

static void print_header(const job *j)
{
    if (!speaks(j)) return;
    const avi_session *s = j->s;
    printf("  fit          %s: %s by %s, after %" PRId64 " steps on %" PRId64 " rows\n", j->fit->path,
           s->model->ops->name, s->infer->named->name, j->fit->step, j->fit->rows);
    printf("  rows         %" PRId64 " of %s", s->partition.rows, s->train_source->label);
    if (j->block < s->partition.rows) printf(", in blocks of %" PRId64, j->block);
    printf("\n");
    fflush(stdout);
}

/* Mean of a dataset over the rows, and the root of the sum of squares of another over their number. */
static avi_status mean_of(const job *j, avi_store *store, const char *value, const char *error, double *mean,
                          double *error_of_mean)
{
    const avi_session *s = j->s;
    const int rank = avi_comm_rank(s->comm), ranks = avi_comm_size(s->comm);
    const int64_t rows = s->partition.rows,
                  own = avi_slab_first(rows, ranks, rank + 1) - avi_slab_first(rows, ranks, rank);
    double *v = malloc((size_t)(2 * own + 1) * sizeof *v), sum[2] = {0, 0};
    AVI_TRY(avi_agree_memory(s->comm, v, sizeof *v, "results"));
    avi_status status = avi_store_read(store, value, AVI_F64, 1, (int64_t[4]){rows}, true, v);
    if (status == AVI_OK) status = avi_store_read(store, error, AVI_F64, 1, (int64_t[4]){rows}, true, v + own);
    for (int64_t r = 0; r < own && status == AVI_OK; r++) {
        sum[0] += v[r];
        sum[1] += v[own + r] * v[own + r];
    }
    free(v);
    AVI_TRY(status);
    AVI_TRY(avi_comm_sum_double(s->comm, sum, 2));
    *mean = sum[0] / (double)rows;
    *error_of_mean = sqrt(sum[1]) / (double)rows;
    return AVI_OK;
}

static avi_status print_scores(const job *j, const char *path)
{
    avi_store *store = NULL;
    double elbo = 0, elbo_error = 0, log_p = 0, log_p_error = 0;
    AVI_TRY(avi_store_open(j->s->comm, path, &store));
    avi_status status = mean_of(j, store, "/elbo", "/elbo_error", &elbo, &elbo_error);
    if (status == AVI_OK && j->results.scores.log_p)
        status = mean_of(j, store, "/log_p", "/log_p_error", &log_p, &log_p_error);
    avi_store_close(&store);
    AVI_TRY(status);
    if (!speaks(j)) return AVI_OK;
    printf("  ELBO         %.10g +- %.2g nats per row\n", elbo, elbo_error);
    if (j->results.scores.log_p) printf("  log p(x)     %.10g +- %.2g nats per row\n", log_p, log_p_error);
    return AVI_OK;
}

static avi_status print_results(const job *j)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", avi_folder_path(j->folder), j->name);
    if (j->what & AVI_ROWS_SCORES) AVI_TRY(print_scores(j, path));
    if (speaks(j)) printf("  results      %s\n", path);
    return AVI_OK;
}

/* ---- the task ---- */

static int64_t whole_tiles(int64_t rows) { return rows <= TILE ? TILE : rows / TILE * TILE; }

static void choose_block(job *j, int draws)
{
    const avi_session *s = j->s;
    const int64_t asked = avi_config_get_int(s->config, "rows", "block"), rows = s->partition.rows,
                  bytes = (int64_t)avi_source_row_bytes(s->train_source) + 1;
    int64_t n = BLOCK_BYTES / bytes;
    if (n > MOST_ROWS) n = MOST_ROWS;
    if (j->what && n > SCORE_ROWS) n = SCORE_ROWS;
    if (n > WEIGHT_VALUES / draws) n = WEIGHT_VALUES / draws;
    if ((j->what & AVI_ROWS_DRAWS) && n > WEIGHT_VALUES / draws / s->shape.width)
        n = WEIGHT_VALUES / draws / s->shape.width;
    if (asked) n = asked;
    if (n > rows) n = (rows + TILE - 1) / TILE * TILE;
    j->block = whole_tiles(n);
}

static avi_status prepare(job *j)
{
    const avi_config *c = j->s->config;
    const int asked = (int)avi_config_get_int(c, "rows", "draws");
    const bool scores = j->what & AVI_ROWS_SCORES;
    if (asked == 1 && scores)
        return avi_config_fail(c, "rows", "draws", "one draw has no standard error; use at least 2, or 0 for 200");
    const bool samples = j->what & AVI_ROWS_DRAWS;
    const int by_default = scores    ? SCORE_DRAWS
                           : samples ? SAMPLE_DRAWS
                                     : RECONSTRUCTION_DRAWS,
              draws = !j->what ? 1
                      : asked  ? asked
                               : by_default;
    const avi_row_settings settings = {.draws = draws,
                                       .passes = (int)avi_config_get_int(c, "rows", "passes"),
                                       .tolerance = avi_config_get_real(c, "rows", "tolerance")};
    AVI_TRY(avi_row_use_check(j->s, scores));
    if ((j->what & AVI_ROWS_RECONSTRUCTIONS) && !j->s->model->ops->reconstruct)
        return avi_config_fail(c, "run", "task", "model %s has no reconstruction; use encode or evaluate",
                               j->s->model->ops->name);
    if (samples && (!j->s->model->ops->draw || j->s->model->ops->coupling != AVI_INDEPENDENT))
        return avi_config_fail(c, "run", "task",
                               "model %s has no draws of rows by fitted parameters; use run.task = encode, or simulate "
                               "for data by the parameters of its keys",
                               j->s->model->ops->name);
    choose_block(j, draws);
    AVI_TRY(avi_row_use_create(j->s, j->fit, &settings, TILE, j->block, &j->use));
    AVI_TRY(avi_agree(j->s->comm, avi_row_results_create(j->s, j->what, draws, j->block, &j->results)));
    AVI_TRY(avi_names_of_rows_bytes(j->s->comm, j->s->train_source, j->s->partition.rows, &j->name_bytes));
    j->row_names = malloc((size_t)(j->block * j->name_bytes) + 1);
    AVI_TRY(avi_agree_memory(j->s->comm, j->row_names, (size_t)(j->block * j->name_bytes), "names of rows"));
    return make_identity(j);
}

static avi_status perform(job *j)
{
    avi_attribute attribute[40];
    bool done;
    int64_t rows_done = 0;
    print_header(j);
    if (j->s->options->dry_run) {
        if (avi_comm_rank(j->s->comm) == 0) printf("Nothing was written.\n");
        return AVI_OK;
    }
    AVI_TRY(avi_folder_open(j->s->comm, avi_config_get_string(j->s->config, "run", "output"), &j->folder));
    AVI_TRY(avi_rows_task_look(j->s, j->folder, j->name, j->identity, &done));
    if (done) return AVI_OK;
    AVI_TRY(avi_agree(j->s->comm, list_fields(j)));
    const int attributes = list_attributes(j, attribute);
    AVI_TRY(avi_row_file_open(j->folder, j->s->comm, j->name, j->text.field, j->text.count, attribute, attributes,
                              j->identity, &j->file, &rows_done));
    avi_signals_set(AVI_SIGNAL_AGAIN, "the rows that are made stay: the same command resumes with the others");
    AVI_TRY(make_rows(j, rows_done));
    avi_signals_set(AVI_SIGNAL_NOTED, NULL);
    return print_results(j);
}

static void release(job *j)
{
    avi_row_results_free(&j->results);
    free(j->columns);
    free(j->row_names);
    free(j->effective);
    avi_row_file_close(&j->file);
    avi_folder_close(&j->folder);
    avi_row_use_free(&j->use);
    avi_fields_free(&j->text);
}

avi_status avi_rows_task(avi_comm *comm, const avi_config *config, const avi_options *options, int what)
{
    avi_fitted fit;
    job j = {.fit = &fit, .what = what, .name = what & AVI_ROWS_DRAWS ? "samples.h5" : "rows.h5"};
    avi_status status = avi_rows_task_fit(comm, config, options, &fit);
    if (status == AVI_OK) status = avi_session_open_fitted(comm, config, options, &fit, true, &j.s);
    if (status == AVI_OK) status = avi_agree(comm, prepare(&j));
    if (status == AVI_OK) status = avi_agree(comm, perform(&j));
    release(&j);
    avi_session_close(&j.s);
    avi_fitted_close(&fit);
    return status;
}
