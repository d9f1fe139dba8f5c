/* Means of the ELBO over spans of the steps of a fit, of all steps and in little memory: what its slope at the end is
 * taken from (state/convergence.h). The trace has some of the steps alone, and within an epoch batches differ by more
 * than parameters do.
 *
 * Spans are parts of an epoch or whole numbers of epochs, whose rows are all rows equally often. When there are more
 * spans than AVI_ELBO_BINS two become one each. This does not depend on the length of the run, so that a run in parts
 * has the same as one without a break. */
#ifndef AVI_STATE_ELBO_BINS_H
#define AVI_STATE_ELBO_BINS_H

#include <stdint.h>

enum { AVI_ELBO_BINS = 256 };
/* Of a bin: sum of the local part of the ELBO over rows (nats), rows, steps, sum of the numbers of the steps. */
enum { AVI_BIN_ELBO, AVI_BIN_ROWS, AVI_BIN_STEPS, AVI_BIN_STEP_SUM, AVI_BIN_COLUMNS };

typedef struct avi_elbo_bins {
    int64_t epoch_steps; /* steps of an epoch */
    int64_t parts;       /* bins of an epoch at level 0: a power of 2, at least epoch_steps */
    int64_t level;       /* a bin is 2^level of these */
    int64_t count;       /* bins up to the last one that has a step */
    double value[AVI_ELBO_BINS][AVI_BIN_COLUMNS];
} avi_elbo_bins;

/* All of this is not collective. */
void avi_elbo_bins_clear(avi_elbo_bins *b, int64_t epoch_steps);
/* Step `step` (from 0) had this local part of the ELBO, summed over so many rows. */
void avi_elbo_bins_add(avi_elbo_bins *b, int64_t step, double elbo, double rows);
/* The bin that a step is in, at the level of now; it may be beyond the last one. */
int64_t avi_elbo_bins_place(const avi_elbo_bins *b, int64_t step);
/* Bins of an epoch; 1 where a bin is one epoch or several. */
int64_t avi_elbo_bins_of_epoch(const avi_elbo_bins *b);

#endif
