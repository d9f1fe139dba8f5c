/* What the values of a data set are, column by column: range, whole numbers, missing ones, mean and standard
 * deviation. The same bits on any number of ranks. */
#ifndef AVI_DATA_COLUMN_STATS_H
#define AVI_DATA_COLUMN_STATS_H

#include "avi/data.h"

/* ---- while rows are read: each row is looked at once, by the rank that reads it ---- */

/* Not collective. Owner: caller, avi_column_stats_destroy. Errors: INTERNAL (memory). */
avi_status avi_column_stats_create(int64_t columns, avi_column_stats **stats);
void avi_column_stats_destroy(avi_column_stats **stats);

/* Not collective. Looks at `count` rows of stored values (count, columns): given rows first, first + 1, .. or those
 * that `given` lists. */
void avi_column_stats_add(avi_column_stats *stats, avi_dtype type, const void *rows, int64_t first,
                          const int64_t *given, int64_t count);
/* Collective. Ranges and counts become those of all ranks. */
avi_status avi_column_stats_reduce(avi_column_stats *stats, avi_comm *comm);

/* ---- then the moments, of numbers: value -> stored * scale, log1p of it where asked for ---- */

/* Not collective. Ranges become those of the numbers (the function of a value is increasing; scale > 0). */
void avi_column_stats_as_numbers(avi_column_stats *stats, double scale, bool log1p);
/* Not collective. Adds rows of numbers (count, columns) to the moments; NaN is left out. The range must be that of all
 * rows by now: a number becomes the nearest of 2^31 points of its column's range, so that the sums are sums of
 * integers. */
void avi_column_stats_add_moments(avi_column_stats *stats, const double *numbers, int64_t count);
/* Collective, unless comm is NULL. Mean and standard deviation of all ranks' rows. */
avi_status avi_column_stats_finish(avi_column_stats *stats, avi_comm *comm);

#endif
