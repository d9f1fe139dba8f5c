#include "base/launch.h"

#include <stdlib.h>
#include <string.h>

static bool has(const char *name)
{
    const char *value = getenv(name);
    return value && *value;
}

avi_status avi_launch_check(int ranks)
{
    const char *tasks = getenv("SLURM_STEP_NUM_TASKS");
    /* mpirun starts its daemons by srun, and ranks inherit what is said of that step; each launcher says its own. */
    const bool launched = has("OMPI_COMM_WORLD_SIZE") || has("PMI_SIZE");
    if (ranks > 1 || launched || !tasks || atoi(tasks) < 2) return AVI_OK;
    return avi_fail(
        AVI_ERR_USAGE,
        "srun started %s processes, and each is alone: the MPI library was not told of the others. Use srun "
        "--mpi=pmix (srun --mpi=list says what this Slurm has), or mpirun",
        tasks);
}

bool avi_launch_is_another(void)
{
    const char *process = getenv("SLURM_PROCID");
    return process && strcmp(process, "0") != 0;
}
