/* What a fit changes: parameters, local factors, optimizer state, counters, trace. All of it is in a checkpoint, in
 * data order. */
#ifndef AVI_STATE_STATE_H
#define AVI_STATE_STATE_H

#include "optim/lbfgs.h"
#include "state/digest.h"
#include "state/elbo_bins.h"
#include "session/session.h"
#include "state/trace.h"

enum { AVI_OWN_ROWS = 64 /* that a step of their own moves together */ };

/* What a second start of some rows' factors gained (factors/second_start.h). */
typedef struct avi_second_start_result {
    int64_t rows, better; /* rows of the sample, 0: there is none; those that gained */
    double gain, error;   /* mean over the sample and its standard error, nats per row */
} avi_second_start_result;

/* Factors of test rows that the last evaluation of a factorized run fitted (factors/test_factors.h). */
typedef struct avi_test_factors {
    int64_t rows, converged; /* of all ranks; 0: none were fitted */
} avi_test_factors;

/* The parameters of the evaluation with the largest ELBO on test rows (state/best.h). */
typedef struct avi_best {
    void *params, *table; /* copies, as in avi_state; NULL where none are kept */
    bool common;          /* params is the same memory on all ranks, as those of the state */
    int64_t step;         /* of that evaluation; 0: there was none yet */
    double elbo;          /* its elbo_test, nats per row */
    bool taken;           /* the state's own parameters are these by now */
} avi_best;

typedef struct avi_state {
    avi_shared *shared;      /* params, gradient and slots are the same memory on all ranks, and steps are shared out
                                (elbo.h); NULL: each rank has its own */
    void *params, *gradient; /* (layout.size) */
    void *slot[AVI_OPTIM_SLOTS]; /* (layout.size) each, as many as the optimizer has */
    void *table, *table_grad;    /* (1 + own rows + 1, width): local factors with a halo row at both ends; NULL for
                                    amortized functions */
    void *table_slot[AVI_OPTIM_SLOTS]; /* the same shape */
    void *kept; /* (1 + slots, rows of a step on this rank, width): factors and slots before the steps of a visit, to go
                   back to where the step is not finite; NULL where a visit has one step */
    void *own_means; /* (AVI_OWN_ROWS, L): means before a step of their own; NULL where there are no such steps */
    avi_lbfgs lbfgs; /* memory of L-BFGS; empty for other methods */
    int64_t step;    /* steps done */
    int64_t skipped, skipped_in_a_row;
    double rate_factor; /* on the learning rate, lowered by rollbacks */
    double seconds;     /* of stepping, resumed runs included */
    avi_best best;      /* stop.patience; empty without */
    avi_trace trace, eval;
    avi_trace gradient_variance;     /* log.gradient_variance; without rows where it is 0 */
    avi_elbo_bins bins;              /* of the ELBO of all steps */
    avi_shares shares;               /* of the ranks, of every line of the trace */
    avi_digests digests;             /* of every line of the trace, with reproducible sums */
    double half[2][AVI_EVAL_GROUPS]; /* of the last evaluation, training and test rows: halves of groups (elbo.h), nats
                                        per row */
    double *kl_dimension;            /* (L): of the last evaluation, mean over its training rows, nats; NaN where the KL
                                        is no sum over dimensions */
    avi_test_factors test_factors;
    avi_second_start_result second_start; /* of the end of the fit */
} avi_state;

/* Collective. Initial values. Owner: caller. Ranks that share memory have one state in common where the method works
 * value by value and the parameters are many enough. */
avi_status avi_state_create(const avi_session *s, avi_state **state);
void avi_state_destroy(avi_state **state);
/* Collective. Sets parameters to their initial values and everything else to zero. */
avi_status avi_state_reset(const avi_session *s, avi_state *state);
/* Collective. What is not finite, in words ("global parameters"), NULL when all of parameters, local factors and
 * optimizer state are. The same on all ranks. */
avi_status avi_state_nonfinite(const avi_session *s, const avi_state *st, const char **what);
/* Collective. Whether a state vector of the optimizer that is a mean of squares has a value below 0, which no run can
 * have made. The same on all ranks. */
avi_status avi_state_below_zero(const avi_session *s, const avi_state *st, bool *found);
/* Values of the local table: (1 + own rows + 1) * width. */
static inline int64_t avi_state_table_values(const avi_session *s)
{
    return s->infer->ops->local ? (s->train->count + 2) * s->infer->outputs : 0;
}
/* Bytes on this rank. */
int64_t avi_state_bytes(const avi_session *s);

#endif
