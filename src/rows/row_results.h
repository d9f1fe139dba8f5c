/* What is made of a block of rows: the values, and how they lie in rows.h5. */
#ifndef AVI_ROWS_ROW_RESULTS_H
#define AVI_ROWS_ROW_RESULTS_H

#include "store/row_file.h"
#include "rows/row_use.h"

/* What is made beside the codes. */
enum { AVI_ROWS_SCORES = 1, AVI_ROWS_RECONSTRUCTIONS = 2, AVI_ROWS_DRAWS = 4 };
enum { AVI_ROW_RESULTS = 14 /* datasets at most */ };

/* One dataset: a value, a vector or a matrix of every row. */
typedef struct avi_row_result {
    const char *name, *description, *units, *axes;
    int64_t cols;   /* values of a row */
    int64_t last;   /* of the last dimension, where there are 3 */
    int rank;       /* 1, 2 or 3 */
    bool typed;     /* written in the precision of the run, else double */
    double *values; /* of own rows of a block; owned */
} avi_row_result;

typedef struct avi_row_results {
    const avi_session *s; /* borrowed */
    int what, count;
    avi_row_result result[AVI_ROW_RESULTS];
    avi_row_codes codes; /* point into result */
    avi_row_scores scores;
    double *reconstruction, *draw_z, *draw_x;
    void *typed;
} avi_row_results;

/* Not collective. Room for the own rows of a block of `rows` rows; draws: K of AVI_ROWS_DRAWS. Owner: caller,
 * avi_row_results_free, also when it fails. Errors: INTERNAL (memory). */
avi_status avi_row_results_create(const avi_session *s, int what, int draws, int64_t rows, avi_row_results *r);
void avi_row_results_free(avi_row_results *r);
/* Not collective. The datasets, without data; returns how many. */
int avi_row_results_fields(const avi_row_results *r, avi_field field[AVI_ROW_RESULTS]);
/* Collective. From the block that is read. */
avi_status avi_row_results_make(avi_row_results *r, avi_row_use *use);
/* Not collective. Own rows into the file. Errors: IO. */
avi_status avi_row_results_put(const avi_row_results *r, const avi_row_use *use, avi_row_file *file);

#endif
