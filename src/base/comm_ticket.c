/* A counter that all ranks share: who adds to it gets numbers that nobody else got. It lives in a window of rank 0's memory; the arithmetic is MPI's. */
#include "base/comm_mpi.h"

#include <stdlib.h>

struct avi_ticket {
    MPI_Win window;
    int64_t *counter;     /* rank 0's memory of the window, NULL elsewhere */
    int64_t nothing;      /* operand of a look, which adds nothing */
    int64_t arriving;     /* result of the look under way */
    int64_t seen;         /* result of the last look */
    MPI_Request request;  /* of the look under way */
};

avi_status avi_ticket_create(avi_comm *comm, avi_ticket **ticket)
{
    avi_ticket *t = calloc(1, sizeof *t);
    *ticket = NULL;
    const avi_status status = avi_agree(comm, t ? AVI_OK : avi_fail_memory(sizeof *t, "a shared counter"));
    if (status != AVI_OK) {
        free(t);
        return status;
    }
    const bool first = comm->rank == 0;
    void *base = NULL;
    AVI_MPI(MPI_Win_allocate(first ? (MPI_Aint)sizeof *t->counter : 0, (int)sizeof *t->counter, MPI_INFO_NULL, comm->mpi, (void *)&base, &t->window));
    AVI_MPI(MPI_Win_lock_all(0, t->window));
    if (first) {
        t->counter = base;
        *t->counter = 0;
        AVI_MPI(MPI_Win_sync(t->window));
    }
    t->request = MPI_REQUEST_NULL;
    AVI_MPI(MPI_Barrier(comm->mpi)); /* nobody adds before the zero is there */
    *ticket = t;
    return AVI_OK;
}

int64_t avi_ticket_take(avi_ticket *t, int64_t n)
{
    int64_t before = 0;
    AVI_MPI(MPI_Fetch_and_op(&n, &before, MPI_INT64_T, 0, 0, MPI_SUM, t->window));
    AVI_MPI(MPI_Win_flush(0, t->window));
    return before;
}

int64_t avi_ticket_look(avi_ticket *t)
{
    int arrived = 1;
    if (t->request != MPI_REQUEST_NULL) {
        AVI_MPI(MPI_Test(&t->request, &arrived, MPI_STATUS_IGNORE));
        if (arrived) t->seen = t->arriving;
    }
    if (arrived)
        AVI_MPI(MPI_Rget_accumulate(&t->nothing, 1, MPI_INT64_T, &t->arriving, 1, MPI_INT64_T, 0, 0, 1, MPI_INT64_T, MPI_NO_OP, t->window, &t->request));
    return t->seen;
}

void avi_ticket_destroy(avi_ticket **ticket)
{
    avi_ticket *t = *ticket;
    if (!t) return;
    if (t->request != MPI_REQUEST_NULL) AVI_MPI(MPI_Wait(&t->request, MPI_STATUS_IGNORE));
    AVI_MPI(MPI_Win_unlock_all(t->window));
    AVI_MPI(MPI_Win_free(&t->window));
    free(t);
    *ticket = NULL;
}
