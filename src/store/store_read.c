/* Reading a store: rank 0 asks HDF5 what lies where and tells the others; the bytes come by pread() at the dataset's
 * offset. */
#include "store/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct avi_store {
    avi_comm *comm; /* borrowed */
    char *path;     /* owned */
    int fd;
    int64_t file_bytes; /* on rank 0 */
    avi_h5_file h5;     /* on rank 0 */
    hid_t file;         /* on rank 0, -1 elsewhere */
};

static avi_status open_local(avi_store *store)
{
    if (avi_comm_rank(store->comm) == 0) {
        avi_h5_silence();
        const avi_status status = avi_store_open_file(store->path, &store->h5, &store->file_bytes);
        store->fd = store->h5.fd;
        store->file = store->h5.id;
        return status;
    }
    do store->fd = open(store->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    while (store->fd < 0 && errno == EINTR);
    if (store->fd < 0) return avi_store_fail_open(store->path, errno);
    return AVI_OK;
}

avi_status avi_store_open(avi_comm *comm, const char *path, avi_store **store)
{
    avi_store *s = calloc(1, sizeof *s);
    *store = NULL;
    if (s) *s = (avi_store){.comm = comm, .path = strdup(path), .fd = -1, .file = -1};
    avi_status status = avi_agree(comm, s && s->path ? AVI_OK : avi_fail_memory(sizeof *s, "an open file"));
    if (status == AVI_OK) status = avi_agree(comm, open_local(s));
    if (status == AVI_OK)
        *store = s;
    else
        avi_store_close(&s);
    return status;
}

void avi_store_close(avi_store **store)
{
    avi_store *s = *store;
    if (!s) return;
    if (s->file >= 0)
        avi_store_close_file(&s->h5);
    else if (s->fd >= 0)
        close(s->fd);
    free(s->path);
    free(s);
    *store = NULL;
}

/* Collective. The item of rank 0 on all ranks. */
static avi_status find_item(avi_store *store, const char *dataset, avi_store_item *item)
{
    avi_status status = AVI_OK;
    memset(item, 0, sizeof *item);
    if (avi_comm_rank(store->comm) == 0) {
        avi_h5_silence();
        status = avi_store_inspect(store->file, store->file_bytes, store->path, dataset, item);
    }
    AVI_TRY(avi_agree(store->comm, status));
    return avi_comm_bcast(store->comm, item, sizeof *item, 0);
}

avi_status avi_store_shape(avi_store *store, const char *dataset, avi_dtype *type, int *rank, int64_t dims[4])
{
    avi_store_item item;
    AVI_TRY(find_item(store, dataset, &item));
    if (item.is_text)
        return avi_fail(AVI_ERR_DATA, "%s: dataset %s is a text, numbers are expected", store->path, dataset);
    *type = item.type;
    *rank = item.rank;
    memcpy(dims, item.dims, sizeof item.dims);
    return AVI_OK;
}

static void describe(char *out, size_t size, avi_dtype type, int rank, const int64_t *dims)
{
    int at = snprintf(out, size, "(");
    for (int d = 0; d < rank; d++)
        at += snprintf(out + at, size - (size_t)at, "%s%lld", d ? ", " : "", (long long)dims[d]);
    snprintf(out + at, size - (size_t)at, ") of %s", avi_h5_type_name(type));
}

static avi_status check_shape(const avi_store *store, const char *dataset, const avi_store_item *item, avi_dtype type,
                              int rank, const int64_t *dims, bool distributed)
{
    char there[160], wanted[160];
    if (item->is_text)
        return avi_fail(AVI_ERR_DATA, "%s: dataset %s is a text, numbers are expected", store->path, dataset);
    if (rank < (distributed ? 1 : 0) || rank > 4)
        return avi_fail(AVI_ERR_INTERNAL, "dataset %s: read with %d dimensions", dataset, rank);
    bool same = item->type == type && item->rank == rank;
    for (int d = 0; d < rank && same; d++) same = item->dims[d] == dims[d];
    if (same) return AVI_OK;
    describe(there, sizeof there, item->type, item->rank, item->dims);
    describe(wanted, sizeof wanted, type, rank, dims);
    return avi_fail(AVI_ERR_DATA, "%s: dataset %s is %s, expected %s", store->path, dataset, there, wanted);
}

static avi_status check_sum(const avi_store *store, const char *dataset, uint64_t sum, uint64_t expected)
{
    if (sum == expected) return AVI_OK;
    return avi_fail(AVI_ERR_DATA, "%s: dataset %s is damaged: its checksum is %016llx, %016llx was written",
                    store->path, dataset, (unsigned long long)sum, (unsigned long long)expected);
}

/* Rank 0 reads and tells: one read of the file system however many ranks there are. */
static avi_status read_whole(avi_store *store, const char *dataset, const avi_store_item *item, void *out)
{
    const int64_t bytes = item->rows * item->row_bytes;
    avi_status status = AVI_OK;
    if (avi_comm_rank(store->comm) == 0) {
        status = avi_file_read_at(store->fd, store->path, out, bytes, item->offset);
        if (status == AVI_OK)
            status = check_sum(store, dataset, avi_checksum_rows(out, 0, item->rows, item->row_bytes), item->checksum);
    }
    AVI_TRY(avi_agree(store->comm, status));
    return avi_comm_bcast(store->comm, out, (size_t)bytes, 0);
}

static avi_status read_slab(avi_store *store, const char *dataset, const avi_store_item *item, void *out)
{
    const int size = avi_comm_size(store->comm), rank = avi_comm_rank(store->comm);
    const int64_t first = avi_slab_first(item->rows, size, rank),
                  count = avi_slab_first(item->rows, size, rank + 1) - first;
    uint64_t sum = 0;
    const avi_status status =
        avi_file_read_at(store->fd, store->path, out, count * item->row_bytes, item->offset + first * item->row_bytes);
    if (status == AVI_OK) sum = avi_checksum_rows(out, first, count, item->row_bytes);
    AVI_TRY(avi_agree(store->comm, status));
    AVI_TRY(avi_checksum_allreduce(store->comm, &sum, 1));
    return check_sum(store, dataset, sum, item->checksum);
}

avi_status avi_store_read(avi_store *store, const char *dataset, avi_dtype type, int rank, const int64_t dims[4],
                          bool distributed, void *out)
{
    avi_store_item item;
    AVI_TRY(find_item(store, dataset, &item));
    AVI_TRY(check_shape(store, dataset, &item, type, rank, dims, distributed));
    return distributed ? read_slab(store, dataset, &item, out) : read_whole(store, dataset, &item, out);
}

/* Collective. Text of rank 0 to all; takes over `local`. */
static avi_status share_text(avi_comm *comm, avi_status status, char *local, char **text)
{
    int64_t bytes = local ? (int64_t)strlen(local) + 1 : 0;
    *text = NULL;
    status = avi_agree(comm, status);
    if (status == AVI_OK) status = avi_comm_bcast(comm, &bytes, sizeof bytes, 0);
    if (status == AVI_OK && !local) local = malloc((size_t)bytes);
    if (status == AVI_OK) status = avi_agree(comm, local ? AVI_OK : avi_fail_memory((size_t)bytes, "a text"));
    if (status == AVI_OK) status = avi_comm_bcast(comm, local, (size_t)bytes, 0);
    if (status == AVI_OK)
        *text = local;
    else
        free(local);
    return status;
}

static avi_status read_text_local(avi_store *store, const char *dataset, char **text)
{
    avi_store_item item;
    AVI_TRY(avi_store_inspect(store->file, store->file_bytes, store->path, dataset, &item));
    if (!item.is_text || item.rank > 0)
        return avi_fail(AVI_ERR_DATA, "%s: dataset %s is not a text", store->path, dataset);
    *text = calloc((size_t)item.row_bytes + 1, 1);
    if (!*text) return avi_fail_memory((size_t)item.row_bytes + 1, "a text");
    AVI_TRY(avi_file_read_at(store->fd, store->path, *text, item.row_bytes, item.offset));
    return check_sum(store, dataset, avi_checksum_rows(*text, 0, 1, item.row_bytes), item.checksum);
}

avi_status avi_store_read_text(avi_store *store, const char *dataset, char **text)
{
    avi_status status = AVI_OK;
    char *local = NULL;
    if (avi_comm_rank(store->comm) == 0) {
        avi_h5_silence();
        status = read_text_local(store, dataset, &local);
    }
    return share_text(store->comm, status, local, text);
}

/* What rank 0 reads of one attribute: a text when `text` is not NULL, else a number. */
static avi_status attribute_local(avi_store *store, const char *group, const char *name, char **text, int64_t *integer,
                                  double *real)
{
    const hid_t object = H5Oopen(store->file, group, H5P_DEFAULT);
    if (object < 0) return avi_fail(AVI_ERR_DATA, "%s: no group %s", store->path, group);
    avi_status status = AVI_OK;
    if (text) {
        status = avi_store_text_attribute(object, store->file_bytes, store->path, group, name, text);
        H5Oclose(object);
        return status;
    }
    const hid_t attribute = H5Aexists(object, name) > 0 ? H5Aopen(object, name, H5P_DEFAULT) : -1;
    const hid_t type = attribute < 0 ? -1 : H5Aget_type(attribute),
                space = attribute < 0 ? -1 : H5Aget_space(attribute);
    const H5T_class_t kind = type < 0 ? H5T_NO_CLASS : H5Tget_class(type);
    if (attribute < 0)
        status = avi_fail(AVI_ERR_DATA, "%s: %s has no attribute %s", store->path, group, name);
    else if (space < 0 || H5Sget_simple_extent_npoints(space) != 1 ||
             !(kind == H5T_INTEGER || (real && kind == H5T_FLOAT)))
        status = avi_fail(AVI_ERR_DATA, "%s: attribute %s of %s is not %s", store->path, name, group,
                          real ? "a number" : "an integer");
    else if (H5Aread(attribute, real ? H5T_NATIVE_DOUBLE : H5T_NATIVE_INT64, real ? (void *)real : (void *)integer) < 0)
        status = avi_h5_fail(AVI_ERR_DATA, store->path, "cannot read attribute", name);
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    if (attribute >= 0) H5Aclose(attribute);
    H5Oclose(object);
    return status;
}

static avi_status attribute_rank0(avi_store *store, const char *group, const char *name, char **text, int64_t *integer,
                                  double *real)
{
    if (avi_comm_rank(store->comm) != 0) return AVI_OK;
    avi_h5_silence();
    const avi_status status = attribute_local(store, group, name, text, integer, real);
    return status;
}

avi_status avi_store_attribute_text(avi_store *store, const char *group, const char *name, char **text)
{
    char *local = NULL;
    const avi_status status = attribute_rank0(store, group, name, &local, NULL, NULL);
    return share_text(store->comm, status, local, text);
}

avi_status avi_store_attribute_int(avi_store *store, const char *group, const char *name, int64_t *value)
{
    AVI_TRY(avi_agree(store->comm, attribute_rank0(store, group, name, NULL, value, NULL)));
    return avi_comm_bcast(store->comm, value, sizeof *value, 0);
}

avi_status avi_store_attribute_real(avi_store *store, const char *group, const char *name, double *value)
{
    AVI_TRY(avi_agree(store->comm, attribute_rank0(store, group, name, NULL, NULL, value)));
    return avi_comm_bcast(store->comm, value, sizeof *value, 0);
}

avi_status avi_store_list(avi_store *store, char **names)
{
    char *local = NULL;
    avi_status status = AVI_OK;
    if (avi_comm_rank(store->comm) == 0) {
        avi_h5_silence();
        status = avi_store_list_local(store->file, store->path, &local);
    }
    if (status != AVI_OK) {
        free(local);
        local = NULL;
    }
    return share_text(store->comm, status, local, names);
}

/* The list, and the bytes that its texts lie in, as one piece of memory. */
static avi_status unpack_all(avi_store *store, const char *packed, size_t bytes, avi_attribute **list, int *count)
{
    const size_t n = (size_t)avi_store_unpack(packed, bytes, NULL), list_bytes = n * sizeof **list;
    char *memory = malloc(list_bytes + bytes + 1);
    AVI_TRY(avi_agree_memory(store->comm, memory, list_bytes + bytes, "attributes"));
    if (bytes) memcpy(memory + list_bytes, packed, bytes);
    *list = (avi_attribute *)(void *)memory;
    *count = avi_store_unpack(memory + list_bytes, bytes, *list);
    return AVI_OK;
}

avi_status avi_store_attributes(avi_store *store, const char *object, avi_attribute **list, int *count)
{
    char *packed = NULL;
    size_t size = 0;
    avi_status status = AVI_OK;
    if (avi_comm_rank(store->comm) == 0) {
        avi_h5_silence();
        status = avi_store_pack_attributes(store->file, store->path, object, &packed, &size);
    }
    status = avi_agree(store->comm, status);
    int64_t bytes = (int64_t)size;
    if (status == AVI_OK) status = avi_comm_bcast(store->comm, &bytes, sizeof bytes, 0);
    if (status == AVI_OK && avi_comm_rank(store->comm) != 0) packed = malloc((size_t)bytes + 1);
    if (status == AVI_OK)
        status = avi_agree(store->comm, packed ? AVI_OK : avi_fail_memory((size_t)bytes, "attributes"));
    if (status == AVI_OK && bytes) status = avi_comm_bcast(store->comm, packed, (size_t)bytes, 0);
    if (status == AVI_OK) status = unpack_all(store, packed, (size_t)bytes, list, count);
    free(packed);
    return status;
}
