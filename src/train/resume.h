/* How a fit begins: where it writes, the checkpoint that it resumes from, and whether anything is left to do.
 *
 * A finished run is left as it is. Results are replaced only where that is asked for (checkpoint.resume = no), and stay
 * until those of the new run are complete. */
#ifndef AVI_TRAIN_RESUME_H
#define AVI_TRAIN_RESUME_H

#include "avi/store.h"
#include "state/state.h"

typedef struct avi_resume {
    avi_folder *folder; /* where the run writes: run.output, or `fresh` in it */
    avi_folder *kept;   /* run.output, where its results stay until those of the run are complete; NULL else */
    bool done;          /* nothing is left to do and nothing was written */
    bool rewrite;       /* all steps are done, and run.h5 lacks what output.local asks for */
    bool missed;        /* of a run that is done: it ended before its stop rule was met */
    char *why;          /* its why_stopped; owned */
} avi_resume;

/* Collective. Fills *r and, from a checkpoint, *st. Owner: caller, avi_resume_close, also when it fails. Errors: CONFIG
 * (no checkpoint where there must be one), DATA (a checkpoint or results of another run, or damaged), CANTCREATE, IO.
 */
avi_status avi_resume_open(const avi_session *s, avi_state *st, avi_resume *r);
/* Collective. The results are complete: they take the place of those that were kept. */
avi_status avi_resume_stand(const avi_session *s, avi_resume *r);
void avi_resume_close(avi_resume *r);
/* Of a run that was stopped: what is written, and the command that goes on. Not collective. Owned by the program. */
const char *avi_resume_command(const avi_session *s);

/* Collective. Writes folder/run.h5 of a fit that is about to take steps, with status `running` and no more than the
 * initial parameters, where there is none, or that of a start before which left no checkpoint. Complete results of
 * another task, and those that belong to the checkpoint that the fit resumes from, stay as they are. Errors: IO,
 * CANTCREATE, INTERNAL. */
avi_status avi_first_results(const avi_session *s, avi_state *st, avi_folder *folder);

#endif
