/* A fit that is loaded: its session without data, and what is known of it. */
#include "run/internal.h"
#include "avi/store.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ROWS = 8192, DRAWS = 200 };

/* ---- the rows of a call as a source ---- */

static avi_status read_memory(avi_source *s, int64_t first, int64_t count, void *out)
{
    const size_t row = (size_t)s->shape.width * sizeof(double);
    memcpy(out, (const char *)s->self + (size_t)first * row, (size_t)count * row);
    return AVI_OK;
}

const int64_t avi_run_no_entries[2] = {0, 0};

static const avi_source_ops memory = {
    .name = "memory", .doc = "rows of a program", .read = read_memory, .any_rank = true};

/* ---- open ---- */

/* Steps and the last evaluation. */
static avi_status read_about(avi_comm *self, avi_run_fit *f)
{
    avi_store *store = NULL;
    avi_dtype type;
    int rank;
    int64_t dims[4] = {0};
    f->about = (avi_run_about){.rows = f->fitted.rows,
                               .width = f->fitted.shape.width,
                               .latent = f->session->model->latent,
                               .steps = f->fitted.step,
                               .elbo_train = NAN,
                               .elbo_train_error = NAN,
                               .elbo_test = NAN,
                               .elbo_test_error = NAN};
    AVI_TRY(avi_store_open(self, f->fitted.path, &store));
    avi_status status = avi_store_shape(store, "/eval", &type, &rank, dims);
    double *table = NULL;
    if (status == AVI_OK && rank == 2 && dims[0] > 0 && dims[1] >= AVI_EVAL_COLUMNS) {
        table = malloc((size_t)(dims[0] * dims[1]) * sizeof *table);
        status = table ? avi_store_read(store, "/eval", AVI_F64, 2, dims, false, table)
                       : avi_fail_memory((size_t)(dims[0] * dims[1]) * sizeof *table, "the evaluations");
    }
    if (status == AVI_OK && table) {
        const double *last = table + (dims[0] - 1) * dims[1];
        /* Of the parameters that are used, where these are not those of the last step. */
        while (f->fitted.is_best && last > table && last[AVI_EVAL_STEP] > (double)f->fitted.step) last -= dims[1];
        f->about.elbo_train = last[AVI_EVAL_ELBO_TRAIN];
        f->about.elbo_train_error = last[AVI_EVAL_ELBO_TRAIN_ERROR];
        f->about.elbo_test = last[AVI_EVAL_ELBO_TEST];
        f->about.elbo_test_error = last[AVI_EVAL_ELBO_TEST_ERROR];
    }
    free(table);
    avi_store_close(&store);
    return status;
}

/* What is used of rows, for blocks of up to f->most rows. */
static avi_status open_use(const avi_config *config, avi_run_fit *f)
{
    const int64_t draws = avi_config_get_int(config, "rows", "draws"), per_row = f->session->shape.width + DRAWS;
    const avi_row_settings settings = {.draws = draws ? (int)draws : DRAWS,
                                       .passes = (int)avi_config_get_int(config, "rows", "passes"),
                                       .tolerance = avi_config_get_real(config, "rows", "tolerance")};
    f->source = (avi_source){.ops = &memory,
                             .shape = f->session->shape,
                             .seed = f->session->seed,
                             .missing_allowed = f->session->train->masked,
                             .first_entry = f->session->shape.ragged ? avi_run_no_entries : NULL};
    snprintf(f->source.label, sizeof f->source.label, "%s of the program",
             f->session->shape.ragged ? "entries" : "rows");
    f->source.shape.rows = 1 + f->session->model->ops->lookahead;
    f->source.shape.type = AVI_F64;
    f->source.shape.scale = 1;
    f->session->train_source = &f->source;
    f->most = AVI_RUN_BLOCK_VALUES / per_row / AVI_RUN_TILE * AVI_RUN_TILE;
    if (f->most < AVI_RUN_TILE) f->most = AVI_RUN_TILE;
    if (f->most > MOST_ROWS) f->most = MOST_ROWS;
    return avi_row_use_create(f->session, &f->fitted, &settings, AVI_RUN_TILE, f->most, &f->use);
}

static avi_status open_fit(avi_comm *self, const avi_config *config, const avi_options *options, avi_run_fit *f)
{
    const char *from = avi_config_get_string(config, "run", "from");
    if (!*from) from = avi_config_get_string(config, "checkpoint", "from");
    if (!*from) from = avi_config_get_string(config, "run", "output");
    AVI_TRY(avi_fitted_open(self, from, &f->fitted));
    AVI_TRY(avi_session_open_fitted(self, config, options, &f->fitted, false, &f->session));
    AVI_TRY(open_use(config, f));
    return read_about(self, f);
}

avi_status avi_run_fit_open(avi_comm *self, const avi_config *config, const avi_options *options, avi_run_fit **fit)
{
    *fit = calloc(1, sizeof **fit);
    return *fit ? open_fit(self, config, options, *fit) : avi_fail_memory(sizeof **fit, "a fit");
}

void avi_run_fit_close(avi_run_fit **fit)
{
    avi_run_fit *f = *fit;
    if (!f) return;
    avi_row_use_free(&f->use);
    if (f->session) f->session->train_source = NULL; /* it is part of this struct */
    avi_session_close(&f->session);
    avi_fitted_close(&f->fitted);
    free(f);
    *fit = NULL;
}

/* ---- what is known ---- */

static avi_status loaded(const avi_run *r)
{
    avi_error_clear();
    return r->fit ? AVI_OK : avi_fail(AVI_ERR_INTERNAL, "no fit is loaded; use avi_run_load first");
}

avi_status avi_run_about_of(const avi_run *run, avi_run_about *about)
{
    AVI_TRY(loaded(run));
    *about = run->fit->about;
    return AVI_OK;
}

static const avi_block *find_block(const avi_params *p, const char *name)
{
    for (int i = 0; i < p->count; i++)
        if (!strcmp(p->block[i].name, name)) return &p->block[i];
    return NULL;
}

avi_status avi_run_block(const avi_run *run, const char *name, int64_t *rows, int64_t *cols, double *values)
{
    AVI_TRY(loaded(run));
    const avi_session *s = run->fit->session;
    const avi_block *of_theta = find_block(&s->model->theta, name), *of_phi = find_block(&s->infer->phi, name),
                    *b = of_theta ? of_theta : of_phi;
    if (!b)
        return avi_fail(AVI_ERR_USAGE,
                        "%s: neither model %s nor inference function %s has a block of that name; use one of "
                        "/global and /inference in run.h5",
                        name, s->model->ops->name, s->infer->named->name);
    const int64_t at = b->offset + (of_theta ? 0 : avi_parameter_layout_phi(&s->problem, &s->layout));
    *rows = b->rows;
    *cols = b->cols;
    for (int64_t i = 0; values && i < b->rows * b->cols; i++)
        values[i] = avi_vector_get(s->precision, run->fit->use.st.params, at + i);
    return AVI_OK;
}
