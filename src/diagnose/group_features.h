/* Groups of any number of entries as rows of one width: what a function of a group can be fitted to, and compared by.
 * The order of the entries does not show: equal multisets of entries have equal bits. */
#ifndef AVI_DIAGNOSE_GROUP_FEATURES_H
#define AVI_DIAGNOSE_GROUP_FEATURES_H

#include "avi/status.h"

#include <stdint.h>

/* Values of a group whose entries have D values: the means of the columns and log(1 + entries), which is what functions
 * of means see (graph/leaves.c); and these with the covariances of the columns, of many columns with the variances
 * alone. Not collective. */
int64_t avi_group_means(int64_t width);
int64_t avi_group_features(int64_t width);
/* Not collective. entry (entries, D) becomes out (avi_group_features), means and log(1 + entries) first, 0 where there
 * are no entries; *mark: a hash of the multiset, a whole number that a double can have. Errors: INTERNAL (memory). */
avi_status avi_group_describe(int64_t entries, int64_t width, const double *entry, double *out, double *mark);

#endif
