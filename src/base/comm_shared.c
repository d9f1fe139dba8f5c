/* Memory that the ranks of one node share: a file in /dev/shm that has no name any more once all have it.
 * MPI_Win_allocate_shared would do the same without telling when the file system is full: pages are reserved here, by
 * the rank that will use them (on its own memory node), and ranks agree before anything is touched. */
#include "avi/comm.h"

#include "base/comm_mpi.h"

#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, NAME_BYTES = 96, SPINS = 4000, SPINS_CROWDED = 50, SPINS_BEFORE_LOOK = 200000 };

typedef struct meeting {
    _Alignas(64) atomic_int here;
    _Alignas(64) atomic_int number;
} meeting;

struct avi_shared {
    avi_comm *comm;         /* borrowed */
    size_t own, total, all; /* bytes: of a rank, common, of the file; whole pages */
    char *memory;           /* (all): the meeting, each rank's part, the common part */
    int spins;
};

static size_t pages(size_t bytes) { return (bytes + PAGE - 1) / PAGE * PAGE; }

static bool on_one_node(const avi_comm *comm)
{
    MPI_Comm node;
    int size = 0;
    AVI_MPI(MPI_Comm_split_type(comm->mpi, MPI_COMM_TYPE_SHARED, comm->rank, MPI_INFO_NULL, &node));
    AVI_MPI(MPI_Comm_size(node, &size));
    AVI_MPI(MPI_Comm_free(&node));
    int fewest = size;
    AVI_MPI(MPI_Allreduce(MPI_IN_PLACE, &fewest, 1, MPI_INT, MPI_MIN, comm->mpi));
    return fewest == comm->size;
}

/* Rank 0 makes the file; the others open it by name. -1: it cannot be had. */
static int open_file(const avi_comm *comm, size_t bytes, char name[NAME_BYTES])
{
    static int made; /* files of this process: names must differ */
    int file = -1;
    if (comm->rank == 0) {
        (void)snprintf(name, NAME_BYTES, "/dev/shm/avi_mpi.%ld.%d", (long)getpid(), made++);
        file = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (file >= 0 && ftruncate(file, (off_t)bytes) != 0) {
            (void)close(file);
            (void)unlink(name);
            file = -1;
        }
        if (file < 0) name[0] = '\0';
    }
    AVI_MPI(MPI_Bcast(name, NAME_BYTES, MPI_CHAR, 0, comm->mpi));
    if (comm->rank > 0 && name[0]) file = open(name, O_RDWR | O_CLOEXEC);
    return file;
}

/* Reserves this rank's pages and its share of the common ones, rank 0 the meeting's too, and maps the whole. */
static char *map_file(const avi_shared *s, int file)
{
    const size_t rank = (size_t)s->comm->rank, size = (size_t)s->comm->size, common = s->total / PAGE;
    const size_t from = common * rank / size * PAGE, to = common * (rank + 1) / size * PAGE;
    if (file < 0) return NULL;
    if (posix_fallocate(file, (off_t)(PAGE + rank * s->own), (off_t)s->own) != 0) return NULL;
    if (rank == 0 && posix_fallocate(file, 0, PAGE) != 0) return NULL;
    if (to > from && posix_fallocate(file, (off_t)(PAGE + size * s->own + from), (off_t)(to - from)) != 0) return NULL;
    char *memory = mmap(NULL, s->all, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static avi_status make(avi_comm *comm, size_t own, size_t total, avi_shared *s)
{
    char name[NAME_BYTES] = "";
    *s = (avi_shared){.comm = comm, .own = pages(own + 1), .total = pages(total + 1)};
    s->all = PAGE + (size_t)comm->size * s->own + s->total;
    s->spins = comm->size > sysconf(_SC_NPROCESSORS_ONLN) ? SPINS_CROWDED : SPINS;
    const int file = open_file(comm, s->all, name);
    s->memory = map_file(s, file);
    if (file >= 0) (void)close(file);
    int have = s->memory != NULL;
    AVI_MPI(MPI_Allreduce(MPI_IN_PLACE, &have, 1, MPI_INT, MPI_MIN, comm->mpi));
    if (comm->rank == 0 && name[0]) (void)unlink(name);
    if (!have && s->memory) (void)munmap(s->memory, s->all);
    return have ? AVI_OK : AVI_ERR_INTERNAL;
}

avi_status avi_shared_create(avi_comm *comm, size_t own, size_t total, avi_shared **shared)
{
    *shared = NULL;
    if (comm->size == 1 || !on_one_node(comm)) return AVI_OK;
    avi_shared *s = malloc(sizeof *s);
    AVI_TRY(avi_agree_memory(comm, s, sizeof *s, "shared memory"));
    if (make(comm, own, total, s) == AVI_OK)
        *shared = s;
    else
        free(s);
    return AVI_OK;
}

void avi_shared_destroy(avi_shared **shared)
{
    if (!*shared) return;
    (void)munmap((*shared)->memory, (*shared)->all);
    free(*shared);
    *shared = NULL;
}

void *avi_shared_of(const avi_shared *s, int rank) { return s->memory + PAGE + (size_t)rank * s->own; }
void *avi_shared_total(const avi_shared *s) { return avi_shared_of(s, s->comm->size); }

void avi_shared_barrier(avi_shared *s)
{
    meeting *m = (meeting *)(void *)s->memory;
    const int number = atomic_load_explicit(&m->number, memory_order_acquire);
    if (atomic_fetch_add_explicit(&m->here, 1, memory_order_acq_rel) == s->comm->size - 1) {
        atomic_store_explicit(&m->here, 0, memory_order_relaxed);
        atomic_fetch_add_explicit(&m->number, 1, memory_order_release);
        return;
    }
    for (long waited = 1; atomic_load_explicit(&m->number, memory_order_acquire) == number; waited++) {
        if (waited > s->spins) (void)sched_yield();
        if (waited % SPINS_BEFORE_LOOK) continue;
        /* MPI learns only in its own functions that the job is ended. */
        int some;
        AVI_MPI(MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, s->comm->mpi, &some, MPI_STATUS_IGNORE));
    }
}
