/* Mean and log sd of local factors from their parameters, for any family. Not collective. */
#ifndef AVI_STATE_MOMENTS_H
#define AVI_STATE_MOMENTS_H

#include "session/session.h"
#include "state/state.h"

typedef struct avi_moments {
    const avi_family *family;
    double *values;     /* the shared parameters of the family in double, block after block; NULL without any */
    const double **own; /* (count) where each block begins */
} avi_moments;

/* Takes the shared parameters as they are now. Owner: caller, avi_moments_free, also when it fails. Errors: INTERNAL.
 */
avi_status avi_moments_take(const avi_session *s, const avi_state *st, avi_moments *m);
/* nu (rows, width) -> mean, log_sd (rows, L). */
void avi_moments_rows(const avi_moments *m, int64_t rows, const double *nu, double *mean, double *log_sd);
void avi_moments_free(avi_moments *m);

#endif
