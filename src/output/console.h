/* What a person sees: header, progress, summary. Rank 0 prints; on other ranks these do nothing. Not collective. */
#ifndef AVI_OUTPUT_CONSOLE_H
#define AVI_OUTPUT_CONSOLE_H

#include "state/state.h"

void avi_console_header(const avi_session *s);
/* A line or the bar; prints at most every few seconds unless `last`. */
void avi_console_progress(const avi_session *s, const avi_state *st, double elbo_per_row, bool last);
/* Seconds since `start` that what was written took, by the clock and of this rank's processor: with -v. */
typedef struct avi_stopwatch {
    double clock, processor;
} avi_stopwatch;
avi_stopwatch avi_console_start(void);
void avi_console_written(const avi_session *s, const avi_state *st, const char *what, avi_stopwatch start);
/* Ends an open bar, so that a message starts on a line of its own. */
void avi_console_break(void);
void avi_console_summary(const avi_session *s, const avi_state *st, const char *folder, const char *why);
/* "1.3 GB", "12 min 4 s" into text (size 32). */
const char *avi_console_bytes(double bytes, char *text);
const char *avi_console_time(double seconds, char *text);

#endif
