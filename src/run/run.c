/* Opening a run, its task, and the fit that it left. */
#include "run/internal.h"
#include "base/blas.h"
#include "tasks/stored_fit.h"
#include "tasks/task.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- open and close ---- */

/* The setup becomes the run's, also when this fails. */
avi_status avi_run_start(avi_comm *comm, avi_setup *setup, const avi_options *options, avi_run **run)
{
    avi_run *r = *run = calloc(1, sizeof *r);
    avi_status status = avi_agree(comm, r ? AVI_OK : avi_fail_memory(sizeof *r, "a run"));
    if (!r) {
        avi_setup_free(setup);
        return status;
    }
    r->comm = comm;
    r->setup = *setup;
    *setup = (avi_setup){0};
    if (options) r->options = *options;
    r->options.registry = r->setup.registry;
    r->options.given = r->setup.given;
    if (status == AVI_OK) status = avi_setup_config(comm, &r->setup, &r->config);
    if (status != AVI_OK) avi_run_close(run);
    return status;
}

static avi_status start(avi_comm *comm, avi_setup *setup, avi_status status, avi_run **run)
{
    *run = NULL;
    if (status == AVI_OK) status = avi_agree(comm, avi_blas_reserve());
    if (status == AVI_OK) return avi_run_start(comm, setup, NULL, run);
    avi_setup_free(setup);
    return status;
}

avi_status avi_run_open(avi_comm *comm, const char *path, int count, const char *const *overrides, avi_run **run)
{
    avi_setup setup;
    avi_error_clear();
    return start(comm, &setup, avi_setup_file(comm, path, count, overrides, &setup), run);
}

avi_status avi_run_open_text(avi_comm *comm, const char *name, const char *text, int count,
                             const char *const *overrides, avi_run **run)
{
    avi_setup setup;
    avi_error_clear();
    return start(comm, &setup, avi_setup_text(comm, name, text, count, overrides, &setup), run);
}

static void unload(avi_run *r)
{
    avi_estimator_destroy(&r->decoder);
    avi_moments_free(&r->moments);
    avi_fixed_theta_free(&r->fixed);
    avi_state_destroy(&r->state);
    avi_session_close(&r->session);
}

void avi_run_close(avi_run **run)
{
    avi_run *r = *run;
    if (!r) return;
    unload(r);
    avi_comm_destroy(&r->self);
    avi_config_destroy(&r->config);
    avi_setup_free(&r->setup);
    free(r);
    *run = NULL;
}

void avi_run_verbosity(avi_run *run, int verbosity) { run->options.verbosity = verbosity; }

/* ---- what it does ---- */

avi_status avi_run_task(avi_run *run)
{
    avi_error_clear();
    return avi_task_perform(run->comm, run->config, &run->options);
}

/* The folder is read, and left again: the fit may go on in it. */
static avi_status read_fit(avi_run *r)
{
    avi_stored_fit fit;
    avi_status status = avi_stored_fit_open(r->session, &fit);
    r->state = fit.st;
    fit.st = NULL;
    avi_stored_fit_close(&fit);
    if (status == AVI_OK) status = avi_agree(r->comm, avi_moments_take(r->session, r->state, &r->moments));
    if (status == AVI_OK) status = avi_agree(r->comm, avi_fixed_theta_create(r->session, r->state, 2, &r->fixed));
    if (status != AVI_OK) return status;
    return avi_agree(r->comm, avi_estimator_create(&r->fixed.weigh_function, r->self, r->session->train, &r->decoder));
}

avi_status avi_run_load(avi_run *run)
{
    avi_error_clear();
    unload(run);
    if (!run->self) AVI_TRY(avi_comm_split(run->comm, avi_comm_rank(run->comm), &run->self));
    avi_options options = run->options;
    options.no_steps = true;
    AVI_TRY(avi_session_open(run->comm, run->config, &options, &run->session));
    run->session->options = &run->options;
    const avi_status status = read_fit(run);
    if (status != AVI_OK) unload(run);
    return status;
}

/* ---- what is known of the fit ---- */

static avi_status loaded(const avi_run *r)
{
    avi_error_clear();
    return r->session ? AVI_OK : avi_fail(AVI_ERR_INTERNAL, "no fit is loaded; use avi_run_load first");
}

avi_status avi_run_about_of(const avi_run *run, avi_run_about *about)
{
    AVI_TRY(loaded(run));
    const avi_session *s = run->session;
    const avi_trace *t = &run->state->eval;
    const double *last = t->rows ? t->value + (t->rows - 1) * (t->columns + t->extra) : NULL;
    *about = (avi_run_about){.rows = s->partition.rows,
                             .width = s->shape.width,
                             .latent = s->model->latent,
                             .steps = run->state->step,
                             .elbo_train = last ? last[AVI_EVAL_ELBO_TRAIN] : NAN,
                             .elbo_train_error = last ? last[AVI_EVAL_ELBO_TRAIN_ERROR] : NAN,
                             .elbo_test = last ? last[AVI_EVAL_ELBO_TEST] : NAN,
                             .elbo_test_error = last ? last[AVI_EVAL_ELBO_TEST_ERROR] : NAN};
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
    const avi_session *s = run->session;
    const avi_block *of_theta = find_block(&s->model->theta, name), *of_phi = find_block(&s->infer->phi, name),
                    *b = of_theta ? of_theta : of_phi;
    if (!b)
        return avi_fail(AVI_ERR_USAGE, "%s: neither model %s nor inference function %s has a block of that name", name,
                        s->model->ops->name, s->infer->ops->name);
    const int64_t at = b->offset + (of_theta ? 0 : avi_parameter_layout_phi(&s->problem, &s->layout));
    *rows = b->rows;
    *cols = b->cols;
    for (int64_t i = 0; values && i < b->rows * b->cols; i++)
        values[i] = avi_vector_get(s->precision, run->state->params, at + i);
    return AVI_OK;
}
