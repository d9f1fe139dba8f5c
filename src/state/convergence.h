/* Whether the ELBO of a fit still rises at its end: its slope over the last tenth of the steps, with the standard
 * error.
 *
 * The slope is that of a straight line through the means of up to 20 equal spans (batch means: steps that follow each
 * other are not independent, spans of many steps nearly are), its error that of the least-squares fit. Where an epoch
 * is shorter than a tenth of the run, or there are ten of them, spans are whole epochs, five at least: their means are
 * over all rows, so that the differences between batches are not in them. */
#ifndef AVI_STATE_CONVERGENCE_H
#define AVI_STATE_CONVERGENCE_H

#include "state/state.h"

enum { AVI_CONVERGENCE_TEXT = 256 };

/* Why a fit ended whose method found no step that raises the ELBO, though its gradient has a norm above
 * AVI_SMALL_GRADIENT, nats per row. A smaller one leaves nothing to gain that is worth a word. */
#define AVI_STALLED        "no step raises the ELBO any more"
#define AVI_SMALL_GRADIENT 1e-3

typedef struct avi_convergence {
    int spans;           /* that the line goes through; 0: too few steps to tell, and nothing else is filled */
    int64_t steps;       /* that they have */
    double epochs;       /* the same in epochs */
    double level;        /* the mean of the spans, nats per row */
    double slope, error; /* nats per row and epoch, and its standard error */
    double bound;        /* the slope is within so much of what it is estimated to be: 95 %, Student's t */
    double rate;         /* the learning rate there, of the largest one in the run */
} avi_convergence;

/* All of this is not collective and the same on all ranks. */

/* From the bins after `steps` steps, and from lines of the trace for KL(q(theta) || p(theta)) and the learning rate.
 * rows: training rows. */
void avi_convergence_of(const avi_elbo_bins *bins, int64_t steps, const avi_trace *trace, double rows,
                        avi_convergence *c);
/* Of the fit. why: why it ended. False, with an empty text, where there is nothing to say. text: a sentence. */
bool avi_convergence_describe(const avi_session *s, const avi_state *st, const char *why, avi_convergence *c,
                              char text[AVI_CONVERGENCE_TEXT]);

#endif
