#include "hdf5/hdf5_file.h"
#include "hdf5/hdf5_links.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- open: what the file claims is held against what it has ---- */

avi_status avi_hdf5_open_file(const avi_hdf5_request *a, hid_t *file)
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
    *file = access >= 0 ? H5Fopen(a->path, H5F_ACC_RDONLY, access) : H5I_INVALID_HID;
    if (access >= 0) H5Pclose(access);
    return *file < 0 ? avi_hdf5_fail_open(a->path) : AVI_OK;
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
        const avi_status status = avi_hdf5_fail_dataset(x->file, object, a);
        if (object >= 0) H5Oclose(object);
        return status;
    }
    x->dataset = object;
    x->space = H5Dget_space(object);
    x->dimensions = x->space >= 0 ? H5Sget_simple_extent_ndims(x->space) : -1;
    if (x->dimensions < 1 || x->dimensions > AVI_HDF5_DIMENSIONS)
        return avi_fail(AVI_ERR_DATA,
                        "%s: dataset %s has no dimensions; give one whose first dimension counts the rows: (rows), "
                        "(rows, width), (rows, height, columns), ...",
                        a->path, a->dataset);
    if (H5Sget_simple_extent_dims(x->space, x->dimension, NULL) < 0)
        return avi_fail(AVI_ERR_DATA, "%s: dataset %s: its shape cannot be read", a->path, a->dataset);
    return AVI_OK;
}

/* Which dimension counts the rows. */
static void find_orientation(avi_hdf5 *x, const avi_hdf5_request *a)
{
    const bool automatic = !strcmp(a->transpose, "auto"), by_key = !strcmp(a->transpose, "yes");
    x->transposed = x->dimensions > 1 && (by_key || (automatic && H5Aexists(x->dataset, "MATLAB_class") > 0));
    x->rows = (int64_t)x->dimension[x->transposed ? x->dimensions - 1 : 0];
}

/* Width of a row, with every product checked: the numbers come from the file. */
static avi_status find_width(avi_hdf5 *x, const avi_hdf5_request *a)
{
    hsize_t product = 1;
    bool fits = (hsize_t)x->rows <= (hsize_t)INT64_MAX / 8;
    for (int i = x->transposed ? 0 : 1; i < x->dimensions - (x->transposed ? 1 : 0); i++) {
        fits = fits && x->dimension[i] > 0 && x->dimension[i] <= INT_MAX / product;
        if (fits) product *= x->dimension[i];
    }
    if (!fits || (hsize_t)x->rows > (hsize_t)INT64_MAX / 8 / product)
        return avi_fail(AVI_ERR_DATA,
                        "%s: dataset %s claims rows of a size that is not possible (0, or over %d values)", a->path,
                        a->dataset, INT_MAX);
    if (x->rows == 0) return avi_fail(AVI_ERR_DATA, "%s: dataset %s has no rows", a->path, a->dataset);
    if (product > (hsize_t)(INT_MAX / x->fields))
        return avi_fail(AVI_ERR_DATA, "%s: dataset %s has rows of over %d values", a->path, a->dataset, INT_MAX);
    x->elements = (int64_t)product;
    x->width = x->elements * x->fields;
    if (x->elements > 1) avi_hdf5_free_names(&x->name, x->fields); /* of one element alone */
    return AVI_OK;
}

/* The values of a row whose file has its dimensions the other way round, in the row's own order: the last stored
 * dimension but that of the rows comes first. */
static avi_status reverse_dimensions(avi_hdf5 *x)
{
    const int n = x->dimensions - 1;
    if (!x->transposed || n < 2) return AVI_OK;
    x->pick = malloc((size_t)x->elements * sizeof *x->pick);
    if (!x->pick) return avi_fail_memory((size_t)x->elements * sizeof *x->pick, "the order of a row");
    for (int64_t k = 0; k < x->elements; k++) {
        int64_t left = k, at = 0, stride = x->elements;
        for (int i = 0; i < n; i++) { /* stored dimension i runs fastest among those of the row's own order so far */
            const int64_t size = (int64_t)x->dimension[i];
            stride /= size;
            at += left % size * stride;
            left /= size;
        }
        x->pick[k] = at;
    }
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

/* The first filter that this HDF5 cannot undo, as "32000 (lzf)". Returns whether there is one that can make any number
 * of bytes of a few. */
static bool find_filters(hid_t plan, char *lacking, size_t size)
{
    bool any_size = false;
    for (int i = 0; i < H5Pget_nfilters(plan); i++) {
        unsigned flags, settings = 0;
        size_t values = 0;
        char name[48] = "";
        const H5Z_filter_t filter =
            H5Pget_filter2(plan, (unsigned)i, &flags, &values, NULL, sizeof name - 1, name, &settings);
        if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE && filter != H5Z_FILTER_FLETCHER32)
            any_size = true;
        if (!lacking[0] && H5Zfilter_avail(filter) <= 0)
            snprintf(lacking, size, "%d (%.40s)", (int)filter, name[0] ? name : filter == 32000 ? "lzf" : "of no name");
    }
    return any_size;
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
    char lacking[80] = "";
    const bool any_size = filtered && find_filters(plan, lacking, sizeof lacking);
    const bool inside = known && !elsewhere && lies_inside(x, plan, file_bytes);
    const double stored = known ? (double)H5Dget_storage_size(x->dataset) : 0;
    if (plan >= 0) H5Pclose(plan);
    if (home >= 0) H5Fclose(home);
    if (!known) return avi_fail(AVI_ERR_DATA, "%s: dataset %s: its description cannot be read", a->path, a->dataset);
    if (elsewhere)
        return avi_fail(AVI_ERR_DATA,
                        "%s: dataset %s keeps its values in other files, of which nothing says whether they are whole; "
                        "write them into this one, from Python: with h5py.File(\"%s\", \"a\") as f: f[\"%s_whole\"] = "
                        "f[\"%s\"][...], and use data.%s = %s_whole",
                        a->path, a->dataset, a->path, a->dataset, a->dataset, a->dataset_key, a->dataset);
    if (lacking[0])
        return avi_fail(AVI_ERR_DATA,
                        "%s: chunks of dataset %s are compressed by filter %s, which this HDF5 lacks; use "
                        "HDF5_PLUGIN_PATH with the folder of its plug-in (hdf5plugin.PLUGIN_PATH in Python), or write "
                        "the dataset anew with compression=\"gzip\"",
                        a->path, a->dataset, lacking);
    const double most = any_size ? 1e300 : filtered ? stored * AVI_HDF5_DEFLATE_MOST : stored;
    const int of_rows = x->transposed ? x->dimensions - 1 : 0;
    const double asked = strtod(a->rows, NULL); /* what others would be is not looked at */
    double bytes = stored_value;
    for (int i = 0; i < x->dimensions; i++)
        bytes *= i == of_rows && asked > 0 ? fmin(asked, (double)x->dimension[i]) : (double)x->dimension[i];
    double chunk = x->chunk[0] ? stored_value : 0;
    for (int i = 0; i < x->dimensions; i++) chunk *= (double)x->chunk[i];
    unsigned long long row;
    if (inside && stored <= (double)file_bytes && bytes > most && avi_hdf5_first_unwritten(x, &row))
        return avi_hdf5_fail_unwritten(x, row);
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
    AVI_TRY(avi_hdf5_open_file(a, &x->file));
    AVI_TRY(open_dataset(x, a));
    find_orientation(x, a);
    AVI_TRY(avi_hdf5_find_type(x, a));
    avi_hdf5_find_packing(x);
    AVI_TRY(find_width(x, a));
    const hid_t stored = H5Dget_type(x->dataset);
    const double bytes = stored >= 0 ? (double)H5Tget_size(stored) : 1;
    if (stored >= 0) H5Tclose(stored);
    AVI_TRY(check_storage(x, a, bytes));
    AVI_TRY(reverse_dimensions(x));
    return avi_hdf5_find_columns(x, a);
}

avi_status avi_hdf5_open(avi_hdf5 *x, const avi_hdf5_request *a)
{
    avi_status status;
    H5E_BEGIN_TRY /* the library's own messages would be printed on top of ours */ { status = open_all(x, a); }
    H5E_END_TRY;
    return status;
}

void avi_hdf5_close(avi_hdf5 *x)
{
    if (x->space >= 0) H5Sclose(x->space);
    if (x->dataset >= 0) H5Oclose(x->dataset);
    if (x->file >= 0) H5Fclose(x->file);
    if (x->type_made) H5Tclose(x->type);
    avi_hdf5_free_names(&x->name, x->elements ? x->width : x->fields);
    free(x->pick);
    free(x->room);
    free(x->path);
    *x = (avi_hdf5){.file = H5I_INVALID_HID, .dataset = H5I_INVALID_HID, .space = H5I_INVALID_HID};
}
