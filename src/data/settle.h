/* Once rows are loaded: what they are, and how they become what the model sees. Private to the data floor. */
#ifndef AVI_DATA_SETTLE_H
#define AVI_DATA_SETTLE_H

#include "avi/data.h"

/* Not collective. Of streamed data: a sample of rows into d->stats, the same on all ranks. */
avi_status avi_settle_sample(avi_data *d, avi_source *source);
/* Collective. From the ranges in d->stats: refuses values that are not finite, settles scale and transform, and adds
 * the moments. Errors: DATA, INTERNAL (memory). */
avi_status avi_settle(avi_data *d, const avi_source *source, avi_comm *comm);

/* Not collective. Whether a likelihood with this support can have the number; and what it is, in words. */
bool avi_support_has(avi_support support, double number);
const char *avi_support_name(avi_support support);

/* Not collective. For messages: "; height" of a column with a name, else "". Returns `name`. */
enum { AVI_SETTLE_NAME = 128 };
const char *avi_settle_name(const avi_source *source, int64_t column, char name[AVI_SETTLE_NAME]);

#endif
