#include "fitted/missing.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

avi_status avi_fitted_missing(avi_comm *comm, const char *folder)
{
    char path[4096];
    struct stat info;
    const bool fits = snprintf(path, sizeof path, "%s/run.h5", folder) < (int)sizeof path;
    int64_t results = avi_comm_rank(comm) == 0 && fits && stat(path, &info) == 0;
    AVI_TRY(avi_comm_bcast(comm, &results, sizeof results, 0));
    if (!results)
        return avi_fail(AVI_ERR_NOINPUT,
                        "%s: has no checkpoint, so there is no fit to use; use the folder of a run that has folder "
                        "checkpoint, or run.task = fit first",
                        folder);
    return avi_fail(
        AVI_ERR_NOINPUT,
        "%s: run.h5 has the results of a fit, but its checkpoint is gone, which is what tasks on a fit begin "
        "from. Put a step_*.h5 of it back into %s/checkpoint, or fit again: %s/config.ini run.output=%s "
        "--fresh",
        folder, folder, folder, folder);
}
