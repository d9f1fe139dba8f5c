/* Tables of doubles that grow by rows: the trace of a run and its evaluations. Every rank keeps the same. */
#ifndef AVI_STATE_TRACE_H
#define AVI_STATE_TRACE_H

#include "avi/status.h"
#include "state/shares.h"

#include <stdint.h>

typedef struct avi_column {
    const char *name, *units, *description;
} avi_column;

typedef struct avi_trace {
    const avi_column *column;
    int columns;
    int extra; /* more values a row; of evaluations: KL of each latent dimension */
    int64_t rows, capacity;
    double *value; /* (rows, columns + extra) */
} avi_trace;

extern const avi_column avi_trace_columns[], avi_eval_columns[], avi_variance_columns[]; /* end with a NULL name */
enum {
    AVI_TRACE_STEP,
    AVI_TRACE_EPOCH,
    AVI_TRACE_SECONDS,
    AVI_TRACE_ELBO,
    AVI_TRACE_ELBO_PER_ROW,
    AVI_TRACE_LOGLIK,
    AVI_TRACE_KL_LOCAL,
    AVI_TRACE_KL_GLOBAL,
    AVI_TRACE_GRAD_NORM,
    AVI_TRACE_RATE,
    AVI_TRACE_SKIPPED,
    AVI_TRACE_COLUMNS
};
enum {
    AVI_EVAL_STEP,
    AVI_EVAL_ELBO_TRAIN,
    AVI_EVAL_ELBO_TEST,
    AVI_EVAL_MSE_TRAIN,
    AVI_EVAL_MSE_TEST,
    AVI_EVAL_ELBO_TRAIN_ERROR,
    AVI_EVAL_ELBO_TEST_ERROR,
    AVI_EVAL_MSE_TRAIN_ERROR,
    AVI_EVAL_MSE_TEST_ERROR,
    AVI_EVAL_COLUMNS
};
enum { /* log.gradient_variance */
       AVI_VARIANCE_STEP,
       AVI_VARIANCE_ALL,
       AVI_VARIANCE_ALL_ERROR,
       AVI_VARIANCE_THETA,
       AVI_VARIANCE_THETA_ERROR,
       AVI_VARIANCE_PHI,
       AVI_VARIANCE_PHI_ERROR,
       AVI_VARIANCE_MEAN_SQUARE,
       AVI_VARIANCE_COLUMNS
};

void avi_trace_create(avi_trace *t, const avi_column *columns);
void avi_trace_free(avi_trace *t);
/* Appends a row of t->columns values and `extra` more; a wider row widens the table (earlier rows get NaN). */
avi_status avi_trace_add(avi_trace *t, const double *row, int extra, const double *shares);
/* One column as an array (rows). Owner: caller. NULL when memory is short. */
double *avi_trace_column(const avi_trace *t, int column);

#endif
