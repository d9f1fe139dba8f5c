/* Signals: INT, TERM, HUP, USR1 and USR2 ask a process to end; PIPE is ignored. What the first one does depends on what
 * there is to save (avi_signals_set). A second one, at least 0.2 s later, always ends the process. */
#ifndef AVI_BASE_SIGNALS_H
#define AVI_BASE_SIGNALS_H

#include "avi/status.h"

#include <stdbool.h>

/* What the first signal does. */
typedef enum avi_signal_effect {
    AVI_SIGNAL_ENDS,  /* nothing is there to save: the process ends of the signal, exit status 128 + its number */
    AVI_SIGNAL_AGAIN, /* all that counts is saved: exit status 75 at once, with `words` */
    AVI_SIGNAL_ASKS,  /* a flag, which a step's reduction and the loops over rows look at */
    AVI_SIGNAL_NOTED, /* a flag that only avi_signals_signal shows: for what is written once a run has stopped */
} avi_signal_effect;

/* Catches the signals; at the start AVI_SIGNAL_ENDS. HUP stays ignored where it was (nohup). Not collective. */
void avi_signals_install(void);

/* Says that SIGHUP was ignored when the program started (nohup), and is to stay so. avi_signals_install asks for itself
 * too, but UCX puts a handler of its own in place before main begins. To be called before avi_signals_install. Not
 * collective. */
void avi_signals_nohup(bool ignored);
/* words: of AVI_SIGNAL_AGAIN, borrowed for good, printed by the process that speaks; NULL else. Not collective. */
void avi_signals_set(avi_signal_effect what, const char *words);
/* Whether this process speaks for all: false at the start. Not collective. */
void avi_signals_speak(bool this_one);
/* tell: called with the exit status where a signal ends the process at once, from the handler; NULL, as at the start:
 * nothing. Not collective. */
void avi_signals_tell_status(void (*tell)(int status));
/* hold: the first signal only sets the flag, whatever avi_signals_set says: other runs of the job have something to
 * save. Not collective. */
void avi_signals_hold(bool hold);
/* A file to remove when a signal ends the process (the lock of an output folder): copied. Up to four; more, and longer
 * paths, stay where they are. Not collective. */
void avi_signals_remove_at_end(const char *path);
void avi_signals_keep_at_end(const char *path);

/* The signal that came to this rank, 0 when none. */
int avi_signals_signal(void);
/* For loops that take long: STOPPED with a message when avi_signals_signal has something to tell and AVI_SIGNAL_NOTED
 * is not set. Ranks must agree on it before the next collective that not all reach. Not collective. */
avi_status avi_signals_status(void);
/* Joins ranks that no reduction of a run joins (groups of a sweep): avi_signals_signal calls `call` with whether a
 * signal came here, and what it returns is whether one came anywhere. NULL: no more. Not collective. */
void avi_signals_share(bool (*call)(void *self, bool here), void *self);
const char *avi_signals_name(int signal);

#endif
