/* Opening a run, its task, and the fit that it left. */
#include "run/internal.h"
#include "base/blas.h"
#include "tasks/task.h"

#include <stdlib.h>

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

void avi_run_close(avi_run **run)
{
    avi_run *r = *run;
    if (!r) return;
    avi_run_fit_close(&r->fit);
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

avi_status avi_run_load(avi_run *run)
{
    avi_error_clear();
    avi_run_fit_close(&run->fit);
    if (!run->self) AVI_TRY(avi_comm_split(run->comm, avi_comm_rank(run->comm), &run->self));
    const avi_status status = avi_agree(run->comm, avi_run_fit_open(run->self, run->config, &run->options, &run->fit));
    if (status != AVI_OK) avi_run_fit_close(&run->fit);
    return status;
}
