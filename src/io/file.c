/* POSIX file calls that say what went wrong. */
#include "store/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

char *avi_file_join(const char *folder, const char *name, const char *suffix)
{
    const size_t bytes = strlen(folder) + strlen(name) + strlen(suffix) + 2;
    char *path = malloc(bytes);
    if (!path)
        avi_fail_memory(bytes, "a file name");
    else
        snprintf(path, bytes, "%s%s%s%s", folder, *folder && *name ? "/" : "", name, suffix);
    return path;
}

/* The folder part of a path: "." when there is none. Owner: caller. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    const size_t length = !slash ? 0 : slash == path ? 1 : (size_t)(slash - path);
    char *folder = malloc(length + 2);
    if (!folder) {
        avi_fail_memory(length + 2, "a folder name");
        return NULL;
    }
    memcpy(folder, length ? path : ".", length ? length : 1);
    folder[length ? length : 1] = '\0';
    return folder;
}

avi_status avi_file_fail(const char *path, const char *what, int error, int64_t needed)
{
    if (error == ENOSPC || error == EDQUOT || error == EFBIG) {
        struct statvfs space;
        char *folder = folder_of(path), room[192] = "";
        if (folder && statvfs(folder, &space) == 0) {
            const unsigned long long left = (unsigned long long)space.f_bavail * (unsigned long long)space.f_frsize;
            if (needed > 0)
                snprintf(room, sizeof room, ": %lld bytes needed, %llu free", (long long)needed, left);
            else
                snprintf(room, sizeof room, ": %llu bytes free", left);
        }
        free(folder);
        return avi_fail(AVI_ERR_IO, "%s: %s: %s%s; make room or choose another run.output", path, what, strerror(error),
                        room);
    }
    if (error == EACCES || error == EPERM || error == EROFS || error == ENOENT || error == ENOTDIR || error == EISDIR ||
        error == ENAMETOOLONG || error == ELOOP)
        return avi_fail(AVI_ERR_CANTCREATE, "%s: %s: %s; choose a run.output that can be written", path, what,
                        strerror(error));
    return avi_fail(AVI_ERR_IO, "%s: %s: %s", path, what, strerror(error));
}

avi_status avi_file_write_at(int fd, const char *path, const void *data, int64_t bytes, int64_t offset)
{
    const char *at = data;
    while (bytes > 0) {
        const ssize_t done = pwrite(fd, at, (size_t)(bytes < AVI_IO_PIECE ? bytes : AVI_IO_PIECE), (off_t)offset);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return avi_file_fail(path, "cannot write", done < 0 ? errno : ENOSPC, bytes);
        at += done;
        offset += done;
        bytes -= done;
    }
    return AVI_OK;
}

avi_status avi_file_read_at(int fd, const char *path, void *out, int64_t bytes, int64_t offset)
{
    char *at = out;
    while (bytes > 0) {
        const ssize_t done = pread(fd, at, (size_t)(bytes < AVI_IO_PIECE ? bytes : AVI_IO_PIECE), (off_t)offset);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return avi_fail(AVI_ERR_IO, "%s: cannot read: %s", path, strerror(errno));
        if (done == 0)
            return avi_fail(AVI_ERR_DATA, "%s: the file ends at byte %lld, %lld bytes early", path, (long long)offset,
                            (long long)bytes);
        at += done;
        offset += done;
        bytes -= done;
    }
    return AVI_OK;
}

avi_status avi_file_reserve(int fd, const char *path, int64_t bytes)
{
    int error;
    do error = posix_fallocate(fd, 0, (off_t)bytes);
    while (error == EINTR);
    /* A file system that cannot reserve still reports a full disk on pwrite or fdatasync, which are checked. */
    if (error == 0 || error == EINVAL || error == EOPNOTSUPP || error == ENOSYS) return AVI_OK;
    return avi_file_fail(path, "cannot reserve space", error, bytes);
}

avi_status avi_file_sync_folder(const char *path)
{
    char *folder = folder_of(path);
    if (!folder) return AVI_ERR_INTERNAL;
    avi_status status = AVI_OK;
    int fd, code;
    do fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        status = avi_file_fail(folder, "cannot open the folder", errno, 0);
    } else {
        do code = fsync(fd);
        while (code != 0 && errno == EINTR);
        /* Some file systems refuse fsync of a folder (EINVAL): their renames are synchronous or there is nothing to do.
         */
        if (code != 0 && errno != EINVAL && errno != ENOTSUP)
            status = avi_file_fail(folder, "cannot sync the folder", errno, 0);
        close(fd);
    }
    free(folder);
    return status;
}

/* Why mkdir of `path` failed, when no folder is there. */
static avi_status fail_folder(const char *path, int error)
{
    struct stat info;
    if (lstat(path, &info) == 0 && S_ISLNK(info.st_mode)) {
        char target[512];
        const ssize_t length = readlink(path, target, sizeof target - 1);
        target[length > 0 ? length : 0] = '\0';
        const bool loops = stat(path, &info) != 0 && errno == ELOOP;
        return avi_fail(AVI_ERR_CANTCREATE,
                        "%s: is a link to %s, which %s; remove the link, or choose another run.output", path, target,
                        loops ? "leads back to itself" : "is no folder");
    }
    if (error == EEXIST)
        return avi_fail(AVI_ERR_CANTCREATE, "%s: is a file, not a folder; choose another run.output", path);
    return avi_file_fail(path, "cannot make the folder", error, 0);
}

static int make_one(const char *path)
{
    int code;
    do code = mkdir(path, 0777);
    while (code != 0 && errno == EINTR);
    return code;
}

avi_status avi_file_make_folder(const char *path)
{
    struct stat info;
    char *part = strdup(path);
    if (!part) return avi_fail_memory(strlen(path) + 1, "a folder name");
    for (char *at = part; *at; at++) {
        if (*at != '/' || at == part) continue;
        *at = '\0';
        /* A parent that exists, or is not ours to make, shows in the last mkdir. */
        (void)make_one(part);
        *at = '/';
    }
    free(part);
    const int error = make_one(path) == 0 ? 0 : errno;
    if (error == 0 || (stat(path, &info) == 0 && S_ISDIR(info.st_mode))) return AVI_OK;
    return fail_folder(path, error);
}

avi_status avi_file_create(const char *path, int flags, int *fd)
{
    *fd = -1;
    char *folder = folder_of(path);
    if (!folder) return AVI_ERR_INTERNAL;
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    int inside, error = 0;
    do inside = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (inside < 0 && errno == EINTR);
    if (inside < 0) error = errno;
    free(folder);
    /* What lies there under this name, a link or a pipe that somebody has put there, is not ours to write into. */
    for (int attempt = 0; !error && *fd < 0; attempt++) {
        if (unlinkat(inside, name, 0) != 0 && errno != ENOENT && errno != EINTR) error = errno;
        if (!error) *fd = openat(inside, name, flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (!error && *fd < 0 && errno != EINTR && (errno != EEXIST || attempt == 100)) error = errno;
    }
    if (inside >= 0) close(inside);
    return error ? avi_file_fail(path, "cannot create", error, 0) : AVI_OK;
}

int avi_file_open_regular(const char *path, int flags)
{
    struct stat info;
    int fd;
    do fd = open(path, flags | O_NONBLOCK | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    if (fd < 0) return -1;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) return fd;
    close(fd);
    errno = EINVAL;
    return -1;
}

avi_status avi_file_sync(int fd, const char *path, int64_t bytes)
{
    int code;
    do code = fsync(fd);
    while (code != 0 && errno == EINTR);
    return code == 0 ? AVI_OK : avi_file_fail(path, "cannot sync", errno, bytes);
}

/* On Linux the descriptor is closed even when close() is interrupted. */
avi_status avi_file_close(int fd, const char *path, int64_t bytes, avi_status status)
{
    if (close(fd) != 0 && errno != EINTR && status == AVI_OK) return avi_file_fail(path, "cannot close", errno, bytes);
    return status;
}

avi_status avi_file_rename(const char *from, const char *to, int64_t bytes)
{
    int code;
    do code = rename(from, to);
    while (code != 0 && errno == EINTR);
    return code == 0 ? AVI_OK : avi_file_fail(to, "cannot replace", errno, bytes);
}

static avi_status write_whole(const char *path, const char *data, size_t bytes)
{
    int fd;
    AVI_TRY(avi_file_create(path, O_WRONLY, &fd));
    avi_status status = avi_file_write_at(fd, path, data, (int64_t)bytes, 0);
    if (status == AVI_OK) status = avi_file_sync(fd, path, (int64_t)bytes);
    return avi_file_close(fd, path, (int64_t)bytes, status);
}

avi_status avi_file_replace(const char *path, const char *data, size_t bytes)
{
    char *temporary = avi_file_join("", path, ".tmp");
    if (!temporary) return AVI_ERR_INTERNAL;
    avi_status status = write_whole(temporary, data, bytes);
    if (status == AVI_OK) status = avi_file_rename(temporary, path, (int64_t)bytes);
    if (status != AVI_OK)
        unlink(temporary);
    else
        status = avi_file_sync_folder(path);
    free(temporary);
    return status;
}
