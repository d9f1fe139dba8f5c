/* A run begun afresh beside results that are kept: it writes to FOLDER/fresh, and its files take the place of the old
 * ones when its results are complete. Until then nothing in FOLDER changes. A file `complete` in FOLDER/fresh, which
 * lists the new checkpoints and files, marks the moment: moving that was cut short after it is made up for at the next
 * start. */
#include "io/folder_state.h"
#include "store/store_internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char FRESH[] = "fresh", COMPLETE[] = "complete", ASKED[] = "asked";
static const char *const files[] = {"run.h5", "config.ini", "metrics.csv", "dump.h5"};
/* What a run may have beside its run.h5: where the new run has none, that of the old one goes with its results. */
static const char *const of_a_run[] = {"config.ini", "metrics.csv", "posterior.nc"};
enum { FILES = (int)(sizeof files / sizeof files[0]), CALLS = 1000 };
#define COUNT(list) (sizeof list / sizeof list[0])

static bool exists(const char *folder, const char *name)
{
    struct stat info;
    char *path = avi_file_join(folder, name, "");
    const bool there = path && lstat(path, &info) == 0;
    free(path);
    return there;
}

static bool is_checkpoint(const char *name)
{
    const size_t length = strlen(name);
    return strncmp(name, "step_", 5) == 0 && length > 3 && strcmp(name + length - 3, ".h5") == 0;
}

static avi_status remove_file(const char *folder, const char *name)
{
    char *path = avi_file_join(folder, name, "");
    if (!path) return AVI_ERR_INTERNAL;
    avi_status status = AVI_OK;
    if (unlink(path) != 0 && errno != ENOENT)
        status = avi_fail(AVI_ERR_IO, "%s: cannot remove: %s", path, strerror(errno));
    free(path);
    return status;
}

/* Moves from/name to to/name; what is not there has been moved before. */
static avi_status move_file(const char *from, const char *to, const char *name)
{
    char *old = avi_file_join(from, name, ""), *new = avi_file_join(to, name, "");
    avi_status status = old && new ? AVI_OK : AVI_ERR_INTERNAL;
    if (status == AVI_OK && rename(old, new) != 0 && errno != ENOENT)
        status = avi_fail(AVI_ERR_IO, "%s: cannot move to %s: %s", old, new, strerror(errno));
    free(old);
    free(new);
    return status;
}

/* Calls `each` with the names of `folder`'s entries that `wanted` chooses (NULL: all); a folder that is not there has
 * none. The entries are read first, since `each` may remove them. */
static avi_status for_each(const char *folder, bool (*wanted)(const char *), avi_status (*each)(void *, const char *),
                           void *self)
{
    char *names = NULL;
    size_t used = 0;
    FILE *list = open_memstream(&names, &used);
    if (!list) return avi_fail_memory(CALLS, "the files of a folder");
    DIR *dir = opendir(folder);
    for (const struct dirent *e; dir && (e = readdir(dir));)
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") && (!wanted || wanted(e->d_name)))
            fwrite(e->d_name, 1, strlen(e->d_name) + 1, list);
    if (dir) closedir(dir);
    avi_status status = fclose(list) == 0 ? AVI_OK : avi_fail_memory(used, "the files of a folder");
    for (size_t at = 0; status == AVI_OK && at < used; at += strlen(names + at) + 1) status = each(self, names + at);
    free(names);
    return status;
}

typedef struct move {
    char *from, *to; /* folders of checkpoints */
    char *listed;    /* "\nstep_1.h5\nstep_2.h5\nrun.h5\n": the new ones, and the new run's other files */
} move;

static bool is_listed(const char *listed, const char *name)
{
    char line[300];
    return (size_t)snprintf(line, sizeof line, "\n%s\n", name) < sizeof line && strstr(listed, line);
}

static avi_status move_one(void *self, const char *name)
{
    const move *m = self;
    return move_file(m->from, m->to, name);
}

static avi_status remove_unlisted(void *self, const char *name)
{
    const move *m = self;
    return is_listed(m->listed, name) ? AVI_OK : remove_file(m->to, name);
}

static avi_status remove_in(void *folder, const char *name) { return remove_file(folder, name); }

/* ---- the steps of a move; each may be done again ---- */

static avi_status read_list(const char *fresh, char **listed)
{
    char *path = avi_file_join(fresh, COMPLETE, "");
    FILE *file = path ? fopen(path, "r") : NULL;
    const size_t room = (size_t)1 << 16;
    *listed = calloc(room, 1);
    avi_status status = AVI_OK;
    if (!path || !*listed)
        status = avi_fail_memory(room, "a list of checkpoints");
    else if (!file || (fread(*listed, 1, room - 1, file) == 0 && ferror(file)))
        status = avi_fail(AVI_ERR_IO, "%s: cannot read: %s", path, strerror(errno));
    if (file) fclose(file);
    free(path);
    return status;
}

/* A list without run.h5 is of an older program, which listed checkpoints alone. */
static avi_status move_files(const char *outer, const char *fresh, const char *listed)
{
    for (int i = 0; i < FILES; i++)
        if (strcmp(files[i], "dump.h5")) AVI_TRY(move_file(fresh, outer, files[i]));
    if (!is_listed(listed, "run.h5")) return AVI_OK;
    for (size_t i = 0; i < COUNT(of_a_run); i++)
        if (!is_listed(listed, of_a_run[i])) AVI_TRY(remove_file(outer, of_a_run[i]));
    return AVI_OK;
}

static avi_status move_all(const char *outer, const char *fresh)
{
    move m = {.from = avi_file_join(fresh, "checkpoint", ""), .to = avi_file_join(outer, "checkpoint", "")};
    avi_status status = m.from && m.to ? AVI_OK : AVI_ERR_INTERNAL;
    if (status == AVI_OK) status = read_list(fresh, &m.listed);
    if (status == AVI_OK) status = move_files(outer, fresh, m.listed);
    if (status == AVI_OK) status = avi_file_make_folder(m.to);
    if (status == AVI_OK) status = for_each(m.from, is_checkpoint, move_one, &m);
    if (status == AVI_OK) status = for_each(m.to, is_checkpoint, remove_unlisted, &m);
    if (status == AVI_OK) status = move_file(m.from, m.to, "latest");
    if (status == AVI_OK) status = for_each(m.from, NULL, remove_in, m.from);
    if (status == AVI_OK) (void)rmdir(m.from);
    free(m.from);
    free(m.to);
    free(m.listed);
    return status;
}

/* After the mark: the new results first, then what belongs to them. */
static avi_status finish_move(const char *outer, const char *fresh)
{
    AVI_TRY(move_all(outer, fresh));
    AVI_TRY(remove_file(fresh, "dump.h5"));
    AVI_TRY(remove_file(fresh, ASKED));
    AVI_TRY(remove_file(fresh, COMPLETE));
    AVI_TRY(remove_file(fresh, "lock"));
    (void)rmdir(fresh); /* what others have put there stays */
    return avi_file_sync_folder(fresh);
}

static avi_status write_name(void *file, const char *name)
{
    return fprintf(file, "%s\n", name) > 0 ? AVI_OK : AVI_ERR_INTERNAL;
}

static avi_status mark_complete(const char *fresh)
{
    char *inside = avi_file_join(fresh, "checkpoint", ""), *path = avi_file_join(fresh, COMPLETE, ""), *text = NULL;
    size_t bytes = 0;
    FILE *list = inside && path ? open_memstream(&text, &bytes) : NULL;
    avi_status status = list ? AVI_OK : avi_fail_memory(CALLS, "a list of checkpoints");
    if (list) {
        fputs("\n", list);
        status = for_each(inside, is_checkpoint, write_name, list);
        for (int i = 0; i < FILES; i++)
            if (exists(fresh, files[i])) fprintf(list, "%s\n", files[i]);
        if (fclose(list) != 0 && status == AVI_OK) status = avi_fail_memory(bytes, "a list of checkpoints");
    }
    if (status == AVI_OK) status = avi_file_replace(path, text, bytes);
    free(inside);
    free(path);
    free(text);
    return status;
}

static avi_status empty(const char *fresh)
{
    char *inside = avi_file_join(fresh, "checkpoint", "");
    avi_status status = inside ? for_each(inside, NULL, remove_in, inside) : AVI_ERR_INTERNAL;
    for (int i = 0; i < FILES && status == AVI_OK; i++) status = remove_file(fresh, files[i]);
    free(inside);
    return status;
}

/* ---- what a run sees ---- */

/* A run that was killed before its first checkpoint leaves a run.h5 that holds no results: its status is `running`. */
static bool has_results(const char *outer)
{
    avi_folder_state state;
    if (!exists(outer, "run.h5")) return false;
    if (avi_folder_state_read(outer, &state) == AVI_OK) return strcmp(state.status, "running") != 0;
    avi_error_clear();
    return true;
}

static avi_status look(const char *outer, const char *fresh, int64_t *found)
{
    char *old = avi_file_join(outer, "checkpoint", ""), *new = avi_file_join(fresh, "checkpoint", "");
    int64_t count = 0;
    avi_status status = old && new ? AVI_OK : AVI_ERR_INTERNAL;
    DIR *dir = status == AVI_OK ? opendir(old) : NULL;
    for (const struct dirent *e; dir && (e = readdir(dir));) count += is_checkpoint(e->d_name);
    if (dir) closedir(dir);
    if (status == AVI_OK && (count || has_results(outer))) *found |= AVI_HOLDS_RESULTS;
    if (status == AVI_OK && (exists(new, "latest") || exists(fresh, ASKED))) *found |= AVI_HOLDS_FRESH;
    free(old);
    free(new);
    return status;
}

/* mend: a replacement that was cut short is finished first. */
static avi_status look_together(const char *outer, avi_comm *comm, bool mend, int *holds)
{
    int64_t found = 0;
    char *fresh = avi_file_join(outer, FRESH, "");
    avi_status status = fresh ? AVI_OK : AVI_ERR_INTERNAL;
    if (status == AVI_OK && avi_comm_rank(comm) == 0) {
        if (mend && exists(fresh, COMPLETE)) status = finish_move(outer, fresh);
        if (status == AVI_OK) status = look(outer, fresh, &found);
    }
    free(fresh);
    AVI_TRY(avi_agree(comm, status));
    AVI_TRY(avi_comm_bcast(comm, &found, sizeof found, 0));
    *holds = (int)found;
    return AVI_OK;
}

avi_status avi_folder_look(avi_folder *folder, avi_comm *comm, int *holds)
{
    return look_together(avi_folder_path(folder), comm, true, holds);
}

avi_status avi_folder_peek(const char *path, avi_comm *comm, int *holds)
{
    return look_together(path, comm, false, holds);
}

avi_status avi_folder_ask_afresh(const char *path)
{
    int64_t found = 0;
    char *fresh = avi_file_join(path, FRESH, ""), *asked = fresh ? avi_file_join(fresh, ASKED, "") : NULL;
    avi_status status = asked ? look(path, fresh, &found) : AVI_ERR_INTERNAL;
    if (status == AVI_OK && found & AVI_HOLDS_RESULTS) {
        status = avi_file_make_folder(fresh);
        if (status == AVI_OK) status = avi_file_replace(asked, "", 0);
    }
    free(asked);
    free(fresh);
    return status;
}

avi_status avi_folder_fresh(avi_folder *folder, avi_comm *comm, bool anew, avi_folder **fresh)
{
    char *path = avi_file_join(avi_folder_path(folder), FRESH, "");
    AVI_TRY(avi_agree(comm, path ? AVI_OK : AVI_ERR_INTERNAL));
    avi_status status = avi_folder_open(comm, path, fresh);
    if (status == AVI_OK) status = avi_agree(comm, anew && avi_comm_rank(comm) == 0 ? empty(path) : AVI_OK);
    free(path);
    return status;
}

avi_status avi_folder_replace(avi_folder *folder, avi_comm *comm, avi_folder **fresh)
{
    avi_status status = AVI_OK;
    if (avi_comm_rank(comm) == 0) {
        status = mark_complete(avi_folder_path(*fresh));
        if (status == AVI_OK) status = finish_move(avi_folder_path(folder), avi_folder_path(*fresh));
    }
    avi_folder_close(fresh);
    return avi_agree(comm, status);
}
