/* Task exact: closed-form answers into run.h5, beside the fit of the same configuration where the folder holds one. */
#include "closed_form/optimum.h"
#include "output/data_fields.h"
#include "output/names.h"
#include "train/evaluation.h"
#include "tasks/stored_fit.h"
#include "plan/exact_plan.h"
#include "tasks/task.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char ALONE[] = "exact"; /* why_stopped of a run.h5 without a fit */

/* run.h5 without a fit: configuration, provenance, /exact. */
static avi_status write_alone(const avi_session *s, avi_folder *folder, avi_optimum *a, double seconds)
{
    avi_attribute attribute[32];
    char *effective = avi_config_effective(s->config), *names = avi_data_column_names(s),
         *path = avi_fields_text(&a->fields, "%s/run.h5", avi_folder_path(folder));
    avi_status status = effective && path && names ? AVI_OK : avi_fail_memory(1, "results");
    if (status == AVI_OK) status = avi_names_of_columns(&a->fields, names, s->shape.width);
    if (status == AVI_OK)
        status = avi_fields_add(&a->fields, (avi_field){.path = "/config/ini",
                                                        .text = avi_config_text(s->config),
                                                        .description = "configuration file as given",
                                                        .units = "",
                                                        .axes = ""});
    if (status == AVI_OK)
        status = avi_fields_add(&a->fields, (avi_field){.path = "/config/effective",
                                                        .text = effective,
                                                        .description = "every key in force, its value and origin",
                                                        .units = "",
                                                        .axes = ""});
    status = avi_agree(s->comm, status);
    if (status == AVI_OK) {
        const int n = avi_run_file_provenance(s, &a->fields, "done", ALONE, seconds, attribute);
        status = avi_store_write_results(s->comm, path, a->fields.field, a->fields.count, attribute, n);
    }
    free(effective);
    free(names);
    return status;
}

/* The results of the fit again, with /exact. */
static avi_status write_beside(avi_session *s, avi_stored_fit *stored, avi_optimum *a)
{
    avi_fit_comparison fit;
    double row[AVI_EVAL_COLUMNS];
    AVI_TRY(avi_stored_fit_evaluate(s, stored, row));
    AVI_TRY(avi_optimum_compare_fit(a, stored->st, row, &fit));
    AVI_TRY(avi_agree(s->comm, avi_optimum_fields(a, &fit)));
    AVI_TRY(avi_run_file_update(s, stored->st, stored->folder, &a->fields));
    avi_optimum_print(a, &fit);
    return AVI_OK;
}

/* Without the fit's checkpoint the file would be written without the fit. */
static avi_status spare_fit(const avi_session *s, const avi_folder *folder)
{
    char *ending, *why;
    avi_run_file_ending(s, folder, &ending, &why);
    const bool fit = ending && !(why && !strcmp(why, ALONE));
    free(ending);
    free(why);
    if (!fit) return AVI_OK;
    return avi_config_fail(s->config, "run", "output",
                           "the results of the fit in %s would be lost: run.task = exact finds no checkpoint of that "
                           "fit and would replace them; use another run.output",
                           avi_folder_path(folder));
}

static avi_status write(avi_session *s, avi_stored_fit *fit, avi_optimum *a, double from)
{
    if (fit->st) return write_beside(s, fit, a);
    AVI_TRY(spare_fit(s, fit->folder));
    AVI_TRY(avi_agree(s->comm, avi_optimum_fields(a, NULL)));
    AVI_TRY(write_alone(s, fit->folder, a, avi_seconds() - from));
    avi_optimum_print(a, NULL);
    return AVI_OK;
}

static avi_status run(avi_session *s)
{
    avi_optimum *a = NULL;
    avi_stored_fit fit;
    const double from = avi_seconds();
    avi_status status = avi_stored_fit_look(s, &fit);
    if (status == AVI_OK) status = avi_optimum_create(s, &a);
    if (status == AVI_OK) status = write(s, &fit, a, from);
    if (status == AVI_OK && avi_comm_rank(s->comm) == 0 && s->options->verbosity > 0)
        printf("written to %s/run.h5\n", avi_folder_path(fit.folder));
    avi_stored_fit_close(&fit);
    avi_optimum_destroy(&a);
    return status;
}

/* ---- after a fit ---- */

typedef struct after {
    avi_optimum *optimum;
    avi_fit_comparison fit;
} after;

static avi_status after_fit(avi_session *s, const avi_done_fit *fit, avi_fields *fields, void **self)
{
    after *a = *self = calloc(1, sizeof *a);
    AVI_TRY(avi_agree(s->comm, a ? AVI_OK : avi_fail_memory(sizeof *a, "the closed form")));
    AVI_TRY(avi_optimum_create(s, &a->optimum));
    AVI_TRY(avi_optimum_compare_fit(a->optimum, fit->st, fit->evaluation, &a->fit));
    avi_status status = avi_optimum_fields(a->optimum, &a->fit);
    if (status == AVI_OK) status = avi_fields_borrow(fields, &a->optimum->fields);
    return avi_agree(s->comm, status);
}

static void print(const avi_session *s, const avi_done_fit *fit, const void *self)
{
    (void)s, (void)fit;
    avi_optimum_print(((const after *)self)->optimum, &((const after *)self)->fit);
}

static void release(void *self)
{
    avi_optimum_destroy(&((after *)self)->optimum);
    free(self);
}

static const avi_key keys[] = {
    {"run", "exact_degree", AVI_KEY_INT, "2", 0, 16, NULL, NULL,
     "exact: degree of the polynomials of inference.domain whose smallest possible gap is computed"},
};

const avi_task_ops avi_task_exact = {
    .name = "exact",
    .doc = "the optimum of factorized VI, the evidence and the best polynomials, in closed form",
    .keys = keys,
    .key_count = 1,
    .check = avi_optimum_check,
    .run = run,
    .plan = avi_exact_plan,
    .sample_rows = 200000,
    .plan_after = avi_exact_plan_after,
    .no_steps = true,
    .follows_fit = true,
    .after_fit = after_fit,
    .print = print,
    .release = release,
};
