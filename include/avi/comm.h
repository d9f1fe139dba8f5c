/* The communicator: the only door to message passing. Plug-ins never see it.
 *
 * Every function that takes an avi_comm is collective over it unless it says `Not collective.` MPI errors end the job
 * (MPI_ERRORS_ARE_FATAL with a message): a rank that has lost its communicator has no one to agree with. */
#ifndef AVI_COMM_H
#define AVI_COMM_H

#include "avi/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct avi_comm avi_comm;

/* Collective. Starts MPI and returns the communicator of all ranks. Owner: caller, avi_comm_finish. */
AVI_API avi_status avi_comm_start(int *argc, char ***argv, avi_comm **world);
/* Collective. The same over the ranks of `mpi`, which points to an MPI_Comm of a program that has started MPI itself
 * and ends it (after avi_comm_leave). It is duplicated. Owner: caller, avi_comm_leave. Errors: INTERNAL when MPI is not
 * running, or memory is short. */
AVI_API avi_status avi_comm_join(const void *mpi, avi_comm **comm);
/* Collective. Frees the communicator, and all that goes with MPI but is not MPI's (BLACS). */
AVI_API void avi_comm_leave(avi_comm **comm);
/* Collective. Frees the world and ends MPI (BLACS first, if it was used). */
AVI_API void avi_comm_finish(avi_comm **world);
/* Registers a function that avi_comm_finish calls before MPI ends (the last registered first; the same one once): how
 * BLACS leaves. At most eight. Errors: INTERNAL. Not collective. */
avi_status avi_comm_at_finish(void (*hook)(void));

/* Collective over `parent`. Ranks with equal `colour` form a new communicator. Owner: caller, avi_comm_destroy. */
AVI_API avi_status avi_comm_split(avi_comm *parent, int colour, avi_comm **part);
AVI_API void avi_comm_destroy(avi_comm **comm);

/* Not collective. */
AVI_API int avi_comm_rank(const avi_comm *comm);
AVI_API int avi_comm_size(const avi_comm *comm);
/* Name and version of the MPI library in use. Not collective. Owned by the library. */
const char *avi_comm_library(void);
/* Name of this host. Not collective. Owned by the library. */
const char *avi_comm_host(void);

/* Collective. All ranks leave with the same status: the largest code of any rank. When it is not AVI_OK, the message of
 * the lowest failing rank becomes the error text on every rank (avi_error_text). One small allreduce when all is well.
 */
AVI_API avi_status avi_agree(avi_comm *comm, avi_status status);
/* Collective. All ranks have the memory that each has just asked malloc for (NULL: it could not be had), or none: this
 * rank's is freed when another rank has none. bytes and purpose are for the message. Errors: INTERNAL. */
AVI_API avi_status avi_agree_memory(avi_comm *comm, void *memory, size_t bytes, const char *purpose);

/* Collective. Sums, maxima over ranks in place; n may be 0. */
AVI_API avi_status avi_comm_sum_double(avi_comm *comm, double *values, size_t n);
avi_status avi_comm_sum_float(avi_comm *comm, float *values, size_t n);
AVI_API avi_status avi_comm_sum_int64(avi_comm *comm, int64_t *values, size_t n);
AVI_API avi_status avi_comm_max_double(avi_comm *comm, double *values, size_t n);
AVI_API avi_status avi_comm_max_int64(avi_comm *comm, int64_t *values, size_t n);
/* Collective. *sum becomes the sum of `value` over the ranks below this one (0 on rank 0). */
AVI_API avi_status avi_comm_exscan_int64(avi_comm *comm, int64_t value, int64_t *sum);
/* Collective. Copies `bytes` bytes from `root` to all. Any size. */
AVI_API avi_status avi_comm_bcast(avi_comm *comm, void *buffer, size_t bytes, int root);
/* Collective. Gathers n doubles of each rank to rank 0: out is (size, n) there, may be NULL elsewhere. */
AVI_API avi_status avi_comm_gather_double(avi_comm *comm, const double *values, size_t n, double *out);
/* Collective. All ranks get all: out is (size, bytes). */
AVI_API avi_status avi_comm_allgather(avi_comm *comm, const void *values, size_t bytes, void *out);
/* Collective. send_bytes[r] bytes go to rank r from send + send_at[r]; what rank r sent arrives at recv + recv_at[r].
 * Counts are 64-bit; messages over 1 GiB are cut. */
avi_status avi_comm_exchange(avi_comm *comm, const void *send, const int64_t *send_bytes, const int64_t *send_at,
                             void *recv, const int64_t *recv_bytes, const int64_t *recv_at);
/* Collective. Point to point in a ring without ends: sends `bytes` to `to` and receives as many from `from`
 * (-1: nobody, nothing is written). */
avi_status avi_comm_shift(avi_comm *comm, const void *send, int to, void *recv, int from, size_t bytes);
/* Not collective. The last resort of a rank that cannot even take part in agreeing: prints the recorded message and
 * ends the whole job with `status`. */
AVI_NORETURN void avi_comm_abort(avi_status status);
AVI_API avi_status avi_comm_barrier(avi_comm *comm);

/* A counter shared by all ranks of a communicator, starting at 0: how groups of ranks take the next piece of work. */
typedef struct avi_shared_counter avi_shared_counter;
/* Collective. Owner: caller, avi_shared_counter_destroy. */
avi_status avi_shared_counter_create(avi_comm *comm, avi_shared_counter **ticket);
/* Adds n and returns what the counter was before: no two ranks get the same. Not collective. Across nodes it waits
 * until rank 0 is in one of these functions. */
int64_t avi_shared_counter_take(avi_shared_counter *ticket, int64_t n);
/* The counter as it was now or, across nodes, some calls ago (0 at first); never waits. Rank 0 answers the others here:
 * it should look often. Not collective. */
int64_t avi_shared_counter_read(avi_shared_counter *ticket);
/* Collective: returns when all ranks are here. */
void avi_shared_counter_destroy(avi_shared_counter **ticket);

/* Memory that all ranks of a communicator share, where they are on one node: a part of each rank, which the others may
 * read, and one that is common. */
typedef struct avi_shared avi_shared;
/* Collective. `own` bytes for each rank and `total` common ones, all zero. *shared is NULL, with AVI_OK, where there is
 * no such memory: one rank, several nodes, no room in /dev/shm. Errors: INTERNAL (memory). Owner: caller,
 * avi_shared_destroy. */
avi_status avi_shared_create(avi_comm *comm, size_t own, size_t total, avi_shared **shared);
/* Not collective: the others' memory stays. */
void avi_shared_destroy(avi_shared **shared);
/* The parts, aligned to 4096. Not collective. */
void *avi_shared_of(const avi_shared *shared, int rank);
void *avi_shared_total(const avi_shared *shared);
/* Collective. Returns when all ranks are here; what they wrote before can be read. */
void avi_shared_barrier(avi_shared *shared);

/* Seconds on this rank's clock. Not collective. */
double avi_seconds(void);

#endif
