/* Reading what HDF5 says about a file that may be damaged or hostile: nothing is believed that the size of the file
 * does not bear out. */
#include "store/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_PIECE ((int64_t)1 << 20) /* a multiple of 8, as avi_checksum_add wants */

/* HDF5 of format 1.8 on, as we write it: there every piece of metadata has a checksum, so that HDF5 itself meets no
 * damaged ones (of which it is known to crash). */
static avi_status check_start(int fd, const char *path)
{
    unsigned char start[9];
    static const unsigned char signature[8] = {0x89, 'H', 'D', 'F', '\r', '\n', 0x1a, '\n'};
    ssize_t got;
    do got = pread(fd, start, sizeof start, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0) return avi_fail(AVI_ERR_IO, "%s: cannot read: %s", path, strerror(errno));
    if (got < (ssize_t)sizeof start || memcmp(start, signature, sizeof signature) != 0)
        return avi_fail(AVI_ERR_DATA, "%s: not an HDF5 file, or damaged", path);
    if (start[8] != 2)
        return avi_fail(AVI_ERR_DATA, "%s: an HDF5 file, but not one that avi_mpi wrote, or damaged", path);
    return AVI_OK;
}

/* What cannot be read now may be there all the same. */
avi_status avi_store_fail_open(const char *path, int error)
{
    return avi_fail(error == ENOENT || error == ENOTDIR || error == EACCES ? AVI_ERR_NOINPUT : AVI_ERR_IO,
                    "%s: cannot open on host %s: %s", path, avi_comm_host(), strerror(error));
}

avi_status avi_store_open_file(const char *path, avi_h5_file *file, int64_t *file_bytes)
{
    struct stat info;
    *file = (avi_h5_file){.id = -1};
    do file->fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* not to wait for the writer of a pipe */
    while (file->fd < 0 && errno == EINTR);
    if (file->fd < 0) return avi_store_fail_open(path, errno);
    avi_status status = AVI_OK;
    if (fstat(file->fd, &info) != 0)
        status = avi_fail(AVI_ERR_IO, "%s: cannot read the size: %s", path, strerror(errno));
    else if (!S_ISREG(info.st_mode))
        status = avi_fail(AVI_ERR_DATA, "%s: not a file", path);
    *file_bytes = status == AVI_OK ? (int64_t)info.st_size : 0;
    if (status == AVI_OK) status = check_start(file->fd, path);
    if (status == AVI_OK && avi_h5_open(file, path, false) < 0)
        status = avi_h5_fail(AVI_ERR_DATA, path, "not an HDF5 file, or damaged", "");
    if (status != AVI_OK) avi_store_close_file(file);
    return status;
}

void avi_store_close_file(avi_h5_file *file)
{
    if (file->id >= 0) (void)H5Fclose(file->id);
    if (file->fd >= 0) close(file->fd);
    *file = (avi_h5_file){.fd = -1, .id = -1};
}

/* ---- attributes ---- */

static avi_status read_text(hid_t attribute, int64_t file_bytes, const char *path, const char *where, const char *name,
                            char **text)
{
    const hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
    const size_t bytes =
        type < 0 || H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type) != 0 ? 0 : H5Tget_size(type);
    const bool scalar = space >= 0 && H5Sget_simple_extent_npoints(space) == 1;
    avi_status status = AVI_OK;
    *text = NULL;
    if (bytes == 0 || !scalar || (int64_t)bytes > file_bytes)
        status = avi_fail(AVI_ERR_DATA, "%s: attribute %s of %s is not a text", path, name, where);
    else if (!(*text = calloc(bytes + 1, 1)))
        status = avi_fail_memory(bytes + 1, "an attribute");
    else if (H5Aread(attribute, type, *text) < 0)
        status = avi_h5_fail(AVI_ERR_DATA, path, "cannot read attribute", name);
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    if (status != AVI_OK) {
        free(*text);
        *text = NULL;
    }
    return status;
}

avi_status avi_store_text_attribute(hid_t object, int64_t file_bytes, const char *path, const char *where,
                                    const char *name, char **text)
{
    *text = NULL;
    if (H5Aexists(object, name) <= 0) return avi_fail(AVI_ERR_DATA, "%s: %s has no attribute %s", path, where, name);
    const hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    if (attribute < 0) return avi_h5_fail(AVI_ERR_DATA, path, "cannot open attribute", name);
    const avi_status status = read_text(attribute, file_bytes, path, where, name, text);
    H5Aclose(attribute);
    return status;
}

/* ---- datasets ---- */

static avi_status inspect_type(hid_t dataset, const char *path, const char *name, avi_store_item *item)
{
    const hid_t type = H5Dget_type(dataset);
    bool known = false;
    if (type < 0) return avi_h5_fail(AVI_ERR_DATA, path, "cannot read the type of dataset", name);
    item->row_bytes = (int64_t)H5Tget_size(type);
    if (H5Tget_class(type) == H5T_STRING) {
        item->is_text = known = H5Tis_variable_str(type) == 0;
    } else {
        for (int t = AVI_U8; t <= AVI_I64 && !known; t++) {
            known = H5Tequal(type, avi_h5_file_type((avi_dtype)t)) > 0;
            if (known) item->type = (avi_dtype)t;
        }
    }
    H5Tclose(type);
    if (!known)
        return avi_fail(AVI_ERR_DATA,
                        "%s: dataset %s has a type that is not read here (8-bit unsigned, 32- and 64-bit real, 64-bit "
                        "integer, fixed text are)",
                        path, name);
    return AVI_OK;
}

/* Dimensions over which rows are numbered: attribute checksum_axes, 1 where there is none or it says what cannot be. */
static int leading_axes(hid_t dataset, int rank)
{
    int64_t axes = 1;
    if (rank < 2 || H5Aexists(dataset, "checksum_axes") <= 0) return 1;
    const hid_t attribute = H5Aopen(dataset, "checksum_axes", H5P_DEFAULT);
    const hid_t space = attribute < 0 ? -1 : H5Aget_space(attribute);
    const bool good = space >= 0 && H5Sget_simple_extent_npoints(space) == 1 &&
                      H5Aread(attribute, H5T_NATIVE_INT64, &axes) >= 0 && axes >= 1 && axes <= rank;
    if (space >= 0) H5Sclose(space);
    if (attribute >= 0) H5Aclose(attribute);
    return good ? (int)axes : 1;
}

static avi_status inspect_space(hid_t dataset, int64_t file_bytes, const char *path, const char *name,
                                avi_store_item *item)
{
    hsize_t dims[H5S_MAX_RANK];
    const hid_t space = H5Dget_space(dataset);
    const int rank = space < 0 || H5Sget_simple_extent_type(space) == H5S_NULL ? -1 : H5Sget_simple_extent_ndims(space);
    const bool good = rank >= 0 && rank <= (item->is_text ? 1 : 4) && H5Sget_simple_extent_dims(space, dims, NULL) >= 0;
    if (space >= 0) H5Sclose(space);
    if (!good)
        return avi_fail(AVI_ERR_DATA, "%s: dataset %s has %d dimensions; texts have up to 1, numbers up to 4", path,
                        name, rank);
    bool empty = false;
    int64_t bytes = item->row_bytes;
    for (int d = 0; d < rank; d++) empty = empty || dims[d] == 0;
    for (int d = 0; d < rank; d++) {
        const hsize_t limit = empty ? (hsize_t)INT64_MAX / 16 : (hsize_t)(file_bytes / bytes);
        if (dims[d] > limit)
            return avi_fail(AVI_ERR_DATA, "%s: dataset %s claims more bytes than the file has", path, name);
        item->dims[d] = (int64_t)dims[d];
        if (!empty) bytes *= (int64_t)dims[d];
    }
    if (bytes > file_bytes)
        return avi_fail(AVI_ERR_DATA, "%s: dataset %s claims more bytes than the file has", path, name);
    item->rank = rank;
    item->rows = rank > 0 ? item->dims[0] : 1;
    for (int d = 1; d < leading_axes(dataset, rank); d++) item->rows *= item->dims[d];
    item->row_bytes = empty ? 0 : bytes / item->rows;
    return AVI_OK;
}

static avi_status inspect_place(hid_t dataset, int64_t file_bytes, const char *path, const char *name,
                                avi_store_item *item)
{
    const hid_t plist = H5Dget_create_plist(dataset);
    const bool plain = plist >= 0 && H5Pget_layout(plist) == H5D_CONTIGUOUS && H5Pget_external_count(plist) == 0;
    if (plist >= 0) H5Pclose(plist);
    if (!plain)
        return avi_fail(AVI_ERR_DATA, "%s: dataset %s is not stored in one piece: not written by avi_mpi", path, name);
    item->offset = 0;
    if (item->rows == 0 || item->row_bytes == 0) return AVI_OK;
    const haddr_t address = H5Dget_offset(dataset);
    const int64_t bytes = item->rows * item->row_bytes;
    if (address == HADDR_UNDEF || address > (haddr_t)file_bytes || bytes > file_bytes - (int64_t)address)
        return avi_fail(AVI_ERR_DATA, "%s: dataset %s lies beyond the end of the file", path, name);
    item->offset = (int64_t)address;
    return AVI_OK;
}

static avi_status inspect_checksum(hid_t dataset, int64_t file_bytes, const char *path, const char *name,
                                   avi_store_item *item)
{
    char *hex, *end;
    AVI_TRY(avi_store_text_attribute(dataset, file_bytes, path, name, "checksum", &hex));
    item->checksum = (uint64_t)strtoull(hex, &end, 16);
    const bool good = strlen(hex) == 16 && *end == '\0';
    free(hex);
    return good ? AVI_OK
                : avi_fail(AVI_ERR_DATA, "%s: dataset %s: attribute checksum is not 16 hexadecimal digits", path, name);
}

avi_status avi_store_inspect(hid_t file, int64_t file_bytes, const char *path, const char *dataset,
                             avi_store_item *item)
{
    memset(item, 0, sizeof *item); /* also the padding: it is broadcast as bytes */
    const hid_t object = H5Oopen(file, dataset, H5P_DEFAULT);
    if (object < 0) return avi_fail(AVI_ERR_DATA, "%s: no dataset %s", path, dataset);
    avi_status status = AVI_OK;
    if (H5Iget_type(object) != H5I_DATASET) status = avi_fail(AVI_ERR_DATA, "%s: %s is not a dataset", path, dataset);
    if (status == AVI_OK) status = inspect_type(object, path, dataset, item);
    if (status == AVI_OK) status = inspect_space(object, file_bytes, path, dataset, item);
    if (status == AVI_OK) status = inspect_place(object, file_bytes, path, dataset, item);
    if (status == AVI_OK) status = inspect_checksum(object, file_bytes, path, dataset, item);
    H5Oclose(object);
    return status;
}

/* ---- checking the bytes ---- */

/* One row that is longer than a piece. */
static avi_status sum_long_row(int fd, const char *path, int64_t at, int64_t row, int64_t row_bytes, char *piece,
                               uint64_t *sum)
{
    uint64_t h = avi_checksum_begin(row);
    for (int64_t done = 0; done < row_bytes; done += READ_PIECE) {
        const int64_t bytes = row_bytes - done < READ_PIECE ? row_bytes - done : READ_PIECE;
        AVI_TRY(avi_file_read_at(fd, path, piece, bytes, at + done));
        h = avi_checksum_add(h, piece, bytes);
    }
    *sum += avi_checksum_end(h);
    return AVI_OK;
}

avi_status avi_store_sum_file(int fd, const char *path, int64_t offset, int64_t first, int64_t count, int64_t row_bytes,
                              uint64_t *sum)
{
    const int64_t group = row_bytes > 0 && row_bytes < READ_PIECE ? READ_PIECE / row_bytes : 1;
    const int64_t total = row_bytes > 0 ? count * row_bytes : 0;
    *sum = 0;
    if (total == 0) return AVI_OK;
    char *piece = malloc((size_t)(total < READ_PIECE ? total : READ_PIECE));
    if (!piece) return avi_fail_memory((size_t)READ_PIECE, "checking a file");
    avi_status status = AVI_OK;
    for (int64_t row = first; row < first + count && status == AVI_OK; row += group) {
        const int64_t rows = first + count - row < group ? first + count - row : group, at = offset + row * row_bytes;
        if (row_bytes > READ_PIECE) {
            status = sum_long_row(fd, path, at, row, row_bytes, piece, sum);
            continue;
        }
        status = avi_file_read_at(fd, path, piece, rows * row_bytes, at);
        if (status == AVI_OK) *sum += avi_checksum_rows(piece, row, rows, row_bytes);
    }
    free(piece);
    return status;
}

/* What files of avi_mpi stay far below. A file with checksums that hold may have been made to keep a reader busy:
 * groups in groups, whose names grow with the depth, or many datasets that claim the same bytes. */
enum { DEEPEST = 16, MOST_OBJECTS = 200000, MOST_ATTRIBUTES = 1000 };

typedef struct verify_state {
    const char *path;
    int fd;
    int64_t file_bytes;
    int64_t objects, claimed; /* seen so far; bytes of datasets */
    int attributes;           /* of the object at hand */
    avi_status status;
} verify_state;

static avi_status verify_dataset(hid_t file, const char *name, verify_state *v)
{
    avi_store_item item;
    uint64_t sum;
    AVI_TRY(avi_store_inspect(file, v->file_bytes, v->path, name, &item));
    if (item.rows * item.row_bytes > v->file_bytes - v->claimed)
        return avi_fail(AVI_ERR_DATA,
                        "%s: dataset %s and those before it claim more bytes than the file has: not "
                        "written by avi_mpi",
                        v->path, name);
    v->claimed += item.rows * item.row_bytes;
    AVI_TRY(avi_store_sum_file(v->fd, v->path, item.offset, 0, item.rows, item.row_bytes, &sum));
    if (sum != item.checksum)
        return avi_fail(AVI_ERR_DATA, "%s: dataset %s is damaged: its checksum does not hold", v->path, name);
    return AVI_OK;
}

/* Reading an attribute makes HDF5 check the metadata it lies in. */
static herr_t visit_attribute(hid_t object, const char *name, const H5A_info_t *info, void *state)
{
    (void)info;
    verify_state *v = state;
    if (++v->attributes > MOST_ATTRIBUTES) return -1;
    const hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    return attribute < 0 ? -1 : H5Aclose(attribute);
}

static avi_status check_place(verify_state *v, const char *name)
{
    int depth = 1;
    for (const char *c = name; *c; c++) depth += *c == '/';
    if (depth <= DEEPEST && ++v->objects <= MOST_OBJECTS) return AVI_OK;
    return avi_fail(AVI_ERR_DATA, "%s: %s: not written by avi_mpi", v->path,
                    depth > DEEPEST ? "groups within groups, deeper than any here"
                                    : "more objects than any file has here");
}

static herr_t visit_object(hid_t root, const char *name, const H5O_info_t *info, void *state)
{
    verify_state *v = state;
    v->status = check_place(v, name);
    if (v->status != AVI_OK) return -1;
    const hid_t object = H5Oopen(root, name, H5P_DEFAULT);
    hsize_t at = 0;
    v->attributes = 0;
    if (object < 0 || H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_NATIVE, &at, visit_attribute, v) < 0)
        v->status = avi_h5_fail(AVI_ERR_DATA, v->path, "cannot read the attributes of", name);
    if (object >= 0) H5Oclose(object);
    if (v->status == AVI_OK && info->type == H5O_TYPE_DATASET && !avi_store_is_scale(root, name))
        v->status = verify_dataset(root, name, v);
    return v->status == AVI_OK ? 0 : -1;
}

avi_status avi_store_verify(const char *path)
{
    verify_state v = {.path = path};
    avi_h5_file file;
    avi_h5_silence();
    v.status = avi_store_open_file(path, &file, &v.file_bytes);
    v.fd = file.fd;
    if (v.status == AVI_OK) {
        if (H5Ovisit(file.id, H5_INDEX_NAME, H5_ITER_NATIVE, visit_object, &v) < 0 && v.status == AVI_OK)
            v.status = avi_h5_fail(AVI_ERR_DATA, path, "damaged", "");
        avi_store_close_file(&file);
    }
    return v.status;
}
