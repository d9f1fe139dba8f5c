/* A counter that all ranks share: who adds to it gets numbers that nobody else got. Where all ranks share memory it is
 * an atomic integer there. Across nodes rank 0 keeps it and answers messages whenever it enters a function of this
 * file: one-sided communication would do without its help, but not with every transport of every MPI. */
#include "base/comm_mpi.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { TAG_TAKE = 1, TAG_LOOK = 2, TAG_TAKEN = 3, TAG_SEEN = 4 };

struct avi_shared_counter {
    MPI_Comm mpi; /* a duplicate, owned: its messages meet no others */
    int rank;
    MPI_Win window;          /* shared memory, or MPI_WIN_NULL */
    _Atomic int64_t *shared; /* rank 0's integer in it, or NULL */
    int64_t counter;         /* rank 0's, when not shared */
    int64_t nothing;         /* what a look adds */
    int64_t arriving, seen;  /* answers to the look under way and to the last one */
    MPI_Request look[2];     /* question and answer */
};

/* ---- rank 0 across nodes ---- */

static void serve(avi_shared_counter *t)
{
    if (t->rank != 0 || t->shared) return;
    for (int waiting = 1; waiting;) {
        MPI_Status from;
        int64_t n;
        AVI_MPI(MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, t->mpi, &waiting, &from));
        if (!waiting) break;
        AVI_MPI(MPI_Recv(&n, 1, MPI_INT64_T, from.MPI_SOURCE, from.MPI_TAG, t->mpi, MPI_STATUS_IGNORE));
        AVI_MPI(MPI_Send(&t->counter, 1, MPI_INT64_T, from.MPI_SOURCE, from.MPI_TAG == TAG_TAKE ? TAG_TAKEN : TAG_SEEN,
                         t->mpi));
        t->counter += n;
    }
}

/* ---- start and end ---- */

static bool share_memory(avi_comm *comm)
{
    MPI_Comm node;
    int size;
    AVI_MPI(MPI_Comm_split_type(comm->mpi, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node));
    AVI_MPI(MPI_Comm_size(node, &size));
    AVI_MPI(MPI_Comm_free(&node));
    int64_t least = size;
    AVI_MPI(MPI_Allreduce(MPI_IN_PLACE, &least, 1, MPI_INT64_T, MPI_MIN, comm->mpi));
    return least == comm->size;
}

static void make_window(avi_shared_counter *t)
{
    void *own = NULL, *first = NULL;
    MPI_Aint bytes;
    int unit;
    AVI_MPI(MPI_Win_allocate_shared(t->rank == 0 ? 64 : 0, 1, MPI_INFO_NULL, t->mpi, (void *)&own, &t->window));
    AVI_MPI(MPI_Win_shared_query(t->window, 0, &bytes, &unit, (void *)&first));
    t->shared = first;
    if (t->rank == 0) atomic_init(t->shared, 0);
    AVI_MPI(MPI_Barrier(t->mpi)); /* nobody adds before the zero is there */
}

avi_status avi_shared_counter_make(avi_comm *comm, bool shared, avi_shared_counter **ticket)
{
    avi_shared_counter *t = calloc(1, sizeof *t);
    *ticket = NULL;
    const avi_status status = avi_agree(comm, t ? AVI_OK : avi_fail_memory(sizeof *t, "a shared counter"));
    if (status != AVI_OK) {
        free(t);
        return status;
    }
    t->rank = comm->rank;
    t->window = MPI_WIN_NULL;
    t->look[0] = t->look[1] = MPI_REQUEST_NULL;
    AVI_MPI(MPI_Comm_dup(comm->mpi, &t->mpi));
    if (shared) make_window(t);
    *ticket = t;
    return AVI_OK;
}

avi_status avi_shared_counter_create(avi_comm *comm, avi_shared_counter **ticket)
{
    return avi_shared_counter_make(comm, share_memory(comm), ticket);
}

void avi_shared_counter_destroy(avi_shared_counter **ticket)
{
    avi_shared_counter *t = *ticket;
    MPI_Request all;
    if (!t) return;
    AVI_MPI(MPI_Waitall(2, t->look, MPI_STATUSES_IGNORE));
    AVI_MPI(MPI_Ibarrier(t->mpi, &all));
    for (int here = 0; !here;) { /* rank 0 answers until nobody can ask any more */
        serve(t);
        AVI_MPI(MPI_Test(&all, &here, MPI_STATUS_IGNORE));
    }
    if (t->window != MPI_WIN_NULL) AVI_MPI(MPI_Win_free(&t->window));
    AVI_MPI(MPI_Comm_free(&t->mpi));
    free(t);
    *ticket = NULL;
}

/* ---- use ---- */

int64_t avi_shared_counter_take(avi_shared_counter *t, int64_t n)
{
    if (t->shared) return atomic_fetch_add(t->shared, n);
    serve(t);
    int64_t before = t->counter;
    if (t->rank == 0)
        t->counter += n;
    else {
        AVI_MPI(MPI_Send(&n, 1, MPI_INT64_T, 0, TAG_TAKE, t->mpi));
        AVI_MPI(MPI_Recv(&before, 1, MPI_INT64_T, 0, TAG_TAKEN, t->mpi, MPI_STATUS_IGNORE));
    }
    return before;
}

int64_t avi_shared_counter_read(avi_shared_counter *t)
{
    int arrived;
    if (t->shared) return atomic_load(t->shared);
    serve(t);
    if (t->rank == 0) return t->counter;
    AVI_MPI(MPI_Testall(2, t->look, &arrived, MPI_STATUSES_IGNORE));
    if (arrived) {
        t->seen = t->arriving; /* of the first look, 0 */
        AVI_MPI(MPI_Irecv(&t->arriving, 1, MPI_INT64_T, 0, TAG_SEEN, t->mpi, &t->look[1]));
        AVI_MPI(MPI_Isend(&t->nothing, 1, MPI_INT64_T, 0, TAG_LOOK, t->mpi, &t->look[0]));
    }
    return t->seen;
}
