#include "output/run_file.h"
#include "output/console.h"
#include "output/data_fields.h"
#include "output/names.h"
#include "output/run_file_digest.h"
#include "output/run_file_ending.h"
#include "output/run_file_kept.h"
#include "state/best.h"
#include "source/holdout.h"
#include "session/version.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Passes a failure up from inside a function that owns nothing. */
static avi_status need(const void *p) { return p ? AVI_OK : avi_fail_memory(1, "results"); }

static avi_status add_table(avi_fields *l, const char *group, const avi_trace *t, int columns)
{
    for (int c = 0; c < columns; c++) {
        double *value = avi_fields_memory(l, (size_t)(t->rows + 1) * sizeof *value);
        char *path = avi_fields_text(l, "%s/%s", group, t->column[c].name);
        AVI_TRY(need(value && path ? value : NULL));
        for (int64_t r = 0; r < t->rows; r++) value[r] = t->value[r * (t->columns + t->extra) + c];
        AVI_TRY(avi_fields_add(l, (avi_field){.path = path,
                                              .type = AVI_F64,
                                              .rank = 1,
                                              .dims = {t->rows},
                                              .data = value,
                                              .description = t->column[c].description,
                                              .units = t->column[c].units,
                                              .axes = "step"}));
    }
    return AVI_OK;
}

/* Shares of the ranks: (rows, ranks), or (rows, ranks, count) for several; each rank writes a slab of lines.
 * Collective.
 */
static avi_status add_shares(const avi_session *s, avi_fields *l, const avi_shares *t, int which, int count,
                             const char *path, const char *description, const char *units)
{
    const int ranks = avi_comm_size(s->comm), rank = avi_comm_rank(s->comm);
    const int64_t columns = avi_shares_columns(t),
                  own = avi_slab_first(t->lines, ranks, rank + 1) - avi_slab_first(t->lines, ranks, rank);
    double *value = avi_fields_memory(l, (size_t)(own * columns * count + 1) * sizeof *value);
    AVI_TRY(avi_agree(s->comm, need(value)));
    AVI_TRY(avi_shares_lines(t, which, count, value));
    return avi_fields_add(l, (avi_field){.path = path,
                                         .type = AVI_F64,
                                         .rank = count > 1 ? 3 : 2,
                                         .dims = {t->lines, columns, count},
                                         .data = value,
                                         .distributed = true,
                                         .description = description,
                                         .units = units,
                                         .axes = count > 1 ? "step, rank, phase" : "step, rank"});
}

/* Before the first step all factors are the same, and their rows may be many. */
static bool wants_local(const avi_session *s, const avi_state *st, bool whole)
{
    const char *local = avi_config_get_string(s->config, "output", "local");
    if (!strcmp(local, "no") || (st->step == 0 && !whole)) return false;
    return s->infer->ops->local || (whole && !strcmp(local, "yes"));
}

static avi_status add_local(const avi_session *s, const avi_local *local, avi_fields *l)
{
    const avi_field f = {.path = "/local/mean",
                         .type = avi_run_file_type(s),
                         .rank = 2,
                         .dims = {s->partition.rows, s->model->latent},
                         .supply = &local->supply,
                         .distributed = true,
                         .description = "mean of q(z_n), rows in the order of the data as given",
                         .units = "",
                         .axes = "row, dimension"};
    avi_field g = f;
    g.path = "/local/log_sd";
    g.description = "log standard deviation of q(z_n), rows in the order of the data as given";
    AVI_TRY(avi_fields_add(l, f));
    AVI_TRY(avi_fields_add(l, g));
    if (!s->family->ops->covariance) return AVI_OK;
    g.path = "/local/covariance";
    g.rank = 3;
    g.dims[2] = s->model->latent;
    g.axes = "row, dimension, dimension_2";
    g.description = "covariance of q(z_n), both triangles, rows in the order of the data as given";
    return avi_fields_add(l, g);
}

/* What the rows of /local are called: the names that the data have, or, where rows are held out, their numbers in the
 * data. Collective. */
static avi_status add_local_rows(const avi_session *s, avi_fields *l)
{
    const int64_t first = avi_slab_first(s->partition.rows, avi_comm_size(s->comm), avi_comm_rank(s->comm)),
                  count = avi_slab_first(s->partition.rows, avi_comm_size(s->comm), avi_comm_rank(s->comm) + 1) - first;
    const avi_holdout *held = avi_holdout_of(s->train_source);
    avi_field f = {.path = "/local/row",
                   .type = AVI_I64,
                   .rank = 1,
                   .dims = {s->partition.rows},
                   .distributed = true,
                   .description = "names of the rows",
                   .units = "",
                   .axes = "row"};
    AVI_TRY(avi_names_of_rows_bytes(s->comm, s->train_source, s->partition.rows, &f.text_bytes));
    if (!f.text_bytes && !held) return AVI_OK;
    void *values = avi_fields_memory(l, (size_t)count * (f.text_bytes ? (size_t)f.text_bytes : sizeof(int64_t)));
    avi_status status = need(values);
    if (status == AVI_OK && f.text_bytes)
        status = avi_names_of_rows(s->train_source, first, count, f.text_bytes, values);
    if (!f.text_bytes) f.description = "numbers of the rows in the data, from 0";
    for (int64_t r = 0; status == AVI_OK && !f.text_bytes && r < count; r++)
        ((int64_t *)values)[r] = avi_holdout_other(held, first + r);
    f.data = values;
    return avi_agree(s->comm, status == AVI_OK ? avi_fields_add(l, f) : status);
}

static avi_status name_columns(const avi_session *s, avi_fields *l)
{
    char *names = avi_data_column_names(s);
    const avi_status status = names ? avi_names_of_columns(l, names, s->shape.width) : need(names);
    free(names);
    return status;
}

static avi_status add_config(const avi_session *s, avi_fields *l)
{
    char *effective = avi_config_effective(s->config);
    AVI_TRY(need(effective));
    char *copy = avi_fields_memory(l, strlen(effective) + 1);
    if (copy) memcpy(copy, effective, strlen(effective) + 1);
    free(effective);
    AVI_TRY(need(copy));
    AVI_TRY(avi_fields_add(l, (avi_field){.path = "/config/ini",
                                          .text = avi_config_text(s->config),
                                          .description = "configuration file as given",
                                          .units = "",
                                          .axes = ""}));
    return avi_fields_add(l, (avi_field){.path = "/config/effective",
                                         .text = copy,
                                         .description = "every key in force, its value and origin",
                                         .units = "",
                                         .axes = ""});
}

static char *arguments(const avi_session *s, avi_fields *l)
{
    char *text = avi_fields_memory(l, 4096);
    size_t used = 0;
    for (int i = 0; text && i < s->options->argc && used < 4000; i++)
        used += (size_t)snprintf(text + used, 4096 - used, "%s%s", i ? " " : "", s->options->argv[i]);
    return text;
}

int avi_run_file_provenance(const avi_session *s, avi_fields *l, const char *status, const char *why, double seconds,
                            avi_attribute *a)
{
    const avi_version v = avi_version_of();
    char *now = avi_fields_memory(l, 40);
    const time_t clock = time(NULL) - (time_t)(avi_seconds() - s->opened);
    struct tm utc;
    if (now && gmtime_r(&clock, &utc)) strftime(now, 40, "%Y-%m-%dT%H:%M:%SZ", &utc);
    int n = 0;
    a[n++] = (avi_attribute){.group = "/", .name = "format", .text = "avi_mpi run"};
    a[n++] = (avi_attribute){.group = "/", .name = "format_version", .integer = 1};
    a[n++] = (avi_attribute){.group = "/", .name = "status", .text = status};
    a[n++] = (avi_attribute){.group = "/", .name = "why_stopped", .text = why};
    const char *const text[][2] = {{"version", v.version},
                                   {"git_revision", v.revision},
                                   {"compiler", v.compiler},
                                   {"flags", v.flags},
                                   {"mpi", v.mpi},
                                   {"hdf5", v.hdf5},
                                   {"blas", v.blas},
                                   {"scalapack", v.scalapack},
                                   {"onednn", v.onednn},
                                   {"hosts", s->hosts},
                                   {"started_at", now ? now : ""}};
    for (size_t i = 0; i < sizeof text / sizeof text[0]; i++)
        a[n++] = (avi_attribute){.group = "/provenance", .name = text[i][0], .text = text[i][1]};
    const char *argv = arguments(s, l);
    a[n++] = (avi_attribute){.group = "/provenance", .name = "argv", .text = argv ? argv : ""};
    a[n++] = (avi_attribute){.group = "/provenance", .name = "ranks", .integer = avi_comm_size(s->comm)};
    a[n++] = (avi_attribute){.group = "/provenance", .name = "seed", .integer = (int64_t)s->seed};
    a[n++] = (avi_attribute){.group = "/", .name = "rows", .integer = s->partition.rows};
    a[n++] = (avi_attribute){.group = "/trace",
                             .name = "objective",
                             .text = s->problem.notebook ? "not the ELBO: objective.entropy = notebook" : "ELBO"};
    if (s->model->ops->loss_offset)
        a[n++] = (avi_attribute){.group = "/",
                                 .name = "loss_offset",
                                 .is_real = true,
                                 .real = s->model->ops->loss_offset(s->model, s->partition.rows)};
    a[n++] = (avi_attribute){.group = "/provenance", .name = "seconds", .is_real = true, .real = seconds};
    return n;
}

/* Which rows of the data are the test rows, so that the rows of /local can be told: the others in their order. */
static avi_status add_held_out(const avi_session *s, avi_fields *l)
{
    enum { MOST = 1000000 };
    const avi_holdout *held = avi_holdout_of(s->train_source);
    if (!held || held->held > MOST) return AVI_OK;
    int64_t *row = avi_fields_memory(l, (size_t)held->held * sizeof *row);
    AVI_TRY(need(row));
    for (int64_t k = 0; k < held->held; k++) row[k] = avi_holdout_row(held, k);
    return avi_fields_add(l, (avi_field){.path = "/data/held_out",
                                         .type = AVI_I64,
                                         .rank = 1,
                                         .dims = {held->held},
                                         .data = row,
                                         .description = "rows of the data (from 0) that are the test rows; /local has "
                                                        "the others, in their order",
                                         .units = "",
                                         .axes = "test_row"});
}

/* Of the last evaluation: what the error of the difference of two runs takes; and the KL of each dimension, of all. */
static avi_status add_halves(const avi_state *st, avi_fields *l, const char *path, int set)
{
    return avi_fields_add(l, (avi_field){.path = path,
                                         .type = AVI_F64,
                                         .rank = 1,
                                         .dims = {AVI_EVAL_GROUPS},
                                         .data = st->half[set],
                                         .description = "last evaluation: half the difference of two estimates of each "
                                                        "group of rows; the root of the sum of their squares is the "
                                                        "error, that of the sum of squared differences between two "
                                                        "runs (same rows, run.seed, log.*) the error of the difference",
                                         .units = "nats per row",
                                         .axes = "group"});
}

static avi_status add_dimensions(const avi_session *s, const avi_trace *t, avi_fields *l)
{
    const int64_t dims = s->model->latent;
    if (t->extra != dims || !avi_estimator_kl_dimensions(&s->problem)) return AVI_OK;
    double *value = avi_fields_memory(l, (size_t)(t->rows * dims + 1) * sizeof *value);
    AVI_TRY(need(value));
    for (int64_t r = 0; r < t->rows; r++)
        memcpy(value + r * dims, t->value + r * (t->columns + t->extra) + t->columns, (size_t)dims * sizeof *value);
    return avi_fields_add(l,
                          (avi_field){.path = "/eval/kl_dimension",
                                      .type = AVI_F64,
                                      .rank = 2,
                                      .dims = {t->rows, dims},
                                      .data = value,
                                      .description = "KL(q(z_nd) || N(0, 1)) of each latent dimension, mean over the "
                                                     "training rows used",
                                      .units = "nats per row",
                                      .axes = "step, dimension"});
}

static avi_status gather_fields(const avi_session *s, avi_state *st, bool whole, avi_fields *l)
{
    AVI_TRY(avi_agree(s->comm, add_table(l, "/trace", &st->trace, st->trace.columns)));
    AVI_TRY(add_shares(s, l, &st->shares, AVI_SHARE_ELBO, 1, "/trace/elbo_rank",
                       "each rank's share of the local part of the ELBO, scaled to the whole data set", "nats"));
    AVI_TRY(add_shares(s, l, &st->shares, AVI_SHARE_SECONDS, 1, "/trace/seconds_rank",
                       "seconds of each rank in the logged step, waiting in the reduction included", "s"));
    if (avi_config_get_bool(s->config, "log", "profile"))
        AVI_TRY(add_shares(s, l, &st->shares, AVI_SHARE_PHASES, AVI_PHASES, "/trace/profile",
                           "mean seconds per step since the logged step before, by phase: input, draws, forward, "
                           "backward, reduction (with waiting), optimizer, output",
                           "s"));
    AVI_TRY(avi_run_file_digests(s, st, l));
    AVI_TRY(add_table(l, "/eval", &st->eval, st->eval.columns));
    AVI_TRY(add_dimensions(s, &st->eval, l));
    if (st->gradient_variance.rows)
        AVI_TRY(add_table(l, "/gradient_variance", &st->gradient_variance, AVI_VARIANCE_COLUMNS));
    if (whole && isfinite(st->half[0][0])) AVI_TRY(add_halves(st, l, "/eval/elbo_train_half", 0));
    if (whole && s->test_elbo && isfinite(st->half[1][0])) AVI_TRY(add_halves(st, l, "/eval/elbo_test_half", 1));
    AVI_TRY(avi_run_file_parameters(s, st, l));
    avi_field data[AVI_DATA_FIELDS];
    char *names = avi_data_column_names(s), *columns = names ? avi_fields_memory(l, strlen(names) + 1) : NULL;
    if (columns) memcpy(columns, names, strlen(names) + 1);
    free(names);
    AVI_TRY(need(columns));
    const int n = avi_data_fields(s, columns, data);
    for (int i = 0; i < n; i++) AVI_TRY(avi_fields_add(l, data[i]));
    AVI_TRY(add_held_out(s, l));
    return add_config(s, l);
}

avi_status avi_run_file_write(const avi_session *s, avi_state *state, avi_folder *folder, const char *status,
                              const char *why, bool whole, const avi_fields *extra)
{
    avi_state shown = avi_best_shown(state), *st = &shown;
    avi_fields l = {0};
    avi_attribute *a = NULL;
    avi_local local = {0};
    const avi_stopwatch watch = avi_console_start();
    avi_status result = avi_agree(s->comm, gather_fields(s, st, whole, &l));
    if (result == AVI_OK && wants_local(s, st, whole)) {
        result = avi_local_open(s, st, &local);
        result = avi_agree(s->comm, result == AVI_OK ? add_local(s, &local, &l) : result);
        if (result == AVI_OK) result = add_local_rows(s, &l);
    }
    if (result == AVI_OK && whole && avi_run_file_examples(s))
        result = avi_agree(s->comm, avi_run_file_images(s, st, &l));
    if (extra && result == AVI_OK) result = avi_fields_borrow(&l, extra);
    char *path = avi_fields_text(&l, "%s/run.h5", avi_folder_path(folder)), mark[AVI_FIT_MARK];
    result = avi_agree(s->comm, result == AVI_OK ? need(path) : result);
    if (result == AVI_OK && whole) result = avi_run_file_mark(s, st, mark);
    if (result == AVI_OK && whole) result = avi_run_file_keep(s, path, mark, &l);
    if (result == AVI_OK) result = avi_agree(s->comm, name_columns(s, &l));
    a = avi_fields_memory(&l, (size_t)(64 + l.attributes) * sizeof *a);
    result = avi_agree(s->comm, result == AVI_OK ? need(a) : result);
    if (result == AVI_OK) {
        int n = avi_run_file_provenance(s, &l, status, why, st->seconds, a);
        n += avi_data_attributes(s, a + n);
        n += avi_run_file_ending_attributes(s, st, whole, why, &l, a + n);
        if (whole) a[n++] = (avi_attribute){.group = "/", .name = "fit_mark", .text = mark};
        if (whole && avi_run_file_examples(s) && !strcmp(avi_run_file_examples(s), "images")) {
            a[n++] = (avi_attribute){.group = "/images", .name = "height", .integer = s->shape.height};
            a[n++] = (avi_attribute){.group = "/images", .name = "columns", .integer = s->shape.columns};
        }
        for (int i = 0; i < l.attributes; i++) a[n++] = l.attribute[i];
        result = avi_store_write_results(s->comm, path, l.field, l.count, a, n);
    }
    avi_local_close(&local);
    avi_fields_free(&l);
    if (result == AVI_OK) avi_console_written(s, st, "results", watch);
    return result;
}

void avi_run_file_ending(const avi_session *s, const avi_folder *folder, char **status, char **why)
{
    avi_store *store = NULL;
    char path[4096];
    *status = *why = NULL;
    if (snprintf(path, sizeof path, "%s/run.h5", avi_folder_path(folder)) >= (int)sizeof path) return;
    if (avi_store_open(s->comm, path, &store) == AVI_OK &&
        avi_store_attribute_text(store, "/", "status", status) == AVI_OK)
        (void)avi_store_attribute_text(store, "/", "why_stopped", why);
    if (store) avi_store_close(&store);
    avi_error_clear(); /* that there are no results is no failure */
}

avi_status avi_run_file_update(const avi_session *s, avi_state *st, avi_folder *folder, const avi_fields *extra)
{
    char *ending, *why;
    avi_run_file_ending(s, folder, &ending, &why);
    const bool ended = ending && why && strcmp(ending, "running"); /* what was killed in its loop is stopped */
    const char *otherwise = st->step >= s->total_steps ? "done" : "stopped";
    const avi_status status =
        avi_run_file_write(s, st, folder, ended ? ending : otherwise, ended ? why : otherwise, true, extra);
    free(ending);
    free(why);
    return status;
}

bool avi_run_is_complete(const avi_session *s, const avi_folder *folder)
{
    char *status, *why;
    avi_run_file_ending(s, folder, &status, &why);
    const bool done = status && !strcmp(status, "done");
    free(status);
    free(why);
    return done;
}
