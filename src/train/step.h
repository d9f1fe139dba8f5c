/* One step of a fit: gradient, check, clipping, update. */
#ifndef AVI_TRAIN_STEP_H
#define AVI_TRAIN_STEP_H

#include "state/state.h"

typedef struct avi_step_result {
    bool
        measure; /* in: fill kl_global and grad_norm (else NaN): passes over all parameters that only the trace needs */
    double sums[AVI_SUMS]; /* over ranks; in: AVI_SUM_STOP and AVI_SUM_SAVE of this rank */
    double own[AVI_SUMS];  /* this rank's share */
    double kl_global;      /* nats */
    double grad_norm, learning_rate;
    bool converged;       /* the method's own stop rule is met, or there is no further step to take: */
    bool stalled;         /* rounding hides what is left to gain, before the stop rule is met */
    bool finite;          /* false: nothing was changed */
    int64_t bad_position; /* of this rank's first row that is not finite, -1 */
    int64_t bad_value;    /* index of the first non-finite value of the global gradient, -1 */
} avi_step_result;

/* Collective. Does step st->step; when all is finite, updates and counts it. */
avi_status avi_step(const avi_session *s, avi_state *st, avi_row_ranges *job, avi_step_result *r);
/* Collective. Of a step that was not finite: which step, rows and block, in one line on every rank. */
avi_status avi_step_describe_bad(const avi_session *s, const avi_state *st, const avi_step_result *r, char *text,
                                 size_t size);

#endif
