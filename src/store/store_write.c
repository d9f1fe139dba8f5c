/* Writing a store: rank 0 creates, all ranks write their slabs, all verify, rank 0 renames. (Sums that are known only
 * after the slabs are put in before that.)
 *
 * Slabs are written with pwrite() at the dataset's offset in the file, which rank 0 asks HDF5 for: the datasets are
 * contiguous and little-endian, so the bytes in memory are the bytes in the file. Not with MPI-IO, because that of Open
 * MPI 4.1 reports success on a full disk and loses the data, or hangs; pwrite and fdatasync tell the truth on each
 * rank. Each rank writes only its own bytes, through a descriptor that cannot read, so that a network file system does
 * not write back bytes of others that it has read before. */
#include "store/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Rows [*first, *first + *count) of the field that `rank` of `size` writes: rank 0 writes what is not distributed. */
static void rows_of(const avi_field *field, int size, int rank, int64_t *first, int64_t *count)
{
    const int64_t rows = avi_field_rows(field);
    *first = field->distributed ? avi_slab_first(rows, size, rank) : 0;
    *count = field->distributed ? avi_slab_first(rows, size, rank + 1) - *first : rank == 0 ? rows : 0;
}

static const void *field_data(const avi_field *field) { return field->text ? (const void *)field->text : field->data; }

static avi_status check_field(const avi_field *field, avi_comm *comm)
{
    int64_t bytes = (int64_t)avi_dtype_size(field->type), first, count;
    if (!field->path || field->path[0] != '/' || field->path[1] == '\0')
        return avi_fail(AVI_ERR_INTERNAL, "dataset %s: a path like /group/name is needed",
                        field->path ? field->path : "(null)");
    if (field->text && field->distributed)
        return avi_fail(AVI_ERR_INTERNAL, "dataset %s: a text cannot be distributed", field->path);
    if (field->supply && (!field->distributed || field->data || avi_field_rows(field) < 1))
        return avi_fail(AVI_ERR_INTERNAL, "dataset %s: a supply is for distributed rows, in place of data",
                        field->path);
    if (field->text_bytes > 0 && (field->text || field->rank != 1))
        return avi_fail(AVI_ERR_INTERNAL, "dataset %s: texts have one dimension", field->path);
    if (field->names && (field->text || field->rank != 1 || field->distributed))
        return avi_fail(AVI_ERR_INTERNAL, "dataset %s: names have one dimension and are not distributed", field->path);
    if (field->leading > field->rank)
        return avi_fail(AVI_ERR_INTERNAL, "dataset %s: rows over %d of %d dimensions", field->path, field->leading,
                        field->rank);
    if (!field->text) {
        if (field->rank < (field->distributed ? 1 : 0) || field->rank > 4)
            return avi_fail(AVI_ERR_INTERNAL, "dataset %s: %d dimensions, 0 to 4 can be stored", field->path,
                            field->rank);
        for (int d = 0; d < field->rank; d++) {
            const int64_t n = field->dims[d];
            if (n < 0 || (n > 0 && bytes > INT64_MAX / 2 / n))
                return avi_fail(AVI_ERR_INTERNAL, "dataset %s: dimension %d of %lld cannot be stored", field->path, d,
                                (long long)n);
            bytes *= n > 0 ? n : 1; /* so that (big, 0, big) does not overflow the row size either */
        }
    }
    rows_of(field, avi_comm_size(comm), avi_comm_rank(comm), &first, &count);
    if (count > 0 && avi_field_row_bytes(field) > 0 && !field_data(field) && !field->supply)
        return avi_fail(AVI_ERR_INTERNAL, "dataset %s: no data on rank %d", field->path, avi_comm_rank(comm));
    return AVI_OK;
}

static avi_status check_plan(const avi_store_plan *plan, avi_comm *comm)
{
    if (!plan->temporary) return AVI_ERR_INTERNAL;
    if (!plan->sums || !plan->offsets) return avi_fail_memory((size_t)plan->count * 16, "the table of datasets");
    for (int i = 0; i < plan->count; i++) AVI_TRY(check_field(&plan->fields[i], comm));
    for (int i = 0; i < plan->attribute_count; i++)
        if (!plan->attributes[i].group || plan->attributes[i].group[0] != '/' || !plan->attributes[i].name)
            return avi_fail(AVI_ERR_INTERNAL, "attribute %s: a group like / or /name is needed",
                            plan->attributes[i].name ? plan->attributes[i].name : "(null)");
    return AVI_OK;
}

static void checksum_local(avi_store_plan *plan, avi_comm *comm)
{
    for (int i = 0; i < plan->count; i++) {
        int64_t first, count;
        plan->supplied = plan->supplied || plan->fields[i].supply;
        if (plan->fields[i].supply) continue;
        rows_of(&plan->fields[i], avi_comm_size(comm), avi_comm_rank(comm), &first, &count);
        plan->sums[i] =
            avi_checksum_rows(field_data(&plan->fields[i]), first, count, avi_field_row_bytes(&plan->fields[i]));
    }
}

/* A network file system may show it on other nodes a moment late. */
avi_status avi_store_open_shared(const avi_store_plan *plan, avi_comm *comm, int flags, int *fd)
{
    struct stat info;
    const struct timespec pause = {0, 100 * 1000 * 1000};
    for (int attempt = 0; attempt < 20; attempt++) {
        *fd = avi_file_open_regular(plan->temporary, flags | O_NOFOLLOW);
        if (*fd >= 0 && fstat(*fd, &info) == 0 && (int64_t)info.st_size == plan->file_bytes) return AVI_OK;
        const int error = *fd < 0 ? errno : 0;
        if (*fd >= 0) close(*fd);
        *fd = -1;
        if (error && error != ENOENT && error != ESTALE) return avi_file_fail(plan->temporary, "cannot open", error, 0);
        if (error == ENOENT && avi_comm_rank(comm) == 0) /* who has made it sees it, unless somebody took it away */
            return avi_fail(AVI_ERR_CANTCREATE,
                            "%s was removed while it was written; run again to resume from what is left",
                            plan->temporary);
        nanosleep(&pause, NULL);
    }
    return avi_fail(AVI_ERR_CANTCREATE,
                    "%s: host %s does not see the file that rank 0 has made: it was removed, or run.output is not on a "
                    "file system that all hosts share",
                    plan->temporary, avi_comm_host());
}

static avi_status write_slab(const avi_store_plan *plan, avi_comm *comm, int fd, int i)
{
    const avi_field *field = &plan->fields[i];
    const int64_t row_bytes = avi_field_row_bytes(field);
    int64_t first, count;
    rows_of(field, avi_comm_size(comm), avi_comm_rank(comm), &first, &count);
    return avi_file_write_at(fd, plan->temporary, field_data(field), count * row_bytes,
                             plan->offsets[i] + first * row_bytes);
}

/* Fields from `at` on that have one supply and equally many rows. */
static int one_supply(const avi_store_plan *plan, int at)
{
    int n = 1;
    const avi_field *field = plan->fields + at;
    while (at + n < plan->count && n < AVI_SUPPLY_FIELDS && field[n].supply == field->supply &&
           avi_field_rows(&field[n]) == avi_field_rows(field))
        n++;
    return n;
}

/* Collective where fields are supplied: a rank whose disk is full goes on taking part. */
static avi_status write_fields(avi_store_plan *plan, avi_comm *comm, int fd)
{
    avi_status status = AVI_OK;
    for (int i = 0, n = 1; i < plan->count; i += n) {
        n = plan->fields[i].supply ? one_supply(plan, i) : 1;
        if (plan->fields[i].supply)
            AVI_TRY(avi_store_write_supplied(plan, comm, fd, i, n, &status));
        else if (status == AVI_OK)
            status = write_slab(plan, comm, fd, i);
    }
    return status;
}

static avi_status write_slabs(avi_store_plan *plan, avi_comm *comm)
{
    int fd = -1;
    avi_status status = avi_store_open_shared(plan, comm, O_WRONLY, &fd);
    if (plan->supplied) status = avi_agree(comm, status);
    if (status == AVI_OK) status = write_fields(plan, comm, fd);
    if (fd < 0) return status;
    int code = 0;
    if (status == AVI_OK) do
            code = fdatasync(fd);
        while (code != 0 && errno == EINTR);
    if (code != 0) status = avi_file_fail(plan->temporary, "cannot sync", errno, plan->file_bytes);
    return avi_file_close(fd, plan->temporary, plan->file_bytes, status);
}

/* Each rank reads back what the next rank wrote (often another node's bytes), after everybody has synced and closed. */
static avi_status read_back(const avi_store_plan *plan, avi_comm *comm, uint64_t *sums)
{
    const int size = avi_comm_size(comm), next = (avi_comm_rank(comm) + 1) % size;
    int fd;
    AVI_TRY(avi_store_open_shared(plan, comm, O_RDONLY, &fd));
    avi_status status = AVI_OK;
    for (int i = 0; i < plan->count && status == AVI_OK; i++) {
        int64_t first, count;
        rows_of(&plan->fields[i], size, next, &first, &count);
        status = avi_store_sum_file(fd, plan->temporary, plan->offsets[i], first, count,
                                    avi_field_row_bytes(&plan->fields[i]), &sums[i]);
    }
    close(fd);
    return status;
}

/* Rank 0: the metadata in the file say what was asked for. */
static avi_status check_metadata(const avi_store_plan *plan)
{
    int64_t file_bytes;
    avi_h5_file file;
    avi_status status = avi_store_open_file(plan->temporary, &file, &file_bytes);
    if (status != AVI_OK) return status;
    for (int i = 0; i < plan->count && status == AVI_OK; i++) {
        avi_store_item item;
        if (plan->fields[i].names) continue;
        status = avi_store_inspect(file.id, file_bytes, plan->temporary, plan->fields[i].path, &item);
        if (status == AVI_OK &&
            (item.checksum != plan->sums[i] || item.rows != avi_field_rows(&plan->fields[i]) ||
             item.rows * item.row_bytes != avi_field_rows(&plan->fields[i]) * avi_field_row_bytes(&plan->fields[i]) ||
             item.offset != plan->offsets[i]))
            status = avi_fail(AVI_ERR_IO, "%s: dataset %s reads back with another shape or checksum than was written",
                              plan->temporary, plan->fields[i].path);
    }
    avi_store_close_file(&file);
    return status;
}

static avi_status verify(const avi_store_plan *plan, avi_comm *comm)
{
    uint64_t *sums = calloc((size_t)plan->count + 1, sizeof *sums);
    avi_status status =
        sums ? read_back(plan, comm, sums) : avi_fail_memory((size_t)plan->count * sizeof *sums, "checksums");
    if (status == AVI_OK && avi_comm_rank(comm) == 0) {
        avi_h5_silence();
        status = check_metadata(plan);
    }
    status = avi_agree(comm, status);
    if (status == AVI_OK) status = avi_checksum_allreduce(comm, sums, (size_t)plan->count);
    for (int i = 0; i < plan->count && status == AVI_OK; i++)
        if (sums[i] != plan->sums[i])
            status = avi_fail(
                AVI_ERR_IO,
                "%s: dataset %s reads back with checksum %016llx, %016llx was written: the file system lost data",
                plan->path, plan->fields[i].path, (unsigned long long)sums[i], (unsigned long long)plan->sums[i]);
    free(sums);
    return status; /* equal on all ranks */
}

static avi_status publish(const avi_store_plan *plan)
{
    const int fd = avi_file_open_regular(plan->temporary, O_RDONLY | O_NOFOLLOW);
    if (fd < 0) return avi_file_fail(plan->temporary, "cannot open", errno, 0);
    avi_status status = avi_file_sync(fd, plan->temporary, plan->file_bytes);
    close(fd);
    if (status == AVI_OK) status = avi_file_rename(plan->temporary, plan->path, plan->file_bytes);
    if (status == AVI_OK) status = avi_file_sync_folder(plan->path);
    return status;
}

/* Of supplied fields; the others' are known to all, and counted once. */
static avi_status put_late_sums(avi_store_plan *plan, avi_comm *comm)
{
    const bool root = avi_comm_rank(comm) == 0;
    for (int i = 0; i < plan->count; i++)
        if (!root && !plan->fields[i].supply) plan->sums[i] = 0;
    AVI_TRY(avi_checksum_allreduce(comm, plan->sums, (size_t)plan->count));
    return avi_agree(comm, root ? avi_store_put_sums(plan) : AVI_OK);
}

static avi_status write_all(avi_store_plan *plan, avi_comm *comm)
{
    const bool root = avi_comm_rank(comm) == 0;
    checksum_local(plan, comm);
    AVI_TRY(avi_checksum_allreduce(comm, plan->sums, (size_t)plan->count));
    AVI_TRY(avi_agree(comm, root ? avi_store_create(plan) : AVI_OK));
    AVI_TRY(avi_comm_bcast(comm, plan->offsets, (size_t)plan->count * sizeof *plan->offsets, 0));
    AVI_TRY(avi_comm_bcast(comm, &plan->file_bytes, sizeof plan->file_bytes, 0));
    AVI_TRY(avi_agree(comm, write_slabs(plan, comm)));
    if (plan->supplied) AVI_TRY(put_late_sums(plan, comm));
    AVI_TRY(verify(plan, comm));
    return avi_agree(comm, root ? publish(plan) : AVI_OK);
}

static avi_status write_plan(avi_comm *comm, avi_store_plan plan)
{
    plan.temporary = avi_file_join("", plan.path, ".tmp");
    plan.sums = calloc((size_t)plan.count + 1, sizeof *plan.sums);
    plan.offsets = calloc((size_t)plan.count + 1, sizeof *plan.offsets);
    avi_status status = avi_agree(comm, check_plan(&plan, comm));
    if (status == AVI_OK) {
        status = write_all(&plan, comm);
        if (status != AVI_OK) {
            if (avi_comm_rank(comm) == 0) unlink(plan.temporary);
            (void)avi_comm_barrier(comm); /* gone for all */
        }
    }
    free(plan.temporary);
    free(plan.sums);
    free(plan.offsets);
    return status;
}

avi_status avi_store_write(avi_comm *comm, const char *path, const avi_field *fields, int count,
                           const avi_attribute *attributes, int attribute_count)
{
    return write_plan(comm, (avi_store_plan){.path = path,
                                             .fields = fields,
                                             .count = count,
                                             .attributes = attributes,
                                             .attribute_count = attribute_count});
}

avi_status avi_store_write_results(avi_comm *comm, const char *path, const avi_field *fields, int count,
                                   const avi_attribute *attributes, int attribute_count)
{
    return write_plan(comm, (avi_store_plan){.path = path,
                                             .fields = fields,
                                             .count = count,
                                             .attributes = attributes,
                                             .attribute_count = attribute_count,
                                             .scaled = true});
}
