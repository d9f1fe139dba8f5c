/* Tasks: what [run] task chooses, and what [run] after does when a fit is done. One file src/tasks/<name>.c and one
 * line AVI_TASK(<name>) in registry.def; the symbol is `const avi_task_ops avi_task_<name>`. The keys of a task are
 * always in force.
 *
 * A task calls training, and training returns: nothing below this floor knows that there are tasks. */
#ifndef AVI_TASKS_TASK_H
#define AVI_TASKS_TASK_H

#include "avi/registry.h"
#include "output/run_file.h"
#include "train/fit.h"

struct avi_plan;

/* A fit that is done, for a task on it: at the end of the fit, or as its newest checkpoint has it. Borrowed. */
typedef struct avi_done_fit {
    avi_state *st;
    avi_folder *folder;       /* run.output, locked */
    const double *evaluation; /* (AVI_EVAL_COLUMNS): the last one */
} avi_done_fit;

typedef struct avi_task_ops {
    AVI_PLUGIN_FIELDS;
    /* Optional. What must hold before anything is written: CONFIG when the task cannot be done with this model or these
     * keys. Asked of run.task, and of every task of run.after before the fit begins. Not collective. */
    avi_status (*check)(const avi_session *s);
    /* The task by itself, as run.task: one of the two, or neither of a task that follows a fit, which is then done on
     * the fit in run.output. Both are collective, and all ranks return the same status. run_alone: of a task that needs
     * no session of the configuration, since it reads no data, or uses a fit (run.from). With both, run_alone is for
     * run.from. */
    avi_status (*run)(avi_session *s);
    avi_status (*run_alone)(avi_comm *comm, const avi_config *config, const avi_options *options);
    /* resumable: a signal before the task has something to save ends it with STOPPED, since the same command resumes
     * it; else with the signal. printed: what it prints is its result, and must have been written. */
    bool resumable, printed;
    /* The task takes no steps of a fit, so that optim.batch and optim.tile need not suit the data. */
    bool no_steps;
    bool plans; /* run_alone does --dry-run too */
    /* Optional, for --dry-run: adds to the plan what the task takes (plan.h), from counts and from what the task takes
     * with the few rows of this session; st: a state that has not been fitted. Collective. Without it the plan says
     * that nothing is foreseen. sample_rows: so many rows are enough (0: as many as a fit is tried with). */
    avi_status (*plan)(avi_session *s, avi_state *st, struct avi_plan *plan);
    int64_t sample_rows;
    /* Optional: the same of a task that follows a fit, once the fit is in the plan. Without plan it is also that of
     * the task by itself, beside what reading and writing the fit take. */
    avi_status (*plan_after)(avi_session *s, avi_state *st, struct avi_plan *plan);
    /* Optional: the task on a fit that is done, as run.after or by itself. Collective. Adds datasets for the group of
     * its name in run.h5 to `fields`; *self is the task's own, freed by release. lengthy: the results of the fit are
     * written before it begins. kept: what is said when a signal ends the task by itself, of a task that keeps what it
     * has made; NULL of one that does not. */
    bool follows_fit, lengthy;
    const char *kept;
    avi_status (*after_fit)(avi_session *s, const avi_done_fit *fit, avi_fields *fields, void **self);
    /* Optional, of such a task: its results are written, and what it kept to resume from can go. Not collective. */
    void (*written)(const avi_session *s, const avi_done_fit *fit, const void *self);
    /* Optional, of such a task: its lines on the screen, on rank 0, once the results are written. Not collective. */
    void (*print)(const avi_session *s, const avi_done_fit *fit, const void *self);
    void (*release)(void *self);
} avi_task_ops;

/* Adds a task to the registry. Errors: INTERNAL when a required entry is missing or the name is taken. */
avi_status avi_task_register(avi_registry *registry, const avi_task_ops *ops);
/* The keys [run] task and [run] after. */
avi_status avi_task_register_keys(avi_registry *registry);

/* Collective. Does what [run] task names; with --dry-run or --check-gradient that in its place. All ranks return the
 * same status. */
avi_status avi_task_perform(avi_comm *comm, const avi_config *config, const avi_options *options);

/* Collective. --dry-run and --check-gradient. */
avi_status avi_dry_run(avi_session *s, const avi_task_ops *task);
avi_status avi_check_gradient(avi_session *s);

#endif
