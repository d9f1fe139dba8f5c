/* A look at an HDF5 file by a child process before anybody opens it: HDF5 is known to crash on damaged files, to loop,
 * and to read past chunks that are shorter than they should be. None of these functions is collective. */
#ifndef AVI_HDF5_HDF5_PROBE_H
#define AVI_HDF5_HDF5_PROBE_H

#include "hdf5/hdf5_file.h"

/* Has a child open the file as avi_hdf5_open would, and look at share `part` of `parts` of its chunks. *in_parts: the
 * file has chunks, so the other shares must be looked at, too. AVI_OK when the file serves, or when this program does
 * not answer children (avi_data_child was not called). Errors: those of avi_hdf5_open; DATA when the child dies of the
 * file, with what it died of. */
avi_status avi_hdf5_probe(const avi_hdf5_request *a, int part, int parts, bool *in_parts);

/* What the child may take: as much as a look at a sound file needs, not what a damaged one asks for. */
typedef struct avi_hdf5_limits {
    double bytes;   /* of memory that were granted last */
    double seconds; /* of processor time at that moment */
} avi_hdf5_limits;
/* On the clock, for a step of a child; more where there are bytes to read. */
enum { AVI_HDF5_WAIT_SECONDS = 60 };
/* Grants time, and memory for `bytes` bytes on top of what is in use, for the next step. NULL: no limits. */
void avi_hdf5_limits_grant(avi_hdf5_limits *l, double bytes);
/* Lowers a resource limit of this process. Not collective. */
void avi_hdf5_limit(int resource, double value);

/* ---- hdf5_chunks.c ---- */
/* Share `part` of `parts` of the chunks of a chunked dataset, up to those of `rows` rows (0: all): each lies in the
 * file and holds the bytes of a chunk.
 * `limits` may be NULL. Errors: DATA, INTERNAL (memory). */
avi_status avi_hdf5_check_chunks(const avi_hdf5 *x, int64_t rows, int part, int parts, avi_hdf5_limits *limits);

#endif
