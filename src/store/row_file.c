#include "store/row_file.h"
#include "store/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FIELDS = 256, LINE = 64, WORDS = 256 };

struct avi_row_file {
    avi_store_plan plan; /* fields are ours: those with rows are marked as supplied, since their sums come late */
    avi_field field[FIELDS];
    avi_folder *folder;
    avi_comm *comm;
    char *path, *progress; /* owned */
    uint64_t identity;
    uint64_t sum[FIELDS]; /* of the rows that this rank has put since the last commit */
    int fd;
};

static uint64_t hash_text(uint64_t h, const char *text)
{
    do h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    while (*text++);
    return h;
}

static uint64_t identity_of(const avi_row_file *f, const char *identity)
{
    uint64_t h = hash_text(UINT64_C(0xcbf29ce484222325), identity);
    for (int i = 0; i < f->plan.count; i++) {
        char line[WORDS];
        const avi_field *d = &f->field[i];
        if (!d->distributed) continue;
        snprintf(line, sizeof line, "%s %d %lld %lld %lld", d->path, (int)d->type, (long long)d->dims[0],
                 (long long)avi_field_row_bytes(d), (long long)d->rank);
        h = hash_text(h, line);
    }
    return h;
}

/* ---- how far it is ---- */

static avi_status write_progress(const avi_row_file *f, int64_t done)
{
    char text[WORDS + FIELDS * LINE];
    size_t used =
        (size_t)snprintf(text, sizeof text, "avi_mpi rows 1\nidentity %016" PRIx64 "\nbytes %lld\nrows %lld\n",
                         f->identity, (long long)f->plan.file_bytes, (long long)done);
    for (int i = 0; i < f->plan.count; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "field %lld %016" PRIx64 "\n",
                                 (long long)f->plan.offsets[i], f->plan.sums[i]);
    return avi_file_replace(f->progress, text, used);
}

/* Rank 0. Whether the file that was begun is this one, and how far it is: 0 where it has to be begun. Whatever is wrong
 * with it, rows can be made again. */
static int64_t read_progress(avi_row_file *f)
{
    char text[WORDS + FIELDS * LINE];
    struct stat info;
    uint64_t identity;
    long long bytes, rows, offset;
    int at = 0, n = 0;
    const int fd = avi_file_open_regular(f->progress, O_RDONLY | O_NOFOLLOW);
    if (fd < 0) return 0;
    const ssize_t got = pread(fd, text, sizeof text - 1, 0);
    close(fd);
    text[got > 0 ? got : 0] = '\0';
    if (sscanf(text, "avi_mpi rows 1\nidentity %" SCNx64 "\nbytes %lld\nrows %lld\n%n", &identity, &bytes, &rows,
               &at) != 3)
        return 0;
    if (identity != f->identity || stat(f->plan.temporary, &info) != 0 || (long long)info.st_size != bytes) return 0;
    for (int i = 0; i < f->plan.count; i++, at += n) {
        if (sscanf(text + at, "field %lld %" SCNx64 "\n%n", &offset, &f->plan.sums[i], &n) != 2) return 0;
        f->plan.offsets[i] = offset;
    }
    f->plan.file_bytes = bytes;
    return rows;
}

/* ---- open ---- */

/* Rank 0. What is known already goes into the file that was made. */
static avi_status write_known(avi_row_file *f)
{
    const avi_store_plan *p = &f->plan;
    const int fd = avi_file_open_regular(p->temporary, O_WRONLY | O_NOFOLLOW);
    if (fd < 0) return avi_file_fail(p->temporary, "cannot open", errno, 0);
    avi_status status = AVI_OK;
    for (int i = 0; i < p->count && status == AVI_OK; i++)
        if (!f->field[i].distributed)
            status = avi_file_write_at(fd, p->temporary, f->field[i].text ? f->field[i].text : f->field[i].data,
                                       avi_field_rows(&f->field[i]) * avi_field_row_bytes(&f->field[i]), p->offsets[i]);
    if (status == AVI_OK) status = avi_file_sync(fd, p->temporary, p->file_bytes);
    return avi_file_close(fd, p->temporary, p->file_bytes, status);
}

static avi_status begin(avi_row_file *f, int64_t *done)
{
    avi_store_plan *p = &f->plan;
    AVI_TRY(avi_folder_check(f->folder));
    *done = read_progress(f);
    if (*done > 0) return AVI_OK;
    memset(p->sums, 0, (size_t)p->count * sizeof *p->sums);
    for (int i = 0; i < p->count; i++)
        if (!f->field[i].distributed)
            p->sums[i] = avi_checksum_rows(f->field[i].text ? f->field[i].text : f->field[i].data, 0,
                                           avi_field_rows(&f->field[i]), avi_field_row_bytes(&f->field[i]));
    if (unlink(f->progress) != 0 && errno != ENOENT) return avi_file_fail(f->progress, "cannot remove", errno, 0);
    avi_status status = avi_store_create(p);
    if (status == AVI_OK) status = write_known(f);
    if (status == AVI_OK) status = write_progress(f, 0);
    if (status != AVI_OK) unlink(p->temporary);
    return status;
}

static avi_status make(avi_folder *folder, avi_comm *comm, const char *name, const avi_field *fields, int count,
                       avi_row_file *f)
{
    *f = (avi_row_file){.folder = folder, .comm = comm, .fd = -1};
    if (count > FIELDS) return avi_fail(AVI_ERR_INTERNAL, "%s: %d datasets; at most %d", name, count, FIELDS);
    static const avi_row_producer late = {0}; /* a mark: avi_store_put_sums writes what is supplied */
    memcpy(f->field, fields, (size_t)count * sizeof *fields);
    for (int i = 0; i < count; i++)
        if (f->field[i].distributed) f->field[i].supply = &late;
    f->path = avi_file_join(avi_folder_path(folder), name, "");
    f->plan.temporary = avi_file_join(avi_folder_path(folder), name, ".part");
    f->progress = avi_file_join(avi_folder_path(folder), name, ".part.done");
    f->plan.sums = calloc((size_t)count + 1, sizeof *f->plan.sums);
    f->plan.offsets = calloc((size_t)count + 1, sizeof *f->plan.offsets);
    f->plan.path = f->path;
    f->plan.fields = f->field;
    f->plan.count = count;
    f->plan.scaled = true;
    if (f->path && f->plan.temporary && f->progress && f->plan.sums && f->plan.offsets) return AVI_OK;
    return avi_fail_memory((size_t)count * 16, "a file of rows");
}

avi_status avi_row_file_open(avi_folder *folder, avi_comm *comm, const char *name, const avi_field *fields, int count,
                             const avi_attribute *attributes, int attribute_count, const char *identity,
                             avi_row_file **file, int64_t *done)
{
    avi_row_file *f = *file = malloc(sizeof *f);
    AVI_TRY(avi_agree_memory(comm, f, sizeof *f, "a file of rows"));
    avi_status status = avi_agree(comm, make(folder, comm, name, fields, count, f));
    if (status == AVI_OK) {
        f->plan.attributes = attributes;
        f->plan.attribute_count = attribute_count;
        f->identity = identity_of(f, identity);
        status = avi_agree(comm, avi_comm_rank(comm) == 0 ? begin(f, done) : AVI_OK);
    }
    if (status == AVI_OK) status = avi_comm_bcast(comm, done, sizeof *done, 0);
    if (status == AVI_OK) status = avi_comm_bcast(comm, f->plan.offsets, (size_t)count * sizeof *f->plan.offsets, 0);
    if (status == AVI_OK) status = avi_comm_bcast(comm, f->plan.sums, (size_t)count * sizeof *f->plan.sums, 0);
    if (status == AVI_OK) status = avi_comm_bcast(comm, &f->plan.file_bytes, sizeof f->plan.file_bytes, 0);
    if (status == AVI_OK) status = avi_agree(comm, avi_store_open_shared(&f->plan, comm, O_WRONLY, &f->fd));
    if (status != AVI_OK) avi_row_file_close(file);
    return status;
}

/* ---- write ---- */

avi_status avi_row_file_put(avi_row_file *f, int field, int64_t first, int64_t count, const void *rows)
{
    const int64_t bytes = avi_field_row_bytes(&f->field[field]);
    if (count <= 0) return AVI_OK;
    f->sum[field] += avi_checksum_rows(rows, first, count, bytes);
    return avi_file_write_at(f->fd, f->plan.temporary, rows, count * bytes, f->plan.offsets[field] + first * bytes);
}

avi_status avi_row_file_commit(avi_row_file *f, int64_t done, avi_status status)
{
    int code = 0;
    if (status == AVI_OK) do
            code = fdatasync(f->fd);
        while (code != 0 && errno == EINTR);
    if (code != 0) status = avi_file_fail(f->plan.temporary, "cannot sync", errno, f->plan.file_bytes);
    AVI_TRY(avi_agree(f->comm, status));
    AVI_TRY(avi_checksum_allreduce(f->comm, f->sum, (size_t)f->plan.count));
    for (int i = 0; i < f->plan.count; i++) f->plan.sums[i] += f->sum[i];
    memset(f->sum, 0, sizeof f->sum);
    status = AVI_OK;
    if (avi_comm_rank(f->comm) == 0) {
        status = avi_folder_check(f->folder);
        if (status == AVI_OK) status = write_progress(f, done);
    }
    return avi_agree(f->comm, status);
}

/* Each rank reads a slab of every field, mostly of what others wrote. */
static avi_status read_back(const avi_row_file *f, uint64_t *sums)
{
    const avi_store_plan *p = &f->plan;
    const int ranks = avi_comm_size(f->comm), rank = avi_comm_rank(f->comm), other = (rank + 1) % ranks;
    int fd;
    AVI_TRY(avi_store_open_shared(p, f->comm, O_RDONLY, &fd));
    avi_status status = AVI_OK;
    for (int i = 0; i < p->count && status == AVI_OK; i++) {
        const int64_t rows = avi_field_rows(&f->field[i]), first = avi_slab_first(rows, ranks, other),
                      count = avi_slab_first(rows, ranks, other + 1) - first;
        status = avi_store_sum_file(fd, p->temporary, p->offsets[i], first, count, avi_field_row_bytes(&f->field[i]),
                                    &sums[i]);
    }
    close(fd);
    return status;
}

static avi_status publish(const avi_row_file *f)
{
    const avi_store_plan *p = &f->plan;
    const int fd = avi_file_open_regular(p->temporary, O_RDONLY | O_NOFOLLOW);
    if (fd < 0) return avi_file_fail(p->temporary, "cannot open", errno, 0);
    avi_status status = avi_file_sync(fd, p->temporary, p->file_bytes);
    close(fd);
    if (status == AVI_OK) status = avi_file_rename(p->temporary, f->path, p->file_bytes);
    if (status == AVI_OK) unlink(f->progress);
    return status == AVI_OK ? avi_file_sync_folder(f->path) : status;
}

avi_status avi_row_file_finish(avi_row_file *f)
{
    uint64_t sums[FIELDS] = {0};
    AVI_TRY(avi_agree(f->comm, read_back(f, sums)));
    AVI_TRY(avi_checksum_allreduce(f->comm, sums, (size_t)f->plan.count));
    for (int i = 0; i < f->plan.count; i++)
        if (sums[i] != f->plan.sums[i])
            return avi_fail(AVI_ERR_IO,
                            "%s: dataset %s reads back with checksum %016" PRIx64 ", %016" PRIx64
                            " was written: the file system lost data; remove %s and run again",
                            f->path, f->field[i].path, sums[i], f->plan.sums[i], f->progress);
    avi_status status = AVI_OK;
    if (avi_comm_rank(f->comm) == 0) {
        status = avi_store_put_sums(&f->plan);
        if (status != AVI_OK) unlink(f->progress); /* its metadata may be half-written: begin anew */
        if (status == AVI_OK) status = publish(f);
    }
    return avi_agree(f->comm, status);
}

void avi_row_file_close(avi_row_file **file)
{
    avi_row_file *f = *file;
    if (!f) return;
    if (f->fd >= 0) close(f->fd);
    free(f->path);
    free(f->progress);
    free(f->plan.temporary);
    free(f->plan.sums);
    free(f->plan.offsets);
    free(f);
    *file = NULL;
}
