/* Groups of entries in an HDF5 file as ragged rows (hdf5/hdf5_groups.h). */
#ifndef AVI_SOURCE_GROUPS_H
#define AVI_SOURCE_GROUPS_H

#include "hdf5/hdf5_groups.h"

/* Collective. Opens the groups that the request leads to and fills s->shape, label, columns and places; rank 0 reads
 * the index for all. `x` must stay while the source is open, and is to be closed also after a failure. Errors: those of
 * hdf5_groups.h; CONFIG for data.rows beyond the groups. */
avi_status avi_groups_open(avi_source *s, const avi_config *config, avi_comm *comm, avi_split split,
                           const avi_hdf5_request *a, avi_hdf5_groups *x);

#endif
