/* What the files of the fit share: fit.c (the loop, start and end), fit_bad.c (steps that are not finite),
 * fit_metrics.c. */
#ifndef AVI_TRAIN_FIT_INTERNAL_H
#define AVI_TRAIN_FIT_INTERNAL_H

#include "train/ending.h"
#include "train/fit.h"
#include "train/patience.h"
#include "train/resume.h"
#include "train/step.h"
#include "train/stopping_rule.h"

struct avi_fit {
    avi_session *s;
    avi_state *st;
    avi_resume begun;
    avi_folder *folder; /* begun.folder */
    avi_metrics *metrics;
    avi_row_ranges job;
    double phase_before[AVI_PHASES];
    int64_t step_before; /* of the logged step before */
    double start, last_save, save_seconds,
        paused; /* clocks, seconds; paused: evaluations and checkpoints, which the trace's seconds leave out */
    double seconds_before; /* of stepping before this start, from the checkpoint */
    int rollbacks;
    int64_t applied;                     /* steps since the start, or since the last rollback */
    const char *why;                     /* set when the loop is to end */
    char patience[AVI_PATIENCE_TEXT];    /* why, of a run that stop.patience ends */
    char target[AVI_STOPPING_RULE_TEXT]; /* [stop] in words, once a run that has a target has ended */
    char diverged[AVI_ENDING_TEXT];      /* what makes the end of the steps no end of a fit; empty when nothing does */
    char advice[AVI_ENDING_TEXT];        /* what to use then */
    avi_status outcome;
};
typedef struct avi_fit fit;

/* The loop is to end, with this outcome. Not collective. */
static inline void avi_fit_end(fit *f, avi_status outcome, const char *why)
{
    f->outcome = outcome;
    f->why = why;
}
/* fit_metrics.c, as the next two. A line of the trace from what a step made, of which this rank has its share; rank 0
 * writes it to metrics.csv. *elbo_per_row: mean over the step's rows. Collective. Errors: those of the disk. */
avi_status avi_fit_log_step(fit *f, const avi_step_result *r, double step_seconds, double *elbo_per_row);
/* A line of the trace to metrics.csv, by rank 0. Not collective. */
avi_status avi_fit_write_metrics(fit *f, const double *row);
/* Collective. metrics.csv anew from the trace that the state holds. */
avi_status avi_fit_open_metrics(fit *f);

/* Collective. After a step that was not finite: by nan.policy. Errors: DIVERGED, when the run ends here. */
avi_status avi_fit_handle_bad(fit *f, const avi_step_result *r);
/* Whether going back may help. Not collective. */
bool avi_fit_can_go_back(const fit *f);
/* Collective. To the last checkpoint, or the start, with a lower learning rate. */
avi_status avi_fit_go_back(fit *f);

#endif
