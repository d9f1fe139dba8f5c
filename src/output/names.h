/* Names of the user's columns and rows as coordinates of results, so that a reader can join on them. */
#ifndef AVI_OUTPUT_NAMES_H
#define AVI_OUTPUT_NAMES_H

#include "output/run_file.h"

/* Not collective. Adds the names of the columns (one a line, `width` of them; "": they have none) as coordinates to
 * every group of the list in which a dataset has an axis "column". Errors: INTERNAL. */
avi_status avi_names_of_columns(avi_fields *l, const char *names, int64_t width);
/* Not collective. The first n bytes of a name into `out` (bytes), filled up with zeros; what is no UTF-8 becomes "?",
 * since readers refuse it. */
void avi_names_put(const char *name, size_t n, int64_t bytes, char *out);
/* Collective. Bytes of a text that holds the name of any of the first `rows` rows; 0: rows have no names. Errors: DATA,
 * INTERNAL. */
avi_status avi_names_of_rows_bytes(avi_comm *comm, avi_source *source, int64_t rows, int64_t *bytes);
/* Not collective. Names of rows [first, first + count) as texts of so many bytes each. Errors: DATA, INTERNAL. */
avi_status avi_names_of_rows(avi_source *source, int64_t first, int64_t count, int64_t bytes, char *out);

#endif
