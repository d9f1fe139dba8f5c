/* Rank 0 makes the file alone: all metadata, contiguous datasets that are allocated and never filled, space reserved.
 */
#include "store/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ORDERED (H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED)

static int leading(const avi_field *field) { return field->leading > 1 ? field->leading : 1; }

int64_t avi_field_rows(const avi_field *field)
{
    if (field->names) return 0; /* they are in the metadata */
    if (field->text || field->rank == 0) return 1;
    int64_t rows = 1;
    for (int d = 0; d < leading(field); d++) rows *= field->dims[d];
    return rows;
}

int64_t avi_field_row_bytes(const avi_field *field)
{
    if (field->text) return (int64_t)strlen(field->text) + 1; /* with its zero byte: HDF5 has no text of size 0 */
    if (field->text_bytes > 0) return field->text_bytes;
    int64_t bytes = (int64_t)avi_dtype_size(field->type);
    for (int d = leading(field); d < field->rank; d++) bytes *= field->dims[d];
    return bytes;
}

/* Makes the group `path` and those above it; without time stamps, so that equal runs give equal files. */
static herr_t make_group(hid_t file, const char *path, size_t length, hid_t group_plist)
{
    char part[512];
    if (length >= sizeof part) return -1;
    for (size_t end = 1; end <= length; end++) {
        if (end < length && path[end] != '/') continue;
        if (path[end - 1] == '/') continue;
        memcpy(part, path, end);
        part[end] = '\0';
        const htri_t there = H5Lexists(file, part, H5P_DEFAULT);
        if (there < 0) return -1;
        if (there) continue;
        const hid_t group = H5Gcreate2(file, part, H5P_DEFAULT, group_plist, H5P_DEFAULT);
        if (group < 0) return -1;
        H5Gclose(group);
    }
    return 0;
}

static hid_t field_space(const avi_field *field)
{
    hsize_t dims[4] = {0};
    if (field->text || field->rank == 0) return H5Screate(H5S_SCALAR);
    for (int d = 0; d < field->rank; d++) dims[d] = (hsize_t)field->dims[d];
    return H5Screate_simple(field->rank, dims, NULL);
}

/* Contiguous, allocated at creation, never filled, no filter, no time stamp. */
static hid_t dataset_plist(bool ordered)
{
    const hid_t plist = H5Pcreate(H5P_DATASET_CREATE);
    if (plist < 0) return plist;
    if (H5Pset_layout(plist, H5D_CONTIGUOUS) >= 0 && H5Pset_alloc_time(plist, H5D_ALLOC_TIME_EARLY) >= 0 &&
        H5Pset_fill_time(plist, H5D_FILL_TIME_NEVER) >= 0 && H5Pset_obj_track_times(plist, false) >= 0 &&
        (!ordered || H5Pset_attr_creation_order(plist, ORDERED) >= 0))
        return plist;
    H5Pclose(plist);
    return -1;
}

/* Readers of netCDF-4 want links and attributes in the order in which they were made. */
static herr_t order_group(hid_t plist)
{
    return H5Pset_link_creation_order(plist, ORDERED) < 0 ? -1 : H5Pset_attr_creation_order(plist, ORDERED);
}

/* Texts of any length lie in HDF5's heap, which is written here with the metadata. They have a fill value: HDF5 wants
 * one where it follows references. */
static herr_t make_names(hid_t file, const avi_field *field, const char *axes)
{
    const hsize_t count = (hsize_t)field->dims[0];
    const hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate_simple(1, &count, NULL),
                plist = H5Pcreate(H5P_DATASET_CREATE);
    if (type < 0 || space < 0 || plist < 0 || H5Tset_size(type, H5T_VARIABLE) < 0 ||
        H5Tset_cset(type, H5T_CSET_UTF8) < 0 || H5Pset_obj_track_times(plist, false) < 0 ||
        H5Pset_attr_creation_order(plist, ORDERED) < 0)
        return -1;
    const hid_t dataset = H5Dcreate2(file, field->path, type, space, H5P_DEFAULT, plist, H5P_DEFAULT);
    if (dataset < 0 || H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, field->names) < 0 ||
        avi_h5_put_text(dataset, "description", field->description) < 0 ||
        avi_h5_put_text(dataset, "units", field->units) < 0 || avi_h5_put_text(dataset, "axes", axes) < 0)
        return -1;
    H5Pclose(plist);
    H5Sclose(space);
    H5Tclose(type);
    return H5Dclose(dataset);
}

static herr_t make_dataset(hid_t file, const avi_field *field, const char *axes, uint64_t sum, hid_t plist,
                           hid_t group_plist, int64_t *offset)
{
    char hex[17];
    snprintf(hex, sizeof hex, "%016llx", (unsigned long long)sum);
    const char *slash = strrchr(field->path, '/');
    const int64_t row_axes = field->leading;
    if (!slash || make_group(file, field->path, (size_t)(slash - field->path), group_plist) < 0) return -1;
    *offset = 0;
    if (field->names) return make_names(file, field, axes);
    const bool texts = field->text || field->text_bytes > 0;
    const hid_t type = texts ? avi_h5_text_type((size_t)avi_field_row_bytes(field)) : avi_h5_file_type(field->type);
    const hid_t space = field_space(field);
    if (type < 0 || space < 0) return -1;
    const hid_t dataset = H5Dcreate2(file, field->path, type, space, H5P_DEFAULT, plist, H5P_DEFAULT);
    if (dataset < 0) return -1;
    if (avi_h5_put_text(dataset, "description", field->description) < 0 ||
        avi_h5_put_text(dataset, "units", field->units) < 0 || avi_h5_put_text(dataset, "axes", axes) < 0 ||
        avi_h5_put_text(dataset, "checksum", hex) < 0 ||
        (row_axes > 1 && avi_h5_put_attribute(dataset, "checksum_axes", H5T_STD_I64LE, H5T_NATIVE_INT64, &row_axes) <
                             0) || /* over which the rows of the checksum are numbered */
        (field->text_bytes > 0 && avi_h5_put_text(dataset, "_Encoding", "utf-8") < 0)) /* what xarray asks for */
        return -1;
    if (avi_field_rows(field) > 0 && avi_field_row_bytes(field) > 0) {
        const haddr_t address = H5Dget_offset(dataset);
        if (address == HADDR_UNDEF) return -1;
        *offset = (int64_t)address;
    }
    H5Sclose(space);
    if (texts) H5Tclose(type);
    return H5Dclose(dataset);
}

static herr_t hang_attribute(hid_t file, const avi_attribute *a, hid_t group_plist)
{
    if (make_group(file, a->group, strlen(a->group), group_plist) < 0) return -1;
    const hid_t object = H5Oopen(file, a->group, H5P_DEFAULT);
    if (object < 0) return -1;
    const herr_t result = a->text ? avi_h5_put_text(object, a->name, a->text)
                          : a->is_real
                              ? avi_h5_put_attribute(object, a->name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &a->real)
                              : avi_h5_put_attribute(object, a->name, H5T_STD_I64LE, H5T_NATIVE_INT64, &a->integer);
    return result < 0 ? -1 : H5Oclose(object);
}

static avi_status make_all(const avi_store_plan *plan, const avi_store_scales *scales, hid_t file, hid_t plist,
                           hid_t group_plist)
{
    for (int i = 0; i < plan->count; i++)
        if (make_dataset(file, &plan->fields[i], scales ? avi_store_scales_axes(scales, i) : plan->fields[i].axes,
                         plan->sums[i], plist, group_plist, &plan->offsets[i]) < 0)
            return avi_h5_fail(AVI_ERR_IO, plan->path, "cannot make dataset", plan->fields[i].path);
    if (scales) AVI_TRY(avi_store_scales_put(scales, file));
    for (int i = 0; i < plan->attribute_count; i++)
        if (hang_attribute(file, &plan->attributes[i], group_plist) < 0)
            return avi_h5_fail(AVI_ERR_IO, plan->path, "cannot write attribute", plan->attributes[i].name);
    return AVI_OK;
}

/* Makes the objects in the file that `seed` has begun. */
static avi_status make_hdf5(const avi_store_plan *plan, int fd, int64_t bytes)
{
    avi_h5_file file = {.fd = fd, .id = -1};
    avi_store_scales *scales = NULL;
    avi_status status = plan->scaled ? avi_store_scales_create(plan, &scales) : AVI_OK;
    const hid_t plist = dataset_plist(plan->scaled), group_plist = H5Pcreate(H5P_GROUP_CREATE);
    if (status == AVI_OK && (plist < 0 || group_plist < 0 || H5Pset_obj_track_times(group_plist, false) < 0 ||
                             (plan->scaled && order_group(group_plist) < 0)))
        status = avi_h5_fail(AVI_ERR_INTERNAL, plan->path, "HDF5 cannot make property lists", "");
    if (status == AVI_OK && avi_h5_open(&file, plan->temporary, true) < 0)
        status = avi_h5_fail(AVI_ERR_IO, plan->temporary, "cannot open", "");
    if (status == AVI_OK) status = make_all(plan, scales, file.id, plist, group_plist);
    const avi_status closed = avi_h5_close(&file, plan->temporary, bytes); /* writes the metadata */
    if (plist >= 0) H5Pclose(plist);
    if (group_plist >= 0) H5Pclose(group_plist);
    avi_store_scales_destroy(&scales);
    return status == AVI_OK ? closed : status;
}

static herr_t put_sum(hid_t file, const avi_field *field, uint64_t sum)
{
    char hex[17];
    snprintf(hex, sizeof hex, "%016llx", (unsigned long long)sum);
    const hid_t dataset = H5Dopen2(file, field->path, H5P_DEFAULT); /* H5Aopen_by_name of HDF5 1.10 cannot write */
    const hid_t attribute = dataset < 0 ? -1 : H5Aopen(dataset, "checksum", H5P_DEFAULT);
    const hid_t type = attribute < 0 ? -1 : H5Aget_type(attribute);
    if (type < 0 || H5Awrite(attribute, type, hex) < 0) return -1;
    H5Tclose(type);
    H5Aclose(attribute);
    return H5Dclose(dataset);
}

/* The texts are as long as those they replace, so that the file stays as it is in size and space. */
avi_status avi_store_put_sums(const avi_store_plan *plan)
{
    avi_status status = AVI_OK;
    avi_h5_silence();
    avi_h5_file file = {.fd = avi_file_open_regular(plan->temporary, O_RDWR | O_NOFOLLOW), .id = -1};
    if (file.fd < 0) return avi_file_fail(plan->temporary, "cannot open", errno, 0);
    if (avi_h5_open(&file, plan->temporary, true) < 0)
        status = avi_h5_fail(AVI_ERR_IO, plan->temporary, "cannot open", "");
    for (int i = 0; i < plan->count && status == AVI_OK; i++)
        if (plan->fields[i].supply && put_sum(file.id, &plan->fields[i], plan->sums[i]) < 0)
            status = avi_h5_fail(AVI_ERR_IO, plan->temporary, "cannot write the checksum of", plan->fields[i].path);
    const avi_status closed = avi_h5_close(&file, plan->temporary, plan->file_bytes);
    if (status == AVI_OK) status = closed;
    return avi_file_close(file.fd, plan->temporary, plan->file_bytes, status);
}

/* The memory of a file that HDF5 keeps there, kept when it closes the file. (H5Fget_file_image gives the state before
 * closing, in HDF5 1.10 with a checksum that does not hold.) */
typedef struct memory_file {
    void *data; /* owned by HDF5 until the file is closed, then by who asked */
    size_t bytes;
} memory_file;

static void *memory_get(size_t bytes, H5FD_file_image_op_t op, void *self)
{
    (void)op;
    ((memory_file *)self)->bytes = bytes;
    return calloc(bytes, 1);
}

static void *memory_copy(void *to, const void *from, size_t bytes, H5FD_file_image_op_t op, void *self)
{
    (void)op, (void)self;
    return memcpy(to, from, bytes);
}

static void *memory_resize(void *data, size_t bytes, H5FD_file_image_op_t op, void *self)
{
    (void)op;
    ((memory_file *)self)->bytes = bytes;
    return realloc(data, bytes);
}

static herr_t memory_close(void *data, H5FD_file_image_op_t op, void *self)
{
    if (op == H5FD_FILE_IMAGE_OP_FILE_CLOSE)
        ((memory_file *)self)->data = data;
    else
        free(data);
    return 0;
}

static void *self_share(void *self) { return self; }

static herr_t self_drop(void *self)
{
    (void)self;
    return 0;
}

/* The bytes of an HDF5 file without objects. Owner of out->data: caller, free(). */
static herr_t empty_image(bool ordered, memory_file *out)
{
    H5FD_file_image_callbacks_t calls = {memory_get, memory_copy, memory_resize, memory_close, self_share,
                                         self_drop,  out};
    const hid_t access = avi_h5_access(), file_plist = H5Pcreate(H5P_FILE_CREATE);
    *out = (memory_file){0};
    if (access < 0 || file_plist < 0 || H5Pset_obj_track_times(file_plist, false) < 0 ||
        (ordered && order_group(file_plist) < 0) || H5Pset_fapl_core(access, 4096, false) < 0 ||
        H5Pset_file_image_callbacks(access, &calls) < 0)
        return -1;
    const hid_t file = H5Fcreate("avi_mpi empty", H5F_ACC_TRUNC, file_plist, access);
    if (file < 0 || H5Fclose(file) < 0) return -1;
    H5Pclose(access);
    H5Pclose(file_plist);
    return out->data ? 0 : -1;
}

/* Begins the file: space for all of it, then an empty HDF5 file at its start. HDF5 is never let loose on a file without
 * space. (H5Fcreate would cut the file and give the space back.) */
static avi_status seed(int fd, const avi_store_plan *plan, int64_t bytes)
{
    memory_file image;
    AVI_TRY(avi_file_reserve(fd, plan->temporary, bytes));
    avi_status status = AVI_OK;
    if (empty_image(plan->scaled, &image) < 0)
        status = avi_h5_fail(AVI_ERR_INTERNAL, plan->path, "HDF5 cannot make an empty file in memory", "");
    else
        status = avi_file_write_at(fd, plan->temporary, image.data, (int64_t)image.bytes, 0);
    free(image.data);
    return status;
}

/* Names in HDF5's heap: a reference and a header of 16 bytes for each, collections of at least 4096 bytes. */
static int64_t names_bytes(const avi_field *f)
{
    int64_t bytes = 16384;
    for (int64_t i = 0; i < f->dims[0]; i++) bytes += 48 + 2 * (int64_t)strlen(f->names[i]);
    return bytes;
}

/* At least what the file will take: data in whole pages; headers, tables and texts with room to spare. */
static int64_t enough_bytes(const avi_store_plan *plan)
{
    int64_t bytes = 65536 + (plan->scaled ? avi_store_scales_bytes(plan) : 0);
    for (int i = 0; i < plan->count; i++) {
        const avi_field *f = &plan->fields[i];
        const int64_t texts = (int64_t)(f->description ? strlen(f->description) : 0) +
                              (int64_t)(f->units ? strlen(f->units) : 0) + (int64_t)(f->axes ? strlen(f->axes) : 0);
        const int64_t data = f->names ? names_bytes(f) : avi_field_rows(f) * avi_field_row_bytes(f);
        bytes += 4096 + (data < 4096 ? data : (data + 8191) / 4096 * 4096) + 2 * texts;
    }
    for (int i = 0; i < plan->attribute_count; i++) {
        const avi_attribute *a = &plan->attributes[i];
        const int64_t text = (int64_t)(a->text ? strlen(a->text) : 0);
        bytes += 1024 + (int64_t)strlen(a->name) + (text < 1024 ? text : 2 * text + 8192);
    }
    return bytes;
}

/* The file as HDF5 has left it: its size, all of it reserved, on disk. */
static avi_status settle(int fd, avi_store_plan *plan)
{
    struct stat info;
    if (fstat(fd, &info) != 0) return avi_file_fail(plan->temporary, "cannot read the size", errno, 0);
    plan->file_bytes = (int64_t)info.st_size;
    AVI_TRY(avi_file_reserve(fd, plan->temporary, plan->file_bytes));
    AVI_TRY(avi_file_sync(fd, plan->temporary, plan->file_bytes));
    /* Pages cached here are older than what other nodes will write: a network file system must not write them back. */
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    return AVI_OK;
}

avi_status avi_store_create(avi_store_plan *plan)
{
    const int64_t bytes = enough_bytes(plan);
    int fd;
    AVI_TRY(avi_file_create(plan->temporary, O_RDWR, &fd));
    avi_h5_silence();
    avi_status status = seed(fd, plan, bytes);
    if (status == AVI_OK) status = make_hdf5(plan, fd, bytes);
    if (status == AVI_OK) status = settle(fd, plan);
    return avi_file_close(fd, plan->temporary, bytes, status);
}
