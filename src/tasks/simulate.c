/* Task simulate: data drawn from the model, written as HDF5 that data.source = hdf5 reads back: <output>/data.h5 with x
 * and x_test. */
#include "output/run_file.h"
#include "plan/plan.h"
#include "tasks/task.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The places of the groups of a split, beside their entries: compressed rows. */
static avi_status add_places(const avi_source *source, avi_split split, avi_fields *l)
{
    const size_t bytes = (size_t)(source->shape.rows + 1) * sizeof(int64_t);
    int64_t *places = avi_fields_memory(l, bytes);
    if (!places) return avi_fail_memory(bytes, "the places of groups");
    memcpy(places, source->first_entry, bytes);
    return avi_fields_add(l, (avi_field){.path = split == AVI_TRAIN ? "/x/indptr" : "/x_test/indptr",
                                         .type = AVI_I64,
                                         .rank = 1,
                                         .dims = {source->shape.rows + 1},
                                         .data = places,
                                         .description = "entries of data before each group",
                                         .units = "",
                                         .axes = "group"});
}

/* Rows as they are stored: entries of groups. */
static int64_t stored_rows(const avi_source *source)
{
    return source->first_entry ? source->first_entry[source->shape.rows] : source->shape.rows;
}

/* This rank's slab of a split as a field; rows = 0: nothing to add. */
static avi_status draw_split(avi_comm *comm, const avi_config *config, avi_split split, avi_fields *l)
{
    avi_source *source = NULL;
    AVI_TRY(avi_source_open(config, comm, split, &source));
    const avi_shape d = source->shape;
    const int rank = avi_comm_rank(comm), ranks = avi_comm_size(comm);
    const bool ragged = d.ragged;
    const int64_t rows = stored_rows(source), first = avi_slab_first(rows, ranks, rank),
                  count = avi_slab_first(rows, ranks, rank + 1) - first;
    double *x = avi_fields_memory(l, (size_t)(count * d.width + 1) * sizeof *x);
    avi_status status = x ? source->ops->read(source, first, count, x)
                          : avi_fail_memory((size_t)(count * d.width) * sizeof *x, "drawn data");
    const char *path = split == AVI_TRAIN ? (ragged ? "/x/data" : "/x") : (ragged ? "/x_test/data" : "/x_test");
    if (status == AVI_OK && ragged) status = add_places(source, split, l);
    if (status == AVI_OK && d.rows)
        status = avi_fields_add(l, (avi_field){.path = path,
                                               .type = AVI_F64,
                                               .rank = 2,
                                               .dims = {rows, d.width},
                                               .data = x,
                                               .distributed = true,
                                               .description = ragged ? "entries of groups drawn from the model"
                                                                     : "rows drawn from the model",
                                               .units = "",
                                               .axes = ragged               ? "entry, value"
                                                       : split == AVI_TRAIN ? "row, column"
                                                                            : "test_row, column"});
    avi_source_close(&source);
    return avi_agree(comm, status);
}

static avi_status write(avi_comm *comm, const avi_config *config, avi_folder *folder, avi_fields *l)
{
    char *path = avi_fields_text(l, "%s/data.h5", avi_folder_path(folder)), *effective = avi_config_effective(config);
    const avi_attribute a[] = {{.group = "/", .name = "format", .text = "avi_mpi data"},
                               {.group = "/", .name = "model", .text = avi_config_get_string(config, "model", "name")},
                               {.group = "/", .name = "seed", .integer = avi_config_get_int(config, "run", "seed")},
                               {.group = "/", .name = "config", .text = effective ? effective : ""}};
    avi_status status = avi_agree(comm, path && effective ? AVI_OK : avi_fail_memory(1, "drawn data"));
    if (status == AVI_OK)
        status = avi_store_write_results(comm, path, l->field, l->count, a, (int)(sizeof a / sizeof a[0]));
    free(effective);
    return status;
}

/* What cannot be drawn is refused. */
static avi_status check(const avi_config *config)
{
    const char *model = avi_config_get_string(config, "model", "name");
    if (!avi_model_simulates(avi_model_selected(config)))
        return avi_config_fail(config, "run", "task",
                               "model %s has no keys for its parameters, so it can draw nothing before it is fitted; "
                               "fit it (run.task = fit), then use run.task = sample, which draws rows from the fit",
                               model);
    if (strcmp(avi_config_get_string(config, "data", "source"), "model"))
        return avi_config_fail(
            config, "data", "source",
            "run.task = simulate draws from the model with the parameters that its keys name; use data.source = model");
    return AVI_OK;
}

/* ---- --dry-run ---- */

enum { TRIED_VALUES = 1 << 18 };

/* Seconds and bytes of a split on this rank: some of the rows are drawn and forgotten. Rows that follow from those
 * before them take the last rank as long as all of them take; of a dense model each takes all before it. */
static avi_status try_split(avi_comm *comm, const avi_config *config, avi_split split, double *seconds, double *bytes)
{
    avi_source *source = NULL;
    AVI_TRY(avi_source_open(config, comm, split, &source));
    const avi_shape d = source->shape;
    const int64_t rows = stored_rows(source);
    const double ranks = avi_comm_size(comm), each = 8 * (double)d.width, slab = (double)rows / ranks;
    const int64_t tried = rows * d.width > TRIED_VALUES ? TRIED_VALUES / d.width + 1 : rows;
    double *x = malloc((size_t)(tried * d.width + 1) * sizeof *x);
    avi_status status = x ? AVI_OK : avi_fail_memory((size_t)(tried * d.width) * sizeof *x, "drawn data");
    const double from = avi_plan_clock();
    if (status == AVI_OK && tried) status = source->ops->read(source, 0, tried, x);
    double took = avi_plan_clock() - from;
    const double by = tried ? (source->sequential ? (double)rows : slab) / (double)tried : 0;
    took *= avi_model_selected(config)->coupling == AVI_DENSE ? by * by : by;
    free(x);
    avi_source_close(&source);
    status = avi_agree(comm, status);
    *seconds += took;
    *bytes += each * slab;
    return status;
}

static avi_status plan(avi_comm *comm, const avi_config *config)
{
    avi_plan p = {.comm = comm};
    double seconds = 0, bytes = 0;
    avi_plan_add(&p, "start", avi_plan_clock());
    const double before = avi_memory_now();
    AVI_TRY(try_split(comm, config, AVI_TRAIN, &seconds, &bytes));
    AVI_TRY(try_split(comm, config, AVI_TEST, &seconds, &bytes));
    avi_plan_add(&p, "rows", seconds);
    avi_plan_add(&p, "files", avi_plan_file_seconds(comm, bytes * avi_comm_size(comm)));
    p.peak = before + bytes + AVI_PLAN_FIRST_FILE;
    AVI_TRY(avi_plan_print(&p));
    if (avi_comm_rank(comm) == 0) printf("Nothing was written.\n");
    return AVI_OK;
}

/* ---- the task ---- */

static bool is_ragged(const avi_fields *l) { return !strcmp(l->field[0].path, "/x/indptr"); }
static int64_t drawn_rows(const avi_fields *l) { return l->field[0].dims[0] - is_ragged(l); }

static avi_status run_alone(avi_comm *comm, const avi_config *config, const avi_options *options)
{
    avi_fields l = {0};
    avi_folder *folder = NULL;
    AVI_TRY(check(config));
    if (options->dry_run) return plan(comm, config);
    AVI_TRY(avi_folder_open(comm, avi_config_get_string(config, "run", "output"), &folder));
    avi_status status = draw_split(comm, config, AVI_TRAIN, &l);
    if (status == AVI_OK) status = draw_split(comm, config, AVI_TEST, &l);
    if (status == AVI_OK) status = write(comm, config, folder, &l);
    if (status == AVI_OK && avi_comm_rank(comm) == 0 && options->verbosity > 0)
        printf("%" PRId64
               " %s drawn from model %s: %s/data.h5, dataset x (data.source = hdf5, data.path = that file)\n",
               drawn_rows(&l), is_ragged(&l) ? "groups" : "rows", avi_config_get_string(config, "model", "name"),
               avi_folder_path(folder));
    avi_folder_close(&folder);
    avi_fields_free(&l);
    return status;
}

const avi_task_ops avi_task_simulate = {
    .name = "simulate",
    .doc = "draw data from the model and write them as HDF5",
    .run_alone = run_alone,
    .plans = true,
};
