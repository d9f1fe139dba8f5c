#include "base/signals.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { REMOVED = 4, SECOND_MS = 200 };

/* The globals that change: a signal handler has nowhere else to look or to write. */
static volatile sig_atomic_t caught, effect, held, speaks;
static volatile int64_t caught_ms;
static const char *volatile last_words;
static struct {
    volatile sig_atomic_t used;
    char path[PATH_MAX];
} removed[REMOVED];
static void (*tell_status)(int status);

/* Whom to ask and tell beyond this run; set while a sweep runs. It belongs to the process as the flag does. */
static struct {
    bool (*call)(void *self, bool here);
    void *self;
} share;

/* ---- the handler: only calls that POSIX allows there ---- */

static int64_t milliseconds(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) return 0;
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void remove_files(void)
{
    for (int i = 0; i < REMOVED; i++)
        if (removed[i].used) (void)unlink(removed[i].path);
}

/* "avi_mpi: stopped by SIGTERM; WORDS", in one write. */
static void say(const char *how, int number, const char *words)
{
    const char *const part[] = {"avi_mpi: ", how, avi_signals_name(number), "; ", words, "\n"};
    char text[512];
    size_t n = 0;
    if (!speaks) return;
    for (size_t i = 0; i < sizeof part / sizeof part[0]; i++)
        for (const char *at = part[i]; *at && n < sizeof text; at++) text[n++] = *at;
    const ssize_t done = write(STDERR_FILENO, text, n);
    (void)done; /* nobody is left to tell */
}

/* As if it had not been caught: the exit status says which one it was. */
static void end_of(int number)
{
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigset_t mine;
    remove_files();
    if (tell_status) tell_status(128 + number);
    sigemptyset(&standard.sa_mask);
    sigemptyset(&mine);
    sigaddset(&mine, number);
    (void)sigaction(number, &standard, NULL);
    (void)kill(getpid(), number);
    (void)pthread_sigmask(SIG_UNBLOCK, &mine, NULL);
    _exit(128 + number); /* it does not come to this */
}

static void first_signal(int number)
{
    if (effect == AVI_SIGNAL_ENDS) {
        say("stopped by ", number, "nothing was there to be saved");
        end_of(number);
    }
    say("stopped by ", number, last_words ? last_words : "run again");
    remove_files();
    if (tell_status) tell_status(AVI_ERR_STOPPED);
    _exit(AVI_ERR_STOPPED);
}

static void on_signal(int number)
{
    const int before = errno;
    const int64_t now = milliseconds();
    if (caught) {
        /* One signal may arrive twice: `timeout` sends it to the process and to its group. */
        if (now - caught_ms < SECOND_MS) return;
        say("ended by a second signal, ", number, "the last checkpoint is as it was");
        end_of(number);
    } else {
        caught_ms = now;
        caught = number;
        if (!held && (effect == AVI_SIGNAL_ENDS || effect == AVI_SIGNAL_AGAIN)) first_signal(number);
    }
    errno = before;
}

/* ---- setting up ---- */

static bool nohup; /* SIGHUP was ignored when the program started */

void avi_signals_nohup(bool ignored) { nohup = ignored; }

void avi_signals_install(void)
{
    static const int signals[] = {SIGUSR1, SIGUSR2, SIGTERM, SIGINT, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, ignore = {.sa_handler = SIG_IGN}, old;
    sigemptyset(&action.sa_mask);
    sigemptyset(&ignore.sa_mask);
    if (sigaction(SIGHUP, NULL, &old) == 0 && old.sa_handler == SIG_IGN) nohup = true;
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        (void)sigaction(signals[i], signals[i] == SIGHUP && nohup ? &ignore : &action, NULL);
    /* A reader of our output that goes away (| head) ends no run: what is written to it then is dropped. */
    (void)sigaction(SIGPIPE, &ignore, NULL);
}

void avi_signals_set(avi_signal_effect what, const char *words)
{
    last_words = words;
    effect = (sig_atomic_t)what;
}

void avi_signals_speak(bool this_one) { speaks = this_one; }

void avi_signals_tell_status(void (*tell)(int status)) { tell_status = tell; }
void avi_signals_hold(bool hold) { held = hold; }

void avi_signals_remove_at_end(const char *path)
{
    const size_t bytes = strlen(path) + 1;
    for (int i = 0; i < REMOVED && bytes <= sizeof removed[i].path; i++) {
        if (removed[i].used) continue;
        memcpy(removed[i].path, path, bytes);
        removed[i].used = 1;
        return;
    }
}

void avi_signals_keep_at_end(const char *path)
{
    for (int i = 0; i < REMOVED; i++)
        if (removed[i].used && !strcmp(removed[i].path, path)) removed[i].used = 0;
}

void avi_signals_share(bool (*call)(void *self, bool here), void *self)
{
    share.call = call;
    share.self = self;
}

/* ---- asking ---- */

int avi_signals_signal(void)
{
    const int here = caught;
    if (!share.call || !share.call(share.self, here != 0)) return here;
    return here ? here : SIGUSR1; /* elsewhere: which one does not matter */
}

avi_status avi_signals_status(void)
{
    const int number = effect == AVI_SIGNAL_NOTED ? 0 : avi_signals_signal();
    if (!number) return AVI_OK;
    return avi_fail(AVI_ERR_STOPPED, "stopped by %s; the same command resumes it", avi_signals_name(number));
}

const char *avi_signals_name(int signal)
{
    switch (signal) {
    case SIGUSR1:
        return "SIGUSR1";
    case SIGUSR2:
        return "SIGUSR2";
    case SIGTERM:
        return "SIGTERM";
    case SIGINT:
        return "SIGINT";
    case SIGHUP:
        return "SIGHUP";
    default:
        return "a signal";
    }
}
