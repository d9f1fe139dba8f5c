/* To preload: the n-th call of one kind on a path below a folder fails with a given errno, in one rank.
 *
 *     AVI_SHIM_FOLDER   calls on other paths go through and are not counted
 *     AVI_SHIM_CALL     open, write, close, sync, rename, truncate, reserve, mkdir, unlink
 *     AVI_SHIM_N        the first is 1; 0: none fails
 *     AVI_SHIM_ERRNO    a number
 *     AVI_SHIM_RANK     of Open MPI or PMIx; a process that has none is rank 0
 *     AVI_SHIM_LOG      a file that gets a line "RANK CALL PATH" for every call */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *rank_of_this(void)
{
    const char *rank = getenv("OMPI_COMM_WORLD_RANK");
    if (!rank) rank = getenv("PMIX_RANK");
    return rank ? rank : "0";
}

static void note(const char *name, const char *path)
{
    char line[PATH_MAX + 64];
    const char *log = getenv("AVI_SHIM_LOG");
    const long fd = log ? syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666) : -1;
    if (fd < 0) return;
    const int length = snprintf(line, sizeof line, "%s %s %s\n", rank_of_this(), name, path);
    (void)syscall(SYS_write, fd, line, (size_t)length);
    (void)syscall(SYS_close, fd);
}

/* Whether this call is the one that fails. Leaves errno alone. */
static bool strikes(const char *name, const char *path)
{
    static int count;
    const int before = errno;
    const char *folder = getenv("AVI_SHIM_FOLDER"), *call = getenv("AVI_SHIM_CALL"), *n = getenv("AVI_SHIM_N"),
               *rank = getenv("AVI_SHIM_RANK");
    bool it = false;
    if (folder && !strncmp(path, folder, strlen(folder))) {
        note(name, path);
        it = call && n && !strcmp(call, name) && (!rank || !strcmp(rank, rank_of_this())) && ++count == atoi(n);
    }
    errno = before;
    return it;
}

static int number(void)
{
    const char *text = getenv("AVI_SHIM_ERRNO");
    return text ? atoi(text) : EIO;
}

static bool strikes_fd(const char *name, int fd)
{
    char link[64], path[PATH_MAX];
    const int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t length = readlink(link, path, sizeof path - 1);
    errno = before;
    if (length <= 0) return false;
    path[length] = '\0';
    return strikes(name, path);
}

/* Names are relative to an open folder, or whole paths. */
static bool strikes_at(const char *name, int folder, const char *path)
{
    char link[64], whole[2 * PATH_MAX];
    if (path[0] == '/' || folder == AT_FDCWD) return strikes(name, path);
    snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    ssize_t length = readlink(link, whole, PATH_MAX - 1);
    if (length <= 0) return false;
    snprintf(whole + length, sizeof whole - (size_t)length, "/%s", path);
    return strikes(name, whole);
}

/* The function of that name behind ours. */
#define BEHIND(name) __typeof__(name) *behind = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)
#define FAIL(failed)                                                                                                   \
    do {                                                                                                               \
        if (failed) {                                                                                                  \
            errno = number();                                                                                          \
            return -1;                                                                                                 \
        }                                                                                                              \
    } while (0)

static mode_t mode_of(int flags, va_list arguments) { return flags & O_CREAT ? (mode_t)va_arg(arguments, int) : 0; }

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...)                                                                         \
    {                                                                                                                  \
        va_list arguments;                                                                                             \
        va_start(arguments, flags);                                                                                    \
        const mode_t mode = mode_of(flags, arguments);                                                                 \
        va_end(arguments);                                                                                             \
        BEHIND(name);                                                                                                  \
        FAIL(strikes("open", path));                                                                                   \
        return behind(path, flags, mode);                                                                              \
    }
#define OPENAT(name)                                                                                                   \
    int name(int folder, const char *path, int flags, ...)                                                             \
    {                                                                                                                  \
        va_list arguments;                                                                                             \
        va_start(arguments, flags);                                                                                    \
        const mode_t mode = mode_of(flags, arguments);                                                                 \
        va_end(arguments);                                                                                             \
        BEHIND(name);                                                                                                  \
        FAIL(strikes_at("open", folder, path));                                                                        \
        return behind(folder, path, flags, mode);                                                                      \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)

/* What a fortified program calls without a mode. */
int __open64_2(const char *path, int flags);
int __openat64_2(int folder, const char *path, int flags);

int __open64_2(const char *path, int flags)
{
    BEHIND(__open64_2);
    FAIL(strikes("open", path));
    return behind(path, flags);
}

int __openat64_2(int folder, const char *path, int flags)
{
    BEHIND(__openat64_2);
    FAIL(strikes_at("open", folder, path));
    return behind(folder, path, flags);
}

ssize_t write(int fd, const void *data, size_t bytes)
{
    BEHIND(write);
    FAIL(strikes_fd("write", fd));
    return behind(fd, data, bytes);
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t at)
{
    BEHIND(pwrite);
    FAIL(strikes_fd("write", fd));
    return behind(fd, data, bytes, at);
}

ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t at)
{
    BEHIND(pwrite64);
    FAIL(strikes_fd("write", fd));
    return behind(fd, data, bytes, at);
}

/* The descriptor is closed all the same, as it is on Linux. */
int close(int fd)
{
    BEHIND(close);
    const bool failed = strikes_fd("close", fd);
    const int code = behind(fd);
    FAIL(failed);
    return code;
}

int fsync(int fd)
{
    BEHIND(fsync);
    FAIL(strikes_fd("sync", fd));
    return behind(fd);
}

int fdatasync(int fd)
{
    BEHIND(fdatasync);
    FAIL(strikes_fd("sync", fd));
    return behind(fd);
}

int rename(const char *from, const char *to)
{
    BEHIND(rename);
    FAIL(strikes("rename", from));
    return behind(from, to);
}

int ftruncate64(int fd, off64_t bytes)
{
    BEHIND(ftruncate64);
    FAIL(strikes_fd("truncate", fd));
    return behind(fd, bytes);
}

int ftruncate(int fd, off_t bytes)
{
    BEHIND(ftruncate);
    FAIL(strikes_fd("truncate", fd));
    return behind(fd, bytes);
}

/* Returns its errno. */
int posix_fallocate64(int fd, off64_t at, off64_t bytes)
{
    BEHIND(posix_fallocate64);
    if (strikes_fd("reserve", fd)) return number();
    return behind(fd, at, bytes);
}

int posix_fallocate(int fd, off_t at, off_t bytes)
{
    BEHIND(posix_fallocate);
    if (strikes_fd("reserve", fd)) return number();
    return behind(fd, at, bytes);
}

int mkdir(const char *path, mode_t mode)
{
    BEHIND(mkdir);
    FAIL(strikes("mkdir", path));
    return behind(path, mode);
}

int unlink(const char *path)
{
    BEHIND(unlink);
    FAIL(strikes("unlink", path));
    return behind(path);
}

int unlinkat(int folder, const char *path, int flags)
{
    BEHIND(unlinkat);
    FAIL(strikes_at("unlink", folder, path));
    return behind(folder, path, flags);
}
