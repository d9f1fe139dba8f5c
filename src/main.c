/* avi_mpi: variational inference for latent-variable models on MPI clusters. Everything happens in cli/. */
#include "base/processor.h"
#include "base/signals.h"
#include "cli/command.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
static const char *status_file(void)
{
    const char *path = getenv("AVI_STATUS_FILE");
    return path && path[0] && is_first_rank() ? path : NULL;
}

static void leave_status(int status)
{
    const char *path = status_file();
    if (!path) return;
    FILE *file = fopen(path, "w");
    const int written = file && fprintf(file, "%d\n", status) > 0;
    if ((file && fclose(file) != 0) || !written)
        (void)fprintf(stderr, "avi_mpi: warning: the exit status could not be written to AVI_STATUS_FILE=%s\n", path);
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
    const int unfit = avi_processor_check();
    if (!unfit) {
        avi_signals_nohup(hangup_ignored);
        avi_signals_status_file(status_file());
    }
    const int status = unfit ? unfit : avi_command(argc, argv);
    leave_status(status);
    return status;
}
