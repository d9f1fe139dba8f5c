#include "base/signals.h"
#include "base/streams.h"
#include "tasks/rows_task.h"
#include "tasks/task.h"
#include "tasks/post_fit.h"

static const avi_key keys[] = {
    {"run", "task", AVI_KEY_CHOICE, "fit", 0, 0, AVI_CHOICES_TASK, NULL, "what to do (--list prints what each is)"},
    {"run", "after", AVI_KEY_STRING, "", 0, 0, NULL, NULL,
     "tasks to do when the fit is done, separated by commas (--list marks those that can follow a fit)"},
    {"run", "from", AVI_KEY_STRING, "", 0, 0, NULL, NULL,
     "the fit that encode, evaluate, reconstruct and sample use: the folder of a run (its newest checkpoint) or a "
     "checkpoint, relative to where the command runs; it is only read"},
};

avi_status avi_task_register(avi_registry *registry, const avi_task_ops *ops)
{
    if (!ops->run && !ops->run_alone && !ops->after_fit)
        return avi_fail(AVI_ERR_INTERNAL, "task %s has neither run nor run_alone nor after_fit",
                        ops->name ? ops->name : "without a name");
    return avi_registry_add(registry, AVI_KIND_TASK, ops);
}

avi_status avi_task_register_keys(avi_registry *registry)
{
    AVI_TRY(avi_registry_add_keys(registry, keys, (int)(sizeof keys / sizeof keys[0])));
    return avi_rows_task_register_keys(registry);
}

static avi_status perform(avi_session *s, const avi_task_ops *task)
{
    /* Before anything is written, not after hours. */
    if (task->check) AVI_TRY(avi_agree(s->comm, task->check(s)));
    if (s->options->dry_run) return avi_dry_run(s, task);
    if (s->options->check_gradient) return avi_check_gradient(s);
    return task->run ? task->run(s) : avi_post_fit_alone(s, task);
}

avi_status avi_task_perform(avi_comm *comm, const avi_config *config, const avi_options *options)
{
    const avi_task_ops *task =
        avi_registry_find(avi_config_registry(config), AVI_KIND_TASK, avi_config_get_string(config, "run", "task"));
    const bool only_prints = options->dry_run || options->check_gradient;
    avi_session *s = NULL;
    if (task->resumable && !only_prints)
        avi_signals_set(AVI_SIGNAL_AGAIN, "no step was done yet: the same command starts the run");
    const bool alone = task->run_alone && (!task->run || *avi_config_get_string(config, "run", "from"));
    if (alone && (!only_prints || (task->plans && options->dry_run))) return task->run_alone(comm, config, options);
    if (*avi_config_get_string(config, "run", "from") && !alone)
        return avi_config_fail(
            config, "run", "from",
            "is for tasks that use a fit on rows (encode, evaluate, reconstruct, sample); run.task = "
            "%s begins from a checkpoint with checkpoint.from",
            task->name);
    avi_options of_task = *options;
    of_task.no_steps = task->no_steps;
    of_task.sample_rows = task->sample_rows;
    AVI_TRY(avi_session_open(comm, config, &of_task, &s));
    avi_status status = perform(s, task);
    avi_session_close(&s);
    if (status == AVI_OK && (only_prints || task->printed)) status = avi_agree(comm, avi_streams_flush());
    return status;
}
