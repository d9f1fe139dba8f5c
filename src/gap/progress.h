/* Rows of a ledger that are done, kept in the output folder while it is made: a run that is killed resumes from them.
 */
#ifndef AVI_GAP_PROGRESS_H
#define AVI_GAP_PROGRESS_H

#include "factors/fixed_theta.h"
#include "io/parts.h"

typedef struct avi_gap_progress {
    avi_folder *folder; /* NULL: nothing is kept */
    avi_comm *comm;
    double every, last; /* seconds between parts; when the last one was written */
    const avi_data *data;
    int64_t columns;
    char name[24], identity[256];
    int64_t next;     /* number of the next part */
    int64_t found;    /* own rows that an earlier run had done */
    bool *done;       /* (own rows) */
    double *owned;    /* (own rows, columns), borrowed */
    int64_t *waiting; /* (own rows): positions that are done and in no part yet, waiting_count of them */
    int64_t waiting_count;
} avi_gap_progress;

/* Collective. Reads what an earlier run has done into owned and p->done. settings: a text with everything else that the
 * rows depend on. table: local factors of a factorized run, NULL else. Owner: caller, avi_gap_progress_free, also when
 * it fails. Errors: IO, INTERNAL. */
avi_status avi_gap_progress_open(const avi_fixed_theta *f, const avi_data *data, const void *table, avi_folder *folder,
                                 double every, const char *name, const char *settings, int64_t columns, double *owned,
                                 avi_gap_progress *p);
/* Collective. Own rows [first, first + rows) (positions) are done; writes a part when it is time. Errors: IO. */
avi_status avi_gap_progress_add(avi_gap_progress *p, int64_t first, int64_t rows);
void avi_gap_progress_free(avi_gap_progress *p);

#endif
