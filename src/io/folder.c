/* The output folder: made and locked by rank 0; small text files in it are replaced whole. */
#include "store/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct avi_folder {
    char *path, *lock_path; /* owned */
    int lock;               /* rank 0's descriptor, -1 elsewhere */
};

static void folder_free(avi_folder *f)
{
    if (!f) return;
    free(f->path);
    free(f->lock_path);
    free(f);
}

static avi_status folder_start(avi_folder *f)
{
    AVI_TRY(avi_file_make_folder(f->path));
    return avi_lock_take(f->path, f->lock_path, &f->lock);
}

avi_status avi_folder_open(avi_comm *comm, const char *path, avi_folder **folder)
{
    avi_folder *f = calloc(1, sizeof *f);
    *folder = NULL;
    if (f)
        *f = (avi_folder){
            .path = strdup(*path ? path : "."), .lock_path = avi_file_join(*path ? path : ".", "lock", ""), .lock = -1};
    avi_status status =
        avi_agree(comm, f && f->path && f->lock_path ? AVI_OK : avi_fail_memory(sizeof *f, "the output folder"));
    if (status == AVI_OK) status = avi_agree(comm, avi_comm_rank(comm) == 0 ? folder_start(f) : AVI_OK);
    if (status == AVI_OK)
        *folder = f;
    else
        folder_free(f);
    return status;
}

void avi_folder_close(avi_folder **folder)
{
    if (!*folder) return;
    if ((*folder)->lock >= 0) avi_lock_release((*folder)->lock_path, (*folder)->lock);
    folder_free(*folder);
    *folder = NULL;
}

avi_status avi_folder_check(const avi_folder *folder)
{
    return folder->lock >= 0 ? avi_lock_check(folder->path, folder->lock_path, folder->lock) : AVI_OK;
}

const char *avi_folder_path(const avi_folder *folder) { return folder->path; }

/* Names stay inside the folder, and off the lock: closing any descriptor of it would release the record lock. */
static avi_status check_name(const avi_folder *folder, const char *name)
{
    bool bad = name[0] == '\0' || name[0] == '/' || strcmp(name, "lock") == 0;
    for (const char *part = name; part && !bad; part = strchr(part, '/')) {
        part += *part == '/';
        const size_t length = strcspn(part, "/");
        bad = length == 0 || (length == 1 && part[0] == '.') || (length == 2 && part[0] == '.' && part[1] == '.');
    }
    return bad ? avi_fail(AVI_ERR_CANTCREATE, "%s: \"%s\" is not the name of a file in this folder", folder->path, name)
               : AVI_OK;
}

static avi_status write_text_local(const avi_folder *folder, const char *name, const char *text)
{
    char *path = avi_file_join(folder->path, name, "");
    if (!path) return AVI_ERR_INTERNAL;
    const avi_status status = avi_file_replace(path, text, strlen(text));
    free(path);
    return status;
}

avi_status avi_folder_write_text(avi_folder *folder, avi_comm *comm, const char *name, const char *text)
{
    AVI_TRY(check_name(folder, name));
    return avi_agree(comm, avi_comm_rank(comm) == 0 ? write_text_local(folder, name, text) : AVI_OK);
}

/* Reads an open file whole; *text ends with a zero byte. */
static avi_status read_open(int fd, const char *path, char **text, int64_t *bytes)
{
    struct stat info;
    if (fstat(fd, &info) != 0) return avi_fail(AVI_ERR_IO, "%s: cannot read the size: %s", path, strerror(errno));
    if (!S_ISREG(info.st_mode)) return avi_fail(AVI_ERR_DATA, "%s: not a file", path);
    if (info.st_size > ((off_t)64 << 20))
        return avi_fail(AVI_ERR_DATA, "%s: %lld bytes, a text of at most 64 MiB is expected", path,
                        (long long)info.st_size);
    *bytes = (int64_t)info.st_size + 1;
    *text = calloc((size_t)*bytes, 1);
    if (!*text) return avi_fail_memory((size_t)*bytes, "a text file");
    return avi_file_read_at(fd, path, *text, *bytes - 1, 0);
}

/* *bytes counts the ending zero; 0 when there is no such file. */
static avi_status read_text_local(const avi_folder *folder, const char *name, char **text, int64_t *bytes)
{
    char *path = avi_file_join(folder->path, name, "");
    if (!path) return AVI_ERR_INTERNAL;
    avi_status status = AVI_OK;
    int fd;
    do fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    while (fd < 0 && errno == EINTR);
    if (fd >= 0) {
        status = read_open(fd, path, text, bytes);
        close(fd);
    } else if (errno != ENOENT && errno != ENOTDIR) {
        status = avi_fail(AVI_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    }
    free(path);
    return status;
}

avi_status avi_folder_read_text(avi_folder *folder, avi_comm *comm, const char *name, char **text)
{
    int64_t bytes = 0;
    char *local = NULL;
    *text = NULL;
    AVI_TRY(check_name(folder, name));
    avi_status status =
        avi_agree(comm, avi_comm_rank(comm) == 0 ? read_text_local(folder, name, &local, &bytes) : AVI_OK);
    if (status == AVI_OK) status = avi_comm_bcast(comm, &bytes, sizeof bytes, 0);
    if (status == AVI_OK && bytes > 0) {
        if (!local) local = malloc((size_t)bytes);
        status = avi_agree(comm, local ? AVI_OK : avi_fail_memory((size_t)bytes, "a text file"));
        if (status == AVI_OK) status = avi_comm_bcast(comm, local, (size_t)bytes, 0);
    }
    if (status == AVI_OK)
        *text = local;
    else
        free(local);
    return status;
}
