/* --verify: does the steps of a run again, on any number of ranks, and says whether its files have the same bits. */
#ifndef AVI_VERIFY_VERIFY_H
#define AVI_VERIFY_VERIFY_H

#include "run/setup.h"
#include "session/session.h"

/* The steps to be verified; 0: from the first, to the last. */
typedef struct avi_verify_steps {
    int64_t first, last;
} avi_verify_steps;

/* Not collective. From the text of --steps: "a..b", "a" or "a..". Errors: USAGE. */
avi_status avi_verify_read_steps(const char *text, avi_verify_steps *steps);
/* Collective. The run in setup->folder, with the overrides of the command line, which may not change what a step
 * computes. The folder is only read. Errors: DIFFERS; DATA (a run without digests, other data, damaged files, steps of
 * other settings); USAGE; those of a session. */
avi_status avi_verify(avi_comm *comm, const avi_setup *setup, const avi_options *options, avi_verify_steps steps);

#endif
