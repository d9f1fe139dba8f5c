/* What the floors that call MPI themselves (data, linalg, io) may know about a communicator, and no one else. */
#ifndef AVI_BASE_COMM_MPI_H
#define AVI_BASE_COMM_MPI_H

#include "avi/comm.h"

#include <mpi.h>

struct avi_comm {
    MPI_Comm mpi; /* owned; its error handler ends the job with a message */
    int rank, size;
    size_t cut;    /* most bytes of one message: 1 GiB */
    size_t counts; /* most values of one reduction: INT_MAX */
};

/* The MPI communicator, owned by `comm`. Not collective. */
MPI_Comm avi_comm_mpi(const avi_comm *comm);

/* Smaller limits for tests of the cutting (all ranks alike). Not collective. */
void avi_comm_limit(avi_comm *comm, size_t cut, size_t counts);

/* avi_shared_counter_create with the choice made: in shared memory (all ranks on one node) or by messages. Collective.
 */
avi_status avi_shared_counter_make(avi_comm *comm, bool shared, avi_shared_counter **ticket);

/* Ends the job with a message when an MPI call did not succeed. `what` is the text of the call. Not collective. */
void avi_mpi_must(int code, const char *what);
#define AVI_MPI(call) avi_mpi_must((call), #call)

#endif
