#include "hdf5/hdf5_probe.h"
#include "hdf5/hdf5_groups.h"
#include "base/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <poll.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char child_word[] = "--look-at-hdf5";

/* argv of the child, and its exit status when all is well; else that of the failure, its message on standard output. */
enum { PATH_KEY = 2, PATH, DATASET_KEY, DATASET, COLUMNS, TRANSPOSE, ROWS, GROUP, PART, PARTS, WORDS };
enum { WELL = 0, WELL_IN_PARTS = 10 };

enum { MESSAGE_BYTES = 8192 };

/* Set once, before message passing starts: whether this program answers the children that it starts. */
static bool answers;

/* ---- the child ---- */

static avi_status look_at(avi_hdf5 *x, int64_t rows, int part, int parts, bool *in_parts)
{
    avi_hdf5_limits limits = {0, 0};
    avi_hdf5_limits_grant(&limits, 0);
    if (x->chunk[0] == 0) return AVI_OK;
    *in_parts = true;
    return avi_hdf5_check_chunks(x, rows, part, parts, &limits);
}

static avi_status look_at_names(const avi_hdf5_request *a, hid_t names, int64_t rows)
{
    const int64_t asked = strtoll(a->rows, NULL, 10);
    avi_hdf5_limits limits = {0, 0};
    if (names < 0) return AVI_OK;
    if (asked > 0 && asked < rows) rows = asked;
    avi_hdf5_limits_grant(&limits, 256 * (double)rows);
    const avi_status status = avi_hdf5_check_names(names, a->path, rows);
    H5Dclose(names);
    return status;
}

static avi_status look_at_sparse(const avi_hdf5_request *a, int part, int parts, bool *in_parts)
{
    avi_hdf5_sparse x;
    avi_status status = avi_hdf5_sparse_open(&x, a);
    avi_hdf5 *const arrays[] = {&x.data, &x.indices, &x.indptr};
    for (int i = 0; i < 3 && status == AVI_OK; i++) status = look_at(arrays[i], 0, part, parts, in_parts);
    if (status == AVI_OK && part == 0) status = look_at_names(a, avi_hdf5_sparse_row_names(&x, a->dataset), x.rows);
    avi_hdf5_sparse_close(&x);
    return status;
}

static avi_status look_at_groups(const avi_hdf5_request *a, int part, int parts, bool *in_parts)
{
    avi_hdf5_groups x;
    avi_status status = avi_hdf5_groups_open(&x, a);
    if (status == AVI_OK) status = look_at(&x.table, 0, part, parts, in_parts);
    if (status == AVI_OK) status = look_at(&x.index, 0, part, parts, in_parts);
    avi_hdf5_groups_close(&x);
    return status;
}

static avi_status look(const avi_hdf5_request *a, int part, int parts, bool *in_parts)
{
    avi_hdf5_limits limits = {0, 0};
    bool is_sparse = false, is_groups = false;
    avi_hdf5 x;
    avi_hdf5_limits_grant(&limits, 0);
    avi_status status = avi_hdf5_groups_ask(a, &is_groups);
    if (status == AVI_OK && !is_groups) status = avi_hdf5_sparse_ask(a, &is_sparse);
    if (status == AVI_OK && is_groups) {
        status = look_at_groups(a, part, parts, in_parts);
    } else if (status == AVI_OK && is_sparse) {
        status = look_at_sparse(a, part, parts, in_parts);
    } else if (status == AVI_OK) {
        status = avi_hdf5_open(&x, a);
        if (status == AVI_OK) status = look_at(&x, strtoll(a->rows, NULL, 10), part, parts, in_parts);
        if (status == AVI_OK && part == 0) status = look_at_names(a, avi_hdf5_row_names(&x, a->dataset), x.rows);
        avi_hdf5_close(&x);
    }
    H5E_BEGIN_TRY { (void)H5close(); }
    H5E_END_TRY;
    return status;
}

void avi_data_child(int argc, char **argv)
{
    answers = argc != WORDS || strcmp(argv[1], child_word) != 0;
    if (answers) return;
    const avi_hdf5_request a = {argv[PATH_KEY], argv[PATH],      argv[DATASET_KEY], argv[DATASET],
                                argv[COLUMNS],  argv[TRANSPOSE], argv[ROWS],        argv[GROUP]};
    bool in_parts = false;
#ifdef __linux__
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody would hear the answer */
#endif
    avi_hdf5_limit(RLIMIT_CORE, 0); /* a crash is an answer here */
    const avi_status status = look(&a, atoi(argv[PART]), atoi(argv[PARTS]), &in_parts);
    fputs(avi_error_text(), stdout);
    fflush(stdout);
    _exit(status != AVI_OK ? (int)status : in_parts ? WELL_IN_PARTS : WELL);
}

/* ---- the parent ---- */

typedef struct answer {
    int ended; /* as of waitpid */
    char message[MESSAGE_BYTES];
} answer;

/* One thread for the BLAS, which the child loads and does not use. Owner of the array: caller. */
static char **child_environment(void)
{
    extern char **environ;
    static char one_thread[] = "OPENBLAS_NUM_THREADS=1";
    size_t n = 0, kept = 0;
    while (environ[n]) n++;
    char **words = malloc((n + 2) * sizeof *words);
    if (!words) return NULL;
    for (size_t i = 0; i < n; i++)
        if (strncmp(environ[i], one_thread, sizeof "OPENBLAS_NUM_THREADS" - 1) != 0) words[kept++] = environ[i];
    words[kept++] = one_thread;
    words[kept] = NULL;
    return words;
}

/* posix_spawn, not fork: some networks' pinned memory does not survive one. Signals for the run are not for the child.
 * Returns an errno. */
static int start(char **argv, int out, pid_t *child)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t how;
    sigset_t blocked;
    static const int signals[] = {SIGUSR1, SIGUSR2, SIGTERM, SIGINT, SIGHUP};
    sigemptyset(&blocked);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) sigaddset(&blocked, signals[i]);
    char **environment = child_environment();
    if (!environment) return ENOMEM;
    int error = posix_spawn_file_actions_init(&files);
    if (!error) {
        error = posix_spawnattr_init(&how);
        if (!error) {
            error = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
            if (!error) error = posix_spawn_file_actions_adddup2(&files, out, 1);
            if (!error) error = posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
            if (!error) error = posix_spawnattr_setsigmask(&how, &blocked);
            if (!error) error = posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK);
            if (!error) error = posix_spawn(child, "/proc/self/exe", &files, &how, argv, environment);
            posix_spawnattr_destroy(&how);
        }
        posix_spawn_file_actions_destroy(&files);
    }
    free(environment);
    return error;
}

/* What the child says, to its end. Returns an errno. */
static int hear(int in, pid_t child, answer *heard)
{
    size_t got = 0;
    for (;;) {
        char beyond[256];
        struct pollfd said = {.fd = in, .events = POLLIN};
        if (poll(&said, 1, 200) == 0) { /* where a signal does not end this process by itself, it ends the child */
            if (avi_signals_signal()) (void)kill(child, SIGKILL);
            continue;
        }
        const size_t room = sizeof heard->message - 1 - got;
        const ssize_t n = read(in, room ? heard->message + got : beyond, room ? room : sizeof beyond);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        if (room) got += (size_t)n;
    }
    heard->message[got] = '\0';
    while (waitpid(child, &heard->ended, 0) < 0)
        if (errno != EINTR) return errno;
    return 0;
}

static int ask(char **argv, answer *heard)
{
    int ends[2];
    pid_t child = 0;
    if (pipe(ends) != 0) return errno;
    (void)fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    (void)fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    const int error = start(argv, ends[1], &child);
    close(ends[1]);
    const int deaf = error ? error : hear(ends[0], child, heard);
    close(ends[0]);
    return deaf;
}

static avi_status fail_died(const avi_hdf5_request *a, int ended)
{
    const bool killed = WIFSIGNALED(ended);
    const int number = killed ? WTERMSIG(ended) : WEXITSTATUS(ended);
    char what[96] = "HDF5 finds no end in it";
    if (killed && number == SIGALRM)
        return avi_fail(
            AVI_ERR_DATA,
            "[data] %s = %s: no answer within %d s: it leads to a pipe, or its file system does not answer; "
            "copy what it holds into one file (h5copy, h5repack)",
            a->path_key, a->path, AVI_HDF5_WAIT_SECONDS);
    if (!killed || number != SIGXCPU)
        snprintf(what, sizeof what, "HDF5 crashes on it (%s %d)", killed ? "signal" : "exit status", number);
    return avi_fail(AVI_ERR_DATA,
                    "[data] %s = %s: %s; it is damaged: copy or make it again; h5check and h5dump tell more",
                    a->path_key, a->path, what);
}

avi_status avi_hdf5_probe(const avi_hdf5_request *a, int part, int parts, bool *in_parts)
{
    *in_parts = false;
    if (!answers) return AVI_OK;
    char numbers[2][16];
    snprintf(numbers[0], sizeof numbers[0], "%d", part);
    snprintf(numbers[1], sizeof numbers[1], "%d", parts);
    const char *argv[WORDS + 1] = {"avi_mpi",
                                   child_word,
                                   [PATH_KEY] = a->path_key,
                                   [PATH] = a->path,
                                   [DATASET_KEY] = a->dataset_key,
                                   [DATASET] = a->dataset,
                                   [COLUMNS] = a->columns,
                                   [TRANSPOSE] = a->transpose,
                                   [ROWS] = a->rows,
                                   [GROUP] = a->group,
                                   [PART] = numbers[0],
                                   [PARTS] = numbers[1],
                                   [WORDS] = NULL};
    answer heard = {.ended = 0};
    const int error = ask((char **)argv, &heard);
    if (error) {
        avi_warn("%s is opened without a look at it by a child process: %s", a->path, strerror(error));
        return AVI_OK;
    }
    AVI_TRY(avi_signals_status());
    const int code = WIFEXITED(heard.ended) ? WEXITSTATUS(heard.ended) : -1;
    *in_parts = code == WELL_IN_PARTS;
    if (code == WELL || *in_parts) return AVI_OK;
    if (!heard.message[0]) return fail_died(a, heard.ended);
    return avi_fail(code == AVI_ERR_NOINPUT ? AVI_ERR_NOINPUT : AVI_ERR_DATA, "%s", heard.message);
}
