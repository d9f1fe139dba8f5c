/* Names of the user's columns and rows as coordinates of results, so that a reader can join on them. */
#ifndef AVI_OUTPUT_NAMES_H
#define AVI_OUTPUT_NAMES_H

#include "output/run_file.h"

/* Not collective. Adds the names of the columns (one a line, `width` of them; "": they have none) as coordinates to
 * every group of the list in which a dataset has an axis "column". Errors: INTERNAL. */
avi_status avi_names_of_columns(avi_fields *l, const char *names, int64_t width);
/* Collective. Bytes of a text that holds the name of any of the first `rows` rows; 0: rows have no names. Errors: DATA,
 * INTERNAL. */
avi_status avi_names_of_rows_bytes(avi_comm *comm, avi_source *source, int64_t rows, int64_t *bytes);
/* Not collective. Names of rows [first, first + count) as texts of so many bytes each. Errors: DATA, INTERNAL. */
avi_status avi_names_of_rows(avi_source *source, int64_t first, int64_t count, int64_t bytes, char *out);

#endif
