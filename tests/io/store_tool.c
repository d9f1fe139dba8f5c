/* What store.py drives: one action a run, exit status as the program's.
 *   write FILE | read FILE           the sample of store_sample.h
 *   fill FILE BYTES                  one distributed dataset of BYTES bytes
 *   open FOLDER | hold FOLDER        takes the lock; hold keeps it until killed
 *   checkpoints FOLDER FIRST         one checkpoint after the other until killed, and run.h5 replaced with each
 *   find FOLDER                      the newest whole checkpoint and run.h5: their steps, their data checked */
#include "store_sample.h"

#include <time.h>
#include <unistd.h>

enum { STATE_ROWS = 50000 };

static avi_status fill(avi_comm *comm, const char *path, int64_t bytes)
{
    const int64_t first = avi_slab_first(bytes / 8, avi_comm_size(comm), avi_comm_rank(comm));
    const int64_t count = avi_slab_first(bytes / 8, avi_comm_size(comm), avi_comm_rank(comm) + 1) - first;
    int64_t *data = malloc((size_t)(count + 1) * 8);
    if (!data) return avi_fail_memory((size_t)count * 8, "filling");
    for (int64_t k = 0; k < count; k++) data[k] = first + k;
    const avi_field field = {
        .path = "/big", .type = AVI_I64, .rank = 1, .dims = {bytes / 8}, .distributed = true, .data = data};
    const double start = avi_seconds();
    const avi_status status = avi_store_write(comm, path, &field, 1, NULL, 0);
    if (avi_comm_rank(comm) == 0 && status == AVI_OK)
        fprintf(stderr, "%.3f s, %.0f MB/s\n", avi_seconds() - start, (double)bytes / 1e6 / (avi_seconds() - start));
    free(data);
    return status;
}

static avi_status hold(avi_comm *comm, const char *path, int seconds)
{
    avi_folder *folder;
    AVI_TRY(avi_folder_open(comm, path, &folder));
    if (avi_comm_rank(comm) == 0) printf("pid %ld host %s\n", (long)getpid(), avi_comm_host()), fflush(stdout);
    const struct timespec pause = {seconds, 0};
    if (seconds) nanosleep(&pause, NULL);
    avi_folder_close(&folder);
    return AVI_OK;
}

static char *run_file(const char *folder)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/run.h5", folder);
    return path;
}

static avi_status checkpoints(avi_comm *comm, const char *path, int64_t step)
{
    avi_folder *folder;
    AVI_TRY(avi_folder_open(comm, path, &folder));
    const int64_t first = avi_slab_first(STATE_ROWS, avi_comm_size(comm), avi_comm_rank(comm));
    const int64_t count = avi_slab_first(STATE_ROWS, avi_comm_size(comm), avi_comm_rank(comm) + 1) - first;
    double *data = calloc((size_t)count + 1, 8);
    if (!data) return avi_fail_memory((size_t)count * 8, "state");
    printf("pid %ld\n", (long)getpid());
    for (avi_status status = AVI_OK; status == AVI_OK; step++) {
        for (int64_t k = 0; k < count; k++) data[k] = (double)(step * STATE_ROWS + first + k);
        const avi_field field = {
            .path = "/state", .type = AVI_F64, .rank = 1, .dims = {STATE_ROWS}, .distributed = true, .data = data};
        const avi_attribute a = {.group = "/", .name = "step", .integer = step};
        status = avi_store_write(comm, run_file(path), &field, 1, &a, 1);
        if (status == AVI_OK) status = avi_checkpoint_write(folder, comm, step, 2, &field, 1, &a, 1);
        if (avi_comm_rank(comm) == 0) printf("step %lld\n", (long long)step);
        fflush(stdout);
        AVI_TRY(status);
    }
    return AVI_OK;
}

/* Reads a state and checks its values. */
static avi_status check_state(avi_comm *comm, const char *file, const char *what)
{
    avi_store *store;
    int64_t step;
    const int64_t dims[4] = {STATE_ROWS};
    static double data[STATE_ROWS];
    AVI_TRY(avi_store_open(comm, file, &store));
    AVI_TRY(avi_store_attribute_int(store, "/", "step", &step));
    AVI_TRY(avi_store_read(store, "/state", AVI_F64, 1, dims, false, data));
    for (int64_t k = 0; k < STATE_ROWS; k++)
        if (data[k] != (double)(step * STATE_ROWS + k))
            return avi_fail(AVI_ERR_DATA, "value %lld is wrong", (long long)k);
    if (avi_comm_rank(comm) == 0) printf("%s %lld\n", what, (long long)step);
    avi_store_close(&store);
    return AVI_OK;
}

static avi_status find(avi_comm *comm, const char *path)
{
    avi_folder *folder;
    char *file;
    AVI_TRY(avi_folder_open(comm, path, &folder));
    AVI_TRY(avi_checkpoint_find(folder, comm, &file));
    if (!file) return avi_fail(AVI_ERR_DATA, "%s: no checkpoint", path);
    AVI_TRY(check_state(comm, file, "found"));
    AVI_TRY(check_state(comm, run_file(path), "run.h5"));
    avi_folder_close(&folder);
    free(file);
    return AVI_OK;
}

static avi_status act(avi_comm *comm, int argc, char **argv)
{
    const char *action = argc > 2 ? argv[1] : "", *path = argc > 2 ? argv[2] : "";
    const int64_t number = argc > 3 ? atoll(argv[3]) : 0;
    if (strcmp(action, "write") == 0) {
        sample *s = sample_make(comm);
        const avi_status status =
            avi_store_write(comm, path, s->fields, SAMPLE_FIELDS, s->attributes, SAMPLE_ATTRIBUTES);
        sample_free(s);
        return status;
    }
    if (strcmp(action, "read") == 0) {
        const int wrong = sample_check(comm, path);
        return avi_agree(comm, wrong ? avi_fail(AVI_ERR_DATA, "%d mistakes", wrong) : AVI_OK);
    }
    if (strcmp(action, "fill") == 0) return fill(comm, path, number);
    if (strcmp(action, "open") == 0) return hold(comm, path, 0);
    if (strcmp(action, "hold") == 0) return hold(comm, path, 60);
    if (strcmp(action, "checkpoints") == 0) return checkpoints(comm, path, number);
    if (strcmp(action, "find") == 0) return find(comm, path);
    return avi_fail(AVI_ERR_USAGE, "what should be done?");
}

int main(int argc, char **argv)
{
    avi_comm *comm;
    if (avi_comm_start(&argc, &argv, &comm) != AVI_OK) return 70;
    const avi_status status = act(comm, argc, argv);
    if (status != AVI_OK && avi_comm_rank(comm) == 0) fprintf(stderr, "avi_mpi: %s\n", avi_error_text());
    avi_comm_finish(&comm);
    return (int)status;
}
