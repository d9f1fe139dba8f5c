/* Task reconstruct: the codes of every row of any data, and what the fitted model makes of them. */
#include "tasks/rows_task.h"

static avi_status run(avi_comm *comm, const avi_config *config, const avi_options *options)
{
    return avi_rows_task(comm, config, options, AVI_ROWS_RECONSTRUCTIONS);
}

const avi_task_ops avi_task_reconstruct = {
    .name = "reconstruct",
    .doc = "codes and reconstructions of the rows of any data, in its units, by the fit in run.from, into rows.h5",
    .run_alone = run,
    .resumable = true,
    .plans = true,
    .no_steps = true,
};
