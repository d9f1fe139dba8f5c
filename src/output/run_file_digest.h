/* /digest in run.h5: what a run with reproducible sums leaves to be verified by. */
#ifndef AVI_OUTPUT_RUN_FILE_DIGEST_H
#define AVI_OUTPUT_RUN_FILE_DIGEST_H

#include "output/run_file.h"

/* Collective. Adds nothing where the run keeps no digests. Errors: INTERNAL. */
avi_status avi_run_file_digests(const avi_session *s, const avi_state *st, avi_fields *l);

#endif
