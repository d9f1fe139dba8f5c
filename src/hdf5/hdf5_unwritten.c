/* Chunks that nobody wrote. */
#include "hdf5/hdf5_file.h"

#include <stdio.h>

#if H5_VERSION_GE(1, 10, 5)
bool avi_hdf5_first_unwritten(const avi_hdf5 *x, unsigned long long *row)
{
    const int of_rows = x->transposed ? x->dimensions - 1 : 0;
    hsize_t at[AVI_HDF5_DIMENSIONS] = {0};
    if (x->chunk[0] == 0) return false;
    for (;;) { /* row by row of chunks: the rows run slowest */
        unsigned left_out;
        haddr_t address = HADDR_UNDEF;
        hsize_t size;
        if (H5Dget_chunk_info_by_coord(x->dataset, at, &left_out, &address, &size) < 0) return false;
        if (address == HADDR_UNDEF) {
            *row = (unsigned long long)at[of_rows];
            return true;
        }
        int i = x->dimensions - 1;
        for (; i >= 0; i--) { /* the next one; the dimension of the rows last */
            const int k = x->transposed ? x->dimensions - 1 - i : i;
            at[k] += x->chunk[k];
            if (at[k] < x->dimension[k]) break;
            at[k] = 0;
        }
        if (i < 0) return false;
    }
}
#else
bool avi_hdf5_first_unwritten(const avi_hdf5 *x, unsigned long long *row)
{
    (void)x;
    *row = 0;
    return false;
}
#endif

avi_status avi_hdf5_fail_unwritten(const avi_hdf5 *x, unsigned long long row)
{
    char remedy[96] = "write it";
    if (row > 0) snprintf(remedy, sizeof remedy, "use data.rows = %llu for the rows before it, or write it", row);
    return avi_fail(AVI_ERR_DATA, "%s: the chunk from row %llu on was never written, so its rows are not known; %s",
                    x->path, row, remedy);
}
