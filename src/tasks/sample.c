/* Task sample: data drawn from a fit that is done: from the prior of z, or for given rows from their q(z_n). */
#include "avi/store.h"
#include "output/data_fields.h"
#include "output/names.h"
#include "output/run_file.h"
#include "rows/theta_draw.h"
#include "state/state.h"
#include "tasks/rows_guard.h"
#include "tasks/rows_task.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const avi_key keys[] = {
    {"sample", "of", AVI_KEY_CHOICE, "prior", 0, 0, "prior | posterior", NULL,
     "prior: z from its prior, no data needed; posterior: z from q(z_n) of every row of data.source, rows.draws of "
     "each"},
    {"sample", "count", AVI_KEY_INT, "1000", 1, 1e9, NULL, "draws", "of the prior"},
};

enum { GROUPS = 32 /* of draws, each with a theta of its own where q(theta) is a Gaussian */, PIECE = 256 };

typedef struct prior {
    avi_session *s;
    const avi_fitted *fit;
    int64_t count, first, rows; /* all draws; own ones */
    void *params, *drawn;
    avi_data place; /* what an estimator wants to look at: one row that is not there */
    avi_fixed_theta fixed;
    avi_estimator *estimator;
    avi_theta_values theta;
    double *z, *mean, *x; /* (own rows, L), (own rows, D) twice */
    avi_fields fields;
    char identity[128];
} prior;

static avi_status check(const avi_session *s)
{
    const avi_model_ops *m = s->model->ops;
    if (s->model->given_rows)
        return avi_config_fail(s->config, "sample", "of",
                               "model %s takes the total of a row from the data, and the prior has no rows; use "
                               "sample.of = posterior with rows, or a fit with model.exposure = none",
                               m->name);
    if (m->draw && m->reconstruct && !m->log_prior && m->coupling == AVI_INDEPENDENT) return AVI_OK;
    return avi_config_fail(
        s->config, "run", "task",
        "model %s has no draws of rows by fitted parameters; use run.task = simulate for data by the "
        "parameters of its keys",
        m->name);
}

static avi_status prepare(prior *p)
{
    const avi_session *s = p->s;
    const int rank = avi_comm_rank(s->comm), ranks = avi_comm_size(s->comm);
    const size_t real = avi_real_size(s->precision), vector = (size_t)s->layout.size + 16;
    p->count = avi_config_get_int(s->config, "sample", "count");
    p->first = avi_slab_first(p->count, ranks, rank);
    p->rows = avi_slab_first(p->count, ranks, rank + 1) - p->first;
    const size_t l = (size_t)s->model->latent, d = (size_t)s->shape.width, n = (size_t)p->rows + 1;
    p->params = calloc(vector, real);
    p->drawn = calloc(vector, real);
    p->z = malloc(n * l * sizeof *p->z);
    p->mean = malloc(n * d * sizeof *p->mean);
    p->x = malloc(n * d * sizeof *p->x);
    if (p->params && p->drawn && p->z && p->mean && p->x) return avi_theta_values_create(s, &p->theta);
    return avi_fail_memory(n * (l + 2 * d) * sizeof *p->x, "samples");
}

/* The model with theta as a point, at its mean or where it is drawn. */
static avi_status make_estimator(prior *p)
{
    const avi_session *s = p->s;
    const avi_state st = {.params = p->params};
    p->place = (avi_data){.shape = s->shape, .partition = s->partition};
    AVI_TRY(avi_fixed_theta_create(s, &st, 1, &p->fixed));
    memcpy(p->drawn, p->fixed.params_own, (size_t)s->layout.theta * avi_real_size(s->precision));
    return avi_estimator_create(&p->fixed.weigh_own, s->comm, &p->place, &p->estimator);
}

/* Draws of one group, by their numbers: what a draw is does not depend on who makes it. */
static avi_status draw_group(prior *p, int group)
{
    const avi_session *s = p->s;
    const int64_t l = s->model->latent, d = s->shape.width, begin = avi_slab_first(p->count, GROUPS, group),
                  end = avi_slab_first(p->count, GROUPS, group + 1), last = p->first + p->rows;
    if (s->problem.global_gaussian) AVI_TRY(avi_theta_draw(s, p->params, group, p->drawn));
    avi_theta_values_take(s, p->drawn, &p->theta);
    const avi_stream stream = avi_stream_make(s->seed, AVI_DRAW_EVAL, (uint64_t)1 << 42);
    int64_t row[PIECE];
    for (int64_t i = begin > p->first ? begin : p->first, n; i < end && i < last; i += n) {
        n = (end < last ? end : last) - i;
        if (s->problem.reproducible) n = 1; /* products of a row may depend on the rows beside it */
        if (n > PIECE) n = PIECE;
        double *z = p->z + (i - p->first) * l, *mean = p->mean + (i - p->first) * d, *x = p->x + (i - p->first) * d;
        avi_normal_f64(stream, (uint64_t)i, n, 0, l, z);
        AVI_TRY(avi_estimator_decode(p->estimator, p->drawn, n, z, mean));
        memcpy(x, mean, (size_t)(n * d) * sizeof *x);
        for (int64_t r = 0; r < n; r++) row[r] = i + r;
        const avi_data_draws draws = {.row = row, .rows = n, .z = z, .x = x, .z_stride = l, .x_stride = d};
        avi_theta_draw_data(s, &p->theta, &draws, -1);
        avi_data_as_given(s->train, n, mean);
        avi_data_as_given(s->train, n, x);
    }
    return AVI_OK;
}

static avi_status draw_all(prior *p)
{
    for (int g = 0; g < GROUPS; g++) AVI_TRY(draw_group(p, g));
    return AVI_OK;
}

static avi_status add(prior *p, const char *path, int64_t cols, const double *values, const char *units,
                      const char *axes, const char *description)
{
    return avi_fields_add(&p->fields, (avi_field){.path = path,
                                                  .type = AVI_F64,
                                                  .rank = 2,
                                                  .dims = {p->count, cols},
                                                  .data = values,
                                                  .distributed = true,
                                                  .description = description,
                                                  .units = units,
                                                  .axes = axes});
}

static avi_status list(prior *p, char **effective, char **columns)
{
    const avi_session *s = p->s;
    *effective = avi_config_effective(s->config);
    *columns = strdup(p->fit->columns);
    if (!*effective || !*columns) return avi_fail_memory(1, "samples");
    AVI_TRY(add(p, "/prior/z", s->model->latent, p->z, "", "draw, dimension", "draws from the prior of z"));
    AVI_TRY(
        add(p, "/prior/mean", s->shape.width, p->mean, "data units", "draw, column", "E[x | z, theta] for these z"));
    AVI_TRY(add(p, "/prior/x", s->shape.width, p->x, "data units", "draw, column",
                "draws from p(x | z, theta) for these z, in the units of the data"));
    AVI_TRY(avi_fields_add(&p->fields, (avi_field){.path = "/config/effective",
                                                   .text = *effective,
                                                   .description = "every key in force, its value and origin",
                                                   .units = "",
                                                   .axes = ""}));
    if (!**columns) return AVI_OK;
    AVI_TRY(avi_names_of_columns(&p->fields, *columns, s->shape.width));
    return avi_fields_add(
        &p->fields, (avi_field){.path = "/data/columns",
                                .text = *columns,
                                .description = "names of the columns, one per line, in the order of the values of "
                                               "a row",
                                .units = "",
                                .axes = ""});
}

static avi_status write(prior *p)
{
    const avi_session *s = p->s;
    avi_folder *folder = NULL;
    avi_attribute a[40];
    char path[4096], *effective = NULL, *columns = NULL;
    avi_status status = avi_folder_open(s->comm, avi_config_get_string(s->config, "run", "output"), &folder);
    bool done = false;
    if (status == AVI_OK) status = avi_rows_task_look(s, folder, "samples.h5", p->identity, &done);
    if (status == AVI_OK) status = avi_agree(s->comm, list(p, &effective, &columns));
    if (status == AVI_OK && !done) {
        snprintf(path, sizeof path, "%s/samples.h5", avi_folder_path(folder));
        int n = avi_run_file_provenance(s, &p->fields, "done", "done", 0, a), kept = 0;
        for (int i = 0; i < n; i++) {
            if (!strcmp(a[i].group, "/trace") || !strcmp(a[i].name, "rows")) continue; /* of fits */
            if (!strcmp(a[i].name, "format")) a[i].text = "avi_mpi rows";
            a[kept++] = a[i];
        }
        a[kept++] = (avi_attribute){.group = "/", .name = "task", .text = "sample"};
        a[kept++] = (avi_attribute){.group = "/", .name = "made_from", .text = p->identity};
        a[kept++] = (avi_attribute){.group = "/", .name = "checkpoint", .text = p->fit->path};
        status = avi_store_write_results(s->comm, path, p->fields.field, p->fields.count, a, kept);
    }
    if (status == AVI_OK && !done && avi_comm_rank(s->comm) == 0 && s->options->verbosity > 0)
        printf("  fit          %s: %s, after %" PRId64 " steps\n  samples      %" PRId64 " from the prior\n"
               "  results      %s\n",
               p->fit->path, s->model->ops->name, p->fit->step, p->count, path);
    avi_folder_close(&folder);
    free(effective);
    free(columns);
    return status;
}

static void release(prior *p)
{
    avi_estimator_destroy(&p->estimator);
    avi_fixed_theta_free(&p->fixed);
    avi_theta_values_free(&p->theta);
    avi_fields_free(&p->fields);
    free(p->params);
    free(p->drawn);
    free(p->z);
    free(p->mean);
    free(p->x);
}

static avi_status sample_prior(avi_comm *comm, const avi_config *config, const avi_options *options)
{
    avi_fitted fit;
    prior p = {.fit = &fit};
    avi_status status = avi_rows_task_fit(comm, config, options, &fit);
    if (status == AVI_OK) status = avi_session_open_fitted(comm, config, options, &fit, false, &p.s);
    if (status == AVI_OK) status = avi_agree(comm, check(p.s));
    if (status == AVI_OK) status = avi_agree(comm, prepare(&p));
    if (status == AVI_OK) status = avi_fitted_params(&fit, p.s, p.params);
    if (status == AVI_OK) status = avi_agree(comm, make_estimator(&p));
    if (status == AVI_OK) status = avi_agree(comm, draw_all(&p));
    if (status == AVI_OK) {
        snprintf(p.identity, sizeof p.identity, "%" PRId64 " draws of the prior, parameters and keys %016" PRIx64,
                 p.count, avi_rows_task_hash(p.s, p.params));
        if (!options->dry_run) status = write(&p);
    }
    release(&p);
    avi_session_close(&p.s);
    avi_fitted_close(&fit);
    return status;
}

static avi_status run(avi_comm *comm, const avi_config *config, const avi_options *options)
{
    if (!strcmp(avi_config_get_string(config, "sample", "of"), "posterior"))
        return avi_rows_task(comm, config, options, AVI_ROWS_DRAWS);
    return sample_prior(comm, config, options);
}

const avi_task_ops avi_task_sample = {
    .name = "sample",
    .doc = "draws of data by the fit in run.from, from its prior or for given rows (sample.of), into samples.h5",
    .keys = keys,
    .key_count = 2,
    .run_alone = run,
    .resumable = true,
    .plans = true,
    .no_steps = true,
};
