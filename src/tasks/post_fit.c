#include "tasks/post_fit.h"
#include "base/signals.h"
#include "tasks/stored_fit.h"

#include <stdio.h>
#include <string.h>

/* The tasks that can follow a fit: "exact, evaluate". */
static const char *list_followers(const avi_registry *r, char *list, size_t size)
{
    *list = '\0';
    for (int i = 0; i < avi_registry_count(r, AVI_KIND_TASK); i++) {
        const avi_task_ops *task = avi_registry_at(r, AVI_KIND_TASK, i);
        const size_t used = strlen(list);
        if (task->follows_fit) snprintf(list + used, size - used, "%s%s", used ? ", " : "", task->name);
    }
    return list;
}

/* Names separated by commas or blanks. */
static avi_status parse(const avi_session *s, avi_post_fit *p)
{
    const avi_registry *r = avi_config_registry(s->config);
    const char *text = avi_config_get_string(s->config, "run", "after");
    char name[64], list[512];
    *p = (avi_post_fit){0};
    for (size_t n; *(text += strspn(text, ", \t")); text += n) {
        n = strcspn(text, ", \t");
        snprintf(name, sizeof name, "%.*s", (int)(n < sizeof name ? n : sizeof name - 1), text);
        const avi_task_ops *task = avi_registry_find(r, AVI_KIND_TASK, name);
        if (!task || !task->follows_fit)
            return avi_config_fail(s->config, "run", "after",
                                   "%.*s is not a task that can follow a fit; use %s, or several with commas", (int)n,
                                   text, list_followers(r, list, sizeof list));
        for (int i = 0; i < p->count; i++)
            if (p->task[i] == task)
                return avi_config_fail(s->config, "run", "after", "%s is named twice; name it once", name);
        if (p->count == AVI_POST_FIT_TASKS)
            return avi_config_fail(s->config, "run", "after", "more than %d tasks; name fewer", AVI_POST_FIT_TASKS);
        p->task[p->count++] = task;
    }
    return AVI_OK;
}

avi_status avi_post_fit_check(const avi_session *s)
{
    avi_post_fit p;
    AVI_TRY(parse(s, &p));
    for (int i = 0; i < p.count; i++)
        if (p.task[i]->check) AVI_TRY(p.task[i]->check(s));
    return AVI_OK;
}

void avi_post_fit_read(const avi_session *s, avi_post_fit *p) { (void)parse(s, p); }

bool avi_post_fit_is_lengthy(const avi_post_fit *p)
{
    for (int i = 0; i < p->count; i++)
        if (p->task[i]->lengthy) return true;
    return false;
}

avi_status avi_post_fit_run(avi_session *s, const avi_done_fit *fit, avi_post_fit *p)
{
    for (int i = 0; i < p->count; i++)
        if (p->task[i]->after_fit) AVI_TRY(p->task[i]->after_fit(s, fit, &p->fields, &p->self[i]));
    return AVI_OK;
}

void avi_post_fit_written(const avi_session *s, const avi_done_fit *fit, const avi_post_fit *p)
{
    for (int i = 0; i < p->count; i++)
        if (p->task[i]->written) p->task[i]->written(s, fit, p->self[i]);
}

void avi_post_fit_print(const avi_session *s, const avi_done_fit *fit, const avi_post_fit *p)
{
    for (int i = 0; i < p->count; i++)
        if (p->task[i]->print) p->task[i]->print(s, fit, p->self[i]);
}

void avi_post_fit_free(avi_post_fit *p)
{
    avi_fields_free(&p->fields);
    for (int i = 0; i < p->count; i++)
        if (p->task[i]->release && p->self[i]) p->task[i]->release(p->self[i]);
    p->count = 0;
}

static void tell(const avi_session *s, const avi_done_fit *fit, const avi_post_fit *p)
{
    if (s->options->verbosity < 1 || avi_comm_rank(s->comm) != 0) return;
    const char *folder = avi_folder_path(fit->folder);
    avi_post_fit_print(s, fit, p);
    printf("  results      %s/run.h5, group %s\n  report       analysis/report.py %s\n", folder, p->task[0]->name,
           folder);
}

avi_status avi_post_fit_alone(avi_session *s, const avi_task_ops *task)
{
    avi_post_fit p = {.count = 1, .task = {task}};
    avi_stored_fit stored = {0};
    double row[AVI_EVAL_COLUMNS];
    avi_status status = avi_stored_fit_open(s, &stored);
    const avi_done_fit fit = {.st = stored.st, .folder = stored.folder, .evaluation = row};
    if (task->kept) avi_signals_set(AVI_SIGNAL_AGAIN, task->kept);
    if (status == AVI_OK) status = avi_stored_fit_evaluate(s, &stored, row);
    if (status == AVI_OK) status = avi_post_fit_run(s, &fit, &p);
    if (task->kept) avi_signals_set(AVI_SIGNAL_NOTED, NULL);
    if (status == AVI_OK) status = avi_run_file_update(s, fit.st, fit.folder, &p.fields);
    if (status == AVI_OK) avi_post_fit_written(s, &fit, &p);
    if (status == AVI_OK) tell(s, &fit, &p);
    avi_post_fit_free(&p);
    avi_stored_fit_close(&stored);
    return status;
}
