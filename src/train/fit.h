/* A fit: the step loop with its trace, evaluations and checkpoints. Everything is collective unless it says otherwise,
 * and all ranks return the same status. */
#ifndef AVI_TRAIN_FIT_H
#define AVI_TRAIN_FIT_H

#include "output/run_file.h"

typedef struct avi_fit avi_fit;

/* Prints the header, opens the output folder and finds the checkpoint to resume from. Owner: caller, avi_fit_close,
 * also when it fails. Errors: CONFIG, DATA (a checkpoint of another run, or damaged), CANTCREATE, IO, INTERNAL. */
avi_status avi_fit_open(avi_session *s, avi_fit **fit);
/* Steps until the run is done, [stop] is met, or a signal or the time limit asks for an end; saves the fit, and
 * evaluates it when it is done. Errors: DIVERGED (run.h5 says so), IO, DATA, INTERNAL. */
avi_status avi_fit_train(avi_fit *f);
/* A fit that is done is left for a signal before its results are written: from here on it is one that was stopped, and
 * the same command finishes it. Not collective; all ranks must do it. */
avi_status avi_fit_leave(avi_fit *f);
/* Replaces run.h5 by the results. extra: datasets of other tasks; may be NULL. Errors: IO, INTERNAL. */
avi_status avi_fit_write(avi_fit *f, const avi_fields *extra);
/* The same for a fit that is done while tasks that belong to the run are not: its status is `running`, so that the same
 * command resumes with them when it is killed there. Errors: as avi_fit_write. */
avi_status avi_fit_write_unfinished(avi_fit *f);
/* The results are complete: where a run was begun afresh they take the place of those that were kept. A fit that is not
 * done stays beside them. Errors: IO. */
avi_status avi_fit_stand(avi_fit *f);
/* The summary on the screen, on rank 0. Not collective. */
void avi_fit_print(const avi_fit *f);
/* The status of a fit whose results are written: OK; STOPPED by a signal or the time limit; BUDGET where [stop] is
 * required and was not met. Not collective. */
avi_status avi_fit_judge(const avi_fit *f);
void avi_fit_close(avi_fit **fit);

/* Not collective. Whether nothing was left to do of the run in the folder when it was opened: it has been left as it
 * is, and only avi_fit_judge and avi_fit_close may follow. */
bool avi_fit_was_done(const avi_fit *f);
/* Not collective. Whether the run came to its end, in place of a signal's or a time limit's. */
bool avi_fit_is_done(const avi_fit *f);
avi_state *avi_fit_state(avi_fit *f);
/* Where it writes; owned by the fit. */
avi_folder *avi_fit_folder(const avi_fit *f);
/* The last evaluation, (AVI_EVAL_COLUMNS); NULL when there is none. Owned by the fit. */
const double *avi_fit_evaluation(const avi_fit *f);

#endif
