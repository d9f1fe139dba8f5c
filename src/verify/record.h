/* What a file of a run says of its steps: the lines of the trace, and their digests. */
#ifndef AVI_VERIFY_RECORD_H
#define AVI_VERIFY_RECORD_H

#include "avi/store.h"
#include "state/state.h"

enum { AVI_RECORD_NAME = 64 };

typedef struct avi_record {
    char name[AVI_RECORD_NAME]; /* of the file, in the folder of the run */
    int64_t lines;
    double *trace;   /* (lines, AVI_TRACE_COLUMNS) */
    int64_t *digest; /* (lines, columns of the digests): 0 on lines that have none */
} avi_record;

/* Collective. Reads a checkpoint, or (results) a run.h5. The same on all ranks. Owner: caller, avi_record_free, also
 * when it fails. Errors: DATA (damaged, or not of such a run), NOINPUT, INTERNAL. */
avi_status avi_record_read(const avi_session *s, const avi_digests *d, const char *path, bool results, avi_record *r);
void avi_record_free(avi_record *r);
/* Not collective. The line of a step, -1 when there is none. */
int64_t avi_record_line(const avi_record *r, int64_t step);

#endif
