/* Names of rows: strings beside a matrix, one per row, read a range at a time. */
#include "hdf5/hdf5_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT = 512, PIECE = 4096 /* names that are looked at together */ };

static bool is_list_of(hid_t set, int64_t n)
{
    const hid_t type = set >= 0 ? H5Dget_type(set) : H5I_INVALID_HID,
                space = set >= 0 ? H5Dget_space(set) : H5I_INVALID_HID;
    const bool is = type >= 0 && space >= 0 && H5Tget_class(type) == H5T_STRING &&
                    H5Sget_simple_extent_ndims(space) == 1 && H5Sget_simple_extent_npoints(space) == n;
    if (type >= 0) H5Tclose(type);
    if (space >= 0) H5Sclose(space);
    return is;
}

/* Closes what does not list the names of n rows. */
static hid_t take(hid_t set, int64_t n)
{
    if (set < 0 || is_list_of(set, n)) return set;
    H5Dclose(set);
    return H5I_INVALID_HID;
}

static hid_t find(const avi_hdf5 *x, const char *dataset)
{
    hid_t set = take(avi_hdf5_scale(x, x->transposed ? x->dimensions - 1 : 0, x->rows), x->rows);
    if (set < 0 && avi_hdf5_is_anndata(dataset)) /* dense */
        set = take(avi_hdf5_anndata_index(x->file, dataset, x->transposed ? "var" : "obs"), x->rows);
    return set;
}

hid_t avi_hdf5_row_names(const avi_hdf5 *x, const char *dataset)
{
    hid_t set;
    H5E_BEGIN_TRY { set = find(x, dataset); }
    H5E_END_TRY;
    return set;
}

hid_t avi_hdf5_sparse_row_names(const avi_hdf5_sparse *x, const char *dataset)
{
    hid_t set;
    char barcodes[TEXT];
    H5E_BEGIN_TRY
    {
        set = take(avi_hdf5_anndata_index(x->data.file, dataset, "obs"), x->rows);
        /* 10x Genomics keeps them in the group of the matrix. */
        if (set < 0 && snprintf(barcodes, sizeof barcodes, "%s/barcodes", dataset) < TEXT)
            set = take(H5Dopen2(x->data.file, barcodes, H5P_DEFAULT), x->rows);
    }
    H5E_END_TRY;
    return set;
}

avi_status avi_hdf5_read_names(hid_t set, const char *path, int64_t first, int64_t count, char **name)
{
    char **some = NULL;
    H5E_BEGIN_TRY { some = avi_hdf5_some_strings(set, first, count); }
    H5E_END_TRY;
    if (!some && count > 0)
        return avi_fail(AVI_ERR_DATA, "%s: names of rows %lld to %lld cannot be read", path, (long long)first,
                        (long long)(first + count - 1));
    if (count > 0) memcpy(name, some, (size_t)count * sizeof *name);
    free(some);
    return AVI_OK;
}

avi_status avi_hdf5_check_names(hid_t set, const char *path, int64_t rows)
{
    for (int64_t first = 0; set >= 0 && first < rows; first += PIECE) {
        char *name[PIECE];
        const int64_t n = rows - first < PIECE ? rows - first : PIECE;
        AVI_TRY(avi_hdf5_read_names(set, path, first, n, name));
        for (int64_t i = 0; i < n; i++) free(name[i]);
    }
    return AVI_OK;
}
