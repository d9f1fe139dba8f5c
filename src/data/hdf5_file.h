/* A dataset of rows in an HDF5 file, opened for reading by one process: what the file claims is held against what it
 * has. For the source, and for the child that looks at a file before the source opens it (hdf5_probe.h). None of these
 * functions is collective. */
#ifndef AVI_DATA_HDF5_FILE_H
#define AVI_DATA_HDF5_FILE_H

#include "avi/data.h"

#include <hdf5.h>

enum { AVI_HDF5_DIMENSIONS = 3 }; /* at most */

/* A chunk is compressed by deflate, if at all: it makes at most 1032 bytes of one. */
enum { AVI_HDF5_DEFLATE_MOST = 1032 };

/* What a person wrote; borrowed. The keys are for messages. */
typedef struct avi_hdf5_request {
    const char *path_key, *path, *dataset_key, *dataset;
} avi_hdf5_request;

typedef struct avi_hdf5 {
    hid_t file, dataset, space, type; /* type: as held in memory, one of the library's own */
    avi_dtype dtype;                  /* the same */
    int dimensions;
    hsize_t dimension[AVI_HDF5_DIMENSIONS];
    hsize_t chunk[AVI_HDF5_DIMENSIONS]; /* chunk[0] = 0: not chunked */
    int64_t width;                      /* values of a row */
    char *path;                         /* owned */
} avi_hdf5;

/* To be closed with avi_hdf5_close, also after a failure. Errors: NOINPUT; DATA (not HDF5, no such dataset, a type or
 * shape that does not serve, more claimed than is stored). */
avi_status avi_hdf5_open(avi_hdf5 *x, const avi_hdf5_request *a);
/* Rows [first, first + count) into out (count, width) of x->dtype. Errors: DATA, INTERNAL. */
avi_status avi_hdf5_read(const avi_hdf5 *x, int64_t first, int64_t count, void *out);
void avi_hdf5_close(avi_hdf5 *x);

#endif
