/* What lies around an HDF5 file before and behind its opening: external links, and flags that a writer has left. None
 * of these functions is collective. */
#ifndef AVI_HDF5_HDF5_LINKS_H
#define AVI_HDF5_HDF5_LINKS_H

#include "avi/status.h"

#include <hdf5.h>
#include <limits.h>

/* The file behind an external link that is no regular file: opening a pipe would wait for its other end for ever. */
typedef struct avi_hdf5_links {
    char refused[PATH_MAX]; /* "" while none was met */
} avi_hdf5_links;

/* A link access list that refuses such files and writes their name to `links`, which must stay. Owner: caller,
 * H5Pclose. < 0: HDF5 is out of memory. */
hid_t avi_hdf5_link_access(avi_hdf5_links *links);
/* DATA, for a file that HDF5 cannot open: with the remedy where flags in the file say that a writer was killed. */
avi_status avi_hdf5_fail_open(const char *path);

#endif
