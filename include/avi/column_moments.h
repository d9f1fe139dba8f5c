/* What an inference function's inputs are centred and scaled by (inference.standardise): mean and standard deviation of
 * every column, as the model sees it, of the rows that a fit has. Likelihoods never see them. */
#ifndef AVI_COLUMN_MOMENTS_H
#define AVI_COLUMN_MOMENTS_H

#include "avi/data.h"

typedef struct avi_column_moments {
    int64_t width;     /* columns */
    double *mean, *sd; /* (width) in units of the data; sd 0: the column is constant */
    double *factor;    /* (width) 1 / sd, 1 where sd is 0: such columns are only centred */
} avi_column_moments;

/* From the statistics that were taken while the data were loaded: of all rows, or of a sample of streamed ones. Not
 * collective. Errors: INTERNAL (memory). Owner: caller, avi_column_moments_destroy. */
avi_status avi_column_moments_create(const avi_data *data, avi_column_moments **moments);
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
