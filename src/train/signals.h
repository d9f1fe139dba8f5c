/* When to stop: signals and the time limit. A signal sets a flag; the step's reduction carries it to all ranks. */
#ifndef AVI_TRAIN_SIGNALS_H
#define AVI_TRAIN_SIGNALS_H

#include <stdbool.h>

/* Catches USR1, USR2, TERM and INT. Not collective. */
void avi_signals_install(void);
/* The signal that came to this rank, 0 when none. */
int avi_signals_signal(void);
/* Joins ranks that no reduction of a run joins (groups of a sweep): avi_signals_signal calls `call` with whether a
 * signal came here, and what it returns is whether one came anywhere. NULL: no more. Not collective. */
void avi_signals_share(bool (*call)(void *self, bool here), void *self);
const char *avi_signals_name(int signal);

#endif
