/* What each rank has to say of each line of the trace: its part of the ELBO, its seconds. A rank keeps its own, so that
 * memory does not grow with the number of ranks; the ranks' columns are brought together when a file is written. A run
 * that resumes with fewer ranks keeps the columns of those that are gone, shared out among those that are there. */
#ifndef AVI_STATE_SHARES_H
#define AVI_STATE_SHARES_H

#include "avi/comm.h"
#include "avi/status.h"

#include <stdint.h>

/* Values of a rank on a line: its part of the ELBO, seconds of the step, and with log.profile seconds a step by phase
 * (avi_phase of elbo.h). */
enum { AVI_SHARE_ELBO, AVI_SHARE_SECONDS, AVI_SHARE_PHASES, AVI_SHARES = AVI_SHARE_PHASES + 7 };

typedef struct avi_shares {
    avi_comm *comm; /* borrowed */
    int width;      /* values of a rank on a line */
    int64_t lines, capacity;
    double *value;  /* (lines, width): this rank's own */
    int64_t gone;   /* columns of ranks that are gone, in all */
    int64_t before; /* lines that they have */
    double *old;    /* (own part of `gone`, before, width) */
} avi_shares;

/* profile: keep the seconds by phase too. Not collective. */
void avi_shares_create(avi_shares *t, avi_comm *comm, bool profile);
void avi_shares_free(avi_shares *t);
/* No lines. Not collective. */
void avi_shares_clear(avi_shares *t);
/* Appends a line: own (width). Not collective. Errors: INTERNAL. */
avi_status avi_shares_add(avi_shares *t, const double *own);
/* Columns in all: ranks that are there, and gone. Not collective. */
int64_t avi_shares_columns(const avi_shares *t);
/* Collective. Values [which, which + count) of all columns for the own slab of lines (avi_slab_first of lines): slab
 * (own lines, columns, count), NaN where a rank was not there. Errors: INTERNAL. */
avi_status avi_shares_lines(const avi_shares *t, int which, int count, double *slab);
/* Collective. The opposite of it: the lines of a run of `columns` ranks with `width` values each, in place of what is
 * there. Values that the file has not are NaN. Errors: INTERNAL. */
avi_status avi_shares_restore(avi_shares *t, int64_t lines, int64_t columns, int width, const double *slab);

#endif
