/* The training rows that posterior.nc has, as output.idata_rows names them. Not collective. */
#ifndef AVI_IDATA_IDATA_ROWS_H
#define AVI_IDATA_IDATA_ROWS_H

#include "session/session.h"

typedef struct avi_idata_rows {
    int ranges;
    int64_t *first;  /* owned, (2, ranges + 1): first row of each range in order; they do not overlap or touch */
    int64_t *before; /* rows of the ranges before it; `total` at the end */
    int64_t total;
} avi_idata_rows;

/* all: training rows of the data. automatic: how many rows `auto` takes, the first ones. Owner: caller,
 * avi_idata_rows_free, also when it fails. Errors: CONFIG (what is not a row, with the words), INTERNAL. */
avi_status avi_idata_rows_parse(const avi_config *config, int64_t all, int64_t automatic, avi_idata_rows *r);
/* Rows 0 to n - 1. Owner: caller, avi_idata_rows_free. Errors: INTERNAL (memory). */
avi_status avi_idata_rows_first(int64_t n, avi_idata_rows *r);
void avi_idata_rows_free(avi_idata_rows *r);
/* The given row of the i-th chosen one, 0 <= i < total. */
int64_t avi_idata_row(const avi_idata_rows *r, int64_t i);

#endif
