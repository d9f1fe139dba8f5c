/* To preload into ranks of MPICH: a wait that finds nothing gives the core to another rank, as Open MPI's does with
 * mpi_yield_when_idle. MPICH has no setting for that, and tests have more ranks than the machine has cores. MPICH with
 * UCX (Debian 12) calls this function in every wait. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sched.h>
#include <string.h>

typedef unsigned progress(void *worker);

unsigned ucp_worker_progress(void *worker);

unsigned ucp_worker_progress(void *worker)
{
    static progress *real;
    if (!real) {
        void *address = dlsym(RTLD_NEXT, "ucp_worker_progress");
        memcpy(&real, &address, sizeof real);
    }
    const unsigned done = real(worker);
    if (!done) (void)sched_yield();
    return done;
}
