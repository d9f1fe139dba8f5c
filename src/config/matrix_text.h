/* Matrices and lists of numbers as text of a key: "1, 0.1; 0, 1". */
#ifndef AVI_CONFIG_MATRIX_TEXT_H
#define AVI_CONFIG_MATRIX_TEXT_H

#include "avi/config.h"

/* Reads [model] key: rows end with ; (no blank before it in a file: that starts a comment), values with commas or
 * blanks. *values (rows, cols), row-major. Owner: caller, free(). Errors: CONFIG (no number, rows of different length,
 * not finite), INTERNAL. */
avi_status avi_matrix_read(const avi_config *config, const char *key, int64_t *rows, int64_t *cols, double **values);
/* The same as (rows, cols) exactly; one number stands for that number times the identity, which must be square. */
avi_status avi_matrix_read_sized(const avi_config *config, const char *key, int64_t rows, int64_t cols,
                                 double **values);
/* Variances: a list of n, or one number for all; positive. out: their logarithmic standard deviations (n). Owner:
 * caller. */
avi_status avi_variances_read(const avi_config *config, const char *key, int64_t n, double **log_sd);

#endif
