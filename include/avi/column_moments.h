/* Mean and standard deviation of every column of a data set, from a sample of its rows: what an inference function's
 * inputs are centred and scaled by (inference.standardise). Likelihoods never see them.
 *
 * The rows are cut into strata of equal length, and a row of each is taken at a place that is keyed by the seed: all
 * rows where there are few, else at least 4096 and as many as AVI_MOMENT_VALUES values hold, up to 65536. So rows that
 * are streamed cost no pass over all of them, and a sample's mean is within sd / 64 of that of all rows. Sums are in
 * fixed point: the same bits on any number of ranks, for held and for streamed rows. */
#ifndef AVI_COLUMN_MOMENTS_H
#define AVI_COLUMN_MOMENTS_H

#include "avi/comm.h"
#include "avi/data.h"

#define AVI_MOMENT_VALUES (INT64_C(1) << 24)

typedef struct avi_column_moments {
    int64_t width, rows; /* columns; rows of the sample */
    double *mean, *sd;   /* (width) in units of the data; sd 0: the column is constant in the sample */
    double *factor;      /* (width) 1 / sd, 1 where sd is 0: such columns are only centred */
} avi_column_moments;

/* Collective. Of the rows [0, partition.rows). Errors: MEMORY; DATA when a streamed row could not be had. All ranks
 * return the same status. Owner: caller, avi_column_moments_destroy. */
avi_status avi_column_moments_create(const avi_data *data, avi_comm *comm, uint64_t seed, avi_column_moments **moments);
void avi_column_moments_destroy(avi_column_moments **moments);
/* Not collective. After mean and sd were set (from a checkpoint): factor. */
void avi_column_moments_set_factor(avi_column_moments *moments);

/* As avi_data_fetch_*, but (value - mean) * factor of each column, worked out in double from the values as held: a
 * column whose mean is large keeps its digits in single precision. Not collective. */
void avi_data_fetch_standard_f32(const avi_data *data, const avi_column_moments *moments, int64_t position,
                                 int64_t count, float *out);
void avi_data_fetch_standard_f64(const avi_data *data, const avi_column_moments *moments, int64_t position,
                                 int64_t count, double *out);

#endif
