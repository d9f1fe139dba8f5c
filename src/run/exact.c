/* Task exact: closed-form answers into run.h5, beside the fit of the same configuration where the folder holds one. */
#include "run/after.h"
#include "run/answer.h"
#include "run/assess.h"
#include "run/save.h"
#include "run/tasks.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* run.h5 without a fit: configuration, provenance, /exact. */
static avi_status write_alone(const avi_session *s, avi_folder *folder, avi_answer *a, double seconds)
{
    avi_attribute attribute[32];
    char *effective = avi_config_effective(s->config), *path = avi_fields_text(&a->fields, "%s/run.h5", avi_folder_path(folder));
    avi_status status = effective && path ? AVI_OK : avi_fail_memory(1, "results");
    if (status == AVI_OK)
        status = avi_fields_add(&a->fields, (avi_field){.path = "/config/ini", .text = avi_config_text(s->config), .description = "configuration file as given", .units = "", .axes = ""});
    if (status == AVI_OK)
        status = avi_fields_add(&a->fields, (avi_field){.path = "/config/effective", .text = effective, .description = "every key in force, its value and origin", .units = "", .axes = ""});
    status = avi_agree(s->comm, status);
    if (status == AVI_OK) {
        const int n = avi_results_provenance(s, &a->fields, "done", "exact", seconds, attribute);
        status = avi_store_write(s->comm, path, a->fields.field, a->fields.count, attribute, n);
    }
    free(effective);
    return status;
}

/* The results of the fit again, with /exact. */
static avi_status write_beside(const avi_session *s, avi_folder *folder, avi_answer *a, const char *checkpoint)
{
    avi_state *st = NULL;
    avi_answer_fit fit;
    double row[AVI_EVAL_COLUMNS];
    avi_status status = avi_state_create(s, &st);
    if (status == AVI_OK) status = avi_restore(s, st, checkpoint);
    if (status == AVI_OK) status = avi_assess(s, st, 0, row);
    if (status == AVI_OK) status = avi_answer_hold(a, st, row[AVI_EVAL_ELBO_TRAIN] * (double)s->partition.rows, &fit);
    if (status == AVI_OK) status = avi_agree(s->comm, avi_answer_fields(a, &fit));
    const bool done = status == AVI_OK && st->step >= s->total_steps;
    if (status == AVI_OK) status = avi_results_write(s, st, folder, done ? "done" : "stopped", "exact", true, &a->fields);
    if (status == AVI_OK) avi_answer_print(a, &fit);
    avi_state_destroy(&st);
    return status;
}

static avi_status write(const avi_session *s, avi_folder *folder, avi_answer *a, double from)
{
    char *checkpoint = NULL;
    if (strcmp(avi_config_get_string(s->config, "checkpoint", "resume"), "no")) AVI_TRY(avi_checkpoint_find(folder, s->comm, &checkpoint));
    if (checkpoint) {
        avi_status status = write_beside(s, folder, a, checkpoint);
        free(checkpoint);
        return status;
    }
    AVI_TRY(avi_agree(s->comm, avi_answer_fields(a, NULL)));
    AVI_TRY(write_alone(s, folder, a, avi_seconds() - from));
    avi_answer_print(a, NULL);
    return AVI_OK;
}

avi_status avi_task_exact(avi_session *s)
{
    avi_answer *a = NULL;
    avi_folder *folder = NULL;
    const double from = avi_seconds();
    AVI_TRY(avi_agree(s->comm, avi_answer_check(s))); /* before the folder is made */
    avi_status status = avi_folder_open(s->comm, avi_config_get_string(s->config, "run", "output"), &folder);
    if (status == AVI_OK) status = avi_answer_create(s, &a);
    if (status == AVI_OK) status = write(s, folder, a, from);
    if (status == AVI_OK && avi_comm_rank(s->comm) == 0 && s->options->verbosity > 0) printf("written to %s/run.h5\n", avi_folder_path(folder));
    avi_folder_close(&folder);
    avi_answer_destroy(&a);
    return status;
}
