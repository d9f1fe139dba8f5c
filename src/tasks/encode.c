/* Task encode: the variational factor of every row of any data, by a fit that is done. */
#include "tasks/rows_task.h"

static avi_status run(avi_comm *comm, const avi_config *config, const avi_options *options)
{
    return avi_rows_task(comm, config, options, 0);
}

const avi_task_ops avi_task_encode = {
    .name = "encode",
    .doc = "mean, log sd and covariance of q(z_n) for the rows of any data, by the fit in run.from, into rows.h5",
    .run_alone = run,
    .resumable = true,
    .plans = true,
    .no_steps = true,
};
