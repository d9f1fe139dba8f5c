/* Preloaded: every sum over ranks takes at least AVI_PACE_MS milliseconds, in which the rank sleeps. A run then takes
 * its time without taking processors, so that what happens to it meets it at a moment that does not depend on the
 * machine. */
#define _POSIX_C_SOURCE 200809L /* nanosleep */
#include <mpi.h>
#include <stdlib.h>
#include <time.h>

static void pace(void)
{
    const char *text = getenv("AVI_PACE_MS");
    const long ms = text ? strtol(text, NULL, 10) : 0;
    const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    if (ms > 0) (void)nanosleep(&pause, NULL);
}

int MPI_Allreduce(const void *from, void *to, int count, MPI_Datatype type, MPI_Op op, MPI_Comm comm)
{
    pace();
    return PMPI_Allreduce(from, to, count, type, op, comm);
}

int MPI_Iallreduce(const void *from, void *to, int count, MPI_Datatype type, MPI_Op op, MPI_Comm comm,
                   MPI_Request *request)
{
    pace();
    return PMPI_Iallreduce(from, to, count, type, op, comm, request);
}
