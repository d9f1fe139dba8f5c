/* Reading rows of a dataset, in whatever order its file keeps their values. */
#include "hdf5/hdf5_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static avi_status get_room(avi_hdf5 *x, size_t bytes)
{
    if (bytes <= x->room_bytes) return AVI_OK;
    free(x->room);
    x->room = malloc(bytes);
    x->room_bytes = x->room ? bytes : 0;
    return x->room ? AVI_OK : avi_fail_memory(bytes, "rows as their file keeps them");
}

/* From the block as it was read to rows: element k of row i. */
static void put_in_order(const avi_hdf5 *x, int64_t count, unsigned char *out)
{
    const int64_t elements = x->width / x->fields;
    for (int64_t i = 0; i < count; i++)
        for (int64_t k = 0; k < elements; k++) {
            const int64_t from = x->pick ? x->pick[k] : k;
            const int64_t at = x->transposed ? from * count + i : i * x->span + from;
            memcpy(out + (size_t)(i * elements + k) * x->element, x->room + (size_t)at * x->element, x->element);
        }
}

static avi_status read_block(avi_hdf5 *x, int64_t first, int64_t count, void *out)
{
    hsize_t start[AVI_HDF5_DIMENSIONS] = {0}, block[AVI_HDF5_DIMENSIONS];
    const int of_rows = x->transposed ? x->dimensions - 1 : 0, of_columns = x->transposed ? 0 : 1;
    memcpy(block, x->dimension, sizeof block);
    start[of_rows] = (hsize_t)first;
    block[of_rows] = (hsize_t)count;
    if (x->dimensions == 2) {
        start[of_columns] = (hsize_t)x->pick_first;
        block[of_columns] = (hsize_t)x->span;
    }
    if (H5Sselect_hyperslab(x->space, H5S_SELECT_SET, start, NULL, block, NULL) < 0)
        return avi_fail(AVI_ERR_INTERNAL, "%s: rows %lld + %lld cannot be selected", x->path, (long long)first,
                        (long long)count);
    const hid_t memory = H5Screate_simple(x->dimensions, block, NULL);
    if (memory < 0) return avi_fail(AVI_ERR_INTERNAL, "%s: HDF5 is out of memory", x->path);
    const herr_t code = H5Dread(x->dataset, x->type, memory, x->space, H5P_DEFAULT, out);
    H5Sclose(memory);
    return code >= 0 ? AVI_OK
                     : avi_fail(AVI_ERR_DATA, "%s: rows %lld to %lld cannot be read: truncated or corrupt", x->path,
                                (long long)first, (long long)(first + count - 1));
}

static avi_status read_rows(avi_hdf5 *x, int64_t first, int64_t count, void *out)
{
    if (count == 0) return AVI_OK;
    if (!x->transposed && !x->pick) return read_block(x, first, count, out);
    const int64_t stored = x->dimensions == 2 ? x->span : x->width / x->fields;
    AVI_TRY(get_room(x, (size_t)(stored * count) * x->element));
    AVI_TRY(read_block(x, first, count, x->room));
    put_in_order(x, count, out);
    return AVI_OK;
}

avi_status avi_hdf5_read(avi_hdf5 *x, int64_t first, int64_t count, void *out)
{
    avi_status status;
    H5E_BEGIN_TRY { status = read_rows(x, first, count, out); }
    H5E_END_TRY;
    if (status == AVI_OK) avi_hdf5_unpack(x, count * x->width, out);
    return status;
}
