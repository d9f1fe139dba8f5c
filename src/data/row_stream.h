/* Rows as a source gives them: checks and hashes; and the feed, which asks for streamed rows. Private to the data
 * floor. */
#ifndef AVI_DATA_ROW_STREAM_H
#define AVI_DATA_ROW_STREAM_H

#include "avi/data.h"

/* DATA, with a message that names row and column, unless all values are finite. The rows are first, first + 1, ..., or
 * those that `given` lists. */
avi_status avi_rows_check(const avi_source *source, int64_t first, const int64_t *given, int64_t count,
                          const void *rows);
/* Rows of AVI_F64 that would be held as AVI_F32 (source->narrow): to the values that they would be held as, so that
 * what is worked out from them in double has the same bits for streamed rows. rows (count, width) of shape.type. */
void avi_rows_round(const avi_source *source, int64_t count, void *rows);
/* FNV-1a over the row's 64-bit words (the last one padded with zeros), mixed with its number, so that rows may be
 * summed in any order. */
uint64_t avi_row_hash(const void *row, size_t bytes, int64_t given);

/* data.origin of data.h. Not collective. Errors: those of the source, INTERNAL (memory). */
avi_status avi_rows_origin(avi_source *source, uint64_t *origin);

/* Not collective. Owner: caller. Errors: INTERNAL (memory). */
avi_status avi_row_stream_create(avi_source *source, struct avi_row_stream **feed);
void avi_row_stream_destroy(struct avi_row_stream **feed);
int64_t avi_row_stream_bytes(const struct avi_row_stream *feed);
/* Rows at positions [position, position + *count) of the partition, of which it takes as many as a piece holds: *count
 * becomes their number. NULL: they cannot be had, and avi_row_stream_status says why. Valid until the next call. */
const void *avi_row_stream_rows(struct avi_row_stream *feed, const avi_partition *partition, int64_t position,
                                int64_t *count);
/* Borrowed. */
avi_source *avi_row_stream_source(const struct avi_row_stream *feed);
avi_status avi_row_stream_status(const struct avi_row_stream *feed);

#endif
