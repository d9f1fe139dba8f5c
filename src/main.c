/* avi_mpi: variational inference for latent-variable models on MPI clusters. Everything happens in cli/. */
#include "base/processor.h"
#include "base/signals.h"
#include "cli/command.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Launchers say which rank a process is before MPI starts; without one it is the only rank. */
static int is_first_rank(void)
{
    static const char *const names[] = {"PMIX_RANK", "OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID", NULL};
    for (int i = 0; names[i]; i++) {
        const char *value = getenv(names[i]);
        if (value) return strcmp(value, "0") == 0;
    }
    return 1;
}

/* A launcher may return 0 although the ranks did not end by themselves (mpirun of Open MPI 5, after a host was lost).
 * Where AVI_STATUS_FILE names a file, it gets the exit status, so that a script can tell: no file, no end. */
static const char *status_file;
static void find_status_file(void)
{
    const char *path = getenv("AVI_STATUS_FILE");
    status_file = path && path[0] && is_first_rank() ? path : NULL;
}

/* Also called by a signal handler: only calls that POSIX allows there. */
static void leave_status(int status)
{
    const char text[] = {(char)('0' + status / 100), (char)('0' + status / 10 % 10), (char)('0' + status % 10), '\n'};
    static const char failed[] =
        "avi_mpi: warning: the exit status could not be written to the file that AVI_STATUS_FILE names\n";
    const size_t zeros = status < 10 ? 2 : status < 100, length = sizeof text - zeros;
    if (!status_file) return;
    const int file = open(status_file, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    const bool written = file >= 0 && write(file, text + zeros, length) == (ssize_t)length;
    if ((file < 0 || close(file) == 0) && written) return;
    const ssize_t told = write(STDERR_FILENO, failed, sizeof failed - 1);
    (void)told; /* nobody is left to tell */
}

/* nohup, seen before libraries are set up: UCX, which MPI may bring, takes SIGHUP for itself when it is loaded. */
static bool hangup_ignored;
static void look_at_hangup(void)
{
    struct sigaction old;
    hangup_ignored = sigaction(SIGHUP, NULL, &old) == 0 && old.sa_handler == SIG_IGN;
}
#if defined(__linux__)
__attribute__((section(".preinit_array"), used)) static void (*const first)(void) = look_at_hangup;
#endif

int main(int argc, char **argv)
{
    /* This file and base/processor.c are compiled for the oldest processor, so that the question can be asked. */
    if (hangup_ignored) (void)signal(SIGHUP, SIG_IGN); /* for the program that may take the place of this one */
    avi_processor_start_best(AVI_LEVELS, argv);
    find_status_file();
    const int unfit = avi_processor_check();
    if (!unfit) {
        avi_signals_nohup(hangup_ignored);
        avi_signals_tell_status(leave_status);
    }
    const int status = unfit ? unfit : avi_command(argc, argv);
    leave_status(status);
    return status;
}
