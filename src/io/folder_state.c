#include "io/folder_state.h"
#include "store/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double age(const struct stat *info) { return difftime(time(NULL), info->st_mtime); }

/* A regular file of the folder, for reading; < 0: there is none. */
static int open_in(int folder, const char *name, struct stat *info)
{
    const int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || (fstat(fd, info) == 0 && S_ISREG(info->st_mode))) return fd;
    close(fd);
    return -1;
}

static void read_text(int fd, char *text, size_t size)
{
    const ssize_t bytes = pread(fd, text, size - 1, 0);
    text[bytes > 0 ? bytes : 0] = '\0';
}

/* A record lock of another process says who holds the folder. Without record locks on this file system the text
 * decides, unless it names a process of this host that is gone. */
static void read_lock(int folder, avi_folder_state *s)
{
    struct stat info;
    struct flock other = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char text[512];
    const int fd = open_in(folder, "lock", &info);
    if (fd < 0) return;
    read_text(fd, text, sizeof text);
    if (sscanf(text, "host %255[!-~] pid %ld since %63[!-~]", s->host, &s->pid, s->since) != 3) s->pid = 0;
    char here[256] = "";
    (void)gethostname(here, sizeof here - 1);
    const bool gone_here = s->pid > 0 && strcmp(here, s->host) == 0 && kill((pid_t)s->pid, 0) != 0 && errno == ESRCH;
    if (fcntl(fd, F_GETLK, &other) == 0)
        s->held = other.l_type != F_UNLCK;
    else
        s->held = s->pid > 0 && !gone_here;
    close(fd);
}

static void read_checkpoint(int folder, avi_folder_state *s)
{
    struct stat info;
    char text[64];
    long long step;
    s->checkpoint_step = -1;
    const int fd = open_in(folder, "checkpoint/latest", &info);
    if (fd < 0) return;
    read_text(fd, text, sizeof text);
    if (sscanf(text, "step_%lld", &step) == 1 && step >= 0 && step <= AVI_STEP_MAX) {
        s->checkpoint_step = step;
        s->checkpoint_age = age(&info);
    }
    close(fd);
}

static void copy_attribute(hid_t root, int64_t bytes, const char *path, const char *name, char *out, size_t size)
{
    char *text = NULL;
    if (avi_store_text_attribute(root, bytes, path, "/", name, &text) == AVI_OK) snprintf(out, size, "%s", text);
    free(text);
}

static void read_results(const char *folder, avi_folder_state *s)
{
    char path[4096];
    avi_h5_file file;
    int64_t bytes = 0;
    if (snprintf(path, sizeof path, "%s/run.h5", folder) >= (int)sizeof path || access(path, R_OK) != 0) return;
    avi_h5_silence();
    if (avi_store_open_file(path, &file, &bytes) != AVI_OK) return;
    const hid_t root = H5Gopen2(file.id, "/", H5P_DEFAULT);
    if (root >= 0) {
        copy_attribute(root, bytes, path, "status", s->status, sizeof s->status);
        copy_attribute(root, bytes, path, "why_stopped", s->why, sizeof s->why);
        H5Gclose(root);
    }
    avi_store_close_file(&file);
}

avi_status avi_folder_state_read(const char *path, avi_folder_state *s)
{
    *s = (avi_folder_state){.checkpoint_step = -1};
    const int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return avi_fail(AVI_ERR_NOINPUT, "%s: %s; use the folder of a run", path, strerror(errno));
    struct stat info;
    const int metrics = open_in(folder, "metrics.csv", &info);
    if (metrics >= 0) close(metrics);
    read_lock(folder, s);
    read_checkpoint(folder, s);
    read_results(path, s);
    s->is_run = metrics >= 0 || s->pid || s->checkpoint_step >= 0 || s->status[0];
    close(folder);
    return AVI_OK;
}
