/* Messages over a communicator: reductions, broadcasts, exchanges. Counts are 64-bit; MPI's are not, so what is larger
 * than comm->cut bytes (comm->counts values in a reduction) goes in several messages. */
#include "base/comm_mpi.h"

#include <string.h>

enum { TAG_GATHER = 1, TAG_EXCHANGE = 2, TAG_SHIFT = 3, REQUESTS = 64 };

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* ---- reductions ---- */

static avi_status reduce(avi_comm *comm, void *values, size_t n, size_t width, MPI_Datatype type, MPI_Op op)
{
    char *at = values;
    while (n > 0) {
        const size_t count = least(n, comm->counts);
        AVI_MPI(MPI_Allreduce(MPI_IN_PLACE, at, (int)count, type, op, comm->mpi));
        at += count * width;
        n -= count;
    }
    return AVI_OK;
}

avi_status avi_comm_sum_double(avi_comm *comm, double *values, size_t n)
{
    return reduce(comm, values, n, sizeof *values, MPI_DOUBLE, MPI_SUM);
}

avi_status avi_comm_sum_float(avi_comm *comm, float *values, size_t n)
{
    return reduce(comm, values, n, sizeof *values, MPI_FLOAT, MPI_SUM);
}

avi_status avi_comm_sum_int64(avi_comm *comm, int64_t *values, size_t n)
{
    return reduce(comm, values, n, sizeof *values, MPI_INT64_T, MPI_SUM);
}

avi_status avi_comm_max_double(avi_comm *comm, double *values, size_t n)
{
    return reduce(comm, values, n, sizeof *values, MPI_DOUBLE, MPI_MAX);
}

avi_status avi_comm_max_int64(avi_comm *comm, int64_t *values, size_t n)
{
    return reduce(comm, values, n, sizeof *values, MPI_INT64_T, MPI_MAX);
}

avi_status avi_comm_exscan_int64(avi_comm *comm, int64_t value, int64_t *sum)
{
    int64_t below = 0;
    AVI_MPI(MPI_Exscan(&value, &below, 1, MPI_INT64_T, MPI_SUM, comm->mpi));
    *sum = comm->rank == 0 ? 0 : below; /* MPI leaves rank 0's value undefined */
    return AVI_OK;
}

/* ---- one to all, all to one, all to all ---- */

avi_status avi_comm_bcast(avi_comm *comm, void *buffer, size_t bytes, int root)
{
    char *at = buffer;
    while (bytes > 0) {
        const size_t count = least(bytes, comm->cut);
        AVI_MPI(MPI_Bcast(at, (int)count, MPI_BYTE, root, comm->mpi));
        at += count;
        bytes -= count;
    }
    return AVI_OK;
}

/* Rank 0 receives large blocks one rank after the other, in pieces. */
static void gather_pieces(avi_comm *comm, const char *values, size_t bytes, char *out)
{
    for (size_t at = 0; at < bytes; at += comm->cut) {
        const int count = (int)least(bytes - at, comm->cut);
        if (comm->rank != 0) AVI_MPI(MPI_Send(values + at, count, MPI_BYTE, 0, TAG_GATHER, comm->mpi));
        for (int r = 1; comm->rank == 0 && r < comm->size; r++)
            AVI_MPI(
                MPI_Recv(out + (size_t)r * bytes + at, count, MPI_BYTE, r, TAG_GATHER, comm->mpi, MPI_STATUS_IGNORE));
    }
    if (comm->rank == 0 && bytes > 0) memmove(out, values, bytes);
}

/* True when `bytes` of every rank fit in one message together; the same on all ranks. */
static bool fits(const avi_comm *comm, size_t bytes) { return bytes <= comm->cut / (size_t)comm->size; }

avi_status avi_comm_gather_double(avi_comm *comm, const double *values, size_t n, double *out)
{
    if (n == 0) return AVI_OK;
    const size_t bytes = n * sizeof *values;
    if (fits(comm, bytes))
        AVI_MPI(MPI_Gather(values, (int)n, MPI_DOUBLE, out, (int)n, MPI_DOUBLE, 0, comm->mpi));
    else
        gather_pieces(comm, (const char *)values, bytes, (char *)out);
    return AVI_OK;
}

avi_status avi_comm_allgather(avi_comm *comm, const void *values, size_t bytes, void *out)
{
    if (bytes == 0) return AVI_OK;
    if (fits(comm, bytes)) {
        AVI_MPI(MPI_Allgather(values, (int)bytes, MPI_BYTE, out, (int)bytes, MPI_BYTE, comm->mpi));
        return AVI_OK;
    }
    memmove((char *)out + (size_t)comm->rank * bytes, values, bytes);
    for (int r = 0; r < comm->size; r++) AVI_TRY(avi_comm_bcast(comm, (char *)out + (size_t)r * bytes, bytes, r));
    return AVI_OK;
}

/* ---- exchanges ---- */

/* Requests on their way. A full list is waited for: see avi_comm_exchange for why that cannot block. */
typedef struct flight {
    MPI_Request request[REQUESTS];
    int count;
} flight;

static void land(flight *f)
{
    if (f->count > 0) AVI_MPI(MPI_Waitall(f->count, f->request, MPI_STATUSES_IGNORE));
    f->count = 0;
}

static MPI_Request *next_request(flight *f)
{
    if (f->count == REQUESTS) land(f);
    return &f->request[f->count++];
}

avi_status avi_comm_exchange(avi_comm *comm, const void *send, const int64_t *send_bytes, const int64_t *send_at,
                             void *recv, const int64_t *recv_bytes, const int64_t *recv_at)
{
    const int self = comm->rank, size = comm->size;
    if (send_bytes[self] > 0)
        memcpy((char *)recv + recv_at[self], (const char *)send + send_at[self], (size_t)send_bytes[self]);
    /* Distance by distance, piece by piece: all ranks post in the same order (distance, piece), so the earliest message
     * on its way always has both its ends posted, and waiting for a full list ends. */
    flight f = {.count = 0};
    for (int d = 1; d < size; d++) {
        const int to = (self + d) % size, from = (self - d + size) % size;
        const size_t out = (size_t)send_bytes[to], in = (size_t)recv_bytes[from];
        for (size_t at = 0; at < out || at < in; at += comm->cut) {
            if (at < in)
                AVI_MPI(MPI_Irecv((char *)recv + recv_at[from] + at, (int)least(in - at, comm->cut), MPI_BYTE, from,
                                  TAG_EXCHANGE, comm->mpi, next_request(&f)));
            if (at < out)
                AVI_MPI(MPI_Isend((const char *)send + send_at[to] + at, (int)least(out - at, comm->cut), MPI_BYTE, to,
                                  TAG_EXCHANGE, comm->mpi, next_request(&f)));
        }
    }
    land(&f);
    return AVI_OK;
}

avi_status avi_comm_shift(avi_comm *comm, const void *send, int to, void *recv, int from, size_t bytes)
{
    const int target = to < 0 ? MPI_PROC_NULL : to, source = from < 0 ? MPI_PROC_NULL : from;
    for (size_t at = 0; at < bytes; at += comm->cut) {
        const int count = (int)least(bytes - at, comm->cut);
        /* Where there is nobody the buffer may be NULL: no arithmetic on it, and a count of 0, or Open MPI refuses it.
         */
        const char *out = to < 0 ? NULL : (const char *)send + at;
        char *in = from < 0 ? NULL : (char *)recv + at;
        AVI_MPI(MPI_Sendrecv(out, to < 0 ? 0 : count, MPI_BYTE, target, TAG_SHIFT, in, from < 0 ? 0 : count, MPI_BYTE,
                             source, TAG_SHIFT, comm->mpi, MPI_STATUS_IGNORE));
    }
    return AVI_OK;
}

avi_status avi_comm_barrier(avi_comm *comm)
{
    AVI_MPI(MPI_Barrier(comm->mpi));
    return AVI_OK;
}
