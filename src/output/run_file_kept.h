/* What other tasks have written into run.h5 of the same fit, which a task that writes the file again keeps. */
#ifndef AVI_OUTPUT_RUN_FILE_KEPT_H
#define AVI_OUTPUT_RUN_FILE_KEPT_H

#include "output/run_file.h"

enum { AVI_FIT_MARK = 17 };

/* Collective. A mark of the fit in st: its step, parameters, local factors, training and test data, the same on any
 * number of ranks and after a resume. It is the attribute fit_mark of results that are whole. Errors: INTERNAL. */
avi_status avi_run_file_mark(const avi_session *s, const avi_state *st, char mark[AVI_FIT_MARK]);

/* Collective. Adds to l the groups of the file `path` that no fit writes and that l does not write anew, where the file
 * is of the fit with that mark. A file that is not there, or cannot be read, has none. Errors: INTERNAL. */
avi_status avi_run_file_keep(const avi_session *s, const char *path, const char *mark, avi_fields *l);

#endif
