#include "data/hdf5_file.h"
#include "data/hdf5_links.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MOST_LISTED = 16 };

/* ---- the datasets that are in the file, for the message that the one asked for is not ---- */

typedef struct listing {
    char text[1024];
    size_t used;
    int datasets;
} listing;

static void list_add(listing *l, const char *text)
{
    const size_t bytes = strlen(text);
    if (l->used + bytes >= sizeof l->text) return;
    memcpy(l->text + l->used, text, bytes + 1);
    l->used += bytes;
}

static void list_dataset(listing *l, hid_t object, const char *name)
{
    if (++l->datasets > MOST_LISTED) return;
    list_add(l, l->datasets > 1 ? ", " : "");
    list_add(l, l->datasets < MOST_LISTED ? name : "...");
    const hid_t space = l->datasets < MOST_LISTED ? H5Dget_space(object) : H5I_INVALID_HID;
    hsize_t dimension[H5S_MAX_RANK];
    const int n = space >= 0 ? H5Sget_simple_extent_dims(space, dimension, NULL) : -1;
    for (int i = 0; i < n; i++) {
        char number[32];
        snprintf(number, sizeof number, "%s%llu", i ? ", " : " (", (unsigned long long)dimension[i]);
        list_add(l, number);
    }
    if (n > 0) list_add(l, ")");
    if (space >= 0) H5Sclose(space);
}

static herr_t list_link(hid_t group, const char *name, const H5L_info_t *info, void *context)
{
    if (info->type != H5L_TYPE_HARD) return 0;
    const hid_t object = H5Oopen(group, name, H5P_DEFAULT);
    if (object < 0) return 0;
    if (H5Iget_type(object) == H5I_DATASET) list_dataset(context, object, name);
    H5Oclose(object);
    return 0;
}

static avi_status fail_dataset(const avi_hdf5 *x, const avi_hdf5_request *a)
{
    listing l = {.used = 0};
    (void)H5Lvisit(x->file, H5_INDEX_NAME, H5_ITER_INC, list_link, &l);
    return avi_fail(AVI_ERR_DATA, "[data] %s = %s: no such dataset in %s; %s%s", a->dataset_key, a->dataset, a->path,
                    l.datasets ? "it has: " : "it has no datasets", l.text);
}

/* ---- open: what the file claims is held against what it has ---- */

static avi_status open_file(avi_hdf5 *x, const avi_hdf5_request *a)
{
    struct stat about;
    if (stat(a->path, &about) != 0)
        return avi_fail(AVI_ERR_NOINPUT, "[data] %s = %s: %s; give an HDF5 file", a->path_key, a->path,
                        strerror(errno));
    if (!S_ISREG(about.st_mode))
        return avi_fail(AVI_ERR_NOINPUT, "[data] %s = %s: is %s; give an HDF5 file", a->path_key, a->path,
                        S_ISDIR(about.st_mode) ? "a folder" : "not a regular file");
    if (H5Fis_hdf5(a->path) <= 0) return avi_fail(AVI_ERR_DATA, "%s is not an HDF5 file, or cannot be read", a->path);
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
#if H5_VERSION_GE(1, 10, 7) && !(H5_VERSION_GE(1, 11, 0) && !H5_VERSION_GE(1, 12, 1))
    /* Nobody writes while we read, and file systems that know no locks should do. */
    if (access >= 0) (void)H5Pset_file_locking(access, false, true);
#endif
    x->file = access >= 0 ? H5Fopen(a->path, H5F_ACC_RDONLY, access) : H5I_INVALID_HID;
    if (access >= 0) H5Pclose(access);
    return x->file < 0 ? avi_hdf5_fail_open(a->path) : AVI_OK;
}

static avi_status open_dataset(avi_hdf5 *x, const avi_hdf5_request *a)
{
    avi_hdf5_links links;
    const hid_t access = avi_hdf5_link_access(&links),
                object = access < 0 ? -1 : H5Oopen(x->file, a->dataset[0] ? a->dataset : "/", access);
    if (access >= 0) H5Pclose(access);
    if (object < 0 && links.refused[0])
        return avi_fail(AVI_ERR_DATA, "[data] %s = %s: is a link to %s, which is no regular file; link a file",
                        a->dataset_key, a->dataset, links.refused);
    if (object < 0 || H5Iget_type(object) != H5I_DATASET) {
        if (object >= 0) H5Oclose(object);
        return fail_dataset(x, a);
    }
    x->dataset = object;
    x->space = H5Dget_space(object);
    x->dimensions = x->space >= 0 ? H5Sget_simple_extent_ndims(x->space) : -1;
    if (x->dimensions < 1 || x->dimensions > AVI_HDF5_DIMENSIONS)
        return avi_fail(
            AVI_ERR_DATA,
            "%s: dataset %s has %d dimensions; give one of shape (rows), (rows, width) or (rows, height, columns)",
            a->path, a->dataset, x->dimensions < 0 ? 0 : x->dimensions);
    if (H5Sget_simple_extent_dims(x->space, x->dimension, NULL) < 0)
        return avi_fail(AVI_ERR_DATA, "%s: dataset %s: its shape cannot be read", a->path, a->dataset);
    return AVI_OK;
}

static avi_status find_type(avi_hdf5 *x, const avi_hdf5_request *a)
{
    const hid_t stored = H5Dget_type(x->dataset);
    const H5T_class_t class = stored >= 0 ? H5Tget_class(stored) : H5T_NO_CLASS;
    const size_t bytes = stored >= 0 ? H5Tget_size(stored) : 0;
    const bool is_unsigned = class == H5T_INTEGER && H5Tget_sign(stored) == H5T_SGN_NONE;
    if (stored >= 0) H5Tclose(stored);
    if (is_unsigned && bytes == 1) {
        x->dtype = AVI_U8;
        x->type = H5T_NATIVE_UCHAR;
    } else if (class == H5T_FLOAT && bytes <= 4) {
        x->dtype = AVI_F32;
        x->type = H5T_NATIVE_FLOAT;
    } else if (class == H5T_FLOAT && bytes == 8) {
        x->dtype = AVI_F64;
        x->type = H5T_NATIVE_DOUBLE;
    } else {
        const char *what = class == H5T_INTEGER ? (is_unsigned ? "-bit unsigned integers" : "-bit signed integers")
                           : class == H5T_FLOAT ? "-bit floats"
                                                : "-bit values that are no numbers";
        return avi_fail(AVI_ERR_DATA,
                        "%s: dataset %s holds %zu%s; give 8-bit unsigned integers, or floats of 32 or 64 bits", a->path,
                        a->dataset, bytes * 8, what);
    }
    return AVI_OK;
}

/* Width of a row, with every product checked: the numbers come from the file. */
static avi_status find_width(avi_hdf5 *x, const avi_hdf5_request *a)
{
    hsize_t product = 1;
    bool fits = x->dimension[0] <= (hsize_t)INT64_MAX / 8;
    for (int i = 1; i < x->dimensions; i++) {
        fits = fits && x->dimension[i] > 0 && x->dimension[i] <= INT_MAX / product;
        if (fits) product *= x->dimension[i];
    }
    if (!fits || x->dimension[0] > (hsize_t)INT64_MAX / 8 / product)
        return avi_fail(AVI_ERR_DATA,
                        "%s: dataset %s claims rows of a size that is not possible (0, or over %d values)", a->path,
                        a->dataset, INT_MAX);
    if (x->dimension[0] == 0) return avi_fail(AVI_ERR_DATA, "%s: dataset %s has no rows", a->path, a->dataset);
    x->width = (int64_t)product;
    return AVI_OK;
}

/* Sizes of a chunk, 0 when the dataset is not chunked. */
static bool find_chunk(avi_hdf5 *x, hid_t plan)
{
    if (H5Pget_layout(plan) != H5D_CHUNKED) return true;
    bool good = H5Pget_chunk(plan, x->dimensions, x->chunk) == x->dimensions;
    for (int i = 0; i < x->dimensions; i++) good = good && x->chunk[i] > 0;
    return good;
}

/* Whether bytes stored in one piece lie inside the file; those of other layouts are found when they are read. */
static bool lies_inside(const avi_hdf5 *x, hid_t plan, hsize_t file_bytes)
{
    if (H5Pget_layout(plan) != H5D_CONTIGUOUS) return true;
    const hsize_t bytes = H5Dget_storage_size(x->dataset);
    const haddr_t address = bytes ? H5Dget_offset(x->dataset) : 0;
    return address != HADDR_UNDEF && address <= file_bytes && bytes <= file_bytes - address;
}

/* No more is believed than can come out of the bytes that the file has for the dataset. `stored_value`: bytes of a
 * value, at most. */
static avi_status check_storage(avi_hdf5 *x, const avi_hdf5_request *a, double stored_value)
{
    const hid_t plan = H5Dget_create_plist(x->dataset), home = H5Iget_file_id(x->dataset);
    hsize_t file_bytes = 0;
    const bool known = plan >= 0 && home >= 0 && H5Fget_filesize(home, &file_bytes) >= 0 && find_chunk(x, plan);
    const bool elsewhere = known && (H5Pget_external_count(plan) != 0 || H5Pget_layout(plan) == H5D_VIRTUAL);
    const bool filtered = known && H5Pget_nfilters(plan) > 0;
    const bool inside = known && !elsewhere && lies_inside(x, plan, file_bytes);
    const double stored = known ? (double)H5Dget_storage_size(x->dataset) : 0;
    if (plan >= 0) H5Pclose(plan);
    if (home >= 0) H5Fclose(home);
    if (!known) return avi_fail(AVI_ERR_DATA, "%s: dataset %s: its description cannot be read", a->path, a->dataset);
    if (elsewhere)
        return avi_fail(AVI_ERR_DATA,
                        "%s: dataset %s keeps its values in other files; copy it into one file (h5copy, h5repack)",
                        a->path, a->dataset);
    const double most = filtered ? stored * AVI_HDF5_DEFLATE_MOST : stored,
                 bytes = stored_value * (double)x->width * (double)x->dimension[0];
    double chunk = x->chunk[0] ? stored_value : 0;
    for (int i = 0; i < x->dimensions; i++) chunk *= (double)x->chunk[i];
    if (!inside || stored > (double)file_bytes || bytes > most || chunk > most)
        return avi_fail(AVI_ERR_DATA,
                        "%s: dataset %s claims %.0f bytes, but %.0f are stored in a file of %.0f: truncated, or rows "
                        "that were never written",
                        a->path, a->dataset, bytes, inside ? stored : 0, (double)file_bytes);
    return AVI_OK;
}

static avi_status open_all(avi_hdf5 *x, const avi_hdf5_request *a)
{
    *x = (avi_hdf5){.file = H5I_INVALID_HID, .dataset = H5I_INVALID_HID, .space = H5I_INVALID_HID};
    x->path = strdup(a->path);
    if (!x->path) return avi_fail_memory(strlen(a->path) + 1, "a data source");
    AVI_TRY(open_file(x, a));
    AVI_TRY(open_dataset(x, a));
    AVI_TRY(find_type(x, a));
    AVI_TRY(find_width(x, a));
    /* A file may hold 16-bit floats, which take twice the bytes in memory. */
    return check_storage(x, a, x->dtype == AVI_F32 ? 2 : (double)avi_dtype_size(x->dtype));
}

avi_status avi_hdf5_open(avi_hdf5 *x, const avi_hdf5_request *a)
{
    avi_status status;
    H5E_BEGIN_TRY /* the library's own messages would be printed on top of ours */ { status = open_all(x, a); }
    H5E_END_TRY;
    return status;
}

/* ---- read, close ---- */

static avi_status read_rows(const avi_hdf5 *x, int64_t first, int64_t count, void *out)
{
    hsize_t start[AVI_HDF5_DIMENSIONS] = {(hsize_t)first}, block[AVI_HDF5_DIMENSIONS];
    memcpy(block, x->dimension, sizeof block);
    block[0] = (hsize_t)count;
    if (H5Sselect_hyperslab(x->space, H5S_SELECT_SET, start, NULL, block, NULL) < 0)
        return avi_fail(AVI_ERR_INTERNAL, "%s: rows %lld + %lld cannot be selected", x->path, (long long)first,
                        (long long)count);
    const hid_t memory = H5Screate_simple(x->dimensions, block, NULL);
    if (memory < 0) return avi_fail(AVI_ERR_INTERNAL, "%s: HDF5 is out of memory", x->path);
    const herr_t code = H5Dread(x->dataset, x->type, memory, x->space, H5P_DEFAULT, out);
    H5Sclose(memory);
    return code >= 0 ? AVI_OK
                     : avi_fail(AVI_ERR_DATA,
                                "%s: rows %lld to %lld cannot be read: truncated or corrupt, or a filter that this "
                                "HDF5 does not have",
                                x->path, (long long)first, (long long)(first + count - 1));
}

avi_status avi_hdf5_read(const avi_hdf5 *x, int64_t first, int64_t count, void *out)
{
    avi_status status;
    H5E_BEGIN_TRY { status = read_rows(x, first, count, out); }
    H5E_END_TRY;
    return status;
}

void avi_hdf5_close(avi_hdf5 *x)
{
    if (x->space >= 0) H5Sclose(x->space);
    if (x->dataset >= 0) H5Oclose(x->dataset);
    if (x->file >= 0) H5Fclose(x->file);
    free(x->path);
    *x = (avi_hdf5){.file = H5I_INVALID_HID, .dataset = H5I_INVALID_HID, .space = H5I_INVALID_HID};
}
