/* The lock of an output folder: a file that names its holder, and a POSIX record lock on it, which also holds across
 * the nodes of NFS, Lustre or GPFS and goes with the process however it ends. The record lock decides; the text is for
 * people and for file systems without locks. */
#include "base/signals.h"
#include "store/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef struct lock_holder {
    char host[256], since[64];
    long pid; /* 0: the file names nobody */
} lock_holder;

static lock_holder read_holder(int fd)
{
    char text[512];
    lock_holder h = {.pid = 0};
    const ssize_t bytes = pread(fd, text, sizeof text - 1, 0);
    text[bytes > 0 ? bytes : 0] = '\0';
    if (sscanf(text, "host %255[!-~] pid %ld since %63[!-~]", h.host, &h.pid, h.since) != 3 || h.pid < 1) h.pid = 0;
    return h;
}

static bool is_dead_here(const lock_holder *h)
{
    return h->pid > 0 && strcmp(h->host, avi_comm_host()) == 0 && kill((pid_t)h->pid, 0) != 0 && errno == ESRCH;
}

static avi_status write_holder(int fd, const char *path)
{
    char text[512], since[64];
    struct tm utc;
    const time_t now = time(NULL);
    if (!gmtime_r(&now, &utc) || strftime(since, sizeof since, "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
        snprintf(since, sizeof since, "unknown");
    const int bytes =
        snprintf(text, sizeof text, "host %s\npid %ld\nsince %s\n", avi_comm_host(), (long)getpid(), since);
    int code;
    do code = ftruncate(fd, 0);
    while (code != 0 && errno == EINTR);
    if (code != 0) return avi_file_fail(path, "cannot write", errno, bytes);
    AVI_TRY(avi_file_write_at(fd, path, text, bytes, 0));
    return avi_file_sync(fd, path, bytes);
}

static avi_status refuse(const char *folder, const char *path, const lock_holder *h, long pid, bool sure)
{
    if (h->pid == 0 && pid == 0)
        return avi_fail(AVI_ERR_CANTCREATE,
                        "output folder %s is in use by another process; choose another run.output or wait", folder);
    if (h->pid == 0)
        return avi_fail(AVI_ERR_CANTCREATE,
                        "output folder %s is in use by process %ld; choose another run.output or wait", folder, pid);
    if (sure)
        return avi_fail(
            AVI_ERR_CANTCREATE,
            "output folder %s is in use by process %ld on host %s since %s; choose another run.output or wait", folder,
            h->pid, h->host, h->since);
    return avi_fail(AVI_ERR_CANTCREATE,
                    "output folder %s is in use by process %ld on host %s since %s; choose another run.output or wait, "
                    "or remove %s if that process is gone",
                    folder, h->pid, h->host, h->since, path);
}

/* The file may have been unlinked by its holder between our open and our lock. */
static bool still_there(int fd, const char *path)
{
    struct stat mine, named;
    return fstat(fd, &mine) == 0 && stat(path, &named) == 0 && mine.st_ino == named.st_ino &&
           mine.st_dev == named.st_dev;
}

/* The record lock could not be had; `error` says why. AVI_OK: take over all the same. */
static avi_status judge(int fd, const char *folder, const char *path, int error)
{
    const lock_holder h = read_holder(fd);
    struct flock other = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (error == EACCES || error == EAGAIN) {
        const long pid = fcntl(fd, F_GETLK, &other) == 0 && other.l_type != F_UNLCK ? (long)other.l_pid : 0;
        /* A lock server may keep the lock of a process that died here. Any other holder, or one that has not yet
         * written its name, lives. */
        if (pid > 0 && pid == h.pid && is_dead_here(&h)) return AVI_OK;
        return refuse(folder, path, &h, pid > 0 ? pid : 0, true);
    }
    /* No record locks on this file system: the text is all there is. */
    if (h.pid == 0 || is_dead_here(&h)) return AVI_OK;
    return refuse(folder, path, &h, 0, false);
}

/* One attempt on an open file. *again: the file went away meanwhile. */
static avi_status take_open(int fd, const char *folder, const char *path, bool *again)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_SETLK, &whole) != 0) AVI_TRY(judge(fd, folder, path, errno));
    *again = !still_there(fd, path);
    if (*again) return AVI_OK;
    const lock_holder before = read_holder(fd);
    const avi_status status = write_holder(fd, path);
    if (status != AVI_OK) {
        unlink(path); /* ours, and it names nobody */
        return status;
    }
    if (before.pid > 0)
        avi_warn(
            "output folder %s: process %ld on host %s, which held it since %s, is gone without closing it; taken over",
            folder, before.pid, before.host, before.since);
    return AVI_OK;
}

/* The lock that is there, or a new one; never what a link leads to, nor a pipe. *fd < 0 with AVI_OK: it has just gone,
 * or somebody else has just made it. */
static avi_status open_lock(const char *path, int *fd)
{
    struct stat info;
    do *fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    while (*fd < 0 && errno == EINTR);
    if (*fd >= 0 && fstat(*fd, &info) == 0 && S_ISREG(info.st_mode)) return AVI_OK;
    const int error = *fd >= 0 ? ELOOP : errno;
    if (*fd >= 0) close(*fd);
    *fd = -1;
    /* ENXIO: a socket, or a pipe that nobody reads. What is not a lock of ours is taken away. */
    if (error == ELOOP || error == ENXIO) return avi_file_create(path, O_RDWR, fd);
    if (error != ENOENT) return avi_file_fail(path, "cannot open", error, 0);
    *fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (*fd >= 0 || errno == EEXIST || errno == EINTR) return AVI_OK;
    return avi_file_fail(path, "cannot create", errno, 0);
}

avi_status avi_lock_take(const char *folder, const char *path, int *fd)
{
    for (int attempt = 0; attempt < 100; attempt++) {
        bool again = false;
        AVI_TRY(open_lock(path, fd));
        if (*fd < 0) continue;
        const avi_status status = take_open(*fd, folder, path, &again);
        if (status == AVI_OK && !again) {
            avi_signals_remove_at_end(path);
            return AVI_OK;
        }
        close(*fd);
        *fd = -1;
        if (status != AVI_OK) return status;
    }
    return avi_fail(
        AVI_ERR_CANTCREATE,
        "output folder %s: other processes make and remove its lock file all the time; choose another run.output",
        folder);
}

avi_status avi_lock_check(const char *folder, const char *path, int fd)
{
    if (still_there(fd, path)) return AVI_OK;
    return avi_fail(
        AVI_ERR_CANTCREATE,
        "output folder %s was removed or replaced while this run wrote to it; nothing more is written there. "
        "Run again to resume from what is left",
        folder);
}

void avi_lock_release(const char *path, int fd)
{
    /* Removed while held: who has opened it meanwhile sees in still_there() that it is gone. */
    if (still_there(fd, path)) unlink(path);
    avi_signals_keep_at_end(path);
    close(fd);
}
