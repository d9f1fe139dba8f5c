/* To preload: writes one line for each write, sync and rename of a process into the file that AVI_WATCH names.
 *
 *     write PATH | sync PATH | rename OLD NEW */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Straight to the kernel: the calls below must not see themselves. */
static void note(const char *what, const char *path, const char *more)
{
    char line[8300];
    const char *name = getenv("AVI_WATCH");
    const int length = snprintf(line, sizeof line, "%s %s%s%s\n", what, path, *more ? " " : "", more);
    const long fd = name ? syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666) : -1;
    if (fd < 0) return;
    (void)syscall(SYS_write, fd, line, (size_t)length);
    (void)syscall(SYS_close, fd);
}

static void note_fd(const char *what, int fd)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0 || path[0] != '/') return;
    path[length] = '\0';
    note(what, path, "");
}

/* The function of that name behind ours. */
#define BEHIND(name) __typeof__(name) *behind = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

int fsync(int fd)
{
    BEHIND(fsync);
    note_fd("sync", fd);
    return behind(fd);
}

int fdatasync(int fd)
{
    BEHIND(fdatasync);
    note_fd("sync", fd);
    return behind(fd);
}

ssize_t pwrite64(int fd, const void *data, size_t bytes, off64_t at)
{
    BEHIND(pwrite64);
    note_fd("write", fd);
    return behind(fd, data, bytes, at);
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t at)
{
    BEHIND(pwrite);
    note_fd("write", fd);
    return behind(fd, data, bytes, at);
}

ssize_t write(int fd, const void *data, size_t bytes)
{
    BEHIND(write);
    note_fd("write", fd);
    return behind(fd, data, bytes);
}

int rename(const char *from, const char *to)
{
    BEHIND(rename);
    note("rename", from, to);
    return behind(from, to);
}
