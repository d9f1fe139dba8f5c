/* One data set in two parts: rows to learn from, and rows that are held out, by a closed formula of (rows, held, seed).
 * Private to those who open sources. */
#ifndef AVI_SOURCE_HOLDOUT_H
#define AVI_SOURCE_HOLDOUT_H

#include "avi/data.h"

/* Rows of exchangeable data are cut into as many runs of equal length as rows are held out, and of each run one row is
 * chosen by key; of rows in order the last ones are held out. */
typedef struct avi_holdout {
    int64_t rows, held;
    uint64_t seed;
    bool in_order;
} avi_holdout;

/* The given row of the k-th held row, and of the j-th of the others; both ascend. Not collective. */
int64_t avi_holdout_row(const avi_holdout *h, int64_t k);
int64_t avi_holdout_other(const avi_holdout *h, int64_t j);

/* Collective. Opens data.source twice and gives each its part, where data.holdout says so; in_order: rows have
 * neighbours. *train and *test are closed by the caller. Errors: those of avi_source_open; CONFIG. */
avi_status avi_holdout_open(const avi_config *config, avi_comm *comm, bool in_order, avi_source **train,
                            avi_source **test);
/* The part of a source that avi_holdout_open has opened, NULL of others. Not collective. */
const avi_holdout *avi_holdout_of(const avi_source *source);

#endif
