/* Whether test rows are training rows. */
#ifndef AVI_DATA_OVERLAP_H
#define AVI_DATA_OVERLAP_H

#include "avi/data.h"

/* Collective. Looks at up to 1024 test rows, spread evenly: how many, and how many of them are equal to a training row.
 * *looked is 0 where nothing can be said: streamed rows, or rows that are often equal by themselves. Errors: INTERNAL
 * (memory). */
avi_status avi_data_overlap(const avi_data *train, const avi_data *test, avi_comm *comm, int64_t *looked,
                            int64_t *found);

#endif
