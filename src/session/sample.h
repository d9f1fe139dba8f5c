/* What the rows that --dry-run did not load would add. Not collective; all are of this rank. */
#ifndef AVI_SESSION_SAMPLE_H
#define AVI_SESSION_SAMPLE_H

#include "session/session.h"

/* Training rows with a factor, and test rows, that were left out; 0 where all are here. */
int64_t avi_session_rows_left_out(const avi_session *s);
int64_t avi_session_test_rows_left_out(const avi_session *s);
/* Bytes of all rows of the training data, and of parameters, local factors and optimizer state. */
double avi_session_data_bytes(const avi_session *s);
double avi_session_state_bytes(const avi_session *s);
/* Bytes that the rows of both data sets take beyond those that are here. */
double avi_session_data_bytes_left_out(const avi_session *s);
/* Bytes that rows, factors and (of a model that couples all rows) matrices take beyond those that are here. */
double avi_session_bytes_left_out(const avi_session *s);

/* Bytes of a training row in memory, of ragged ones in the mean over those that were loaded; 0: streamed. */
double avi_session_row_bytes(const avi_session *s);

#endif
