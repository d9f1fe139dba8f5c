/* The communicator: start and end of MPI, splitting, agreement on a status. The messages are in comm_message.c. */
#include "avi/comm.h"

#include "base/blas.h"
#include "base/comm_mpi.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { MAX_HOOKS = 8, ERROR_BYTES = 8192 };

/* State of the process, as MPI itself is: what to call before MPI ends, and names that do not change. */
static void (*finish_hooks[MAX_HOOKS])(void);
static int finish_hook_count;
static char host_name[256];
static char library_name[MPI_MAX_LIBRARY_VERSION_STRING];

/* ---- errors of MPI ---- */

static void end_job(int code, const char *what)
{
    char text[MPI_MAX_ERROR_STRING] = "unknown error";
    int length = 0, rank = -1;
    (void)MPI_Error_string(code, text, &length);
    (void)MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    (void)fprintf(stderr,
                  "avi_mpi: rank %d on %s: message passing failed%s%s: %s. The job ends; run again to resume from the "
                  "last checkpoint.\n",
                  rank, avi_comm_host(), what ? " in " : "", what ? what : "", text);
    (void)MPI_Abort(MPI_COMM_WORLD, AVI_ERR_INTERNAL);
    abort();
}

void avi_comm_abort(avi_status status)
{
    int started = 0, rank = 0;
    (void)MPI_Initialized(&started);
    if (started) (void)MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    (void)fprintf(stderr, "avi_mpi: error: %s [rank %d, host %s]\n", avi_error_text(), rank, avi_comm_host());
    if (started) (void)MPI_Abort(MPI_COMM_WORLD, (int)status);
    exit((int)status);
}

static void on_mpi_error(MPI_Comm *comm, int *code, ...)
{
    (void)comm;
    end_job(*code, NULL);
}

void avi_mpi_must(int code, const char *what)
{
    if (code != MPI_SUCCESS) end_job(code, what);
}

/* ---- start and end ---- */

/* Owns `mpi` from here on, on success. */
static avi_comm *wrap(avi_comm *comm, MPI_Comm mpi)
{
    comm->mpi = mpi;
    comm->cut = (size_t)1 << 30;
    comm->counts = INT_MAX;
    AVI_MPI(MPI_Comm_rank(mpi, &comm->rank));
    AVI_MPI(MPI_Comm_size(mpi, &comm->size));
    return comm;
}

/* A process that no launcher has started gets a daemon of Open MPI 4 beside it, for MPI_Comm_spawn, which nothing here
 * uses. Without it the start takes 0.35 s in place of 0.53 s. Other MPIs, and ranks of a launcher, pass over this. */
static void start_alone(void) { (void)setenv("OMPI_MCA_ess_singleton_isolated", "1", 0); }

avi_status avi_comm_start(int *argc, char ***argv, avi_comm **world)
{
    *world = NULL;
    int started = 0, provided = 0;
    if (MPI_Initialized(&started) != MPI_SUCCESS || started)
        return avi_fail(AVI_ERR_INTERNAL, "avi_comm_start: MPI was started before; start it once in a process");
    start_alone();
    if (MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided) != MPI_SUCCESS)
        return avi_fail(AVI_ERR_INTERNAL,
                        "MPI could not start; run with mpirun or srun of the MPI it was built with (%s)",
                        avi_comm_library());
    MPI_Errhandler handler;
    AVI_MPI(MPI_Comm_create_errhandler(on_mpi_error, &handler));
    AVI_MPI(MPI_Comm_set_errhandler(MPI_COMM_WORLD, handler)); /* duplicates and parts inherit it */
    AVI_MPI(MPI_Errhandler_free(&handler));
    avi_blas_one_thread();
    avi_comm *comm = malloc(sizeof *comm);
    if (!comm) {
        (void)fprintf(stderr, "avi_mpi: out of memory at the start of MPI\n");
        AVI_MPI(MPI_Abort(MPI_COMM_WORLD, AVI_ERR_INTERNAL));
        return AVI_ERR_INTERNAL;
    }
    MPI_Comm mpi;
    AVI_MPI(MPI_Comm_dup(MPI_COMM_WORLD, &mpi));
    *world = wrap(comm, mpi);
    return AVI_OK;
}

avi_status avi_comm_join(const void *mpi, avi_comm **out)
{
    int started = 0, ended = 0;
    *out = NULL;
    if (MPI_Initialized(&started) != MPI_SUCCESS || !started || MPI_Finalized(&ended) != MPI_SUCCESS || ended)
        return avi_fail(AVI_ERR_INTERNAL, "avi_comm_join: MPI is not running; use avi_comm_start, or MPI_Init first");
    avi_comm *comm = malloc(sizeof *comm);
    if (!comm) return avi_fail_memory(sizeof *comm, "a communicator");
    MPI_Comm own;
    avi_blas_one_thread();
    AVI_MPI(MPI_Comm_dup(*(const MPI_Comm *)mpi, &own));
    *out = wrap(comm, own);
    return AVI_OK;
}

void avi_comm_leave(avi_comm **comm)
{
    if (!comm || !*comm) return;
    while (finish_hook_count > 0) finish_hooks[--finish_hook_count]();
    avi_comm_destroy(comm);
}

avi_status avi_comm_at_finish(void (*hook)(void))
{
    for (int i = 0; i < finish_hook_count; i++)
        if (finish_hooks[i] == hook) return AVI_OK;
    if (finish_hook_count == MAX_HOOKS)
        return avi_fail(AVI_ERR_INTERNAL, "avi_comm_at_finish: more than %d functions", (int)MAX_HOOKS);
    finish_hooks[finish_hook_count++] = hook;
    return AVI_OK;
}

void avi_comm_finish(avi_comm **world)
{
    if (!world || !*world) return;
    avi_comm_leave(world);
    AVI_MPI(MPI_Finalize());
}

avi_status avi_comm_split(avi_comm *parent, int colour, avi_comm **part)
{
    *part = NULL;
    avi_status status = AVI_OK;
    avi_comm *comm = malloc(sizeof *comm);
    if (!comm)
        status = avi_fail_memory(sizeof *comm, "a communicator");
    else if (colour < 0)
        status = avi_fail(AVI_ERR_INTERNAL, "avi_comm_split: colour %d; use zero or more", colour);
    status = avi_agree(parent, status);
    if (status != AVI_OK) {
        free(comm);
        return status;
    }
    MPI_Comm mpi;
    AVI_MPI(MPI_Comm_split(parent->mpi, colour, parent->rank, &mpi));
    *part = wrap(comm, mpi);
    avi_comm_limit(*part, parent->cut, parent->counts);
    return AVI_OK;
}

void avi_comm_destroy(avi_comm **comm)
{
    if (!comm || !*comm) return;
    AVI_MPI(MPI_Comm_free(&(*comm)->mpi));
    free(*comm);
    *comm = NULL;
}

/* ---- facts ---- */

int avi_comm_rank(const avi_comm *comm) { return comm->rank; }
int avi_comm_size(const avi_comm *comm) { return comm->size; }
MPI_Comm avi_comm_mpi(const avi_comm *comm) { return comm->mpi; }

void avi_comm_limit(avi_comm *comm, size_t cut, size_t counts)
{
    comm->cut = cut;
    comm->counts = counts;
}

const char *avi_comm_library(void)
{
    int length = 0;
    if (library_name[0] == '\0') {
        if (MPI_Get_library_version(library_name, &length) != MPI_SUCCESS)
            (void)snprintf(library_name, sizeof library_name, "MPI");
        library_name[strcspn(library_name, ",\n")] = '\0'; /* what follows is the packager's */
    }
    return library_name;
}

const char *avi_comm_host(void)
{
    if (host_name[0] == '\0') {
        if (gethostname(host_name, sizeof host_name - 1) != 0) (void)snprintf(host_name, sizeof host_name, "unknown");
        host_name[sizeof host_name - 1] = '\0';
    }
    return host_name;
}

double avi_seconds(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) return 0.0;
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- agreement ---- */

/* This rank's text for others: names the rank and its host when it does not speak for all. */
static void compose(const avi_comm *comm, avi_status status, bool all_failed, char text[ERROR_BYTES])
{
    char place[320] = "";
    if (!all_failed)
        (void)snprintf(place, sizeof place, " [rank %d of %d, host %s]", comm->rank, comm->size, avi_comm_host());
    const char *own = avi_error_text()[0] ? avi_error_text() : avi_status_text(status);
    const int room = (int)(ERROR_BYTES - 1 - strlen(place));
    (void)snprintf(text, ERROR_BYTES, "%.*s%s", room, own, place);
}

avi_status avi_agree(avi_comm *comm, avi_status status)
{
    int worst = (int)status;
    AVI_MPI(MPI_Allreduce(MPI_IN_PLACE, &worst, 1, MPI_INT, MPI_MAX, comm->mpi));
    if (worst == AVI_OK) return AVI_OK;
    /* The lowest failing rank, and whether every rank failed. */
    const bool failed = status != AVI_OK;
    int lowest[2] = {failed ? comm->rank : comm->size, failed ? 1 : 0};
    AVI_MPI(MPI_Allreduce(MPI_IN_PLACE, lowest, 2, MPI_INT, MPI_MIN, comm->mpi));
    char text[ERROR_BYTES] = "";
    if (comm->rank == lowest[0]) compose(comm, status, lowest[1] == 1, text);
    AVI_MPI(MPI_Bcast(text, ERROR_BYTES, MPI_CHAR, lowest[0], comm->mpi));
    avi_error_clear();
    return avi_fail((avi_status)worst, "%s", text);
}

avi_status avi_agree_memory(avi_comm *comm, void *memory, size_t bytes, const char *purpose)
{
    const avi_status status = avi_agree(comm, memory ? AVI_OK : avi_fail_memory(bytes, purpose));
    if (status != AVI_OK) free(memory);
    return status;
}
