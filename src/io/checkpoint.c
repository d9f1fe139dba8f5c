/* Checkpoints: whole files named by step; the newest whose every checksum holds is the one to resume from. */
#include "store/store_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* step_%09d.h5 and nothing else: -1 for other names. */
static int64_t step_of(const char *name)
{
    int64_t step = 0;
    if (strlen(name) != 17 || strncmp(name, "step_", 5) != 0 || strcmp(name + 14, ".h5") != 0) return -1;
    for (int i = 5; i < 14; i++) {
        if (name[i] < '0' || name[i] > '9') return -1;
        step = step * 10 + (name[i] - '0');
    }
    return step;
}

static void name_of(int64_t step, char name[32]) { snprintf(name, 32, "step_%09lld.h5", (long long)step); }

/* Owner: caller; NULL without memory, which is an error then. */
static char *path_of(const char *folder, int64_t step)
{
    char name[32];
    name_of(step, name);
    return avi_file_join(folder, name, "");
}

static int newest_first(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

/* Steps of the checkpoint files in `folder`, newest first. Owner of *steps: caller. */
static avi_status list_steps(const char *folder, int64_t **steps, size_t *count)
{
    size_t room = 0;
    *steps = NULL;
    *count = 0;
    DIR *dir = opendir(folder);
    if (!dir && errno == ENOENT) return AVI_OK;
    if (!dir) return avi_fail(AVI_ERR_IO, "%s: cannot list: %s", folder, strerror(errno));
    for (struct dirent *entry; (entry = readdir(dir));) {
        const int64_t step = step_of(entry->d_name);
        if (step < 0) continue;
        if (*count == room) {
            room = room ? 2 * room : 64;
            int64_t *more = realloc(*steps, room * sizeof *more);
            if (!more) {
                free(*steps);
                *steps = NULL;
                closedir(dir);
                return avi_fail_memory(room * sizeof *more, "the list of checkpoints");
            }
            *steps = more;
        }
        (*steps)[(*count)++] = step;
    }
    closedir(dir);
    if (*count > 0) qsort(*steps, *count, sizeof **steps, newest_first);
    return AVI_OK;
}

/* Removes temporaries of killed writers, and with `all` the file `latest`. */
static void remove_rest(const char *folder, bool all)
{
    DIR *dir = opendir(folder);
    if (!dir) return;
    for (struct dirent *entry; (entry = readdir(dir));) {
        const size_t length = strlen(entry->d_name);
        const bool left = length > 4 && strcmp(entry->d_name + length - 4, ".tmp") == 0 &&
                          (strncmp(entry->d_name, "step_", 5) == 0 || strncmp(entry->d_name, "latest", 6) == 0);
        if (!left && !(all && strcmp(entry->d_name, "latest") == 0)) continue;
        char *path = avi_file_join(folder, entry->d_name, "");
        if (path) unlink(path);
        free(path);
    }
    closedir(dir);
}

static avi_status remove_step(const char *folder, int64_t step)
{
    char *path = path_of(folder, step);
    if (!path) return AVI_ERR_INTERNAL;
    avi_status status = AVI_OK;
    int code;
    do code = unlink(path);
    while (code != 0 && errno == EINTR);
    if (code != 0 && errno != ENOENT) status = avi_fail(AVI_ERR_IO, "%s: cannot remove: %s", path, strerror(errno));
    free(path);
    return status;
}

/* Rank 0. Keeps the `keep` newest up to `step`. Later ones are of a future that the run has gone back from: they would
 * be resumed by mistake. */
static avi_status prune(const char *folder, int64_t step, int keep)
{
    int64_t *steps;
    size_t count;
    int kept = 0;
    AVI_TRY(list_steps(folder, &steps, &count));
    avi_status status = AVI_OK;
    for (size_t i = 0; i < count && status == AVI_OK; i++)
        if (steps[i] > step || ++kept > (keep > 0 ? keep : 1)) status = remove_step(folder, steps[i]);
    free(steps);
    remove_rest(folder, false);
    return status;
}

static avi_status write_in(const char *folder, avi_comm *comm, const char *path, const char *latest, int64_t step,
                           int keep, const avi_field *fields, int count, const avi_attribute *attributes,
                           int attribute_count)
{
    const bool root = avi_comm_rank(comm) == 0;
    char text[40];
    name_of(step, text);
    strcat(text, "\n");
    AVI_TRY(avi_agree(comm, root ? avi_file_make_folder(folder) : AVI_OK));
    AVI_TRY(avi_store_write(comm, path, fields, count, attributes, attribute_count));
    AVI_TRY(avi_agree(comm, root ? avi_file_replace(latest, text, strlen(text)) : AVI_OK));
    return avi_agree(comm, root ? prune(folder, step, keep) : AVI_OK);
}

avi_status avi_checkpoint_write(avi_folder *folder, avi_comm *comm, int64_t step, int keep, const avi_field *fields,
                                int count, const avi_attribute *attributes, int attribute_count)
{
    if (step < 0 || step > AVI_STEP_MAX)
        return avi_fail(AVI_ERR_INTERNAL, "checkpoint of step %lld: steps up to %lld can be named", (long long)step,
                        (long long)AVI_STEP_MAX);
    char *inside = avi_file_join(avi_folder_path(folder), "checkpoint", "");
    char *path = inside ? path_of(inside, step) : NULL, *latest = inside ? avi_file_join(inside, "latest", "") : NULL;
    /* A folder made anew would have neither lock nor metrics, and a second run may be at work in it. */
    avi_status status = avi_agree(comm, path && latest ? avi_folder_check(folder) : AVI_ERR_INTERNAL);
    if (status == AVI_OK)
        status = write_in(inside, comm, path, latest, step, keep, fields, count, attributes, attribute_count);
    free(inside);
    free(path);
    free(latest);
    return status;
}

/* A file that cannot be read now may be whole all the same: another is not taken in its place, nor is it removed. */
static avi_status keep_unread(avi_status status)
{
    char text[4096];
    snprintf(text, sizeof text, "%s", avi_error_text());
    avi_error_clear();
    return avi_fail(status,
                    "%s, so the newest complete checkpoint is not known. Run the same command again once the file can "
                    "be read, or use checkpoint.resume = no to start without it",
                    text);
}

/* A file that was listed and is not there was removed since: by a fit that goes on, which wrote a newer one before. */
static bool is_gone(const char *folder, int64_t step)
{
    struct stat info;
    char *path = path_of(folder, step);
    const bool gone = path && lstat(path, &info) != 0 && errno == ENOENT;
    free(path);
    return gone;
}

static avi_status verify_step(const char *folder, int64_t step)
{
    char *path = path_of(folder, step);
    const avi_status status = path ? avi_store_verify(path) : AVI_ERR_INTERNAL;
    free(path);
    return status;
}

/* Rank 0. The first of steps[] whose file holds; -1 where there are none. Damaged ones are passed over. *gone: one was
 * removed after it was listed, and the newest is not known. */
static avi_status first_whole(const char *folder, const int64_t *steps, size_t count, int64_t *step, bool *gone)
{
    *step = -1;
    for (size_t i = 0; i < count; i++) {
        const avi_status status = verify_step(folder, steps[i]);
        if (status == AVI_OK) {
            *step = steps[i];
            return AVI_OK;
        }
        *gone = is_gone(folder, steps[i]);
        if (*gone || status != AVI_ERR_DATA) return keep_unread(status);
        avi_warn("checkpoint passed over: %s", avi_error_text());
        avi_error_clear();
    }
    if (count == 0) return AVI_OK;
    return avi_fail(
        AVI_ERR_DATA,
        "%s: none of its %zu checkpoints is complete; use checkpoint.resume = no to start afresh, which removes them",
        folder, count);
}

enum { NO_LATEST = -2, NAMES_NONE = -1 };

/* The step that `latest` names. */
static int64_t read_latest(const char *folder)
{
    char text[32] = "";
    int64_t step = NO_LATEST;
    char *path = avi_file_join(folder, "latest", "");
    const int fd = path ? avi_file_open_regular(path, O_RDONLY) : -1;
    if (fd < 0 && path && errno == EINVAL) avi_warn("%s: is not a file; the checkpoints themselves decide", path);
    if (fd >= 0) {
        const ssize_t bytes = pread(fd, text, sizeof text - 1, 0);
        text[bytes > 0 ? bytes : 0] = '\0';
        close(fd);
        text[strcspn(text, "\r\n")] = '\0';
        step = step_of(text);
        if (step < 0) step = NAMES_NONE;
    }
    free(path);
    return step;
}

/* `latest` is for people and scripts, and a cross-check: a file it names that is gone is worth a word. `latest` was
 * read before the list was made, and a fit that goes on removes what it named only after it wrote a newer one. */
static void check_latest(const char *folder, int64_t latest, const int64_t *steps, size_t count)
{
    bool there = false;
    for (size_t i = 0; i < count; i++) there = there || steps[i] >= latest;
    if (latest == NAMES_NONE)
        avi_warn("%s/latest: does not name a checkpoint; the files themselves decide", folder);
    else if (latest != NO_LATEST && !there)
        avi_warn("%s/latest: names the checkpoint of step %lld, which is not there; the files themselves decide",
                 folder, (long long)latest);
}

static avi_status find_local(const char *folder, int64_t *step)
{
    enum { TRIES = 20 };
    for (int i = 1;; i++) {
        int64_t *steps;
        size_t count;
        bool gone = false;
        const int64_t latest = read_latest(folder);
        AVI_TRY(list_steps(folder, &steps, &count));
        const avi_status status = first_whole(folder, steps, count, step, &gone);
        if (!gone) check_latest(folder, latest, steps, count);
        free(steps);
        if (!gone || i == TRIES) return status;
        avi_error_clear();
    }
}

avi_status avi_checkpoint_newest(avi_comm *comm, const char *folder, char **path)
{
    int64_t step = -1;
    *path = NULL;
    char *inside = avi_file_join(folder, "checkpoint", "");
    avi_status status = inside ? AVI_OK : AVI_ERR_INTERNAL;
    if (status == AVI_OK && avi_comm_rank(comm) == 0) status = find_local(inside, &step);
    status = avi_agree(comm, status);
    if (status == AVI_OK) status = avi_comm_bcast(comm, &step, sizeof step, 0);
    if (status == AVI_OK && step >= 0) {
        *path = path_of(inside, step);
        status = avi_agree(comm, *path ? AVI_OK : AVI_ERR_INTERNAL);
        if (status != AVI_OK) {
            free(*path);
            *path = NULL;
        }
    }
    free(inside);
    return status;
}

avi_status avi_checkpoint_find(avi_folder *folder, avi_comm *comm, char **path)
{
    return avi_checkpoint_newest(comm, avi_folder_path(folder), path);
}

avi_status avi_store_check(avi_comm *comm, const char *path)
{
    return avi_agree(comm, avi_comm_rank(comm) == 0 ? avi_store_verify(path) : AVI_OK);
}

/* Rank 0. Newest first. */
static avi_status list_whole(const char *folder, int64_t **steps, size_t *count)
{
    AVI_TRY(list_steps(folder, steps, count));
    for (size_t i = 0; i < *count; i++) {
        const avi_status status = verify_step(folder, (*steps)[i]);
        if (status != AVI_OK && is_gone(folder, (*steps)[i]))
            return avi_fail(
                AVI_ERR_NOINPUT,
                "%s: its checkpoint of step %lld was removed while it was read: a fit goes on there. Use the "
                "same command again when the fit has ended",
                folder, (long long)(*steps)[i]);
        AVI_TRY(status);
    }
    return AVI_OK;
}

avi_status avi_checkpoint_list(avi_comm *comm, const char *folder, int64_t **steps, int *count)
{
    size_t found = 0;
    int64_t n = 0, *list = NULL;
    char *inside = avi_file_join(folder, "checkpoint", "");
    avi_status status = inside ? AVI_OK : AVI_ERR_INTERNAL;
    if (status == AVI_OK && avi_comm_rank(comm) == 0) status = list_whole(inside, &list, &found);
    free(inside);
    n = (int64_t)found;
    status = avi_agree(comm, status);
    if (status == AVI_OK) status = avi_comm_bcast(comm, &n, sizeof n, 0);
    int64_t *all = status == AVI_OK ? malloc((size_t)(n + 1) * sizeof *all) : NULL;
    if (status == AVI_OK) status = avi_agree(comm, all ? AVI_OK : avi_fail_memory((size_t)n, "checkpoints"));
    for (int64_t i = 0; status == AVI_OK && list && i < n; i++) all[i] = list[n - 1 - i];
    free(list);
    if (status == AVI_OK) status = avi_comm_bcast(comm, all, (size_t)n * sizeof *all, 0);
    if (status != AVI_OK) {
        free(all);
        all = NULL;
    }
    *steps = all;
    *count = status == AVI_OK ? (int)n : 0;
    return status;
}

static avi_status clear_local(const char *folder)
{
    int64_t *steps;
    size_t count;
    avi_status status = list_steps(folder, &steps, &count);
    for (size_t i = 0; i < count && status == AVI_OK; i++) status = remove_step(folder, steps[i]);
    free(steps);
    remove_rest(folder, true);
    return status;
}

avi_status avi_checkpoint_clear(avi_folder *folder, avi_comm *comm)
{
    char *inside = avi_file_join(avi_folder_path(folder), "checkpoint", "");
    avi_status status = inside ? AVI_OK : AVI_ERR_INTERNAL;
    if (status == AVI_OK && avi_comm_rank(comm) == 0) status = clear_local(inside);
    free(inside);
    return avi_agree(comm, status);
}
